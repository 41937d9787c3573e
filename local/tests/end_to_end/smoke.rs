//! The five endpoints answer a user who has signed in.

use http::StatusCode;

use crate::harness::start;

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
