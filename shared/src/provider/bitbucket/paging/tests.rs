//! Whatever the host's pages are like: every item, each once, no address twice, none that is not the host's.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const BASE: &str = "https://api.example/2.0";

fn base() -> Url {
    BASE.parse().expect("a URL")
}

fn page(body: &serde_json::Value) -> Result<Page, ProviderError> {
    let body = Bytes::from(body.to_string());
    Page::read(&Answer { status: StatusCode::OK, headers: HeaderMap::new(), body })
}

/// A host that can change between two answers.
#[derive(Clone, Debug)]
struct Host {
    items: Vec<u32>,
    pagelen: usize,
    cursors: bool,
    tells_size: bool,
    empty_next: bool,
}

impl Host {
    fn answer(&self, url: &Url) -> Page {
        let asked =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let start = match (asked("after"), asked("page")) {
            (Some(after), _) => after.parse().expect("a cursor"),
            (None, Some(page)) => (page.parse::<usize>().expect("a number") - 1) * self.pagelen,
            (None, None) => 0,
        };
        let end = self.items.len().min(start + self.pagelen);
        let values = self.items.get(start..end).unwrap_or_default();
        let mut body = json!({ "values": values, "pagelen": self.pagelen });
        if self.tells_size {
            body["size"] = json!(self.items.len());
        }
        if end < self.items.len() {
            let next = if self.cursors {
                format!("{BASE}/x?after={end}&pagelen={}", self.pagelen)
            } else {
                format!("{BASE}/x?pagelen={}&page={}", self.pagelen, start / self.pagelen + 2)
            };
            body["next"] = json!(next);
        } else if self.empty_next {
            body["next"] = json!("");
        }
        page(&body).expect("a page")
    }
}

/// Reads everything; before each answer the host may change. Answers of a batch come to be in any order.
fn read(
    host: &mut Host,
    mut change: impl FnMut(&mut Host, usize),
    backwards: bool,
) -> (Vec<u32>, usize, bool) {
    let api = base();
    let mut walk = Walk::new(&api, format!("{BASE}/x?pagelen={}", host.pagelen).parse().expect("a URL"));
    let (mut found, mut calls) = (Vec::new(), 0);
    loop {
        let mut asks: VecDeque<Ask> = walk.batch().expect("addresses").into();
        if asks.is_empty() {
            return (found, calls, walk.has_moved());
        }
        let mut answers = Vec::new();
        while let Some(ask) = if backwards { asks.pop_back() } else { asks.pop_front() } {
            change(host, calls);
            answers.push((host.answer(&ask.url), ask));
            calls += 1;
        }
        if backwards {
            answers.reverse();
        }
        for (page, ask) in answers {
            found.extend(page.values.iter().map(|item| item.get().parse::<u32>().expect("an item")));
            walk.saw(&ask, &page).expect("a page that may be followed");
        }
    }
}

fn hosts() -> impl Strategy<Value = Host> {
    (0_u32..400, 1_usize..60, any::<[bool; 3]>()).prop_map(
        |(items, pagelen, [cursors, tells_size, empty_next])| Host {
            items: (0..items).collect(),
            pagelen,
            cursors,
            tells_size,
            empty_next,
        },
    )
}

proptest! {
    #[test]
    fn everything_is_read_once_in_order_with_one_call_for_each_page(mut host in hosts(), backwards: bool) {
        let (found, calls, moved) = read(&mut host, |_, _| {}, backwards);
        prop_assert_eq!(calls, host.items.len().div_ceil(host.pagelen).max(1));
        prop_assert_eq!((found, moved), (host.items, false));
    }

    #[test]
    fn what_keeps_its_place_is_read_while_others_move(
        mut host in hosts(),
        moves in prop::collection::vec((0_usize..400, 0_usize..400), 1..6),
        backwards: bool,
    ) {
        prop_assume!(!host.items.is_empty());
        let mut touched = BTreeSet::new();
        let before = host.items.clone();
        let (found, _, _) = read(&mut host, |host, call| {
            if let Some((from, to)) = moves.get(call) {
                let (from, to) = (from % host.items.len(), to % host.items.len());
                let item = host.items.remove(from);
                host.items.insert(to, item);
                touched.extend(host.items[from.min(to)..=from.max(to)].iter().copied());
            }
        }, backwards);
        let found: BTreeSet<u32> = found.into_iter().collect();
        for item in before.iter().filter(|item| !touched.contains(item)) {
            prop_assert!(found.contains(item), "{} stood still and was not read", item);
        }
    }

    #[test]
    fn what_is_pushed_to_the_front_moves_nothing_past_a_reader_who_follows(
        mut host in hosts(),
        pushed in prop::collection::vec(0_usize..400, 1..20),
    ) {
        prop_assume!(!host.items.is_empty());
        host.tells_size = false;
        let mut moved = BTreeSet::new();
        let (found, _, _) = read(&mut host, |host, call| {
            if let Some(from) = pushed.get(call) {
                let item = host.items.remove(from % host.items.len());
                host.items.insert(0, item);
                moved.insert(item);
            }
        }, false);
        let found: BTreeSet<u32> = found.into_iter().collect();
        for item in host.items.iter().filter(|item| !moved.contains(item)) {
            prop_assert!(found.contains(item), "{} was not read", item);
        }
    }

    #[test]
    fn a_listing_that_becomes_shorter_is_noticed_and_a_second_reading_has_the_rest(
        mut host in hosts(),
        removed in 0_usize..400,
        backwards: bool,
    ) {
        host.tells_size = true;
        prop_assume!(host.items.len() > host.pagelen);
        let (first, _, moved) = read(&mut host, |host, call| {
            if call == 1 {
                host.items.remove(removed % host.items.len());
            }
        }, backwards);
        prop_assert!(moved);
        let (second, _, moved) = read(&mut host, |_, _| {}, backwards);
        prop_assert!(!moved);
        let found: BTreeSet<u32> = first.into_iter().chain(second).collect();
        prop_assert!(host.items.iter().all(|item| found.contains(item)));
    }

    #[test]
    fn no_body_and_no_next_makes_the_reader_panic(next in ".{0,80}", size: u64, number: u32, pagelen: u32) {
        let body = json!({"values": [1], "next": next, "size": size, "page": number, "pagelen": pagelen});
        let api = base();
        let mut walk = Walk::new(&api, format!("{BASE}/x").parse().expect("a URL"));
        let page = page(&body).expect("a page");
        let _ = page.is_number(number);
        for ask in walk.batch().expect("addresses") {
            let _ = walk.saw(&ask, &page);
        }
        let _ = walk.batch();
    }
}

#[test]
fn what_was_added_behind_the_counted_pages_is_read_too() {
    let mut host =
        Host { items: (0..20).collect(), pagelen: 10, cursors: false, tells_size: true, empty_next: false };
    let (found, calls, moved) = read(
        &mut host,
        |host, call| {
            if call == 1 {
                host.items.extend(20..45);
            }
        },
        false,
    );
    assert_eq!((found, calls, moved), ((0..45).collect(), 5, true));
}

fn refused(next: &str) -> Option<Refused> {
    let api = base();
    let mut trail = Trail::new(&api);
    trail.ask(&format!("{BASE}/x?page=1").parse().expect("a URL")).expect("the first");
    trail.next(&page(&json!({"values": [], "next": next})).expect("a page")).err()
}

#[test]
fn only_addresses_of_the_api_are_followed_and_none_twice() {
    for good in ["https://api.example/2.0/x?page=2", "https://api.example:443/2.0/y?after=%2F", ""] {
        assert_eq!(refused(good), None, "{good}");
    }
    for elsewhere in [
        "https://evil.example/2.0/x?page=2",
        "http://api.example/2.0/x?page=2",
        "https://api.example:8443/2.0/x?page=2",
        "https://api.example.evil.example/2.0/x?page=2",
        "https://api.example@evil.example/2.0/x",
        "https://user:secret@api.example/2.0/x?page=2",
        "https://api.example/1.0/x?page=2",
        "https://api.example/2.0",
        "https://api.example/2.01/x",
        "https://api.example/2.0/../admin",
        "https://api.example/2.0/%2e%2e/admin",
        "file:///2.0/x",
        "/2.0/x?page=2",
        "nonsense",
    ] {
        assert_eq!(refused(elsewhere), Some(Refused::Elsewhere), "{elsewhere}");
    }
    assert_eq!(refused("https://api.example/2.0/x?page=1"), Some(Refused::Loop));
}

#[test]
fn a_listing_without_end_ends() {
    let api = base();
    let mut walk = Walk::new(&api, format!("{BASE}/x").parse().expect("a URL"));
    let mut calls = 0;
    let refused = loop {
        match walk.batch() {
            Ok(asks) => {
                calls += asks.len();
                let next = format!("{BASE}/x?after={calls}");
                let page = page(&json!({"values": [1], "next": next})).expect("a page");
                asks.iter().for_each(|ask| walk.saw(ask, &page).expect("a new address"));
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused, calls), (Refused::Endless, MOST_PAGES));
}

#[test]
fn pages_are_numbered_only_where_a_number_is_all_that_is_added() {
    let number = |next: &str| {
        let url = |text: &str| text.parse::<Url>().expect("a URL");
        numbered(&url("https://h/x?role=member&pagelen=100"), &url(next))
    };
    assert_eq!(number("https://h/x?pagelen=50&page=2"), Some(2));
    assert_eq!(number("https://h/x?page=2&role=member&pagelen=100"), Some(2));
    for cursor in ["after=abc", "page=2&ctx=abc", "page=abc", "page=1", "page=0", "page=4294967295", ""] {
        assert_eq!(number(&format!("https://h/x?{cursor}")), None, "{cursor}");
    }
    let template = "https://h/x?q=a%2Bb&page=2&sort=-name".parse().expect("a URL");
    assert_eq!(with_number(&template, 17).as_str(), "https://h/x?q=a%2Bb&page=17&sort=-name");
}

#[test]
fn a_failure_behind_the_end_means_nothing() {
    let api = base();
    let mut walk = Walk::new(&api, format!("{BASE}/x").parse().expect("a URL"));
    let first = walk.batch().expect("addresses").remove(0);
    let next = format!("{BASE}/x?page=2");
    walk.saw(&first, &page(&json!({"values": [1], "size": 4, "pagelen": 1, "next": next})).expect("a page"))
        .expect("a first page");
    let asks = walk.batch().expect("addresses");
    assert_eq!(asks.iter().filter_map(|ask| ask.number).collect::<Vec<_>>(), [2, 3, 4]);
    walk.saw(&asks[0], &page(&json!({"values": [2], "size": 2})).expect("a page")).expect("the last page");
    assert!(!walk.is_past_the_end(&asks[0]) && walk.is_past_the_end(&asks[1]) && walk.has_moved());
    assert!(walk.batch().expect("nothing").is_empty());
}

#[test]
fn a_page_is_known_by_its_number_or_by_that_of_the_next() {
    let is_third = |body| page(&body).expect("a page").is_number(3);
    assert!(is_third(json!({"values": [], "page": 3})));
    assert!(is_third(json!({"values": [], "next": "https://h/x?page=4"})));
    assert!(!is_third(json!({"values": [], "page": 1, "next": "https://h/x?page=4"})));
    assert!(!is_third(json!({"values": [], "next": "https://h/x?after=4"})));
    assert!(!is_third(json!({"values": []})));
}

#[test]
fn an_odd_envelope_costs_only_what_it_does_not_tell() {
    let odd = page(&json!({"values": [null], "size": "many", "page": -1, "pagelen": 0, "next": null}));
    let odd = odd.expect("a page");
    assert_eq!((odd.size, odd.number, odd.pagelen, odd.next), (None, None, None, None));
    for broken in [json!({}), json!([]), json!({"values": null}), json!({"values": [], "next": 5})] {
        let error = page(&broken).expect_err("no page");
        assert_eq!(error, ProviderError::BadResponse { status: 200 }, "{broken}");
    }
}
