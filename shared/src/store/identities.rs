//! Users and the identities linked to them: `USER#<id>` / `IDENTITY#<provider>` for the user's view,
//! `IDENTITY#<provider>#<subject>` for finding the user. Tokens are `provider_tokens`'.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::table::{Key, Only, StoreError, Table, Write, text};
use crate::clock::{Clock, NoEntropy, random};
use crate::provider::ProviderType;

/// A user: `usr_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// A new user's id.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn generate(clock: &Clock) -> Result<Self, NoEntropy> {
        let random = u128::from_be_bytes(random()?);
        Ok(Self(format!("usr_{}", Ulid::from_parts(clock.unix_millis(), random))))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn partition(&self) -> String {
        format!("USER#{}", self.0)
    }
}

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's login at a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user.
    pub user_id: UserId,
    /// The host.
    pub provider: ProviderType,
    /// The host's own id of the account: numeric, or the subject of OpenID Connect.
    pub subject: String,
    /// Login, as the host wrote it last; may be renamed there.
    pub login: String,
    /// Picture.
    pub avatar_url: Option<String>,
    /// When it was linked, in Unix seconds.
    pub linked_at: i64,
    /// The account of a token that the user's enterprise SSO holds: the user reaches it, and nobody is found by it.
    #[serde(default)]
    pub brokered: bool,
}

/// What became of linking an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// It is this user's now, or was already.
    Linked(Identity),
    /// It belongs to another user.
    OtherUsers,
    /// The user has another identity at the same host.
    OtherIdentity(Identity),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Finder {
    pub(super) user_id: UserId,
}

#[derive(Serialize, Deserialize)]
pub(super) struct User {
    pub(super) user_id: UserId,
    created_at: i64,
}

fn finder_key(provider: ProviderType, subject: &str) -> Key {
    Key::new(format!("IDENTITY#{provider}#{subject}"), "IDENTITY")
}

fn identity_key(user: &UserId, provider: ProviderType) -> Key {
    Key::new(user.partition(), format!("IDENTITY#{provider}"))
}

fn is_brokered() -> Only {
    Only::IfEquals("brokered", AttributeValue::Bool(true))
}

impl Table {
    /// The user whom an identity belongs to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_of_identity(
        &self,
        provider: ProviderType,
        subject: &str,
    ) -> Result<Option<UserId>, StoreError> {
        Ok(self.get::<Finder>(&finder_key(provider, subject)).await?.map(|finder| finder.user_id))
    }

    /// A user's identity at a host.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identity(
        &self,
        user: &UserId,
        provider: ProviderType,
    ) -> Result<Option<Identity>, StoreError> {
        self.get(&identity_key(user, provider)).await
    }

    /// All identities of a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identities(&self, user: &UserId) -> Result<Vec<Identity>, StoreError> {
        self.query(&user.partition(), "IDENTITY#").await
    }

    /// Makes an identity a user's, and the user if `new_user`; refreshes login and picture where it is
    /// already. The finder, the identity and the user are one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Conflict`] when two sign-ins met: read again.
    pub async fn link_identity(
        &self,
        identity: &Identity,
        new_user: bool,
    ) -> Result<LinkOutcome, StoreError> {
        let finder = finder_key(identity.provider, &identity.subject);
        let key = identity_key(&identity.user_id, identity.provider);
        let mut view = Only::IfAbsent;
        if !new_user {
            match self.user_of_identity(identity.provider, &identity.subject).await? {
                Some(user) if user != identity.user_id => return Ok(LinkOutcome::OtherUsers),
                Some(_) => {
                    let known = self.get::<Identity>(&key).await?.filter(|known| !known.brokered);
                    let mut known = known.unwrap_or_else(|| identity.clone());
                    known.login.clone_from(&identity.login);
                    known.avatar_url.clone_from(&identity.avatar_url);
                    let same_user = Only::IfEquals("user_id", text(identity.user_id.as_str()));
                    self.transact(vec![
                        Write::put(&finder, &Finder { user_id: identity.user_id.clone() }, same_user)?,
                        Write::put(&key, &known, Only::Always)?,
                    ])
                    .await?;
                    return Ok(LinkOutcome::Linked(known));
                }
                None => match self.get::<Identity>(&key).await? {
                    Some(other) if !other.brokered => return Ok(LinkOutcome::OtherIdentity(other)),
                    Some(_) => view = is_brokered(),
                    None => {}
                },
            }
        }
        let mut writes = vec![
            Write::put(&finder, &Finder { user_id: identity.user_id.clone() }, Only::IfAbsent)?,
            Write::put(&key, identity, view)?,
        ];
        if new_user {
            let user = User { user_id: identity.user_id.clone(), created_at: identity.linked_at };
            writes.push(Write::put(&Key::new(identity.user_id.partition(), "USER"), &user, Only::IfAbsent)?);
        }
        self.transact(writes).await?;
        Ok(LinkOutcome::Linked(identity.clone()))
    }

    /// Puts an identity in the place of another one of the user at the same provider, which ends.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Conflict`] when the old one is another one by now, or the new one somebody's.
    pub async fn replace_identity(&self, old: &Identity, new: &Identity) -> Result<(), StoreError> {
        let same = Only::IfEquals("subject", text(&old.subject));
        self.transact(vec![
            Write::Delete(finder_key(old.provider, &old.subject), Only::Always),
            Write::put(
                &finder_key(new.provider, &new.subject),
                &Finder { user_id: new.user_id.clone() },
                Only::IfAbsent,
            )?,
            Write::put(&identity_key(&new.user_id, new.provider), new, same)?,
        ])
        .await
    }

    /// Notes whose a brokered token is, unless the user has linked an account at that host.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_brokered_identity(&self, identity: &Identity) -> Result<(), StoreError> {
        let key = identity_key(&identity.user_id, identity.provider);
        let only = match self.get::<Identity>(&key).await? {
            Some(linked) if !linked.brokered => return Ok(()),
            Some(_) => is_brokered(),
            None => Only::IfAbsent,
        };
        let noted = Identity { brokered: true, ..identity.clone() };
        match self.write(Write::put(&key, &noted, only)?).await {
            // Linked at this very moment: that says more.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets whose a brokered token was; an account that the user has linked stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_brokered_identity(
        &self,
        user: &UserId,
        provider: ProviderType,
    ) -> Result<(), StoreError> {
        match self.write(Write::Delete(identity_key(user, provider), is_brokered())).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes that the host calls the account otherwise now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rename_identity(
        &self,
        user: &UserId,
        provider: ProviderType,
        login: &str,
    ) -> Result<(), StoreError> {
        self.set(&identity_key(user, provider), &[("login", text(login))]).await
    }
}
