//! Tokens that users bring (`/api/add-git-providers`) and take away (`/api/unset-provider-tokens`): verified at
//! their own provider only, sent nowhere else, and nobody else's.

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_github::FaultKind;
use serde_json::{Value, json};

use crate::harness::{Answer, Running, Setup, start};

const ADD: &str = "/api/add-git-providers";
const UNSET: &str = "/api/unset-provider-tokens";
const INSTALLATIONS: &str = "/api/user/installations?provider=github";

async fn add(running: &Running, user: &DemoUser, tokens: Value) -> Answer {
    running.post(ADD).api_key(user).json(&json!({ "provider_tokens": tokens })).send().await
}

async fn installations(running: &Running, user: &DemoUser) -> Answer {
    running.get(INSTALLATIONS).api_key(user).send().await
}

#[tokio::test]
async fn a_token_that_is_brought_is_used_and_survives_for_nobody_else() {
    let running = start().await;
    let (octocat, reader) = (running.sign_in("octocat").await, running.sign_in("reader").await);
    assert_eq!(
        running.post(UNSET).api_key(&octocat).send().await.json(),
        json!({"message": "Unset Git provider tokens"})
    );
    assert_eq!(installations(&running, &octocat).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(installations(&running, &reader).await.status, StatusCode::OK, "another user's is untouched");

    let token = running.github().mint_user_token("octocat").access_token;
    let added = add(&running, &octocat, json!({"github": {"token": token}})).await;
    assert_eq!((added.status, added.json()), (StatusCode::OK, json!({"message": "Git providers stored"})));
    assert_eq!(installations(&running, &octocat).await.json(), json!(["5001", "5002", "5003", "5004"]));
    let items = running.items().await;
    assert!(!format!("{items:?}").contains(&token), "a token is sealed before it reaches the table");
}

#[tokio::test]
async fn a_token_that_github_does_not_accept_changes_nothing() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    // The key's first use is noted.
    assert_eq!(installations(&running, &octocat).await.status, StatusCode::OK);
    let before = running.items().await;
    let refused = add(&running, &octocat, json!({"github": {"token": "ghp_0123456789"}})).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let text = "Invalid token. Please make sure it is a valid github token.";
    assert_eq!(refused.json(), json!({ "error": text }));
    assert_eq!(running.items().await, before);
    assert_eq!(installations(&running, &octocat).await.status, StatusCode::OK);
    running.break_github("/user", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR));
    let failed = add(&running, &octocat, json!({"github": {"token": "ghp_0123456789"}})).await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY, "the host has not said no: {failed:?}");
}

#[tokio::test]
async fn providers_that_are_not_named_or_have_no_token_stay_as_they_are() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    for tokens in
        [json!({}), json!({"github": {"token": ""}}), json!({"github": {"token": null, "host": "x"}})]
    {
        assert_eq!(add(&running, &octocat, tokens).await.status, StatusCode::OK);
        assert_eq!(installations(&running, &octocat).await.status, StatusCode::OK);
    }
    assert!(running.paths().iter().all(|path| path != "/user"), "nothing was to be verified");
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_sent_nothing() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let token = running.github().mint_user_token("octocat").access_token;
    for host in
        ["evil.example", "169.254.169.254", "http://localhost:1", "https://user:x@evil.example", "a/../b"]
    {
        running.github().clear_calls();
        let refused = add(&running, &octocat, json!({"github": {"token": token, "host": host}})).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{host}: {refused:?}");
        assert_eq!(running.paths(), [] as [String; 0], "{host}");
    }
}

#[tokio::test]
async fn a_token_of_another_host_is_used_there_and_never_at_the_configured_one() {
    // The sandbox under another name: what is asked there shows the host that was chosen.
    let other = start().await;
    let origin = other.github().web_url().replace("http://localhost", "http://127.0.0.1");
    let running = Setup::default().setting("ALLOWED_PROVIDER_HOSTS", &origin).start().await;
    let octocat = running.sign_in("octocat").await;
    let token = other.github().mint_user_token("octocat").access_token;
    running.github().clear_calls();
    let added = add(&running, &octocat, json!({"github": {"token": token, "host": origin}})).await;
    assert_eq!(added.status, StatusCode::OK, "{added:?}");
    assert_eq!(installations(&running, &octocat).await.status, StatusCode::OK);
    let own = running.get("/user/installations").api_key(&octocat).send().await;
    assert_eq!(own.status, StatusCode::UNAUTHORIZED, "the App is the configured host's: {own:?}");
    assert_eq!(running.paths(), [] as [String; 0], "the token went to its own host only");
    assert!(other.paths().iter().any(|path| path == "/user/installations"));
}

#[tokio::test]
async fn an_account_of_another_user_cannot_be_brought() {
    let running = start().await;
    let (octocat, reader) = (running.sign_in("octocat").await, running.sign_in("reader").await);
    let token = running.github().mint_user_token("octocat").access_token;
    let refused = add(&running, &reader, json!({"github": {"token": token}})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(installations(&running, &octocat).await.json(), json!(["5001", "5002", "5003", "5004"]));
    assert_ne!(installations(&running, &reader).await.json(), json!(["5001", "5002", "5003", "5004"]));
}

#[tokio::test]
async fn a_cookie_brings_and_takes_away_from_our_own_pages_only() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    for path in [ADD, UNSET] {
        let request = running.post(path).session(&octocat).header("Origin", "https://evil.example");
        assert_eq!(request.json(&json!({})).send().await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(installations(&running, &octocat).await.status, StatusCode::OK);
}
