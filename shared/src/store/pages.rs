//! Remembered pages of listings: `USER#<id>` / `PAGE#<slot>#...`, one item a page, a day long.
//! They are shown only while the host says that they are still right; who asks it is `provider`'s business.

use serde::{Deserialize, Serialize};

use super::identities::UserId;
use super::provider_tokens::TokenSlot;
use super::table::{BATCH_WRITE as BATCH, Key, Only, StoreError, TRANSACTION, Table, Write};
use crate::provider::ProviderType;
use crate::provider::remembered::{Extent, ListOf, PageId, RememberedPage};

/// As many pages as one call to the table writes.
pub const PAGES_AT_ONCE: usize = BATCH;

/// A page as it stands in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPage {
    /// The page.
    #[serde(flatten)]
    pub page: RememberedPage,
    /// The host that its user named, where it is not the configured one.
    #[serde(default)]
    pub host: Option<String>,
    /// TTL of the table, in Unix seconds.
    pub expires_at: i64,
}

fn prefix(slot: TokenSlot) -> String {
    format!("PAGE#{}#", slot.name())
}

fn key(user: &UserId, slot: TokenSlot, PageId { list, page }: PageId) -> Key {
    let prefix = prefix(slot);
    let sort_key = match list {
        ListOf::Installations => format!("{prefix}INSTALLATIONS#{page}"),
        ListOf::Repositories(installation) => format!("{prefix}REPOSITORIES#{installation}#{page}"),
    };
    Key::new(user.partition(), sort_key)
}

/// All that is looked at of a page that is to be forgotten.
#[derive(Deserialize)]
struct Known {
    id: PageId,
}

impl Table {
    /// The remembered pages of a user, in no order; those too that have expired and are still there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pages(
        &self,
        user: &UserId,
        slot: TokenSlot,
        extent: Extent,
    ) -> Result<Vec<KeptPage>, StoreError> {
        let of = match extent {
            Extent::Installations => "INSTALLATIONS#",
            Extent::Everything => "",
        };
        self.query(&user.partition(), &format!("{}{of}", prefix(slot))).await
    }

    /// Keeps pages in place of what is there, and forgets others. Whichever of two processes writes last, the host is
    /// asked about the page before it is shown.
    ///
    /// # Errors
    /// [`StoreError`]; some may be written then, and some not.
    pub async fn write_pages(
        &self,
        user: &UserId,
        slot: TokenSlot,
        keep: &[KeptPage],
        forget: &[PageId],
    ) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(keep.len() + forget.len());
        for page in keep {
            writes.push(Write::put(&key(user, slot, page.page.id), page, Only::Always)?);
        }
        let gone = forget.iter().map(|id| Write::Delete(key(user, slot, *id), Only::Always));
        writes.extend(gone);
        self.write_all(writes).await
    }

    /// Forgets all pages that were fetched for a user at a host, with whichever token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_pages(&self, user: &UserId, provider: ProviderType) -> Result<(), StoreError> {
        let of = async |slot| {
            let known: Vec<Known> = self.query(&user.partition(), &prefix(slot)).await?;
            for known in known.chunks(TRANSACTION) {
                let gone = known.iter().map(|known| Write::Delete(key(user, slot, known.id), Only::Always));
                self.transact(gone.collect()).await?;
            }
            Ok(())
        };
        futures::try_join!(of(TokenSlot::own(provider)), of(TokenSlot::brokered(provider))).map(drop)
    }
}
