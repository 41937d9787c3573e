//! The App itself: its JSON web tokens, its installations, their tokens.
//! What users see is tested in `visibility`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::sandbox_github::Target;
use reqwest::Method;
use serde_json::{Value, json};

use super::lab::{Lab, UNDECODED, jwt};

#[tokio::test]
async fn a_jwt_is_refused_in_githubs_words() {
    let lab = Lab::new().await;
    let now = lab.clock.unix();
    let claims =
        |iss: Value, iat: i64, exp: i64| jwt(&json!({"iss": iss, "iat": now + iat, "exp": now + exp}));
    let expired = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    let issued =
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    let good = claims(json!("Iv1.sandbox"), -60, 540);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let claims_only = head.split('.').nth(1).unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for (token, status, message) in [
        (good.clone(), 200, ""),
        (claims(json!("4242"), -60, 540), 200, ""),
        (claims(json!(4242), -60, 540), 200, ""),
        (claims(json!(4242), -60, 700), 401, "'Expiration time' claim ('exp') is too far in the future"),
        (claims(json!(4242), -60, -1), 401, expired),
        (claims(json!(4242), 60, 540), 401, issued),
        (claims(json!("Iv1.other"), -60, 540), 404, "Integration not found"),
        (format!("Bearer {none}.{claims_only}."), 401, UNDECODED),
        (format!("{head}.{}", signature.chars().rev().collect::<String>()), 401, UNDECODED),
        (good.replace("Bearer", "token"), 401, UNDECODED),
        (lab.token("octocat"), 401, UNDECODED),
    ] {
        let reply = lab.get("/app", &token).await;
        assert_eq!(reply.status, status, "{message}: {}", reply.body);
        if status != 200 {
            assert_eq!(reply.message(), message);
        }
    }
    assert_eq!(lab.api("/app", &[]).await.message(), UNDECODED);
    assert_eq!(lab.get("/user", &good).await.status, 401);
    assert_eq!(lab.get("/user/installations", &good).await.status, 403);
}

#[tokio::test]
async fn the_app_finds_a_users_installation_by_the_current_login_only() {
    let lab = Lab::new().await;
    let found = lab.get("/users/OctoCat/installation", &lab.jwt()).await.json();
    assert_eq!(found["account"]["login"], "octocat");
    assert_eq!(found["app_id"], 4242);
    assert_eq!(found["client_id"], "Iv1.sandbox");
    for absent in ["octo-org", "nobody", "newcomer", "..%2forgs", "a%3fb"] {
        let reply = lab.get(&format!("/users/{absent}/installation"), &lab.jwt()).await;
        assert_eq!((reply.status.as_u16(), reply.message()), (404, "Not Found".to_owned()), "{absent}");
    }
    assert_eq!(
        lab.get("/orgs/octo-org/installation", &lab.jwt()).await.json()["target_type"],
        "Organization"
    );
    lab.github.world(|world| {
        let octocat = world.user("octocat").unwrap().id;
        world.rename(octocat, "renamed-octocat");
    });
    assert_eq!(lab.get("/users/octocat/installation", &lab.jwt()).await.status, 404);
    let by_id = lab.get(&format!("/app/installations/{}", found["id"]), &lab.jwt()).await;
    assert_eq!(by_id.json()["account"]["login"], "renamed-octocat");
}

#[tokio::test]
async fn installations_changed_since_are_listed_as_a_bare_array() {
    let lab = Lab::new().await;
    let all = lab.get("/app/installations?per_page=100", &lab.jwt()).await.json();
    assert_eq!(
        lab.get("/app", &lab.jwt()).await.json()["installations_count"],
        all.as_array().unwrap().len()
    );
    let since = "/app/installations?since=2025-01-01T00:00:00Z";
    assert_eq!(lab.get(since, &lab.jwt()).await.json(), json!([]));
    let octo_org = lab.installation_of("octo-org");
    lab.github.world(|world| {
        let owner = world.user("octocat").unwrap().id;
        let id = world.organization("octo-org").unwrap().id;
        let installation = world.installation_on(Target::Account(id)).unwrap().id;
        world.suspend(installation, owner);
    });
    let changed = lab.get(since, &lab.jwt()).await.json();
    assert_eq!(changed[0]["id"], octo_org);
    assert_eq!(changed[0]["suspended_by"]["login"], "octocat");
}

#[tokio::test]
async fn installation_tokens_reach_what_they_were_narrowed_to() {
    let lab = Lab::new().await;
    let create = async |id: u64, body: &str| {
        let url = format!("{}/app/installations/{id}/access_tokens", lab.github.api_url());
        let jwt = lab.jwt();
        let headers = [("authorization", jwt.as_str()), ("x-github-stateless-s2s-token", "enabled")];
        lab.send(Method::POST, url, &headers, body.to_owned()).await
    };
    let octo_org = lab.installation_of("octo-org");
    let whole = create(octo_org, "").await;
    assert_eq!(whole.status, 201);
    let token = whole.json()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("ghs_4242_eyJ") && token.len() > 500);
    let reached = lab.get("/installation/repositories", &format!("token {token}")).await;
    assert_eq!(reached.names(), ["octo-org/api", "octo-org/web", "octo-org/docs"]);
    let narrow =
        create(octo_org, r#"{"repositories":["web"],"permissions":{"contents":"read"}}"#).await.json();
    assert_eq!(narrow["permissions"], json!({"contents": "read"}));
    let token = format!("token {}", narrow["token"].as_str().unwrap());
    assert_eq!(lab.get("/installation/repositories", &token).await.names(), ["octo-org/web"]);
    assert_eq!(lab.get("/user", &token).await.status, 403);
    assert_eq!(create(octo_org, r#"{"repositories":["not-selected"]}"#).await.status, 422);
    assert_eq!(create(octo_org, r#"{"permissions":{"contents":"write"}}"#).await.status, 422);
    assert_eq!(create(octo_org, "{").await.status, 400);
    assert_eq!(create(1, "").await.status, 404);
    let suspended = create(lab.installation_of("octo-labs"), "").await;
    assert_eq!(
        (suspended.status.as_u16(), suspended.message().as_str()),
        (403, "This installation has been suspended")
    );
    lab.clock.advance(Duration::from_secs(3_601));
    assert_eq!(lab.get("/installation/repositories", &token).await.status, 401);
}
