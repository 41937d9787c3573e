//! Nothing twice, nothing lost that stood still, no circles: whatever comes and goes between two pages.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

impl Numbered for u64 {
    fn read(item: &str) -> Option<Self> {
        item.parse().ok()
    }

    fn number(&self) -> u64 {
        *self
    }
}

const PER_PAGE: usize = MAX_PER_PAGE as usize;
/// GitLab counts so far.
const COUNTED: usize = 10_000;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn page(items: impl IntoIterator<Item = u64>, total: Option<u64>, next: Next) -> Page<u64> {
    let items: Vec<u64> = items.into_iter().collect();
    Page { length: items.len(), items, said: Said { total, next } }
}

/// A host whose listing changes between any two answers.
struct Host {
    ids: RefCell<BTreeSet<u64>>,
    changes: RefCell<Vec<Change>>,
    /// Whether it counts.
    counts: bool,
    /// What it says where it does not count: in its own words, by a foreign link, or not at all.
    says: fn(bool) -> Next,
    calls: Cell<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Comes(u64),
    Goes(usize),
}

fn in_own_words(more: bool) -> Next {
    if more { Next::Follows } else { Next::Nothing }
}

fn elsewhere(more: bool) -> Next {
    if more { Next::Elsewhere } else { Next::Nothing }
}

fn not_at_all(_: bool) -> Next {
    Next::Unsaid
}

impl Host {
    fn new(ids: impl IntoIterator<Item = u64>, counts: bool, says: fn(bool) -> Next) -> Self {
        Self {
            ids: RefCell::new(ids.into_iter().collect()),
            changes: RefCell::default(),
            counts,
            says,
            calls: Cell::new(0),
        }
    }

    /// Lets the next change happen; returns what it took away.
    fn step(&self) {
        self.calls.set(self.calls.get() + 1);
        match self.changes.borrow_mut().pop() {
            None | Some(Change::Nothing) => {}
            Some(Change::Comes(id)) => {
                self.ids.borrow_mut().insert(id);
            }
            Some(Change::Goes(index)) => {
                let mut ids = self.ids.borrow_mut();
                let gone = ids.iter().nth(index % ids.len().max(1)).copied();
                if let Some(gone) = gone {
                    ids.remove(&gone);
                }
            }
        }
    }

    async fn number(&self, number: u32) -> Result<Page<u64>, CallError> {
        self.step();
        let ids = self.ids.borrow();
        let start = (number as usize - 1) * PER_PAGE;
        let total = (self.counts && ids.len() <= COUNTED).then_some(ids.len() as u64);
        let items = ids.iter().skip(start).take(PER_PAGE).copied();
        Ok(page(items, total, (self.says)(ids.len() > start + PER_PAGE)))
    }

    async fn behind(&self, after: u64, before: Option<u64>) -> Result<Page<u64>, CallError> {
        self.step();
        let ids = self.ids.borrow();
        let wanted =
            || ids.range(after + 1..).copied().take_while(|id| before.is_none_or(|before| *id < before));
        let more = wanted().nth(PER_PAGE).is_some();
        Ok(page(wanted().take(PER_PAGE), None, (self.says)(more)))
    }

    fn read_by_number(&self) -> Found<u64> {
        run(async {
            let first = self.number(1).await?;
            by_number(first, |number| self.number(number)).await
        })
        .expect("a listing")
    }

    fn read_by_id(&self, newest: u64) -> Vec<u64> {
        let read = |(after, before)| run(by_id(after, before, |after, before| self.behind(after, before)));
        ranges(0, newest).into_iter().flat_map(|range| read(range).expect("a range")).collect()
    }
}

fn sorted(ids: &[u64]) -> Vec<u64> {
    ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn says() -> impl Strategy<Value = fn(bool) -> Next> {
    prop::sample::select(vec![in_own_words as fn(bool) -> Next, elsewhere, not_at_all])
}

#[test]
fn counted_pages_are_each_asked_for_once() {
    for (items, calls) in [(0, 1), (1, 1), (100, 1), (101, 2), (1_500, 15), (10_000, 100)] {
        let host = Host::new(1..=items, true, in_own_words);
        let found = host.read_by_number();
        assert_eq!((found.items.len() as u64, found.steady, host.calls.get()), (items, true, calls));
    }
}

#[test]
fn an_unreadable_item_costs_itself_only() {
    let said = Said { total: Some(3), next: Next::Nothing };
    let page = Page::<u64>::new(["1", "{}", "3"].into_iter(), said);
    assert_eq!((page.items, page.length), (vec![1, 3], 3));
}

#[test]
fn a_page_that_comes_again_and_again_is_read_no_more_than_twice() {
    let calls = Cell::new(0);
    let same = |_: u32| {
        calls.set(calls.get() + 1);
        async { Ok(page(1..=100, None, Next::Follows)) }
    };
    let found = run(by_number(page(1..=100, None, Next::Follows), same)).expect("a listing");
    assert_eq!((sorted(&found.items).len(), calls.get()), (100, 1));
}

#[test]
fn ids_that_do_not_grow_are_an_error_and_not_a_circle() {
    let same = |_, _| async { Ok(page(1..=100, None, Next::After(42))) };
    assert!(matches!(
        run(by_id(0, None, same)),
        Err(CallError::Host(ProviderError::BadResponse { status: 200 }))
    ));
}

#[test]
fn behind_a_page_without_readable_items_the_hosts_own_id_leads_on() {
    let odd_first = |after, _| async move {
        Ok(match after {
            0 => Page { items: vec![], length: 100, said: Said { total: None, next: Next::After(100) } },
            _ => page(101..=110, None, Next::Unsaid),
        })
    };
    assert_eq!(run(by_id(0, None, odd_first)).expect("a listing"), (101..=110).collect::<Vec<_>>());
}

#[test]
fn a_failing_page_fails_the_listing() {
    let fails = |_: u32| async { Err::<Page<u64>, _>(CallError::Host(ProviderError::NotFound)) };
    assert!(run(by_number(page(1..=100, Some(200), Next::Follows), fails)).is_err());
}

#[test]
fn one_of_each_id_remains_in_their_order() {
    assert_eq!(distinct(vec![3, 1, 2, 3, 1]), [1, 2, 3]);
}

proptest! {
    #[test]
    fn every_listing_is_read_whole_whatever_the_host_says(
        ids in prop::collection::btree_set(1_u64..100_000, 0..700), counts: bool, says in says(),
    ) {
        let expected: Vec<u64> = ids.iter().copied().collect();
        let host = Host::new(ids, counts, says);
        let found = host.read_by_number();
        prop_assert!(found.steady);
        prop_assert_eq!(found.items, expected);
    }

    #[test]
    fn ranges_of_ids_hold_every_id_once(
        ids in prop::collection::btree_set(1_u64..100_000, 0..700), newest in 0_u64..200_000, says in says(),
    ) {
        let expected: Vec<u64> = ids.iter().copied().collect();
        prop_assert_eq!(Host::new(ids, false, says).read_by_id(newest), expected);
    }

    #[test]
    fn ranges_are_in_order_and_leave_nothing_out(after: u64, newest: u64) {
        let ranges = ranges(after, newest);
        prop_assert_eq!(ranges.first().map(|range| range.0), Some(after));
        prop_assert_eq!(ranges.last().and_then(|range| range.1), None);
        prop_assert!(ranges.len() <= AT_ONCE as usize);
        for pair in ranges.windows(2) {
            prop_assert_eq!(pair[0].1, Some(pair[1].0 + 1));
            prop_assert!(pair[0].0 < pair[1].0);
        }
    }

    #[test]
    fn what_stood_still_is_read_once_while_others_come_or_go(
        ids in prop::collection::btree_set(1_u64..2_000, 150..700),
        goes in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 0..12),
        comes in prop::collection::vec(prop::option::of(1_u64..2_500), 0..12),
        going: bool,
        says in says(),
    ) {
        let changes: Vec<Change> = if going {
            goes.iter().map(|index| index.map_or(Change::Nothing, |index| Change::Goes(index.index(10_000)))).collect()
        } else {
            comes.iter().map(|id| id.map_or(Change::Nothing, Change::Comes)).collect()
        };
        let host = Host::new(ids.clone(), true, says);
        *host.changes.borrow_mut() = changes;
        // As the listing of projects does it: by numbers, and by ids if something moved.
        let found = host.read_by_number();
        let found = if found.steady { distinct(found.items) } else { distinct(host.read_by_id(2_500)) };
        let stood: Vec<u64> = host.ids.borrow().intersection(&ids).copied().collect();
        let missing: Vec<&u64> = stood.iter().filter(|id| !found.contains(id)).collect();
        prop_assert!(missing.is_empty(), "lost {:?}", missing);
        prop_assert_eq!(sorted(&found).len(), found.len());
    }
}
