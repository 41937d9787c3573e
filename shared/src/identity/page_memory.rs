//! What is remembered of the listings that a user's token has fetched: read beside the token, written while pages are
//! still being fetched. What a page holds is `provider`'s business, how it lies in the table `store`'s.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::linked_token::LinkedToken;
use crate::provider::CallError;
use crate::provider::github::Github;
use crate::provider::remembered::{Extent, ListOf, PageId, PageMemory, RememberedPage};
use crate::store::{KeptPage, PAGES_AT_ONCE, StoreError, Table, TokenSlot, UserId};

/// A page is forgotten after a day (DESIGN 5), so that nothing stays that nobody asks for any more.
const A_DAY: i64 = 24 * 3600;

/// The memory of one token, for the time of one request.
#[derive(Debug)]
pub(super) struct TokenPages {
    table: Table,
    user: UserId,
    slot: TokenSlot,
    host: Option<String>,
    now: i64,
    deadline: Instant,
    predicts: bool,
    recalled: Mutex<Vec<RememberedPage>>,
    expected: Vec<u64>,
    writing: Mutex<Writing>,
}

#[derive(Debug, Default)]
struct Writing {
    waiting: Vec<KeptPage>,
    under_way: JoinSet<Result<(), StoreError>>,
    wrote: bool,
}

impl TokenPages {
    /// GitHub at the host of the token, and what is remembered of it: the token and the pages are read at once.
    ///
    /// # Errors
    /// [`CallError`] where there is no usable token. A table that fails to give the pages remembers none.
    pub(super) async fn of_github(token: &LinkedToken, extent: Extent) -> Result<(Github, Self), CallError> {
        let (service, user, wanted) = (token.service(), token.user(), token.likely_slot());
        let recall = async |slot| {
            service.table.pages(user, slot, extent).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "no page was remembered");
                Vec::new()
            })
        };
        let (github, mut kept) = tokio::join!(token.github(), recall(wanted));
        let (github, (slot, host)) = (github?, token.slot_and_host().await?);
        if slot != wanted {
            kept = recall(slot).await;
        }
        let now = service.clock.unix();
        kept.retain(|page| page.expires_at > now && page.host == host);
        let no_repositories = kept.iter().all(|kept| kept.page.id.list == ListOf::Installations);
        // The mapping tells of our App's installations, at its own host; a brokered token may be another App's.
        let ours = !slot.brokered && host.is_none();
        let expected = if extent == Extent::Everything && no_repositories && ours {
            expected(&service.table, user).await
        } else {
            Vec::new()
        };
        let memory = Self {
            table: service.table.clone(),
            user: user.clone(),
            slot,
            host,
            now,
            deadline: token.deadline(),
            predicts: service.config.upstream.predict_etags,
            recalled: Mutex::new(kept.into_iter().map(|kept| kept.page).collect()),
            expected,
            writing: Mutex::default(),
        };
        Ok((github, memory))
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        // Every change under the lock is complete.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, writing: &mut Writing, forget: Vec<PageId>) {
        let keep = std::mem::take(&mut writing.waiting);
        if keep.is_empty() && forget.is_empty() {
            return;
        }
        writing.wrote |= !keep.is_empty();
        let (table, user, slot) = (self.table.clone(), self.user.clone(), self.slot);
        writing.under_way.spawn(async move { table.write_pages(&user, slot, &keep, &forget).await });
    }

    /// Who signed out while the pages were on their way leaves none behind.
    async fn forget_what_nobody_has_a_token_for(&self) -> Result<(), StoreError> {
        let token = self.table.provider_token(&self.user, self.slot).await?;
        if token.is_none_or(|token| token.ended) {
            self.table.forget_pages(&self.user, self.slot.provider).await?;
        }
        Ok(())
    }
}

/// The user's installations as the mapping has them, so that the first listing need not wait for the host's list.
async fn expected(table: &Table, user: &UserId) -> Vec<u64> {
    let rows = table.mapping_of(user).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "no installation was expected");
        Vec::new()
    });
    let active = rows.iter().filter(|row| row.facts.suspended_at.is_none());
    active.map(|row| row.installation_id).collect()
}

impl PageMemory for TokenPages {
    fn predicts(&self) -> bool {
        self.predicts
    }

    fn recall(&self) -> Vec<RememberedPage> {
        std::mem::take(&mut *self.recalled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn expected(&self) -> Vec<u64> {
        self.expected.clone()
    }

    fn keep(&self, page: RememberedPage) {
        let mut writing = self.writing();
        // The newer word on a page is the last in a batch, which names no page twice.
        writing.waiting.retain(|waiting| waiting.page.id != page.id);
        writing.waiting.push(KeptPage { page, host: self.host.clone(), expires_at: self.now + A_DAY });
        if writing.waiting.len() >= PAGES_AT_ONCE {
            self.write(&mut writing, Vec::new());
        }
    }

    fn forget(&self, pages: Vec<PageId>) {
        let mut writing = self.writing();
        writing.waiting.retain(|waiting| !pages.contains(&waiting.page.id));
        self.write(&mut writing, pages);
    }

    async fn settle(&self) {
        let (mut under_way, wrote) = {
            let mut writing = self.writing();
            self.write(&mut writing, Vec::new());
            (std::mem::take(&mut writing.under_way), writing.wrote)
        };
        let all = async {
            let mut first_error = None;
            while let Some(written) = under_way.join_next().await {
                if let Ok(Err(error)) = written {
                    first_error.get_or_insert(error);
                }
            }
            if wrote && let Err(error) = self.forget_what_nobody_has_a_token_for().await {
                first_error.get_or_insert(error);
            }
            first_error
        };
        match tokio::time::timeout_at(self.deadline, all).await {
            Ok(None) => {}
            Ok(Some(error)) => tracing::warn!(%error, "not every page was remembered"),
            Err(_) => tracing::warn!("not every page was remembered in time"),
        }
    }
}
