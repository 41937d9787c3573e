//! What GitHub's refusals mean, and how much of an odd repository is kept.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use proptest::prelude::*;

use super::repositories::Page;
use super::{ForbiddenReason, Listed, ProviderError, classify};
use crate::clock::Clock;
use crate::provider::upstream::Answer;
use crate::provider::{OwnerType, ProviderType, Repository};

fn repository(item: &str) -> Option<Repository> {
    Listed::read(item)
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().expect(name), value.parse().expect("a header's value"))
    };
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: headers.iter().map(header).collect::<HeaderMap>(),
        body: Bytes::from(body.to_owned()),
    }
}

fn meaning(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
    classify(&answer(status, headers, body), &Clock::system())
}

const fn limited(seconds: u64) -> ProviderError {
    ProviderError::RateLimited { retry_after: Some(seconds) }
}

#[test]
fn a_403_is_a_rate_limit_single_sign_on_a_suspension_or_a_refusal() {
    let forbidden = ProviderError::Forbidden;
    let message = |text: &str| format!(r#"{{"message":"{text}","documentation_url":"x"}}"#);
    for (headers, body, expected) in [
        (vec![], message("Resource not accessible by integration"), forbidden(ForbiddenReason::Plain)),
        (vec![], "<html>no JSON</html>".to_owned(), forbidden(ForbiddenReason::Plain)),
        (vec![], String::new(), forbidden(ForbiddenReason::Plain)),
        (vec![("x-ratelimit-remaining", "4999")], message("Forbidden"), forbidden(ForbiddenReason::Plain)),
        (vec![], message("This installation has been suspended"), forbidden(ForbiddenReason::Suspended)),
        (
            vec![("x-github-sso", "required; url=https://github.com/orgs/o/sso")],
            message("Forbidden"),
            forbidden(ForbiddenReason::SingleSignOn),
        ),
        (
            vec![],
            message("Resource protected by organization SAML enforcement."),
            forbidden(ForbiddenReason::SingleSignOn),
        ),
        (vec![("retry-after", "61")], message("Forbidden"), limited(61)),
        // Where GitHub names a date or nonsense, a minute (reference: GitHub 1.7).
        (vec![("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], message("Forbidden"), limited(60)),
        (vec![("retry-after", "-5")], message("Forbidden"), limited(60)),
        (vec![], message("You have exceeded a secondary rate limit."), limited(60)),
        (vec![], message("API RATE LIMIT exceeded"), limited(60)),
        (vec![("x-ratelimit-remaining", "0")], message("Forbidden"), limited(60)),
        // A limit is a limit, whatever else the answer says.
        (
            vec![("retry-after", "9"), ("x-github-sso", "required")],
            message("This installation has been suspended"),
            limited(9),
        ),
    ] {
        assert_eq!(meaning(403, &headers, &body), expected, "{headers:?} {body}");
    }
}

#[test]
fn the_wait_is_until_the_reset_and_never_nothing() {
    let clock = Clock::system();
    let at = |offset: i64| (clock.unix() + offset).to_string();
    let wait = |reset: &str| {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
        match classify(&answer(403, &headers, "{}"), &clock) {
            ProviderError::RateLimited { retry_after } => retry_after.expect("seconds"),
            other => panic!("{other:?}"),
        }
    };
    assert!((898..=900).contains(&wait(&at(900))));
    assert_eq!(wait(&at(0)), 1);
    assert_eq!(wait(&at(-900)), 1, "the reset is over, or our clock is fast");
    assert_eq!(wait("soon"), 60);
    assert_eq!(wait(&i64::MIN.to_string()), 1, "no overflow");
    clock.advance(Duration::from_secs(1));
    assert!(wait(&i64::MAX.to_string()) > 0);
}

#[test]
fn every_other_status_has_one_meaning() {
    for (status, expected) in [
        (401, ProviderError::Unauthorized),
        (404, ProviderError::NotFound),
        (429, limited(60)),
        (504, ProviderError::Timeout),
    ] {
        assert_eq!(meaning(status, &[], "{}"), expected, "{status}");
    }
    // Our own request was wrong, or GitHub is: neither is the caller's doing.
    for status in [204, 301, 302, 304, 400, 409, 410, 415, 422, 451, 500, 502, 503, 599] {
        assert_eq!(meaning(status, &[], "{}"), ProviderError::BadResponse { status }, "{status}");
    }
}

#[test]
fn a_usual_repository_is_read_whole() {
    let found = repository(
        r#"{"id":1296269,"name":"Hello-World","full_name":"octocat/Hello-World","private":false,
            "owner":{"login":"octocat","id":1,"type":"User"},"stargazers_count":80,"default_branch":"master",
            "pushed_at":"2011-01-26T19:06:43Z","created_at":"2011-01-26T19:01:12Z",
            "updated_at":"2011-01-26T19:14:43Z","topics":["x"],"a_field_of_tomorrow":{"y":[null]}}"#,
    )
    .expect("a repository");
    assert_eq!((found.id.as_str(), found.full_name.as_str()), ("1296269", "octocat/Hello-World"));
    assert_eq!((found.provider, found.is_public), (ProviderType::Github, true));
    assert_eq!((found.stargazers_count, found.owner_type), (Some(80), Some(OwnerType::User)));
    assert_eq!(found.main_branch.as_deref(), Some("master"));
    assert_eq!(found.pushed_at.as_deref(), Some("2011-01-26T19:06:43Z"));
    assert_eq!(found.updated_at.as_deref(), Some("2011-01-26T19:14:43Z"));
    assert_eq!(found.created_at.as_deref(), Some("2011-01-26T19:01:12Z"));
}

#[test]
fn an_id_and_a_name_are_all_that_a_repository_needs() {
    let name = |json: &str| repository(json).map(|found| found.full_name);
    for (json, expected) in [
        (r#"{"id":1,"full_name":"o/r"}"#, Some("o/r")),
        (r#"{"id":1,"full_name":null,"name":"r","owner":{"login":"o"}}"#, Some("o/r")),
        (r#"{"id":1,"name":"r","owner":null}"#, Some("r")),
        (r#"{"id":1,"name":"r","owner":"o"}"#, Some("r")),
        (r#"{"id":1,"full_name":"o/r","pushed_at":5,"stargazers_count":"many","private":[]}"#, Some("o/r")),
        (r#"{"id":1,"full_name":7,"name":"r","owner":{"login":"o","type":3}}"#, Some("r")),
        (r#"{"id":null,"full_name":"o/r"}"#, None),
        (r#"{"id":-1,"full_name":"o/r"}"#, None),
        (r#"{"full_name":"o/r"}"#, None),
        (r#"{"id":1}"#, None),
        ("null", None),
        ("[]", None),
    ] {
        assert_eq!(name(json).as_deref(), expected, "{json}");
    }
}

#[test]
fn a_repository_is_public_only_where_github_says_so() {
    for (private, public) in [("false", true), ("true", false), ("null", false), ("\"false\"", false)] {
        let found = repository(&format!(r#"{{"id":1,"full_name":"o/r","private":{private}}}"#));
        assert_eq!(found.map(|found| found.is_public), Some(public), "{private}");
    }
    assert_eq!(repository(r#"{"id":1,"full_name":"o/r"}"#).map(|found| found.is_public), Some(false));
}

proptest! {
    #[test]
    fn no_odd_field_costs_a_repository(
        field in prop::sample::select(vec![
            "name", "private", "owner", "stargazers_count", "pushed_at", "updated_at", "created_at",
            "default_branch", "another",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1", "1.5", "\"text\"", "[]", "[{}]", "{}", r#"{"login":null}"#,
        ]),
    ) {
        let found = repository(&format!(r#"{{"id":1,"full_name":"o/r","{field}":{value}}}"#));
        prop_assert_eq!(found.map(|found| found.full_name), Some("o/r".to_owned()));
    }

    #[test]
    fn an_item_of_any_kind_costs_a_page_no_more_than_itself(
        items in prop::collection::vec(
            prop::sample::select(vec![
                r#"{"id":1,"full_name":"o/r","private":false}"#, r#"{"id":2,"name":"r","owner":{"login":"o"}}"#,
                r#"{"id":3,"full_name":"o/s","id":3}"#, r#"{"full_name":"o/t"}"#, "{}", "null", "7", "\"r\"", "[]",
            ]),
            0..6,
        ),
    ) {
        let body = format!(r#"{{"total_count":9,"repositories":[{}]}}"#, items.join(","));
        let page = Page::<Repository>::read(&answer(200, &[], &body), &Clock::system()).expect("a page");
        prop_assert_eq!((page.total_count, page.count), (9, items.len()));
        let each: Vec<_> = items.iter().filter_map(|item| repository(item)).collect();
        prop_assert_eq!(page.repositories, each);
    }

    #[test]
    fn no_answer_makes_the_classification_panic(
        status in 100_u16..600,
        retry_after in "[ -~]{0,25}",
        reset in "-?[0-9]{0,25}",
        body in ".{0,60}",
    ) {
        let headers = [
            ("retry-after", retry_after.as_str()),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", reset.as_str()),
        ];
        let _ = meaning(status, &headers, &body);
        let _ = meaning(status, &headers[1..], &body);
    }
}
