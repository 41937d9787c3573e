//! ETags of our own JSON (RFC 9110, 8.8.3, 13.1.2): what has not changed is 304, whatever form it was sent in.

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};

use crate::harness::{Answer, Running, Setup, start};

fn paths(user: &DemoUser) -> [String; 6] {
    let own = format!("/api/users/{}/installations", user.user_id);
    [
        "/api/user/installations?provider=github".to_owned(),
        "/api/user/repositories".to_owned(),
        "/api/user/repositories?selected_provider=github&installation_id=5002&page=1&per_page=2".to_owned(),
        own.clone(),
        format!("{own}/1/imports"),
        "/api/keys".to_owned(),
    ]
}

async fn ask(running: &Running, user: &DemoUser, path: &str, tags: &str) -> Answer {
    running.get(path).api_key(user).header("If-None-Match", tags).send().await
}

#[tokio::test]
async fn who_knows_the_answer_is_told_that_it_has_not_changed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mut tags = Vec::new();
    for path in paths(&user) {
        let first = running.get(&path).api_key(&user).send().await;
        let tag = first.header("etag").unwrap_or_else(|| panic!("{path}: {first:?}")).to_owned();
        assert!(tag.starts_with("W/\""), "{path}: {tag}");
        for known in [tag.clone(), tag.replace("W/", ""), format!("\"x\", {tag}"), "*".to_owned()] {
            let same = ask(&running, &user, &path, &known).await;
            assert_eq!((same.status, &*same.body), (StatusCode::NOT_MODIFIED, ""), "{path}: {same:?}");
            for name in ["etag", "vary", "cache-control", "x-total-count", "x-truncated"] {
                assert_eq!(same.header(name), first.header(name), "{path}: {name}");
            }
            assert_eq!(same.header("content-type"), None, "{path}");
        }
        let other = ask(&running, &user, &path, "W/\"0123456789abcdef0123456789abcdef\"").await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body), "{path}");
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 6, "different bodies have different tags");
}

#[tokio::test]
async fn what_has_changed_is_sent_with_another_tag() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = "/api/user/repositories";
    let first = running.get(path).api_key(&user).send().await;
    let installation = running.installation("octo-org");
    running.github().world(|world| world.suspend_by_owner(installation));
    let tag = first.header("etag").unwrap();
    let changed = ask(&running, &user, path, tag).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_ne!(changed.body, first.body);
    assert_ne!(changed.header("etag"), Some(tag));
}

#[tokio::test]
async fn an_answer_from_which_something_is_missing_has_no_tag_and_is_never_304() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = "/api/user/repositories";
    let whole = running.get(path).api_key(&user).send().await;
    let failing = FaultKind::Status(StatusCode::FORBIDDEN);
    running.github().fail(Fault::get("/user/installations/5002/repositories", failing));
    for tags in ["*", whole.header("etag").unwrap()] {
        let partial = ask(&running, &user, path, tags).await;
        assert_eq!(partial.status, StatusCode::OK, "{partial:?}");
        assert!(partial.header("x-partial-result").is_some());
        assert_eq!(partial.header("etag"), None);
    }
}

#[tokio::test]
async fn a_wrong_request_is_told_so_and_nobody_learns_whether_anything_has_changed() {
    let running = start().await;
    let (octocat, reader) = (running.sign_in("octocat").await, running.sign_in("reader").await);
    let path = format!("/api/users/{}/installations", octocat.user_id);
    let own = running.get(&path).api_key(&octocat).send().await;
    let tag = own.header("etag").unwrap();
    for tags in [tag, "*"] {
        let nobody = running.get(&path).header("If-None-Match", tags).send().await;
        assert_eq!((nobody.status, nobody.header("etag")), (StatusCode::UNAUTHORIZED, None));
        let other = ask(&running, &reader, &path, tags).await;
        assert_eq!((other.status, other.header("etag")), (StatusCode::NOT_FOUND, None));
        let wrong = ask(&running, &octocat, "/api/user/installations?provider=nope", tags).await;
        assert_eq!((wrong.status, wrong.header("etag")), (StatusCode::UNPROCESSABLE_ENTITY, None));
    }
}

#[tokio::test]
async fn pages_and_the_monitor_are_never_304() {
    let running = Setup::default().start().await;
    let user = running.sign_in("octocat").await;
    for path in ["/healthz", "/auth/session"] {
        let answer = running.get(path).session(&user).header("If-None-Match", "*").send().await;
        assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, None), "{path}");
    }
}
