//! The last good copy: served while GitHub is down, to whom it was given, for ten minutes, and never after a
//! refusal (DESIGN 4; RFC 5861, RFC 9211).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};

use crate::github_lab::{ATTEMPTS, LIST, app_jwt, claims, unavailable};
use crate::harness::{Answer, Running, Setup, start};

const OWN: &str = "/users/octocat/installation";

fn down() -> FaultKind {
    FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)
}

/// All of GitHub is down.
fn all_down(running: &Running) {
    running.github().clear_faults();
    running.github().fail(Fault::under("/", down()));
}

async fn ask(running: &Running, path: &str, user: &DemoUser) -> Answer {
    running.get(path).api_key(user).send().await
}

fn assert_copy(copy: &Answer, of: &Answer) {
    assert_eq!(copy.status, StatusCode::OK, "{copy:?}");
    assert_eq!(copy.body, of.body);
    assert_eq!(copy.header("cache-status"), Some("git-installations; hit; detail=upstream-error"));
    for name in ["etag", "link", "content-type", "x-github-request-id", "cache-control", "vary"] {
        assert_eq!(copy.header(name), of.header(name), "{name}");
    }
}

fn assert_no_copy(answer: &Answer, why: &str) {
    assert!(matches!(answer.status.as_u16(), 401 | 404 | 502 | 504), "{why}: {answer:?}");
    assert_eq!(answer.header("age"), None, "{why}");
    assert_eq!(answer.header("cache-status"), None, "{why}");
}

#[tokio::test]
async fn the_same_bytes_are_served_with_their_age_while_github_is_down() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for path in [LIST, OWN] {
        running.github().clear_faults();
        let good = ask(&running, path, &user).await;
        assert_eq!((good.header("age"), good.header("cache-status")), (None, None));
        running.wait(42);
        let half = good.body[..good.body.len() / 2].to_owned();
        for kind in [
            down(),
            FaultKind::Html,
            FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: half },
            FaultKind::Redirect("http://localhost:1/".to_owned()),
        ] {
            running.break_github(path, kind.clone());
            let copy = ask(&running, path, &user).await;
            assert_copy(&copy, &good);
            let age: u64 = copy.header("age").expect("an age").parse().expect("a number");
            assert!((42..60).contains(&age), "{kind:?}: {age}");
        }
    }
}

#[tokio::test]
async fn a_copy_looks_like_githubs_answer_with_two_headers_more() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    let path = "/user/installations?per_page=1&page=2";
    running.github().reset_rate_limits();
    let good = ask(&running, path, &user).await;
    all_down(&running);
    let copy = ask(&running, path, &user).await;
    assert_copy(&copy, &good);
    let wire = copy.wire();
    let (headers, _) = wire.split_once("\n\n").unwrap();
    let age = format!("\nage: {}\n", copy.header("age").unwrap());
    insta::assert_snapshot!(headers.replace(&age, "\nage: [seconds]\n"));
}

#[tokio::test]
async fn the_copy_is_served_while_connections_break_and_gateways_fail() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let good = ask(&running, LIST, &user).await;
    for kind in [FaultKind::Status(StatusCode::BAD_GATEWAY), FaultKind::CutOff { after: 0 }] {
        running.break_github(LIST, kind);
        assert_copy(&ask(&running, LIST, &user).await, &good);
    }
}

#[tokio::test]
async fn a_github_that_says_nothing_is_replaced_by_the_copy_in_time() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let good = ask(&running, LIST, &user).await;
    running.break_github(LIST, FaultKind::Stall(Duration::from_secs(20)));
    let process = running.new_process(Duration::from_millis(1_300)).await;
    let copy = process.get(LIST, ("X-Session-API-Key", &user.api_key)).await;
    assert_eq!((copy.status, copy.body), (StatusCode::OK, good.body));
}

#[tokio::test]
async fn a_copy_is_served_for_ten_minutes_and_no_longer() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let good = ask(&running, LIST, &user).await;
    all_down(&running);
    running.wait(580);
    assert_copy(&ask(&running, LIST, &user).await, &good);
    running.wait(21);
    assert_no_copy(&ask(&running, LIST, &user).await, "601 seconds old");
}

#[tokio::test]
async fn a_new_answer_makes_the_copy_young_again() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    running.wait(500);
    let renamed = running.account("octo-org");
    running.github().world(|world| world.rename(renamed, "octo-renamed"));
    let newer = ask(&running, LIST, &user).await;
    running.wait(500);
    all_down(&running);
    let copy = ask(&running, LIST, &user).await;
    assert_copy(&copy, &newer);
    assert!(copy.body.contains("octo-renamed"));
}

#[tokio::test]
async fn the_operator_may_allow_less_time_or_none() {
    for (seconds, copy) in [("0", false), ("30", false), ("60", true)] {
        let running = Setup::default().setting("STALE_IF_ERROR_SECONDS", seconds).start().await;
        let user = running.sign_in("octocat").await;
        ask(&running, LIST, &user).await;
        if seconds != "0" {
            running.wait(40);
        }
        all_down(&running);
        assert_eq!(ask(&running, LIST, &user).await.status == StatusCode::OK, copy, "{seconds}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_it_may_be_of_use_and_not_at_all_if_for_nothing() {
    const DAY: i64 = 24 * 3600;
    for (predict, stale, kept) in [
        ("true", "600", Some(DAY)),
        ("true", "0", Some(DAY)),
        ("true", "86400", Some(DAY)),
        ("false", "600", Some(600)),
        ("false", "0", None),
    ] {
        let setup =
            Setup::default().setting("PREDICT_ETAGS", predict).setting("STALE_IF_ERROR_SECONDS", stale);
        let running = setup.start().await;
        let user = running.sign_in("octocat").await;
        ask(&running, LIST, &user).await;
        let items = running.items_of("ANSWER#").await;
        let number = |item: &serde_json::Value, name: &str| -> i64 {
            item[name]["N"].as_str().expect("a number").parse().expect("an integer")
        };
        let lives: Vec<i64> =
            items.iter().map(|item| number(item, "expires_at") - number(item, "fetched_at") - 60).collect();
        assert_eq!(lives, Vec::from_iter(kept), "{predict} {stale}");
    }
}

#[tokio::test]
async fn nothing_is_served_after_the_grant_was_revoked() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    ask(&running, OWN, &user).await;
    running.wait(10);
    running.github().revoke_grant("octocat");
    assert_eq!(ask(&running, LIST, &user).await.status, StatusCode::UNAUTHORIZED);
    assert!(!running.items_by_key().await.keys().any(|key| key.contains("ANSWER#")));
    all_down(&running);
    assert_no_copy(&ask(&running, LIST, &user).await, "revoked");
    assert_no_copy(&ask(&running, OWN, &user).await, "revoked");
}

#[tokio::test]
async fn nothing_is_served_after_a_refusal() {
    // Of 401, a second is spent on GitHub's replication lag: it may be about a token that is too new.
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let running = start().await;
        let user = running.sign_in("octocat").await;
        ask(&running, LIST, &user).await;
        running.wait(10);
        running.break_github(LIST, FaultKind::Status(status));
        assert_eq!(ask(&running, LIST, &user).await.status, status);
        all_down(&running);
        assert_no_copy(&ask(&running, LIST, &user).await, status.as_str());
    }
}

#[tokio::test]
async fn a_rate_limit_is_carried_and_takes_no_copy_away() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let good = ask(&running, LIST, &user).await;
    for kind in [
        FaultKind::PrimaryRateLimit { reset_in: 60 },
        FaultKind::SecondaryRateLimit { retry_after: 60 },
        FaultKind::TooManyRequests { retry_after: 60 },
    ] {
        running.break_github(LIST, kind);
        let limited = ask(&running, LIST, &user).await;
        assert!(matches!(limited.status.as_u16(), 403 | 429), "{limited:?}");
        all_down(&running);
        assert_copy(&ask(&running, LIST, &user).await, &good);
    }
}

#[tokio::test]
async fn nothing_is_served_after_an_uninstall() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    ask(&running, OWN, &user).await;
    let installation = running.installation("octocat");
    running.github().world(|world| world.uninstall(installation));
    assert_eq!(ask(&running, OWN, &user).await.status, StatusCode::NOT_FOUND);
    all_down(&running);
    assert_no_copy(&ask(&running, OWN, &user).await, "uninstalled");
    assert_no_copy(&ask(&running, LIST, &user).await, "uninstalled");
}

#[tokio::test]
async fn nothing_is_served_after_signing_out() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.get(LIST).session(&user).send().await;
    let out = running.post("/auth/logout").session(&user).header("Origin", &running.stack.url).send().await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{out:?}");
    all_down(&running);
    assert_no_copy(&running.get(LIST).session(&user).send().await, "the session");
    assert_no_copy(&ask(&running, LIST, &user).await, "an API key that is left");
}

#[tokio::test]
async fn a_copy_is_never_another_callers() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let reader = running.sign_in("reader").await;
    let token = running.github().mint_user_token("octocat").access_token;
    let app = app_jwt(&claims(&running.clock));
    ask(&running, LIST, &octocat).await;
    let own = ask(&running, OWN, &octocat).await;
    running.get("/users/reader/installation").bearer(&app).send().await;
    running.get("/users/big-installation/installation").bearer(&app).send().await;
    running.get(LIST).bearer(&token).send().await;
    all_down(&running);
    assert_no_copy(&ask(&running, LIST, &reader).await, "another user");
    assert_no_copy(&ask(&running, OWN, &reader).await, "another user");
    assert_no_copy(&ask(&running, "/users/big-installation/installation", &reader).await, "the App's copy");
    assert_no_copy(&running.get(LIST).bearer(&token).send().await, "a token that is forwarded");
    assert_no_copy(&running.get(LIST).send().await, "nobody");
    assert_no_copy(&running.get(OWN).bearer(&app).send().await, "the user's copy");
    assert_copy(&ask(&running, OWN, &octocat).await, &own);
    let apps = running.get("/users/big-installation/installation").bearer(&app).send().await;
    assert_eq!(apps.status, StatusCode::OK, "the App's own copy: {apps:?}");
}

#[tokio::test]
async fn another_page_format_or_version_is_another_copy() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let accept = ("Accept", "application/vnd.github.machine-man-preview+json");
    let good = running.get(LIST).api_key(&user).header(accept.0, accept.1).send().await;
    all_down(&running);
    let request = || running.get(LIST).api_key(&user);
    assert_copy(&request().header(accept.0, accept.1).send().await, &good);
    assert_no_copy(&request().send().await, "another Accept");
    let version = request().header(accept.0, accept.1).header("X-GitHub-Api-Version", "2026-03-10");
    assert_no_copy(&version.send().await, "another version");
    let page = running.get("/user/installations?per_page=1").api_key(&user).header(accept.0, accept.1);
    assert_no_copy(&page.send().await, "another page");
}

#[tokio::test]
async fn an_uninstall_that_the_app_sees_costs_the_app_one_copy_only() {
    let running = start().await;
    let app = app_jwt(&claims(&running.clock));
    let big = "/users/big-installation/installation";
    running.get(OWN).bearer(&app).send().await;
    let good = running.get(big).bearer(&app).send().await;
    let installation = running.installation("octocat");
    running.github().world(|world| world.uninstall(installation));
    assert_eq!(running.get(OWN).bearer(&app).send().await.status, StatusCode::NOT_FOUND);
    all_down(&running);
    assert_no_copy(&running.get(OWN).bearer(&app).send().await, "uninstalled");
    assert_copy(&running.get(big).bearer(&app).send().await, &good);
}

#[tokio::test]
async fn a_table_that_fails_while_github_is_down_leaves_githubs_failure() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let good = ask(&running, LIST, &user).await;
    all_down(&running);
    // Who asks, the token and the copy at once, then the copy again; with each copy, whether it was forgotten.
    running.fail_dynamodb("GetItem", 4);
    running.stack.dynamodb.hook().fail_next("GetItem", ATTEMPTS, &unavailable());
    assert_no_copy(&ask(&running, LIST, &user).await, "the copy cannot be read");
    running.stack.dynamodb.hook().reset();
    assert_copy(&ask(&running, LIST, &user).await, &good);
}
