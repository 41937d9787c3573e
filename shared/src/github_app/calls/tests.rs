//! What is read of GitHub's answers to the App: pages, cursors, times; leniently, and never a link.

use bytes::Bytes;
use http::HeaderValue;
use http::header::LINK;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock::Clock;

fn answer(body: &serde_json::Value, link: Option<&str>) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(DATE, HeaderValue::from_static("Sat, 21 Nov 2026 00:52:38 GMT"));
    if let Some(link) = link {
        headers.insert(LINK, HeaderValue::try_from(link).unwrap());
    }
    Answer { status: StatusCode::OK, headers, body: Bytes::from(body.to_string()) }
}

fn page(body: &serde_json::Value, link: Option<&str>, number: u32) -> InstallationsPage {
    InstallationsPage::read(&answer(body, link), number, &Clock::system()).unwrap()
}

fn deliveries(body: &serde_json::Value, link: Option<&str>, cursor: Option<&str>) -> DeliveriesPage {
    DeliveriesPage::read(&answer(body, link), cursor, &Clock::system()).unwrap()
}

#[test]
fn one_unreadable_installation_is_counted_and_costs_no_other() {
    let body = json!([{"id": 1, "updated_at": "2024-01-01T00:00:00Z"}, {"id": "two"}, null, {"id": 4}]);
    let page = page(&body, None, 1);
    let ids: Vec<u64> = page.installations.iter().map(|one| one.id).collect();
    assert_eq!((ids.as_slice(), page.unreadable), ([1, 4].as_slice(), 2));
    assert_eq!(page.installations[0].updated_at.as_deref(), Some("2024-01-01T00:00:00Z"));
}

#[test]
fn numbers_of_pages_are_read_from_the_link_and_a_page_without_one_is_the_last() {
    let read = |link, number| {
        let page = page(&json!([]), link, number);
        (page.last_page, page.next)
    };
    let first = r#"<https://h/app/installations?page=2>; rel="next", <https://h/?page=7>; rel="last""#;
    let last = r#"<https://h/app/installations?page=6>; rel="prev", <https://h/?page=1>; rel="first""#;
    assert_eq!(read(Some(first), 1), (7, true));
    assert_eq!(read(Some(last), 7), (7, false));
    assert_eq!(read(None, 1), (1, false));
    assert_eq!(read(Some("nonsense"), 3), (3, false));
}

#[test]
fn a_page_that_names_itself_as_the_next_one_is_the_last() {
    assert!(!page(&json!([]), Some(r#"<https://h/?page=3>; rel="next""#), 3).next);
    let link = r#"<https://h/?cursor=v1_5>; rel="next""#;
    assert_eq!(deliveries(&json!([]), Some(link), Some("v1_5")).next, None);
}

#[test]
fn githubs_time_is_read_in_seconds() {
    let app = AppSummary::read(&answer(&json!({"id": 7, "installations_count": 9}), None), &Clock::system())
        .unwrap();
    assert_eq!(app, AppSummary { id: Some(7), installations_count: Some(9), date: Some(1_795_222_358) });
    let app = AppSummary::read(&answer(&json!({}), None), &Clock::system()).unwrap();
    assert_eq!((app.id, app.installations_count), (None, None));
    let mut without = answer(&json!({}), None);
    without.headers.insert(DATE, HeaderValue::from_static("soon"));
    assert_eq!(date(&without), None);
}

#[test]
fn a_body_that_is_no_list_is_an_error_and_no_empty_list() {
    for body in [json!({}), json!(null), json!("[]"), json!({"installations": []})] {
        let answer = answer(&body, None);
        let error = Err(ProviderError::BadResponse { status: 200 });
        assert_eq!(InstallationsPage::read(&answer, 1, &Clock::system()), error, "{body}");
    }
}

#[test]
fn deliveries_are_read_with_what_some_of_them_lack() {
    let body = json!([
        {"id": 17_323_292_001_u64, "guid": "g", "delivered_at": "2024-05-16T08:47:09.5-07:00",
         "redelivery": true, "duration": 0.1, "status": "timed out", "status_code": 504,
         "event": "installation", "action": "created", "installation_id": 5, "repository_id": null,
         "throttled_at": null},
        {"id": 2, "guid": "h", "delivered_at": "2024-01-01T00:00:00Z", "event": "ping",
         "status_code": null, "action": null, "installation_id": null},
        {"id": 3, "guid": "i", "delivered_at": "yesterday", "event": "ping"},
    ]);
    let page = deliveries(&body, Some(r#"<https://h/?per_page=100&cursor=v1_%3D1>; rel="next""#), None);
    let first = HookDelivery {
        id: 17_323_292_001,
        guid: "g".to_owned(),
        delivered_at: 1_715_874_429,
        redelivery: true,
        status: "timed out".to_owned(),
        status_code: Some(504),
        event: "installation".to_owned(),
        action: Some("created".to_owned()),
        installation_id: Some(5),
    };
    assert_eq!((&page.deliveries[0], page.deliveries.len(), page.unreadable), (&first, 2, 1));
    assert_eq!(page.deliveries[1].status_code, None);
    assert_eq!(page.next.as_deref(), Some("v1_=1"));
}

proptest! {
    #[test]
    fn no_odd_item_costs_a_page_and_every_item_is_counted(
        items in proptest::collection::vec(
            proptest::sample::select(vec![
                "null", "[]", "{}", "5", r#"{"id":1}"#, r#"{"id":-1}"#, r#"{"id":2,"account":[]}"#,
                r#"{"id":3,"guid":"g","delivered_at":"2024-01-01T00:00:00Z","event":"ping"}"#,
                r#"{"id":4,"account":{"slug":"acme","id":1},"updated_at":"2024-01-01T00:00:00+02:00"}"#,
            ]),
            0..8,
        ),
        number in 1_u32..50,
        link in "(<[a-z/?=&0-9]{0,20}(page|cursor)=[a-z0-9]{1,3}>; rel=\"(next|last)\",? ?){0,2}",
    ) {
        let body: serde_json::Value = serde_json::from_str(&format!("[{}]", items.join(","))).unwrap();
        let read = page(&body, Some(&link), number);
        prop_assert_eq!(read.installations.len() + read.unreadable, items.len());
        prop_assert!(read.last_page >= number);
        let read = deliveries(&body, Some(&link), Some("a1"));
        prop_assert_eq!(read.deliveries.len() + read.unreadable, items.len());
        prop_assert_ne!(read.next.as_deref(), Some("a1"));
    }
}
