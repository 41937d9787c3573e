//! What is found in a text, in what a process logs and in a panic, and what is let through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, StatusCode};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::harness::secret_watch::finder::{self, Known, leaks};
use crate::harness::secret_watch::listener::{self, Listener};
use crate::harness::secret_watch::{Guard, answers, guard};

#[test]
fn every_kind_of_secret_is_found() {
    let mut known = Known::default();
    known.add("sandbox/client secret");
    for line in [
        "token ghu_0123456789abcdef",
        "refresh=ghr_0123456789abcdef",
        "key gik_AbCdEfGhIj",
        "GET /callback?code=0123&x=1",
        "GET /callback?x=1&state=a",
        "authorization: \"Bearer x\"",
        "jwt eyJhbGciOiJSUzI1NiJ9.e30.x",
        "-----BEGIN RSA PRIVATE KEY-----",
        "secret sandbox/client secret",
        "secret=sandbox%2Fclient%20secret",
        "session 0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0",
        "Blob { inner: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] }",
    ] {
        assert_eq!(leaks(line, &known).len(), 1, "{line}");
    }
}

#[test]
fn what_a_log_may_say_is_no_leak() {
    let mut known = Known::default();
    known.add("sandbox-client-secret");
    for line in [
        "request failed request_id=\"l4hvK/F+b48EQPo=\" failure=github: the host did not answer in time",
        "key gik_AbCd of usr_01M7XT5HJNKV9FDM3HPZ9WD9YB",
        "trace Root=1-692fa1c0-000000000000000000000007",
        "no code, no state, status=404, [1, 2, 3]",
    ] {
        assert_eq!(leaks(line, &known), [""; 0], "{line}");
    }
}

/// What is told while this happens.
fn told(happening: impl FnOnce()) -> Vec<String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = told.clone();
    let listener = Listener(move |whence: &str, reason: &str, text: &str| {
        into.lock().unwrap().push(format!("{whence} | {reason} | {}", finder::redacted(text)));
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(listener), happening);
    told.lock().unwrap().clone()
}

#[derive(Debug, thiserror::Error)]
#[error("an outer error")]
struct Outer(#[source] std::io::Error);

#[test]
fn events_spans_what_is_added_to_them_and_causes_of_errors_are_heard() {
    finder::learn("learnt-0123456789-secret");
    let canary = "ghu_0123456789abcdef";
    let heard: [(&str, &dyn Fn()); 8] = [
        ("a message", &|| tracing::trace!("it is {canary}")),
        ("a text", &|| tracing::debug!(token = canary, "a field")),
        ("a value that is printed", &|| tracing::info!(token = ?Some(canary), "a field")),
        ("a known secret", &|| tracing::info!("x=learnt-0123456789-secret;")),
        ("a span", &|| drop(tracing::info_span!("s", %canary))),
        ("what is added later", &|| {
            let span = tracing::info_span!("s", token = tracing::field::Empty);
            span.record("token", canary);
        }),
        ("an error", &|| {
            let error = std::io::Error::other(canary);
            tracing::warn!(error = &error as &dyn std::error::Error, "failed");
        }),
        ("its cause", &|| {
            let error = Outer(std::io::Error::other(canary));
            tracing::warn!(error = &error as &dyn std::error::Error, "failed");
        }),
    ];
    for (what, happening) in heard {
        let told = told(happening);
        assert_eq!(told.len(), 1, "{what}: {told:?}");
        assert!(!told[0].contains("0123456789"), "{what} repeats the secret: {told:?}");
    }
    assert_eq!(told(|| tracing::info!(status = 404, route = "GET /api/keys", "request")), [""; 0]);
}

#[test]
fn a_panic_of_ours_that_tells_a_secret_is_heard_and_one_of_a_test_is_its_own() {
    let words = "no token for ghu_0123456789abcdef";
    for file in ["shared/src/relay.rs", "functions/sign-in/src/login.rs", "/build/local/src/stack.rs"] {
        assert!(listener::in_words(file, words).is_some(), "{file}");
        assert!(listener::in_words(file, "index out of bounds: the length is 3").is_none(), "{file}");
    }
    assert!(listener::in_words("local/tests/end_to_end/session.rs", words).is_none());
}

#[test]
fn a_leak_fails_the_test_in_which_it_happens_and_is_not_repeated() {
    let running = Guard::new();
    guard::report("a line", "a reason", "token ghu_0123456789abcdef");
    let failed = catch_unwind(AssertUnwindSafe(|| drop(running))).unwrap_err();
    let words = failed.downcast_ref::<String>().unwrap();
    assert!(words.contains("a line: a reason") && !words.contains("0123456789"), "{words}");
    drop(Guard::new());
}

#[test]
fn an_answer_holds_a_secret_only_where_it_belongs() {
    let look = |status: u16, headers: &[(&'static str, &str)], body: &str| {
        let running = Guard::new();
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().chain(&[("apigw-requestid", "x")]) {
            map.append(*name, value.parse().unwrap());
        }
        answers::look_through(StatusCode::from_u16(status).unwrap(), &map, body);
        catch_unwind(AssertUnwindSafe(|| drop(running))).is_ok()
    };
    let key = format!("gik_{}", "Ab0".repeat(14));
    let cookie = format!("neptun-session={}; HttpOnly", "Cd1".repeat(14));
    assert!(look(201, &[], &format!(r#"{{"id":"key_1","prefix":"gik_AbAb","key":"{key}"}}"#)));
    assert!(look(303, &[("set-cookie", &cookie), ("location", "/auth/session")], ""));
    assert!(look(
        200,
        &[],
        r#"{"end_session_url":"https://sso.example/?id_token_hint=eyJhbGciOiJFUzI1NiJ9.e30.x"}"#
    ));
    assert!(look(200, &[("etag", &format!("\"{}\"", "0a".repeat(32)))], r#"[{"prefix":"gik_AbAb"}]"#));
    for (status, headers, body) in [
        (200, &[][..], format!(r#"{{"key":"{key}"}}"#)),
        (201, &[], format!(r#"{{"key":"x","also":"{key}"}}"#)),
        (200, &[], format!(r#"{{"session":"{}"}}"#, "Cd1".repeat(14))),
        (500, &[], "ghu_0123456789abcdef".to_owned()),
        (400, &[("x-error-code", "glpat-0123456789")], String::new()),
        (400, &[], r#"{"error":"eyJhbGciOiJFUzI1NiJ9.e30.x"}"#.to_owned()),
        (500, &[], "-----BEGIN RSA PRIVATE KEY-----".to_owned()),
    ] {
        assert!(!look(status, headers, &body), "{status} {headers:?} {body}");
    }
}
