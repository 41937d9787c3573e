//! The end of sessions: at a client's request, after a question, by a refresh token, and over the back channel.

use std::time::Duration;

use http::StatusCode;
use http::header::{COOKIE, SET_COOKIE};
use local::sandbox_openid::LogoutError;
use serde_json::json;
use url::Url;

use super::lab::{CLIENT, HOME, Lab, SECRET, parameter, parts};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn logout_url(lab: &Lab, fields: &[(&str, &str)]) -> String {
    Url::parse_with_params(&lab.url("/logout"), fields).unwrap().into()
}

#[tokio::test]
async fn a_hint_ends_its_session_and_tells_the_client_before_the_browser_returns() {
    let lab = Lab::new().await;
    let other = lab.sign_in("sso-cat").await;
    let tokens = lab.sign_in("sso-cat").await;
    // An ID token that has expired is a hint all the same.
    lab.clock.advance(Duration::from_secs(600));
    let tokens_now = lab.refresh(tokens.refresh()).await.json();
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", HOME), ("state", "x & y")];
    let answer = lab.get(&logout_url(&lab, &fields)).await;
    assert!(answer.location().starts_with(HOME));
    assert_eq!(parameter(answer.location(), "state").as_deref(), Some("x & y"));
    assert!(!lab.opens(tokens_now["access_token"].as_str().unwrap()).await);
    assert_eq!(
        lab.refresh(tokens_now["refresh_token"].as_str().unwrap()).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(lab.sandbox.sessions("sso-cat"), 1, "the other goes on");
    assert_eq!(lab.refresh(other.refresh()).await.status, StatusCode::OK);

    let told = lab.inbox.tokens();
    assert_eq!(told.len(), 1);
    let claims = lab.verified(&told[0]).await.unwrap();
    assert_eq!(parts(&told[0]).0["typ"], "logout+jwt");
    let (_, id) = parts(tokens.id());
    for name in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[name], id[name], "{name}");
    }
    assert_eq!(claims["events"], json!({ EVENT: {} }));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    assert!(claims["jti"].is_string() && claims.get("nonce").is_none());

    let again = lab.get(&logout_url(&lab, &fields)).await;
    assert!(again.location().starts_with(HOME), "a session that is over is no error");
    assert_eq!(lab.inbox.tokens().len(), 1);
}

#[tokio::test]
async fn only_registered_addresses_and_our_own_hints_are_taken() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    let hint = tokens.id();
    let forged = format!("{}x", &hint[..hint.len() - 1]);
    for fields in [
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "http://localhost:3000")],
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example.com/")],
        vec![("id_token_hint", hint), ("client_id", "second-client")],
        vec![("id_token_hint", hint), ("client_id", "nobody")],
        vec![("id_token_hint", &forged)],
        vec![("id_token_hint", tokens.access())],
        vec![("id_token_hint", "nonsense")],
        vec![("post_logout_redirect_uri", HOME)],
        vec![("client_id", CLIENT), ("post_logout_redirect_uri", "https://evil.example.com/")],
        vec![("id_token_hint", hint), ("id_token_hint", hint)],
    ] {
        let url = logout_url(&lab, &fields);
        let form = lab.form(&lab.url("/logout"), &fields);
        for answer in [lab.get(&url).await, lab.send(form).await] {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
            assert!(!answer.headers.contains_key("location"), "{fields:?}");
        }
    }
    assert!(lab.opens(tokens.access()).await && lab.inbox.tokens().is_empty());
    let posted = [("id_token_hint", hint), ("client_id", CLIENT)];
    let answer = lab.send(lab.form(&lab.url("/logout"), &posted)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("You are logged out") && !lab.opens(tokens.access()).await);
}

#[tokio::test]
async fn without_a_hint_the_person_is_asked_and_the_browsers_session_ends() {
    let lab = Lab::new().await;
    let chosen = lab.choose(&lab.authorize_url(&[]), ("choice", "sso-cat")).await;
    let cookie = chosen.header(SET_COOKIE).split(';').next().unwrap().to_owned();
    let fields = [("client_id", CLIENT), ("post_logout_redirect_uri", HOME), ("state", "s")];
    let page = lab.send(lab.http.get(logout_url(&lab, &fields)).header(COOKIE, &cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Do you want to log out?") && page.body.contains("name=\"confirmed\""));
    assert_eq!(lab.sandbox.sessions("sso-cat"), 1, "nothing happens before the answer");

    let confirmed = [&fields[..], &[("confirmed", "1")]].concat();
    let without = lab.send(lab.form(&lab.url("/logout"), &confirmed)).await;
    assert_eq!((without.status, lab.sandbox.sessions("sso-cat")), (StatusCode::FOUND, 1), "another browser");
    let answer = lab.send(lab.form(&lab.url("/logout"), &confirmed).header(COOKIE, &cookie)).await;
    assert_eq!(answer.location(), format!("{HOME}?state=s"));
    assert!(answer.header(SET_COOKIE).contains("Max-Age=0"));
    assert_eq!((lab.sandbox.sessions("sso-cat"), lab.inbox.tokens().len()), (0, 1));
}

#[tokio::test]
async fn a_refresh_token_ends_its_session_without_a_browser() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    let foreign =
        [("client_id", "second-client"), ("client_secret", SECRET), ("refresh_token", tokens.refresh())];
    assert_eq!(lab.send(lab.form(&lab.url("/logout"), &foreign)).await.status, StatusCode::NO_CONTENT);
    assert!(lab.opens(tokens.access()).await, "another client's");
    let unproved = [("client_id", CLIENT), ("refresh_token", tokens.refresh())];
    assert_eq!(lab.send(lab.form(&lab.url("/logout"), &unproved)).await.status, StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        let answer = lab.post("/logout", &[("refresh_token", tokens.refresh())]).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert!(!lab.opens(tokens.access()).await);
    assert_eq!(lab.inbox.tokens().len(), 1);
}

#[tokio::test]
async fn the_handle_ends_the_newest_session_and_tells_what_the_client_answered() {
    let lab = Lab::new().await;
    let older = lab.sign_in("sso-cat").await;
    let newer = lab.sign_in("sso-cat").await;
    assert_eq!(lab.sandbox.backchannel_logout("sso-cat").await.unwrap(), StatusCode::OK);
    assert!(lab.opens(older.access()).await && !lab.opens(newer.access()).await);
    assert_eq!(parts(&lab.inbox.tokens()[0]).1["sid"], newer.text("session_state"));
    lab.inbox.refuse();
    assert_eq!(lab.sandbox.backchannel_logout("sso-cat").await.unwrap(), StatusCode::BAD_REQUEST);
    let none = lab.sandbox.backchannel_logout("sso-cat").await;
    assert!(matches!(none, Err(LogoutError::NoSession(_))), "{none:?}");
    let nobody = lab.sandbox.backchannel_logout("nobody").await;
    assert!(matches!(nobody, Err(LogoutError::UnknownUser(_))), "{nobody:?}");

    lab.sign_in("sso-cat").await;
    lab.sign_in("sso-cat").await;
    let before = lab.inbox.tokens().len();
    assert_eq!(lab.sandbox.end_sessions("sso-cat"), 2);
    assert_eq!(lab.inbox.tokens().len(), before, "nobody is told");
}

#[tokio::test]
async fn logout_tokens_for_tests_are_signed_whatever_they_say() {
    let lab = Lab::new().await;
    lab.sign_in("sso-cat").await;
    let token = lab.sandbox.logout_token("sso-cat", |_, _| {}).unwrap();
    assert_eq!(lab.verified(&token).await.unwrap()["events"], json!({ EVENT: {} }));
    let token = lab.sandbox.logout_token("sso-cat", |header, claims| {
        header.insert("typ".to_owned(), json!("JWT"));
        claims.insert("nonce".to_owned(), json!("n"));
        claims.remove("sid");
    });
    let token = token.unwrap();
    let claims = lab.verified(&token).await.unwrap();
    assert_eq!((&parts(&token).0["typ"], &claims["nonce"]), (&json!("JWT"), &json!("n")));
    assert!(claims.get("sid").is_none());
    assert_eq!(
        (lab.sandbox.sessions("sso-cat"), lab.inbox.tokens().len()),
        (1, 0),
        "nothing was sent or ended"
    );
}
