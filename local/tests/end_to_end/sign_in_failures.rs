//! Sign-ins that GitHub or the user ends: each has its page, which shows nothing of GitHub's own words,
//! nobody is signed in, and the next try works.

use http::{HeaderMap, StatusCode};
use local::aws::hook;
use local::sandbox_github::{Fault, FaultKind};
use local::stack::{GITHUB_APP_SECRET, SANDBOX_CLIENT_SECRET, sandbox_app_secret};
use serde_json::json;

use crate::behind::{TOKEN_ENDPOINT, assert_page, parameter};
use crate::harness::{Answer, Running, start};

/// Nobody is there: no user, no session, no token.
async fn assert_nobody(running: &Running) {
    let items = running.items().await;
    let left: Vec<_> = items
        .iter()
        .map(|item| &item["sk"]["S"])
        .filter(|sk| !sk.as_str().unwrap().starts_with("SIGN_IN"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A sign-in that goes wrong in this way.
async fn failed(running: &Running, fault: Fault) -> Answer {
    running.github().fail(fault);
    let browser = running.browser();
    let refused = browser.sign_in("octocat").await;
    running.github().clear_faults();
    assert!(browser.cookie("neptun-session").is_none(), "{refused:?}");
    refused
}

/// Nothing is left of the failures: nobody is there, and a sign-in works.
async fn assert_recovered(running: &Running) {
    assert_nobody(running).await;
    let finished = running.browser().sign_in("octocat").await;
    assert_eq!(finished.status, StatusCode::SEE_OTHER, "{finished:?}");
}

#[tokio::test]
async fn a_user_who_says_no_is_told_that_nothing_has_changed() {
    let running = start().await;
    let browser = running.browser();
    let state = parameter(&browser.start_sign_in("/auth/github/login").await, "state");
    let back = format!(
        "/auth/github/callback?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state={state}"
    );
    let answer = browser.get(&back).await;
    assert_page(&answer, 403, "access_denied");
    assert!(!answer.body.contains("script"), "{answer:?}");
    assert_eq!(running.token_calls(), 0);
    assert_nobody(&running).await;
    // Said once, it cannot be taken back with a code.
    let code = "0123456789abcdef0123";
    let again = browser.get(&format!("/auth/github/callback?code={code}&state={state}")).await;
    assert_page(&again, 400, "state_reused");
    assert_eq!(running.token_calls(), 0);
}

#[tokio::test]
async fn other_errors_of_the_authorize_page_end_the_sign_in_without_a_call() {
    let running = start().await;
    for query in ["error=application_suspended", "error=", "error=redirect_uri_mismatch&code=c", "nothing=1"]
    {
        let browser = running.browser();
        let state = parameter(&browser.start_sign_in("/auth/github/login").await, "state");
        let answer = browser.get(&format!("/auth/github/callback?{query}&state={state}")).await;
        assert_page(&answer, 502, "sign_in_failed");
    }
    assert_eq!(running.token_calls(), 0);
    assert_nobody(&running).await;
}

#[tokio::test]
async fn a_code_that_github_does_not_know_signs_nobody_in() {
    let running = start().await;
    for code in ["", "wrong", "0123456789abcdef0123", "%00", "a%26client_secret%3Dx"] {
        let browser = running.browser();
        let state = parameter(&browser.start_sign_in("/auth/github/login").await, "state");
        let answer = browser.get(&format!("/auth/github/callback?code={code}&state={state}")).await;
        assert_page(&answer, 502, "sign_in_failed");
    }
    assert_nobody(&running).await;
}

#[tokio::test]
async fn a_code_is_good_once() {
    let running = start().await;
    let browser = running.browser();
    let back = browser.approve(&browser.start_sign_in("/auth/github/login").await, "octocat");
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    let code = parameter(&back, "code");
    let state = parameter(&browser.start_sign_in("/auth/github/login").await, "state");
    let used = browser.get(&format!("/auth/github/callback?code={code}&state={state}")).await;
    assert_page(&used, 502, "sign_in_failed");
}

#[tokio::test]
async fn a_token_endpoint_that_fails_has_its_page_and_the_next_sign_in_works() {
    let answers = |status: StatusCode, body: &str| FaultKind::Answer {
        status,
        headers: HeaderMap::new(),
        body: body.to_owned(),
    };
    let grant = r#"{"access_token":"ghu_secret","refresh_token":"ghr_secret"#;
    let running = start().await;
    for (kind, status, code) in [
        (answers(StatusCode::OK, r#"{"error":"bad_verification_code"}"#), 502, "sign_in_failed"),
        (answers(StatusCode::OK, r#"{"error":"<script>alert(1)</script>"}"#), 502, "sign_in_failed"),
        (answers(StatusCode::OK, r#"{"error":"incorrect_client_credentials"}"#), 500, "internal_error"),
        (answers(StatusCode::OK, r#"{"error":"redirect_uri_mismatch"}"#), 500, "internal_error"),
        (answers(StatusCode::OK, "{}"), 502, "bad_gateway"),
        (answers(StatusCode::OK, "[]"), 502, "bad_gateway"),
        (answers(StatusCode::OK, ""), 502, "bad_gateway"),
        (answers(StatusCode::OK, grant), 502, "bad_gateway"),
        (answers(StatusCode::OK, "access_token=ghu_secret&scope="), 502, "bad_gateway"),
        (answers(StatusCode::OK, r#"{"access_token":null}"#), 502, "bad_gateway"),
        (answers(StatusCode::OK, r#"{"access_token":"ghu_a\r\nX-Evil: 1"}"#), 401, "sign_in_expired"),
        (FaultKind::Html, 502, "bad_gateway"),
        (FaultKind::TruncatedJson, 502, "bad_gateway"),
        (FaultKind::CutOff { after: 0 }, 502, "bad_gateway"),
        (FaultKind::CutOff { after: 40 }, 502, "bad_gateway"),
        (FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), 502, "bad_gateway"),
        (FaultKind::Status(StatusCode::BAD_GATEWAY), 502, "bad_gateway"),
        (FaultKind::Status(StatusCode::GATEWAY_TIMEOUT), 504, "gateway_timeout"),
        (FaultKind::TooManyRequests { retry_after: 17 }, 429, "rate_limited"),
        (FaultKind::Redirect("https://evil.example/token".to_owned()), 502, "bad_gateway"),
    ] {
        let what = format!("{kind:?}");
        running.github().clear_calls();
        let answer = failed(&running, Fault::post(TOKEN_ENDPOINT, kind)).await;
        assert_page(&answer, status, code);
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("17"), "{what}");
        // A code is single use: it is sent once, whatever becomes of it.
        assert_eq!(running.token_calls(), 1, "{what}");
    }
    assert_recovered(&running).await;
}

#[tokio::test]
async fn a_wrong_client_secret_is_the_operators_problem_and_is_not_shown() {
    let running = start().await;
    let wrong = sandbox_app_secret().replace(SANDBOX_CLIENT_SECRET, "a-rotated-secret");
    running.stack.secrets.set(GITHUB_APP_SECRET, &wrong);
    let answer = running.browser().sign_in("octocat").await;
    assert_page(&answer, 500, "internal_error");
    for word in ["a-rotated-secret", "client", "credential", "Iv23"] {
        assert!(!answer.body.contains(word), "{word}: {answer:?}");
    }
    assert_nobody(&running).await;
}

#[tokio::test]
async fn a_user_that_github_does_not_tell_is_not_signed_in() {
    let answers = |body: &str| FaultKind::Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.to_owned(),
    };
    let running = start().await;
    for (kind, status, code) in [
        (FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), 502, "bad_gateway"),
        (FaultKind::Status(StatusCode::FORBIDDEN), 403, "forbidden"),
        (FaultKind::Html, 502, "bad_gateway"),
        (FaultKind::TruncatedJson, 502, "bad_gateway"),
        (FaultKind::PrimaryRateLimit { reset_in: 30 }, 429, "rate_limited"),
        (answers(&json!({ "login": "octocat" }).to_string()), 502, "bad_gateway"),
        (answers(&json!({ "id": "1001", "login": "octocat" }).to_string()), 502, "bad_gateway"),
        (answers(&json!({ "id": -1, "login": "octocat" }).to_string()), 502, "bad_gateway"),
    ] {
        assert_page(&failed(&running, Fault::get("/user", kind)).await, status, code);
    }
    assert_recovered(&running).await;
}

#[tokio::test]
async fn a_new_token_that_github_does_not_know_yet_is_tried_again() {
    let running = start().await;
    running.github().fail(Fault::get("/user", FaultKind::Status(StatusCode::UNAUTHORIZED)).times(1));
    let finished = running.browser().sign_in("octocat").await;
    assert_eq!(finished.status, StatusCode::SEE_OTHER, "{finished:?}");
}

#[tokio::test]
async fn a_table_that_fails_for_a_moment_or_loses_an_answer_keeps_nobody_out() {
    let throttled = hook::Fault::error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException");
    let running = start().await;
    for (operation, fault) in [
        ("PutItem", hook::Fault::lost_answer()),
        ("TransactWriteItems", hook::Fault::lost_answer()),
        ("PutItem", throttled.clone()),
        ("UpdateItem", throttled.clone()),
        ("GetItem", throttled.clone()),
        ("TransactWriteItems", throttled),
    ] {
        running.stack.dynamodb.hook().fail_next(operation, 1, &fault);
        let finished = running.browser().sign_in("octocat").await;
        assert_eq!(finished.status, StatusCode::SEE_OTHER, "{operation}, {fault:?}: {finished:?}");
        running.stack.dynamodb.hook().reset();
    }
    assert_eq!(running.items_of("USER").await.len(), 1);
}

#[tokio::test]
async fn a_table_that_is_down_has_its_page() {
    let running = start().await;
    let down = hook::Fault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError");
    running.stack.dynamodb.hook().fail_next("PutItem", 3, &down);
    let answer = running.get("/auth/github/login").send().await;
    assert_page(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").is_some() && answer.header("location").is_none());
}
