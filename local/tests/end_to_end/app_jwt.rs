//! JWTs of the App in both directions: those by which others prove to be the App, and our own, with GitHub's
//! clock off or the App's key changed (DESIGN 3, 7; reference: GitHub 1.8).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use local::sandbox_github::AuthorizationKind;
use local::stack::{GITHUB_APP_SECRET, SANDBOX_APP_ID, SANDBOX_CLIENT_ID, sandbox_app_secret};
use ring::hmac;
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::github_lab::{app_jwt, claims, github_message, jwt_signed_with, unsigned_jwt};
use crate::harness::{Answer, Running, Setup, start};

const OWN: &str = "/users/octocat/installation";
const OTHER_KEY: &str = include_str!("../../../shared/fixtures/pem/other-pkcs1.pem");
const PUBLIC_KEY: &str = include_str!("../../fixtures/sandbox-app.public-key.pem");

const UNDECODABLE: &str = "A JSON web token could not be decoded";
const ALGORITHM: &str = "The algorithm must be RS256";
const EXPIRY: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
const FAR: &str = "'Expiration time' claim ('exp') is too far in the future";
const ISSUED: &str =
    "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
const NO_ISSUER: &str = "Missing 'issuer' claim ('iss')";
const ISSUER: &str = "'Issuer' claim ('iss') must be the client ID or the ID of this App";

/// The App's own claims with one of them changed, or left out for `null`.
fn with(clock: &Clock, name: &str, value: Value) -> Value {
    let mut claims = claims(clock);
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

async fn as_app(running: &Running, path: &str) -> Answer {
    running.get(path).bearer(&app_jwt(&claims(&running.clock))).send().await
}

/// How often the App's secret and the key ring have been read.
fn reads(running: &Running) -> usize {
    running.stack.secrets_manager.hook().calls("GetSecretValue")
}

fn secret_with(keys: &Value) -> String {
    let mut secret: Value = serde_json::from_str(&sandbox_app_secret()).unwrap();
    secret["private_key"] = keys.clone();
    secret.to_string()
}

#[tokio::test]
async fn the_app_may_ask_about_any_user_and_is_answered_as_by_github() {
    let running = start().await;
    for login in ["octocat", "Big-Installation", "newcomer", "nobody-at-all", "octo-org"] {
        let path = format!("/users/{login}/installation");
        let jwt = app_jwt(&claims(&running.clock));
        let theirs = running.directly(&path, &format!("Bearer {jwt}")).await;
        let ours = as_app(&running, &path).await;
        assert_eq!((ours.status, &ours.body), (theirs.status, &theirs.body), "{login}");
        assert_eq!(ours.header("x-github-media-type"), theirs.header("x-github-media-type"), "{login}");
        let found = matches!(login, "octocat" | "Big-Installation");
        assert_eq!(ours.status, if found { StatusCode::OK } else { StatusCode::NOT_FOUND }, "{login}");
    }
}

#[tokio::test]
async fn every_issuer_that_github_takes_is_the_app() {
    let running = start().await;
    for issuer in [json!(SANDBOX_CLIENT_ID), json!(SANDBOX_APP_ID), json!(SANDBOX_APP_ID.to_string())] {
        let jwt = app_jwt(&with(&running.clock, "iss", issuer.clone()));
        for header in [format!("Bearer {jwt}"), format!("bearer {jwt}")] {
            let answer = running.get(OWN).header("Authorization", &header).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{issuer}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_apps_jwt_opens_no_other_route() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mapping = format!("/api/users/{}/installations", user.user_id);
    for path in [&*mapping, "/api/user/installations?provider=github", "/api/user/repositories", "/api/keys"]
    {
        assert_eq!(as_app(&running, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_jwt_that_breaks_a_rule_is_401_in_githubs_words_and_github_is_not_asked() {
    let running = start().await;
    let now = running.clock.unix();
    let good = claims(&running.clock);
    let with = |name, value| app_jwt(&with(&running.clock, name, value));
    let header = |algorithm| json!({"alg": algorithm, "typ": "JWT"});

    let none = unsigned_jwt(&header("none"), &good);
    let symmetric = unsigned_jwt(&header("HS256"), &good);
    let key = hmac::Key::new(hmac::HMAC_SHA256, PUBLIC_KEY.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, symmetric.as_bytes()));
    let valid = app_jwt(&good);
    let (signed, signature) = valid.rsplit_once('.').unwrap();
    let other_claims = with("iss", json!("Iv23liSomebodyElse"));
    let swapped = format!("{}.{signature}", other_claims.rsplit_once('.').unwrap().0);
    for (jwt, rule) in [
        (format!("{none}."), UNDECODABLE),
        (format!("{none}.{signature}"), UNDECODABLE),
        (format!("{symmetric}.{tag}"), ALGORITHM),
        (jwt_signed_with(OTHER_KEY, &header("RS256"), &good), UNDECODABLE),
        (format!("{signed}."), UNDECODABLE),
        (swapped, UNDECODABLE),
        (with("iss", json!("Iv23liSomebodyElse")), ISSUER),
        (with("iss", json!(SANDBOX_APP_ID + 1)), ISSUER),
        (with("iss", json!([SANDBOX_CLIENT_ID])), ISSUER),
        (with("iss", Value::Null), NO_ISSUER),
        (with("exp", Value::Null), EXPIRY),
        (with("exp", json!(now - 1)), EXPIRY),
        (with("exp", json!((now + 100).to_string())), EXPIRY),
        (with("exp", json!(now + 3_600)), FAR),
        (with("exp", json!(i64::MAX)), FAR),
        (with("iat", json!(now + 300)), ISSUED),
        (with("iat", Value::Null), ISSUED),
        ("eyJhbGciOiJSUzI1NiJ9.bm90IEpTT04.c2ln".to_owned(), UNDECODABLE),
        ("rubbish.rubbish.rubbish".to_owned(), UNDECODABLE),
        ("..".to_owned(), UNDECODABLE),
        (format!("{signed}.{}", "A".repeat(8 * 1024)), "The JSON web token is too long"),
    ] {
        let answer = running.get(OWN).bearer(&jwt).send().await;
        let shown = jwt.get(..60).unwrap_or(&jwt);
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{shown}: {answer:?}");
        assert_eq!(github_message(&answer), rule, "{shown}");
    }
    for no_jwt in ["a.b", "a.b.c.d", "ghu_a.b", "."] {
        let answer = running.get(OWN).bearer(no_jwt).send().await;
        assert_eq!((answer.status, &*github_message(&answer)), (StatusCode::UNAUTHORIZED, "Bad credentials"));
    }
    assert_eq!(running.paths(), [""; 0]);
    assert_eq!(
        reads(&running),
        1,
        "a wrong signature reads the secret again, not more than every ten seconds"
    );
    assert_eq!(as_app(&running, OWN).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_jwt_of_a_key_that_was_added_a_minute_ago_is_the_apps() {
    let running = start().await;
    assert_eq!(as_app(&running, OWN).await.status, StatusCode::OK);
    let both = json!([local::stack::SANDBOX_PRIVATE_KEY, OTHER_KEY]);
    running.stack.secrets.set(GITHUB_APP_SECRET, &secret_with(&both));
    running.wait(11);
    let jwt = jwt_signed_with(OTHER_KEY, &json!({"alg": "RS256"}), &claims(&running.clock));
    let answer = running.get(OWN).bearer(&jwt).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn our_clock_being_off_is_repaired_with_one_retry_and_remembered() {
    for (github_ahead, we_ahead) in [(1_200, 0), (0, 1_200)] {
        let github_clock = Clock::system();
        github_clock.advance(Duration::from_secs(github_ahead));
        let running = Setup { github_clock: Some(github_clock), ..Setup::default() }.start().await;
        running.wait(we_ahead);
        let answer = as_app(&running, OWN).await;
        assert_eq!(answer.status, StatusCode::OK, "{github_ahead} {we_ahead}: {answer:?}");
        let statuses: Vec<_> = running.github().calls().iter().map(|call| call.status).collect();
        assert_eq!(statuses, [Some(StatusCode::UNAUTHORIZED), Some(StatusCode::OK)]);

        running.github().clear_calls();
        assert_eq!(as_app(&running, OWN).await.status, StatusCode::OK);
        running.wait(500);
        assert_eq!(as_app(&running, "/users/big-installation/installation").await.status, StatusCode::OK);
        let statuses: Vec<_> = running.github().calls().iter().map(|call| call.status).collect();
        assert_eq!(statuses.first(), Some(&Some(StatusCode::NOT_MODIFIED)), "remembered");
    }
}

#[tokio::test]
async fn our_jwts_stay_good_however_much_time_passes() {
    let running = start().await;
    for _ in 0..4 {
        assert_eq!(as_app(&running, OWN).await.status, StatusCode::OK);
        running.wait(400);
    }
    let refused =
        |call: &local::sandbox_github::Call| call.status.is_none_or(|status| status.is_client_error());
    assert_eq!(running.github().calls().iter().filter(|call| refused(call)).count(), 0);
    assert!(running.github().calls().iter().all(|call| call.authorization == AuthorizationKind::Jwt));
}

#[tokio::test]
async fn one_jwt_is_used_for_many_calls() {
    let running = start().await;
    let first = as_app(&running, OWN).await;
    let second = as_app(&running, OWN).await;
    // GitHub's ETag is made of the Authorization header too (reference: GitHub 1.6).
    assert!(first.header("etag").is_some());
    assert_eq!(first.header("etag"), second.header("etag"));
    running.wait(500);
    assert_ne!(as_app(&running, OWN).await.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn a_key_that_was_replaced_is_read_again_once_and_the_call_succeeds() {
    let running = start().await;
    running.stack.secrets.set(GITHUB_APP_SECRET, &secret_with(&json!(OTHER_KEY)));
    let user = running.sign_in("octocat").await;
    running.stack.functions["github-user-installation"].github_app.credentials().await.unwrap();
    let before = reads(&running);
    running.stack.secrets.set(GITHUB_APP_SECRET, &sandbox_app_secret());
    running.wait(11);
    let answer = running.get(OWN).api_key(&user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(reads(&running), before + 1);
    assert_eq!(running.paths(), [OWN, OWN]);
    running.github().clear_calls();
    assert_eq!(running.get(OWN).api_key(&user).send().await.status, StatusCode::OK);
    assert_eq!((running.paths().len(), reads(&running)), (1, before + 1));
}

#[tokio::test]
async fn while_two_keys_are_in_the_secret_the_one_that_github_knows_is_found() {
    let running = start().await;
    let both = json!([OTHER_KEY, local::stack::SANDBOX_PRIVATE_KEY]);
    running.stack.secrets.set(GITHUB_APP_SECRET, &secret_with(&both));
    let user = running.sign_in("octocat").await;
    for calls in [2, 1, 1] {
        running.github().clear_calls();
        let answer = running.get(OWN).api_key(&user).send().await;
        assert_eq!((answer.status, running.paths().len()), (StatusCode::OK, calls), "{answer:?}");
    }
}

#[tokio::test]
async fn a_key_that_github_does_not_know_is_our_failure_and_not_the_users() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    assert_eq!(running.get(OWN).api_key(&user).send().await.status, StatusCode::OK);
    running.stack.secrets.set(GITHUB_APP_SECRET, &secret_with(&json!(OTHER_KEY)));
    running.wait(301);
    let before = reads(&running);
    for _ in 0..5 {
        let answer = running.get(OWN).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "never 401: {answer:?}");
        assert_eq!(github_message(&answer), "The service failed to answer. The cause is in its log.");
        assert_eq!(answer.header("age"), None, "no copy in place of a refusal");
    }
    // The key that seals tokens is not looked at here.
    assert_eq!(reads(&running), before + 1, "not more than every ten seconds");
    running.wait(11);
    running.get(OWN).api_key(&user).send().await;
    assert_eq!(reads(&running), before + 2);
    running.stack.secrets.set(GITHUB_APP_SECRET, &sandbox_app_secret());
    running.wait(11);
    assert_eq!(running.get(OWN).api_key(&user).send().await.status, StatusCode::OK, "without a restart");
}
