//! A user takes the authorization back at GitHub: everything that it gave us ends, and what the user is mapped
//! to stays (reference: GitHub 2.1).

use std::time::Duration;

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind, SignedDelivery};
use serde_json::json;

use crate::behind::text;
use crate::github_lab::LIST;
use crate::harness::{Running, Setup, start};
use crate::webhooks::message;

/// The webhook, without that anything happens at GitHub.
fn revoked(running: &Running, login: &str) -> SignedDelivery {
    let id = running.account(login);
    let body = json!({ "action": "revoked", "sender": { "id": id, "login": login, "type": "User" } });
    message("github_app_authorization", body.to_string())
}

async fn session(running: &Running, user: &DemoUser) -> StatusCode {
    running.get("/api/keys").session(user).send().await.status
}

/// The sort keys of a user's items that begin so.
async fn items(running: &Running, user: &DemoUser, kind: &str) -> usize {
    let partition = format!("USER#{}", user.user_id);
    running.items_of(kind).await.iter().filter(|item| text(item, "pk") == partition).count()
}

#[tokio::test]
async fn token_sessions_and_kept_answers_end_and_rows_and_api_keys_stay() {
    let running = Setup { webhooks: true, ..Setup::default() }.start().await;
    let octocat = running.sign_in("octocat").await;
    let reader = running.sign_in("reader").await;
    let second = running.browser();
    second.sign_in("octocat").await;
    for user in [&octocat, &reader] {
        assert_eq!(running.get(LIST).session(user).send().await.status, StatusCode::OK);
    }
    let rows = running.rows(&octocat.user_id).await;
    running.github().revoke_grant("octocat");
    running.github().drain().await;
    let log = running.github().delivery_log();
    assert_eq!(log.iter().map(local::sandbox_github::Delivery::status_code).collect::<Vec<_>>(), [200]);

    assert_eq!(session(&running, &octocat).await, StatusCode::UNAUTHORIZED);
    let cookie = second.cookie_header();
    let other = running.get("/api/keys").header("Cookie", &cookie).send().await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED, "the other browser's");
    for kind in ["TOKEN#", "SESSION#", "ANSWER#"] {
        assert_eq!(items(&running, &octocat, kind).await, 0, "{kind}");
        assert_ne!(items(&running, &reader, kind).await, 0, "{kind} of somebody else");
    }
    assert_eq!(running.rows(&octocat.user_id).await, rows);
    assert_eq!(running.shown_rows(&octocat).await.len(), rows.len(), "by the API key");
    assert_eq!(session(&running, &reader).await, StatusCode::OK);
    running.github().fail(Fault::under("/", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    let answer = running.get(LIST).api_key(&octocat).send().await;
    assert!(!answer.status.is_success() && answer.header("cache-status").is_none(), "{answer:?}");

    running.github().clear_faults();
    running.browser().sign_in("octocat").await;
    assert_eq!(running.get(LIST).api_key(&octocat).send().await.status, StatusCode::OK, "signed in again");
}

#[tokio::test]
async fn who_is_not_known_changes_nothing_but_the_record() {
    let running = start().await;
    running.sign_in("octocat").await;
    let before = running.items().await;
    let delivery = revoked(&running, "reader");
    assert_eq!(running.dealt(&delivery).await, "unchanged");
    let mut after = running.items().await;
    after.retain(|item| !text(item, "pk").starts_with("DELIVERY#"));
    assert_eq!(after, before);
    assert_eq!(running.dealt(&delivery).await, "repeated");
}

#[tokio::test]
async fn a_repeated_revocation_does_not_end_what_was_granted_since() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let delivery = revoked(&running, "octocat");
    assert_eq!(running.dealt(&delivery).await, "applied");
    assert_eq!(session(&running, &octocat).await, StatusCode::UNAUTHORIZED);
    let again = running.sign_in("octocat").await;
    assert_eq!(running.dealt(&delivery).await, "repeated");
    assert_eq!(session(&running, &again).await, StatusCode::OK);
    assert_eq!(running.get(LIST).session(&again).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_renewal_that_is_under_way_does_not_bring_the_token_back() {
    let running = Setup { latency: Duration::from_millis(400), ..Setup::default() }.start().await;
    let octocat = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(8 * 3600 + 1));
    let request = tokio::spawn(running.get(LIST).api_key(&octocat).send());
    while running.items_of("LEASE#").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(running.dealt(&revoked(&running, "octocat")).await, "applied");
    assert!(!request.is_finished(), "the renewal was over already");
    let answer = request.await.unwrap();
    assert_eq!(running.token_calls(), 1, "GitHub has granted a new one");
    assert_eq!(items(&running, &octocat, "TOKEN#").await, 0, "{answer:?}");
    let answer = running.get(LIST).api_key(&octocat).send().await;
    assert!(answer.status.is_client_error(), "{answer:?}");
}

#[tokio::test]
async fn a_sign_in_that_was_authorized_before_the_revocation_leaves_nothing_that_works_at_github() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let browser = running.browser();
    let authorize = browser.start_sign_in("/auth/github/login").await;
    let back = browser.approve(&authorize, "octocat");
    running.github().revoke_grant("octocat");
    assert_eq!(running.dealt(&running.taken()).await, "applied");
    browser.get(&back).await;
    let answer = running.get(LIST).api_key(&octocat).send().await;
    assert!(answer.status.is_client_error(), "{answer:?}");
}
