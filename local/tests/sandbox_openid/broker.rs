//! The broker: whose tokens it hands out, in which form, how long, and in which words it refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use local::other_hosts::{CLIENT_ID, CLIENT_SECRET};
use local::sandbox_openid::{AuthorizeRequest, SAML_ALIAS, demo_world};
use local::stack::{GithubChoice, OAUTH_CLIENTS_SECRET, Options, Stack};
use serde_json::{Value, json};
use shared::clock::Clock;

use super::lab::{CHALLENGE, CLIENT, Lab, Tokens, VERIFIER, http_client, parameter, parts};

fn fields(form: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn github_tokens_come_as_a_form_and_the_others_as_json() {
    let lab = Lab::new().await;
    let access = lab.sign_in("sso-cat").await;
    let access = access.access();
    let github = lab.broker("github", access).await;
    assert_eq!(github.header(CONTENT_TYPE), "application/x-www-form-urlencoded");
    let form = fields(&github.body);
    assert!(form["access_token"].starts_with("Github/octocat/"), "{form:?}");
    assert_eq!((&*form["token_type"], &*form["scope"]), ("bearer", ""));
    assert_eq!((&*form["expires_in"], &*form["refresh_token_expires_in"]), ("7200", "15897600"));
    assert!(form.contains_key("refresh_token"));

    let now = lab.clock.unix();
    let gitlab = lab.broker("gitlab", access).await;
    assert_eq!(gitlab.header(CONTENT_TYPE), "application/json");
    let gitlab = gitlab.json();
    assert!(gitlab["access_token"].as_str().unwrap().starts_with("Gitlab/gitlab-cat/"));
    assert!((now + 7_195..=now + 7_205).contains(&gitlab["accessTokenExpiration"].as_i64().unwrap()));
    let bitbucket = lab.broker("bitbucket", access).await.json();
    assert!(bitbucket["access_token"].as_str().unwrap().starts_with("Bitbucket/bitbucket-cat/"));
    assert!(bitbucket.get("accessTokenExpiration").is_none());
    for (name, value) in [("expires_in", json!(7_200)), ("token_type", json!("bearer"))] {
        assert_eq!((&gitlab[name], &bitbucket[name]), (&value, &value));
    }
}

#[tokio::test]
async fn a_token_is_kept_until_it_expires_or_is_forgotten() {
    let lab = Lab::new().await;
    let token = async || {
        let access = lab.sign_in("sso-cat").await;
        lab.broker("gitlab", access.access()).await.json()["access_token"].as_str().unwrap().to_owned()
    };
    let first = token().await;
    assert_eq!(token().await, first);
    lab.sandbox.forget_brokered("sso-cat", "github");
    assert_eq!(token().await, first);
    lab.sandbox.forget_brokered("sso-cat", "gitlab");
    let second = token().await;
    assert_ne!(second, first);
    lab.clock.advance(Duration::from_secs(7_201));
    let third = token().await;
    assert_ne!(third, second);
    lab.sandbox.forget_all_brokered("gitlab");
    let fourth = token().await;
    assert_ne!(fourth, third);
    lab.sandbox.refresh_brokered(false);
    lab.clock.advance(Duration::from_secs(7_201));
    assert_eq!(token().await, fourth, "expired, and handed out for ever");
    lab.sandbox.refresh_brokered(true);
    assert_ne!(token().await, fourth);
}

#[tokio::test]
async fn who_asks_needs_an_access_token_that_still_opens() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    for bad in ["", "nonsense", tokens.id(), tokens.refresh()] {
        let refused = lab.broker("gitlab", bad).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.json(), json!({ "errorMessage": "Invalid token." }));
    }
    lab.clock.advance(Duration::from_secs(301));
    assert_eq!(lab.broker("gitlab", tokens.access()).await.status, StatusCode::UNAUTHORIZED, "expired");
    let tokens = lab.sign_in("sso-cat").await;
    lab.sandbox.end_sessions("sso-cat");
    assert_eq!(lab.broker("gitlab", tokens.access()).await.status, StatusCode::UNAUTHORIZED, "ended");

    let lab = Lab::with(demo_world(), |options| options.broker_unauthorized = StatusCode::BAD_REQUEST).await;
    assert_eq!(lab.broker("gitlab", "nonsense").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_refuses_in_keycloaks_words() {
    let lab = Lab::new().await;
    let ask = async |username: &str, alias: &str| {
        let tokens = lab.sign_in(username).await;
        let sub = parts(tokens.id()).1["sub"].as_str().unwrap().to_owned();
        let answer = lab.broker(alias, tokens.access()).await;
        let message = answer.json()["errorMessage"].as_str().unwrap().replace(&sub, "SUB");
        (answer.status.as_u16(), message)
    };
    let unsupported = |alias: &str| format!("Identity Provider [{alias}] does not support this operation.");
    let missing = |alias: &str| format!("User [SUB] is not associated with identity provider [{alias}].");
    assert_eq!(ask("sso-plain", "github").await, (400, missing("github")));
    assert_eq!(ask("sso-dev", "bitbucket").await, (400, missing("bitbucket")));
    assert_eq!(ask("sso-saml", SAML_ALIAS).await, (400, unsupported(SAML_ALIAS)));
    assert_eq!(ask("sso-saml", "gitlab").await, (400, missing("gitlab")));
    let role =
        format!("Client [{CLIENT}] not authorized to retrieve tokens from identity provider [gitlab].");
    assert_eq!(ask("sso-no-role", "gitlab").await, (403, role));
    let none = "No token stored for user [SUB] with associated identity provider [gitlab].";
    assert_eq!(ask("sso-gone", "gitlab").await, (404, none.to_owned()));

    lab.sandbox.world(|world| world.providers.get_mut("github").unwrap().stores_tokens = false);
    assert_eq!(ask("sso-cat", "github").await, (400, unsupported("github")));
    let tokens = lab.sign_in("sso-cat").await;
    let unknown = lab.broker("nowhere", tokens.access()).await;
    assert_eq!(unknown.status, StatusCode::BAD_GATEWAY);
    assert!(unknown.body.starts_with("<!DOCTYPE html>"));
}

async fn stack(clock: &Clock) -> Stack {
    let github = GithubChoice::Sandbox(Box::new(local::sandbox_github::demo_world()));
    Stack::start(Options {
        port: 0,
        database: None,
        github_state: None,
        token_keys: r#"{"current":"k1","keys":{"k1":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}"#
            .to_owned(),
        github,
        other_hosts: true,
        gitlab_state: None,
        openid_state: None,
        front: None,
        latency: Duration::ZERO,
        webhooks: false,
        clock: clock.clone(),
        github_clock: clock.clone(),
        settings: BTreeMap::new(),
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn in_a_stack_brokered_tokens_open_the_other_sandboxes() {
    let _watch = crate::secret_watch::Guard::new();
    let clock = Clock::system();
    let stack = stack(&clock).await;
    let hosts = stack.other_hosts.as_ref().unwrap();
    let issuer = hosts.openid.issuer();
    assert_eq!(stack.endpoints()["openid_issuer"], issuer);
    let secret: Value = serde_json::from_str(&hosts.clients_secret()).unwrap();
    let expected = json!({
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "broker": { "github": "github", "gitlab": "gitlab", "bitbucket": "bitbucket" },
    });
    assert_eq!(secret["enterprise_sso"], expected);
    assert_eq!(stack.settings["OAUTH_CLIENTS_SECRET_ID"], OAUTH_CLIENTS_SECRET);

    let http = http_client();
    let callback = format!("{}/auth/enterprise_sso/callback", stack.url);
    let request = AuthorizeRequest {
        client_id: CLIENT_ID.to_owned(),
        redirect_uri: callback.clone(),
        response_type: "code".to_owned(),
        scope: "openid".to_owned(),
        code_challenge: Some(CHALLENGE.to_owned()),
        code_challenge_method: Some("S256".to_owned()),
        ..AuthorizeRequest::default()
    };
    let code = parameter(&hosts.openid.authorize("sso-cat", &request).unwrap(), "code").unwrap();
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("code", &code),
            ("redirect_uri", &callback),
            ("code_verifier", VERIFIER),
        ])
        .finish();
    let answer = http.post(format!("{issuer}/protocol/openid-connect/token")).body(body);
    let answer = answer.header(CONTENT_TYPE, "application/x-www-form-urlencoded").send().await.unwrap();
    let tokens = Tokens(serde_json::from_str(&answer.text().await.unwrap()).unwrap());

    let get = async |url: String, token: &str| {
        // GitHub answers nobody who does not say who calls.
        let request =
            http.get(url).header(AUTHORIZATION, format!("Bearer {token}")).header(USER_AGENT, "test");
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let brokered = async |alias: &str| get(format!("{issuer}/broker/{alias}/token"), tokens.access()).await.1;
    let github = fields(&brokered("github").await)["access_token"].clone();
    let api = stack.github.as_ref().unwrap().api_url();
    let (status, installations) = get(format!("{api}/user/installations"), &github).await;
    let installations: Value = serde_json::from_str(&installations).unwrap();
    assert_eq!((status, &installations["total_count"]), (200, &json!(4)));
    for (alias, url) in [
        ("gitlab", format!("{}/api/v4/user", hosts.gitlab.url())),
        ("bitbucket", format!("{}/user", hosts.bitbucket.api_url())),
    ] {
        let stored: Value = serde_json::from_str(&brokered(alias).await).unwrap();
        let (status, user) = get(url, stored["access_token"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{user}");
        assert!(user.contains(&format!("{alias}-cat")), "{user}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn every_account_of_the_demo_world_is_known_where_it_is_brokered() {
    let clock = Clock::system();
    let stack = stack(&clock).await;
    let hosts = stack.other_hosts.as_ref().unwrap();
    let users = hosts.openid.world(|world| world.users.clone());
    let mut seen = 0;
    for (alias, login) in users.iter().flat_map(|user| &user.accounts) {
        let known = match alias.as_str() {
            "github" => stack.github.as_ref().unwrap().try_mint_user_token(login).is_ok(),
            "gitlab" => hosts.gitlab.try_mint_user_token(login).is_ok(),
            "bitbucket" => hosts.bitbucket.try_mint_user_token(login).is_ok(),
            _ => continue,
        };
        assert_eq!(known, login != "deleted-account", "{alias}: {login}");
        seen += 1;
    }
    assert!(seen > 9, "{seen}");
    stack.stop().await;
}
