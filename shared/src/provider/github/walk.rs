//! All pages of a listing, in as few round trips as it takes: those that are known at once, what turns out to be new
//! after that, and all of them again where they do not fit together. One page is `pages`' business.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use futures::stream::{self, StreamExt};

use super::MAX_PER_PAGE;
use super::pages::{Asking, Known, Listing, Page};
use crate::provider::paging::{self, Remaining};
use crate::provider::remembered::{ListOf, PageId, PageMemory};
use crate::provider::token::TokenSource;
use crate::provider::{CallError, ForbiddenReason, ProviderError};

/// How often a listing is walked again that changes while it is read.
const AGAIN: u32 = 2;

/// What is known of a listing, by page.
pub(super) type KnownPages<C> = BTreeMap<u32, Known<C>>;

/// A listing as it is now.
#[derive(Clone, Debug)]
pub(super) struct Walked<C> {
    pages: BTreeMap<u32, Page<C>>,
    /// Why a page is missing; the first of several.
    pub(super) error: Option<CallError>,
    /// Whether it holds the same as was known before.
    pub(super) same_members: bool,
}

impl<C: Listing> Walked<C> {
    /// The items in the host's order, without duplicates.
    pub(super) fn into_items(self) -> Vec<C> {
        let mut all = Vec::with_capacity(self.pages.values().map(|page| page.items.len()).sum());
        let one_page = self.pages.len() == 1;
        for page in self.pages.into_values() {
            all.extend(Arc::try_unwrap(page.items).unwrap_or_else(|items| (*items).clone()));
        }
        if !one_page {
            let mut seen = HashSet::with_capacity(all.len());
            all.retain(|item| seen.insert(item.key().into_owned()));
        }
        all
    }

    /// The items of one page after the other.
    pub(super) fn items(&self) -> impl Iterator<Item = &C> {
        self.pages.values().flat_map(|page| page.items.iter())
    }

    /// What is now known of it.
    pub(super) fn known(&self) -> KnownPages<C> {
        self.pages.iter().map(|(number, page)| (*number, Known::seen(page))).collect()
    }

    /// Whether the host has said by what it knows each page.
    pub(super) fn can_be_known(&self) -> bool {
        self.pages.values().all(Page::can_be_known)
    }

    /// Whether the host says that it is not there, or not for this user.
    pub(super) const fn is_refused(&self) -> bool {
        use ForbiddenReason::{SingleSignOn, Suspended};
        matches!(
            self.error,
            Some(CallError::Host(
                ProviderError::NotFound | ProviderError::Forbidden(Suspended | SingleSignOn)
            ))
        )
    }

    /// Whether there is one page only, which is of one state of the listing.
    pub(super) fn is_one_page(&self) -> bool {
        self.pages.len() == 1 && self.pages.values().all(|page| page.last_page == 1)
    }

    /// Whether it has this page.
    pub(super) fn has(&self, page: u32) -> bool {
        self.pages.contains_key(&page)
    }

    /// Whether the pages are of one state of the listing, as far as they can tell: each counts the same, and together
    /// they hold as many.
    fn fits_together(&self) -> bool {
        let mut pages = self.pages.values();
        let Some(total) = pages.next().map(|page| page.total) else { return true };
        let counted: u64 = self.pages.values().map(|page| page.count as u64).sum();
        let mut seen = HashSet::new();
        pages.all(|page| page.total == total)
            && counted == total
            && self.items().all(|item| seen.insert(item.key()))
    }
}

impl<T: TokenSource, M: PageMemory> Asking<'_, T, M> {
    /// All pages. A page that fails costs itself only; the error stands beside what was found.
    pub(super) async fn walk<C: Listing>(&self, list: ListOf, known: &KnownPages<C>) -> Walked<C> {
        let mut walked = self.walk_once(list, known).await;
        for _ in 0..AGAIN {
            // One page is of one state, and what is as it was known was good then.
            let unchanged = walked.pages.values().all(|page| page.unchanged);
            if walked.error.is_some() || unchanged || walked.is_one_page() || walked.fits_together() {
                break;
            }
            let again = self.walk_once(list, &walked.known()).await;
            if again.error.is_some() {
                break;
            }
            let same = again.same_members;
            walked = Walked { same_members: walked.same_members && same, ..again };
            if same {
                // The host means what it says, odd as it is.
                break;
            }
        }
        walked
    }

    async fn walk_once<C: Listing>(&self, list: ListOf, known: &KnownPages<C>) -> Walked<C> {
        let last_known = known.keys().next_back().copied().unwrap_or(1);
        let mut walked = Walked { pages: BTreeMap::new(), error: None, same_members: true };
        self.wave(list, known, 1..=last_known, &mut walked).await;
        let total = walked.pages.values().map(|page| page.total).max();
        let last = walked.pages.values().map(|page| page.last_page).max();
        if let (Some(total), Some(last)) = (total, last) {
            let mut remaining = Remaining::behind(last_known, total, MAX_PER_PAGE, last);
            while let Some(batch) = remaining.batch() {
                self.wave(list, known, batch.clone(), &mut walked).await;
                for page in walked.pages.range(batch).map(|(_, page)| page) {
                    remaining.saw(page.items.len(), page.last_page);
                }
            }
        }
        // Behind the last page the host has empty ones.
        walked.pages.retain(|number, page| *number == 1 || page.count > 0);
        let numbers = walked.pages.keys().eq(known.keys());
        walked.same_members = numbers && walked.pages.values().all(|page| page.same_members);
        walked
    }

    /// These pages, all at once.
    async fn wave<C: Listing>(
        &self,
        list: ListOf,
        known: &KnownPages<C>,
        numbers: RangeInclusive<u32>,
        walked: &mut Walked<C>,
    ) {
        let mut answers = stream::iter(numbers)
            .map(|page| async move { (page, self.page(PageId { list, page }, known.get(&page)).await) })
            .buffered(paging::AT_ONCE as usize);
        while let Some((number, answer)) = answers.next().await {
            match answer {
                Ok(page) => drop(walked.pages.insert(number, page)),
                Err(error) => drop(walked.error.get_or_insert(error)),
            }
        }
    }
}
