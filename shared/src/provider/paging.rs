//! Reading what a host says about further pages: `Link` headers (RFC 8288) as numbers.
//! Links themselves are never followed; addresses are built from the host's configuration.

use std::ops::RangeInclusive;

use crate::link_header;

/// The page number of the `Link` of that relation (`next`, `last`), if it names one.
#[must_use]
pub fn page_of(link: &str, relation: &str) -> Option<u32> {
    link_header::parameter(link_header::target(link, relation)?, "page")?.parse().ok()
}

/// Pages of `per_page` items that hold `total` items; at least one.
#[must_use]
pub fn pages(total: u64, per_page: u32) -> u32 {
    u32::try_from(total.div_ceil(u64::from(per_page.max(1)))).unwrap_or(u32::MAX).max(1)
}

/// Pages of one listing that are asked for at once; the budget bounds the calls in all.
pub const AT_ONCE: u32 = 32;

/// The pages behind a listing's first one, in batches to be asked for at once.
///
/// Pages that the host has counted are asked for in parallel; what only a `Link` names (items that were
/// added while we were reading) one after the other. A batch that brings nothing is the last one, so that
/// neither a wrong count nor a wrong `Link` keeps anybody asking.
#[derive(Clone, Debug)]
pub struct Remaining {
    next: u32,
    counted: u32,
    last: u32,
    brought: bool,
}

impl Remaining {
    /// What is left after a first page that counted `total` items and named `last_page` as the last.
    #[must_use]
    pub fn new(total: u64, per_page: u32, last_page: u32) -> Self {
        Self::behind(1, total, per_page, last_page)
    }

    /// What is left after all pages up to this one.
    #[must_use]
    pub fn behind(page: u32, total: u64, per_page: u32, last_page: u32) -> Self {
        let counted = pages(total, per_page);
        Self { next: page.saturating_add(1), counted, last: counted.max(last_page), brought: true }
    }

    /// The next pages, if there are any.
    pub fn batch(&mut self) -> Option<RangeInclusive<u32>> {
        if !self.brought || self.next > self.last {
            return None;
        }
        let first = self.next;
        let end =
            if first <= self.counted { self.counted.min(first.saturating_add(AT_ONCE - 1)) } else { first };
        self.next = end.checked_add(1)?;
        self.brought = false;
        Some(first..=end)
    }

    /// Notes a page of the batch: how many items it had and which page it named as the last.
    pub fn saw(&mut self, items: usize, last_page: u32) {
        self.brought |= items > 0;
        self.last = self.last.max(last_page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINK: &str = r#"<https://api.github.com/user/installations?page=2&per_page=100>; rel="next", <https://api.github.com/user/installations?page=5&per_page=100>; rel="last""#;

    #[test]
    fn next_and_last_are_read_from_a_header_that_holds_several_links() {
        assert_eq!(page_of(LINK, "next"), Some(2));
        assert_eq!(page_of(LINK, "last"), Some(5));
        assert_eq!(page_of(LINK, "prev"), None);
    }

    #[test]
    fn links_without_a_page_number_name_no_page() {
        assert_eq!(page_of(r#"<https://example.com/?cursor=abc>; rel="next""#, "next"), None);
        assert_eq!(page_of(r#"<https://example.com/?page=-1>; rel="next""#, "next"), None);
        assert_eq!(page_of("nonsense", "next"), None);
    }

    #[test]
    fn page_counts_round_up_and_never_reach_zero() {
        assert_eq!(pages(0, 100), 1);
        assert_eq!(pages(100, 100), 1);
        assert_eq!(pages(101, 100), 2);
        assert_eq!(pages(1500, 100), 15);
    }

    /// All pages that are asked for when `holds` tells how many items a page has and which it names as last.
    fn asked(mut remaining: Remaining, holds: impl Fn(u32) -> (usize, u32)) -> Vec<Vec<u32>> {
        let mut batches = Vec::new();
        while let Some(batch) = remaining.batch() {
            for page in batch.clone() {
                let (items, last) = holds(page);
                remaining.saw(items, last);
            }
            batches.push(batch.collect());
        }
        batches
    }

    #[test]
    fn counted_pages_are_asked_for_at_once_and_no_others() {
        assert!(asked(Remaining::new(0, 100, 1), |page| (0, page)).is_empty());
        assert!(asked(Remaining::new(100, 100, 1), |page| (0, page)).is_empty());
        assert_eq!(asked(Remaining::new(250, 100, 3), |_| (1, 3)), [[2, 3]]);
        let batches = asked(Remaining::new(4_000, 100, 40), |_| (1, 40));
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [32, 7]);
        assert_eq!(batches.concat(), (2..=40).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_added_while_reading_is_read_too() {
        assert_eq!(asked(Remaining::new(200, 100, 2), |page| (1, page.min(3) + 1)), [[2], [3], [4]]);
    }

    #[test]
    fn a_wrong_link_or_count_costs_no_more_than_one_batch() {
        assert_eq!(asked(Remaining::new(4, 100, u32::MAX), |_| (0, u32::MAX)), [[2]]);
        assert_eq!(asked(Remaining::new(u64::MAX, 100, 1), |_| (0, 1)).concat().len(), AT_ONCE as usize);
    }

    #[test]
    fn a_batch_that_fails_as_a_whole_is_the_last() {
        let mut remaining = Remaining::new(10_000, 100, 100);
        assert_eq!(remaining.batch(), Some(2..=33));
        assert_eq!(remaining.batch(), None);
    }

    proptest! {
        #[test]
        fn no_page_is_asked_for_twice_or_left_out(total in 0_u64..20_000, last in 1_u32..300) {
            let end = pages(total, 100).max(last);
            let pages = asked(Remaining::new(total, 100, last), |_| (1, last)).concat();
            prop_assert_eq!(pages, (2..=end).collect::<Vec<_>>());
        }

        #[test]
        fn no_header_makes_the_reader_panic(link in ".{0,200}") {
            let _ = page_of(&link, "next");
        }
    }
}
