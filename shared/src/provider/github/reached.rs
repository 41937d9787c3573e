//! All that a user reaches through the App's installations, in one round trip where it is known from before: the list
//! of installations and every known page are asked for at once, each with its ETag (DESIGN 5). Who comes for the first
//! time waits for one less than the lists need one after the other, because the mapping tells which installations to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures::stream::{FuturesUnordered, StreamExt};

use super::pages::{Asking, Known};
use super::walk::{KnownPages, Walked};
use super::{Github, Installation};
use crate::provider::listing::{Listing, Missing};
use crate::provider::remembered::{ListOf, PageId, PageMemory, RememberedPage};
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ProviderError, ProviderType, Repository};

/// How often everything is asked for once more after something came or went, so that what moved from one installation
/// to another while we were reading is not missed in both.
const CONFIRMATIONS: u32 = 2;

/// What is known before anything is asked.
#[derive(Debug, Default)]
struct KnownListing {
    installations: KnownPages<Installation>,
    repositories: BTreeMap<u64, KnownPages<Repository>>,
    /// In the list, and refused all the same, when they were asked for a moment ago.
    refused: BTreeSet<u64>,
}

/// What the host has now.
#[derive(Debug)]
struct Pass {
    list: Walked<Installation>,
    /// The installations that reach something, in the host's order.
    reachable: Vec<u64>,
    repositories: BTreeMap<u64, Walked<Repository>>,
    /// Whether nothing came, went or moved since what was known.
    settled: bool,
    /// Whether the list names what is not there, and did not a moment ago: it has gone in between.
    contradicted: bool,
}

impl Github {
    /// All installations that the user can see: every page, in GitHub's order, without duplicates.
    ///
    /// # Errors
    /// [`CallError`] if any page fails: a cut list would look like a whole one.
    pub async fn installations<T: TokenSource, M: PageMemory>(
        &self,
        source: &T,
        memory: &M,
        budget: &Budget,
    ) -> Result<Vec<Installation>, CallError> {
        let remembered = memory.recall();
        let ids: Vec<PageId> = remembered.iter().map(|page| page.id).collect();
        let known = KnownListing::of(remembered);
        let asking = Asking { github: self, source, memory, budget };
        let mut list = asking.walk(ListOf::Installations, &known.installations).await;
        // When one goes from a page and one comes to another, a third may be on neither, and the counts fit.
        for _ in 0..CONFIRMATIONS {
            let settled = list.same_members || list.is_one_page() || known.installations.is_empty();
            if settled || list.error.is_some() {
                break;
            }
            let again = asking.walk(ListOf::Installations, &list.known()).await;
            if again.error.is_some() {
                // A second look that fails takes nothing away from the first.
                break;
            }
            list = again;
        }
        if let Some(error) = list.error {
            return Err(error);
        }
        forget_all_but(memory, ids, |_, page| list.has(page));
        memory.settle().await;
        Ok(list.into_items())
    }

    /// All repositories that a user reaches through the App's installations. Suspended installations reach nothing and
    /// are not asked. One that fails does not cost the others.
    ///
    /// # Errors
    /// The error itself when nothing succeeded: the list of installations, or every installation.
    pub async fn repositories<T: TokenSource, M: PageMemory>(
        &self,
        source: &T,
        memory: &M,
        budget: &Budget,
    ) -> Result<Listing, CallError> {
        let remembered = memory.recall();
        let ids: Vec<PageId> = remembered.iter().map(|page| page.id).collect();
        let known = KnownListing::of(remembered);
        let asking = Asking { github: self, source, memory, budget };
        let mut pass = asking.pass(&known, &memory.expected()).await?;
        // Who comes for the first time is not asked to wait for a second look where nothing speaks against the first.
        let first_time = known.repositories.is_empty();
        for _ in 0..CONFIRMATIONS {
            if !pass.contradicted && (pass.settled || first_time) {
                break;
            }
            match asking.pass(&pass.known(), &[]).await {
                Ok(again) if again.is_as_complete_as(&pass) => pass = again,
                // A second look that fails takes nothing away from the first.
                _ => break,
            }
        }
        forget_all_but(memory, ids, |list, page| pass.has(list, page));
        memory.settle().await;
        pass.listing()
    }
}

/// Forgets what is not there any more.
fn forget_all_but<M: PageMemory>(memory: &M, known: Vec<PageId>, has: impl Fn(ListOf, u32) -> bool) {
    let gone: Vec<PageId> = known.into_iter().filter(|id| !has(id.list, id.page)).collect();
    if !gone.is_empty() {
        memory.forget(gone);
    }
}

impl KnownListing {
    fn of(remembered: Vec<RememberedPage>) -> Self {
        let mut known = Self::default();
        for page in remembered {
            let PageId { list, page: number } = page.id;
            match list {
                ListOf::Installations => {
                    known.installations.insert(number, Known::remembered(page));
                }
                ListOf::Repositories(installation) => {
                    let pages = known.repositories.entry(installation).or_default();
                    pages.insert(number, Known::remembered(page));
                }
            }
        }
        known
    }
}

impl<T: TokenSource, M: PageMemory> Asking<'_, T, M> {
    /// The list and all that is known of or expected at once; what the list brings besides, after that.
    async fn pass(&self, known: &KnownListing, expected: &[u64]) -> Result<Pass, CallError> {
        let nothing = KnownPages::new();
        let of = |id: u64| {
            let pages = known.repositories.get(&id).unwrap_or(&nothing);
            async move { (id, self.walk(ListOf::Repositories(id), pages).await) }
        };
        let mut walking = pin!(self.walk(ListOf::Installations, &known.installations));
        let begun: BTreeSet<u64> = known.repositories.keys().chain(expected).copied().collect();
        let mut running: FuturesUnordered<_> = begun.iter().copied().map(of).collect();
        let mut list: Option<(Walked<Installation>, Vec<u64>)> = None;
        let mut repositories = BTreeMap::new();
        let mut waited_for = BTreeSet::new();
        loop {
            tokio::select! {
                // The list first: everything hangs on it.
                biased;
                walked = &mut walking, if list.is_none() => {
                    if let Some(error) = walked.error {
                        return Err(error);
                    }
                    let reachable = reachable(&walked);
                    for id in &reachable {
                        if !repositories.contains_key(id) {
                            waited_for.insert(*id);
                        }
                        if !begun.contains(id) {
                            running.push(of(*id));
                        }
                    }
                    list = Some((walked, reachable));
                }
                Some((id, walked)) = running.next(), if !running.is_empty() => {
                    waited_for.remove(&id);
                    repositories.insert(id, walked);
                }
            }
            // What was known or expected and is not in the list is not waited for.
            if let Some((list, reachable)) = list.take_if(|_| waited_for.is_empty()) {
                return Pass::new(list, reachable, repositories, known);
            }
        }
    }
}

fn reachable(list: &Walked<Installation>) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    list.items()
        .filter(|installation| installation.suspended_at.is_none() && seen.insert(installation.id))
        .map(|installation| installation.id)
        .collect()
}

impl Pass {
    fn new(
        list: Walked<Installation>,
        reachable: Vec<u64>,
        mut repositories: BTreeMap<u64, Walked<Repository>>,
        known: &KnownListing,
    ) -> Result<Self, CallError> {
        for walked in reachable.iter().filter_map(|id| repositories.get(id)) {
            // Not one installation's trouble: the user's sign-in has ended.
            if let Some(error @ (CallError::Token(_) | CallError::Host(ProviderError::Unauthorized))) =
                &walked.error
            {
                return Err(error.clone());
            }
        }
        let ids: BTreeSet<u64> = reachable.iter().copied().collect();
        repositories.retain(|id, _| ids.contains(id));
        let came_or_moved = repositories.iter().any(|(id, walked)| {
            let known_so = known.repositories.contains_key(id) && walked.same_members;
            // What failed or has no ETag is never known.
            walked.error.is_none() && walked.can_be_known() && !known_so
        });
        let went = known.repositories.keys().any(|id| !ids.contains(id));
        // One that was refused before is refused for good, as by single sign-on, and not asked for twice each time.
        let contradicted = repositories.iter().any(|(id, walked)| {
            let was_there = known.repositories.contains_key(id) || known.repositories.is_empty();
            walked.is_refused() && was_there && !known.refused.contains(id)
        });
        Ok(Self { list, reachable, repositories, settled: !came_or_moved && !went, contradicted })
    }

    fn known(&self) -> KnownListing {
        let repositories = self.repositories.iter().map(|(id, walked)| (*id, walked.known()));
        let refused = self.repositories.iter().filter(|(_, walked)| walked.is_refused());
        KnownListing {
            installations: self.list.known(),
            repositories: repositories.collect(),
            refused: refused.map(|(id, _)| *id).collect(),
        }
    }

    /// Whether nothing failed here that did not fail there.
    fn is_as_complete_as(&self, before: &Self) -> bool {
        self.repositories.iter().all(|(id, walked)| {
            walked.error.is_none() || before.repositories.get(id).is_some_and(|before| before.error.is_some())
        })
    }

    /// Whether a page is to be remembered further: it is there, or it could not be learnt whether it is.
    fn has(&self, list: ListOf, page: u32) -> bool {
        match list {
            ListOf::Installations => self.list.has(page),
            ListOf::Repositories(id) => self.repositories.get(&id).is_some_and(|walked| {
                let failed = walked.error.is_some() && !walked.is_refused();
                failed || walked.has(page)
            }),
        }
    }

    fn listing(mut self) -> Result<Listing, CallError> {
        let mut listing = Listing::default();
        let mut succeeded = self.reachable.is_empty();
        let mut first_error = None;
        for id in self.reachable {
            let Some(mut walked) = self.repositories.remove(&id) else { continue };
            let error = walked.error.take();
            let found = walked.into_items();
            succeeded |= error.is_none() || !found.is_empty();
            listing.repositories.extend(found);
            if let Some(CallError::Host(error)) = error {
                let installation = Some(id.to_string());
                listing.missing.push(Missing {
                    provider: ProviderType::Github,
                    installation,
                    cause: error.into(),
                });
                first_error.get_or_insert(error);
            }
        }
        match first_error {
            Some(error) if !succeeded => Err(error.into()),
            _ => Ok(listing),
        }
    }
}
