//! A user's tokens at the hosts, sealed: the user's own, and those that enterprise SSO brokers. Every change
//! carries the version that it replaces. Sealing and renewing are `identity`'s business.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::identities::UserId;
use super::kept_answers::AnswerOwner;
use super::table::{Key, Only, StoreError, Table, Write, number, text};
use crate::provider::ProviderType;

/// Which of a user's tokens at a host: an own one and a brokered one live beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenSlot {
    /// The host.
    pub provider: ProviderType,
    /// Whether the user's enterprise SSO holds it, and gives it anew; else the user signed in or brought it.
    pub brokered: bool,
}

impl TokenSlot {
    /// The token of a sign-in at the host itself, or one that the user has brought.
    #[must_use]
    pub const fn own(provider: ProviderType) -> Self {
        Self { provider, brokered: false }
    }

    /// The token that the user's enterprise SSO holds for the host.
    #[must_use]
    pub const fn brokered(provider: ProviderType) -> Self {
        Self { provider, brokered: true }
    }

    /// The part of a key that tells a user's tokens apart.
    #[must_use]
    pub(super) fn name(self) -> String {
        let Self { provider, brokered } = self;
        if brokered { format!("{}#{provider}", ProviderType::EnterpriseSso) } else { provider.to_string() }
    }
}

/// A user's token at one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderToken {
    /// The host.
    pub provider: ProviderType,
    /// Counts every change of this item; part of the associated data of what is sealed.
    pub version: u64,
    /// The key of the ring that sealed it.
    pub key_id: String,
    /// The access token, sealed.
    #[serde(with = "serde_bytes")]
    pub sealed_access: Vec<u8>,
    /// End of the access token, in Unix seconds; none for tokens that do not expire.
    pub access_expires_at: Option<i64>,
    /// The refresh token, sealed; none where the host gave none.
    #[serde(default, with = "serde_bytes")]
    pub sealed_refresh: Option<Vec<u8>>,
    /// End of the refresh token, in Unix seconds.
    pub refresh_expires_at: Option<i64>,
    /// When the access token was obtained, in Unix seconds.
    pub obtained_at: i64,
    /// Whether the user's enterprise SSO holds it.
    #[serde(default)]
    pub brokered: bool,
    /// The host that its user named, where it is not the configured one.
    #[serde(default)]
    pub host: Option<String>,
    /// The redirect address of the sign-in: GitLab wants it again with a refresh token.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// The host has ended it and it cannot be renewed: only a new sign-in helps.
    #[serde(default)]
    pub ended: bool,
}

impl ProviderToken {
    /// Which of the user's tokens it is.
    #[must_use]
    pub const fn slot(&self) -> TokenSlot {
        TokenSlot { provider: self.provider, brokered: self.brokered }
    }

    /// Whether it works or can be renewed, as far as its times tell.
    #[must_use]
    pub fn is_usable(&self, now: i64) -> bool {
        let lives = |end: Option<i64>| end.is_none_or(|end| end > now);
        !self.ended
            && (lives(self.access_expires_at)
                || (self.sealed_refresh.is_some() && lives(self.refresh_expires_at))
                || self.brokered)
    }
}

fn key(user: &UserId, slot: TokenSlot) -> Key {
    Key::new(user.partition(), format!("TOKEN#{}", slot.name()))
}

impl Table {
    /// The token of a user at a host.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn provider_token(
        &self,
        user: &UserId,
        slot: TokenSlot,
    ) -> Result<Option<ProviderToken>, StoreError> {
        self.get(&key(user, slot)).await
    }

    /// All tokens of a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn provider_tokens(&self, user: &UserId) -> Result<Vec<ProviderToken>, StoreError> {
        self.query(&user.partition(), "TOKEN#").await
    }

    /// Keeps a token in place of version `replaces`, or where there was none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another version is there.
    pub async fn put_provider_token(
        &self,
        user: &UserId,
        token: &ProviderToken,
        replaces: Option<u64>,
    ) -> Result<(), StoreError> {
        let only = replaces.map_or(Only::IfAbsent, |version| {
            Only::IfEquals("version", number(i64::try_from(version).unwrap_or(i64::MAX)))
        });
        self.write(Write::put(&key(user, token.slot()), token, only)?).await
    }

    /// Keeps the same tokens sealed with another key than `sealed_with`, if they are still sealed with that one. The
    /// version stays, and so does whatever else is noted: a renewal under way, which replaces the version that it has
    /// read, does not notice.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another version is there, or somebody has sealed it anew before.
    pub async fn reseal_provider_token(
        &self,
        user: &UserId,
        token: &ProviderToken,
        sealed_with: &str,
    ) -> Result<(), StoreError> {
        let sealed = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
        let refresh = token.sealed_refresh.as_deref().map(|bytes| ("sealed_refresh", sealed(bytes)));
        let mut attributes =
            vec![("key_id", text(&*token.key_id)), ("sealed_access", sealed(&token.sealed_access))];
        attributes.extend(refresh);
        let version = number(i64::try_from(token.version).unwrap_or(i64::MAX));
        let only = Only::IfAllEqual(vec![("version", Some(version)), ("key_id", Some(text(sealed_with)))]);
        self.set_only(&key(user, token.slot()), &attributes, only).await
    }

    /// Forgets a user's token as it was read, and everything that was read with it: before the token, so that where
    /// the table fails or the process dies on the way it is there to be forgotten again, and after it, because of what
    /// was being written meanwhile. A token that has taken its place is somebody's newer word, and stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_provider_token(
        &self,
        user: &UserId,
        token: &ProviderToken,
        now: i64,
    ) -> Result<(), StoreError> {
        self.forget_what_was_read(user, token.provider, now).await?;
        let only = Only::IfEquals("version", number(i64::try_from(token.version).unwrap_or(i64::MAX)));
        match self.write(Write::Delete(key(user, token.slot()), only)).await {
            // Gone already, or replaced.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        self.forget_what_was_read(user, token.provider, now).await
    }

    /// Forgets everything that was read for a user at a host.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_what_was_read(
        &self,
        user: &UserId,
        provider: ProviderType,
        now: i64,
    ) -> Result<(), StoreError> {
        self.forget_answers(&AnswerOwner::User(user.clone()), provider, now).await?;
        self.forget_pages(user, provider).await
    }
}
