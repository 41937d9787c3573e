//! Every answer of every route depends on who asks, so none may be kept, and none may be read as another type.

use http::StatusCode;

use crate::harness::{Answer, start};
use crate::requests::{Caller, ask, cases};

fn assert_protected(what: &str, answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}: {answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}: {answer:?}");
    let vary = answer.header("vary").unwrap_or_default().to_ascii_lowercase();
    let vary: Vec<_> = vary.split(',').map(str::trim).collect();
    for header in ["cookie", "authorization", "x-session-api-key"] {
        assert!(vary.contains(&header), "{what}: Vary lacks {header}: {answer:?}");
    }
}

#[tokio::test]
async fn every_answer_of_every_route_to_every_caller_forbids_keeping_it() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for caller in Caller::ALL {
        for case in cases(&user) {
            let answer = ask(&running, &user, &case, caller).await;
            let what = format!("{caller:?} {} {}", case.method(), case.path);
            assert!(answer.header("apigw-requestid").is_some(), "{what}: no function answered: {answer:?}");
            assert_protected(&what, &answer);
            assert!(!answer.status.is_server_error(), "{what}: {answer:?}");
            *statuses.entry(answer.status.as_u16()).or_default() += 1;
        }
    }
    // The requests are worth something only if they reach all kinds of answers.
    for status in [200, 201, 204, 302, 303, 400, 401, 403, 404, 422] {
        assert!(statuses.contains_key(&status), "no answer was {status}: {statuses:?}");
    }
}

#[tokio::test]
async fn an_answer_that_has_not_changed_forbids_keeping_it_too() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for path in ["/user/installations", "/users/octocat/installation"] {
        let first = running.get(path).api_key(&user).send().await;
        let etag = first.header("etag").unwrap_or_else(|| panic!("{path}: {first:?}"));
        let second = running.get(path).api_key(&user).header("If-None-Match", etag).send().await;
        assert_eq!(second.status, StatusCode::NOT_MODIFIED, "{path}: {second:?}");
        assert_protected(path, &second);
    }
}
