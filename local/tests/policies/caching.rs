//! Answers depend on who asks, so none may be kept, but for those that are the same for everybody; and none may be read
//! as another type.

use http::StatusCode;

use crate::harness::{Answer, start};
use crate::requests::{Caller, Case, ask, cases};

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
        for case in cases(&user).into_iter().filter(|case| !case.is_published()) {
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

#[tokio::test]
async fn what_is_published_is_the_same_for_everybody_and_may_be_kept() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for case in cases(&user).into_iter().filter(Case::is_published) {
        let what = format!("{} {}", case.method(), case.path);
        let first = ask(&running, &user, &case, Caller::Nobody).await;
        if first.status == StatusCode::NOT_FOUND {
            assert_protected(&what, &first);
            continue;
        }
        assert_eq!(first.status, StatusCode::OK, "{what}: {first:?}");
        let kept = first.header("cache-control").unwrap_or_default();
        let for_good = case.path.starts_with("/docs/");
        assert_eq!(kept.contains("immutable"), for_good, "{what}: {kept}");
        assert!(kept.starts_with("public, max-age="), "{what}: {kept}");
        assert_eq!(first.header("vary"), Some("Accept-Encoding"), "{what}");
        assert_eq!(first.header("x-content-type-options"), Some("nosniff"), "{what}");
        assert!(first.header("set-cookie").is_none(), "{what}");
        for caller in Caller::ALL {
            let again = ask(&running, &user, &case, caller).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{caller:?} {what}");
        }
        let tag = first.header("etag").unwrap_or_else(|| panic!("{what}: no ETag"));
        let known = case.on(&running).header("If-None-Match", tag).send().await;
        assert_eq!((known.status, known.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{what}");
        assert_eq!((known.header("etag"), known.header("cache-control")), (Some(tag), Some(kept)), "{what}");
    }
}
