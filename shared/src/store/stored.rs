//! Every item of the table as what it is, for who looks at all of them: the checker of a table. Whoever works with
//! one kind of item uses that kind's own module.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api_keys::ApiKey;
use super::deliveries::DeliveryRecord;
use super::identities::{Finder, Identity, User, UserId};
use super::installation_repositories::Chunk;
use super::installations::{KnownInstallation, Mark, Pointer};
use super::kept_answers::{Forgotten, KeptAnswer};
use super::kinds::{Kind, kind_of};
use super::leases::Lease;
use super::mapping::MappingRow;
use super::pages::KeptPage;
use super::provider_tokens::ProviderToken;
use super::reconciliation::{Held, ReconcileState, Redelivery, SweptPage};
use super::sessions::{LogoutTokenUsed, Session, SsoLogin};
use super::sign_ins::SignIn;
use super::table::{Item, StoreError, Table, from_item};
use crate::provider::remembered::PageId;

/// What stands in an item. What is sealed, packed or compressed and needs nobody's look is left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// A user.
    User(UserId),
    /// A user's identity.
    Identity(Identity),
    /// Whose an identity is.
    Finder(UserId),
    /// A token.
    Token(ProviderToken),
    /// The right to renew a token.
    Lease(Lease),
    /// A session: as it is found, or as its user's list has it.
    Session(Session),
    /// What a session of the enterprise SSO needs to end there.
    SsoLogin(SsoLogin),
    /// An API key: as it is found, or as its user's list has it.
    ApiKey(ApiKey),
    /// A row of the mapping.
    Mapping(MappingRow),
    /// A remembered page.
    Page {
        /// Which one.
        id: PageId,
        /// TTL.
        expires_at: i64,
    },
    /// The last good copy of an answer.
    Answer {
        /// What was asked.
        request: String,
        /// TTL.
        expires_at: i64,
    },
    /// When copies were forgotten.
    Forgotten {
        /// TTL.
        expires_at: i64,
    },
    /// What is known of an installation.
    Installation(KnownInstallation),
    /// That a user has a row.
    Pointer(UserId),
    /// A part of a list of repositories, compressed.
    Repositories(Vec<u8>),
    /// That GitHub has to be asked about this installation.
    Unsure(u64),
    /// A delivery that was dealt with.
    Delivery(DeliveryRecord),
    /// How far reconciliation has come.
    ReconcileState(ReconcileState),
    /// Who reconciles, until when.
    ReconcileLease {
        /// Which run.
        holder: String,
        /// End, in Unix seconds.
        held_until: i64,
    },
    /// What a page of a full run has shown.
    Sweep {
        /// TTL.
        expires_at: i64,
    },
    /// How often a delivery was asked for.
    Redelivery(Redelivery),
    /// A sign-in under way.
    SignIn(SignIn),
    /// A logout token that was dealt with.
    LogoutToken {
        /// TTL.
        expires_at: i64,
    },
    /// The last integer that was given.
    Counter(i64),
}

impl Stored {
    /// When the table may drop the item, in Unix seconds; none for items that stay.
    #[must_use]
    pub const fn expires_at(&self) -> Option<i64> {
        match self {
            Self::Session(session) => Some(session.expires_at),
            Self::SsoLogin(login) => Some(login.expires_at),
            Self::Lease(lease) => Some(lease.expires_at),
            Self::Page { expires_at, .. }
            | Self::Answer { expires_at, .. }
            | Self::Forgotten { expires_at }
            | Self::Sweep { expires_at }
            | Self::LogoutToken { expires_at } => Some(*expires_at),
            Self::Installation(known) => known.expires_at,
            Self::Delivery(record) => Some(record.expires_at),
            Self::Redelivery(redelivery) => Some(redelivery.expires_at),
            Self::SignIn(sign_in) => Some(sign_in.expires_at),
            _ => None,
        }
    }
}

/// An item with its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredItem {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Its keys in the index, where it has them.
    pub gsi1: (Option<String>, Option<String>),
    /// What is in it, or why this version cannot read it.
    pub content: Result<Stored, StoreError>,
}

#[derive(Deserialize)]
struct Counter {
    last: i64,
}

impl StoredItem {
    /// The kind of the item, by its keys.
    #[must_use]
    pub fn kind(&self) -> Option<&'static Kind> {
        kind_of(&self.pk, &self.sk)
    }

    fn read(item: Item) -> Self {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (pk, sk) = (text("pk").unwrap_or_default(), text("sk").unwrap_or_default());
        let gsi1 = (text("gsi1pk"), text("gsi1sk"));
        let content = match kind_of(&pk, &sk) {
            Some(kind) => content(kind, item),
            None => Err(StoreError::Damaged {
                kind: sk.split('#').next().unwrap_or_default().to_owned(),
                reason: "no kind that this version knows has such keys".to_owned(),
            }),
        };
        Self { pk, sk, gsi1, content }
    }
}

fn content(kind: &Kind, item: Item) -> Result<Stored, StoreError> {
    fn of<T: DeserializeOwned>(item: Item, stored: impl FnOnce(T) -> Stored) -> Result<Stored, StoreError> {
        from_item(item).map(stored)
    }
    match kind.name {
        "user" => of(item, |User { user_id, .. }| Stored::User(user_id)),
        "identity" => of(item, Stored::Identity),
        "identity-finder" => of(item, |Finder { user_id }| Stored::Finder(user_id)),
        "token" => of(item, Stored::Token),
        "lease" => of(item, Stored::Lease),
        "session" | "session-of-user" => of(item, Stored::Session),
        "sso-session" => of(item, Stored::SsoLogin),
        "api-key" | "api-key-of-user" => of(item, Stored::ApiKey),
        "mapping" => of(item, Stored::Mapping),
        "page" => of(item, |kept: KeptPage| Stored::Page { id: kept.page.id, expires_at: kept.expires_at }),
        "answer" | "app-answer" => {
            of(item, |KeptAnswer { request, expires_at, .. }| Stored::Answer { request, expires_at })
        }
        "forgotten" | "app-forgotten" => {
            of(item, |Forgotten { expires_at, .. }| Stored::Forgotten { expires_at })
        }
        "installation" => of(item, Stored::Installation),
        "installation-user" => of(item, |Pointer { user_id }| Stored::Pointer(user_id)),
        "repositories" => of(item, |Chunk { bytes }| Stored::Repositories(bytes)),
        "unsure" => of(item, |Mark { installation_id }| Stored::Unsure(installation_id)),
        "delivery" => of(item, Stored::Delivery),
        "reconcile-state" => of(item, Stored::ReconcileState),
        "reconcile-lease" => {
            of(item, |Held { holder, held_until }| Stored::ReconcileLease { holder, held_until })
        }
        "sweep" => of(item, |SweptPage { expires_at, .. }| Stored::Sweep { expires_at }),
        "redelivery" => of(item, Stored::Redelivery),
        "sign-in" => of(item, Stored::SignIn),
        "logout-token" => of(item, |LogoutTokenUsed { expires_at }| Stored::LogoutToken { expires_at }),
        "counter" => of(item, |Counter { last }| Stored::Counter(last)),
        // A test holds the two lists together.
        other => Err(StoreError::Damaged {
            kind: other.to_owned(),
            reason: "this version knows the kind and cannot read it".to_owned(),
        }),
    }
}

impl Table {
    /// Every item of the table, page by page, each as it is at its moment (strongly consistent): not a picture of
    /// one moment. For a person's look at the table; no request needs it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn everything(&self) -> Result<Vec<StoredItem>, StoreError> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let (page, next) = self.scan_page(start).await?;
            items.extend(page.into_iter().map(StoredItem::read));
            start = next;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kinds::KINDS;

    #[test]
    fn every_kind_that_is_known_is_read_as_something() {
        for kind in &KINDS {
            let read = content(kind, Item::new());
            let Err(StoreError::Damaged { reason, .. }) = read else { panic!("{}: {read:?}", kind.name) };
            assert!(!reason.contains("cannot read"), "{}: say above as what it is read", kind.name);
        }
    }
}
