//! The five endpoints answer a user who has signed in.

use http::StatusCode;

use crate::harness::{Setup, start};

#[tokio::test]
async fn a_user_who_has_signed_in_is_answered_by_all_five_endpoints() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for path in [
        "/api/user/installations?provider=github".to_owned(),
        "/api/user/repositories".to_owned(),
        "/user/installations".to_owned(),
        "/users/octocat/installation".to_owned(),
        format!("/api/users/{}/installations", user.user_id),
    ] {
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_browser_that_has_signed_in_is_answered_too_and_nobody_else_is() {
    let running = start().await;
    let browser = running.browser();
    let finished = browser.sign_in("octocat").await;
    assert_eq!(finished.status, StatusCode::SEE_OTHER, "{finished:?}");
    assert_eq!(browser.get("/api/user/installations?provider=github").await.status, StatusCode::OK);
    let nobody = running.get("/api/user/installations?provider=github").send().await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_sandbox_sends_its_webhooks_to_the_service_where_that_is_wanted_and_keeps_them_otherwise() {
    let running = Setup { webhooks: true, ..Setup::default() }.start().await;
    running.github().ping();
    running.github().drain().await;
    let log = running.github().delivery_log();
    assert_eq!(log.len(), 1);
    assert_ne!(log[0].status_code(), 502, "the service was reached");

    let running = Setup::default().start().await;
    running.github().ping();
    running.github().drain().await;
    assert!(running.github().delivery_log().is_empty());
    assert_eq!(running.github().take_undelivered().len(), 1);
}
