//! The console: its page, its API, and who may use them.

use http::StatusCode;
use http::header::{HOST, ORIGIN};
use serde_json::{Value, json};

use super::lab::{Answer, Lab, parts};

async fn post(lab: &Lab, path: &str, body: &str) -> Answer {
    lab.send(lab.http.post(format!("{}{path}", lab.sandbox.console_url())).body(body.to_owned())).await
}

#[tokio::test]
async fn the_page_shows_users_and_keys_and_its_buttons_work() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    let first = lab.broker("gitlab", tokens.access()).await.body;
    let url = lab.sandbox.console_url();
    let page = lab.get(&format!("{url}/")).await.body;
    let kid = parts(tokens.id()).0["kid"].as_str().unwrap().to_owned();
    for text in [
        &*kid,
        "sso-cat <small>1 sessions</small>",
        "Rotate keys, drop the old ones",
        "Log out everywhere (back-channel)",
        "End broker token",
        "/sandbox/api/keys/rotate",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let press = async |fields: &[(&str, &str)]| {
        let answer = lab.send(lab.form(&format!("{url}/"), fields).header(ORIGIN, &url)).await;
        assert_eq!(answer.location(), "/");
    };
    press(&[("what", "forget"), ("username", "sso-cat"), ("alias", "gitlab")]).await;
    assert_ne!(lab.broker("gitlab", tokens.access()).await.body, first);
    press(&[("what", "logout"), ("username", "sso-cat")]).await;
    assert!(!lab.opens(tokens.access()).await);
    assert_eq!(lab.inbox.tokens().len(), 1);
    press(&[("what", "rotate")]).await;
    assert!(lab.verified(tokens.id()).await.is_some());
    press(&[("what", "replace")]).await;
    assert!(lab.verified(tokens.id()).await.is_none());
}

#[tokio::test]
async fn scripts_do_the_same_and_are_told_what_is_wrong() {
    let lab = Lab::new().await;
    lab.sign_in("sso-cat").await;
    lab.sign_in("sso-cat").await;
    let get = async |path: &str| lab.get(&format!("{}{path}", lab.sandbox.console_url())).await.json();
    let users = get("/sandbox/api/users").await;
    let cat = users.as_array().unwrap().iter().find(|user| user["username"] == "sso-cat").unwrap();
    assert_eq!(cat["accounts"]["github"], "octocat");
    let sessions = get("/sandbox/api/sessions").await;
    let names: Vec<&Value> = sessions.as_array().unwrap().iter().map(|one| &one["username"]).collect();
    assert_eq!(names, ["sso-cat", "sso-cat"]);

    let ended = post(&lab, "/sandbox/api/users/sso-cat/logout", "").await;
    assert_eq!((ended.json(), lab.inbox.tokens().len()), (json!({ "ended": 2 }), 2));
    let rotated = post(&lab, "/sandbox/api/keys/rotate", r#"{"algorithm":"RS256","keep_old":false}"#).await;
    assert_eq!(rotated.json()["kid"], parts(lab.sign_in("sso-cat").await.id()).0["kid"]);
    let forgotten = post(&lab, "/sandbox/api/users/sso-cat/broker/github/forget", "").await;
    assert_eq!(forgotten.status, StatusCode::NO_CONTENT);
    for (path, body, status) in [
        ("/sandbox/api/users/nobody/logout", "", 404),
        ("/sandbox/api/users/sso-cat/broker/nowhere/forget", "", 404),
        ("/sandbox/api/keys/rotate", r#"{"algorithm":"HS256"}"#, 400),
        ("/sandbox/api/keys/rotate", r#"{"other":1}"#, 400),
    ] {
        let refused = post(&lab, path, body).await;
        assert_eq!(refused.status.as_u16(), status, "{path} {body}");
        assert!(refused.json()["message"].is_string());
    }
}

#[tokio::test]
async fn pages_from_elsewhere_can_do_nothing_here() {
    let lab = Lab::new().await;
    lab.sign_in("sso-cat").await;
    let url = lab.sandbox.console_url();
    let foreign = lab.http.post(format!("{url}/sandbox/api/users/sso-cat/logout"));
    let foreign = lab.send(foreign.header(ORIGIN, "https://evil.example.com")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let rebound = lab.send(lab.http.get(format!("{url}/")).header(HOST, "evil.example.com")).await;
    assert_eq!(rebound.status, StatusCode::FORBIDDEN);
    assert_eq!(lab.sandbox.sessions("sso-cat"), 1);
}
