//! What is printed with `{:?}` ends in a log one day, so no value that holds a secret shows it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use http::HeaderMap;
use local::data_folder::{DemoUser, Ready};
use local::stack::{GithubChoice, Options, SANDBOX_CLIENT_SECRET, SANDBOX_PRIVATE_KEY, sandbox_app_secret};
use secrecy::ExposeSecret as _;
use shared::clock::Clock;
use shared::config::Config;
use shared::github_app::AppCredentials;
use shared::identity::sealing::{Aad, KeyRing};
use shared::identity::sign_in::{self, Callback, Lasting, StartedBy};
use shared::provider::ProviderType;
use shared::provider::token::{FixedToken, TokenSource as _};
use shared::provider::upstream::{Budget, Call};
use shared::secrets::FromSecret as _;

use crate::harness::secret_watch::finder::{Known, leaks};
use crate::harness::{TOKEN_KEYS, start};

/// Both forms of `{:?}`.
fn assert_quiet(known: &Known, what: &str, value: &dyn Debug) {
    let printed = format!("{value:?}\n{value:#?}");
    let leaks = leaks(&printed, known);
    assert!(leaks.is_empty(), "{what}:\n{}", leaks.join("\n"));
}

fn of_the_app() -> Known {
    let mut known = Known::default();
    known.add(SANDBOX_CLIENT_SECRET);
    known.add("sandbox-webhook-secret");
    known.add_pem(SANDBOX_PRIVATE_KEY);
    known.add("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    known
}

#[test]
fn settings_and_secrets_print_nothing_secret() {
    let mut known = of_the_app();
    let variables = BTreeMap::from([
        ("TABLE_NAME", "t"),
        ("GITHUB_APP_SECRET_ID", "a"),
        ("TOKEN_KEYS_SECRET_ID", "k"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret-access-key"),
        ("AWS_SESSION_TOKEN", "the-session-token"),
    ]);
    known.add("the-secret-access-key");
    known.add("the-session-token");
    let config = Config::from_lookup(|name| variables.get(name).map(|value| (*value).to_owned())).unwrap();
    assert_quiet(&known, "Config", &config);
    let credentials = AppCredentials::from_secret(&sandbox_app_secret()).unwrap();
    assert_quiet(&known, "AppCredentials", &credentials);
    for key in credentials.private_keys() {
        assert_quiet(&known, "PrivateKey", key);
    }
    let ring = KeyRing::from_secret(TOKEN_KEYS).unwrap();
    assert_quiet(&known, "KeyRing", &ring);
    let aad = Aad { table: "t", user: "u", provider: ProviderType::Github, kind: "access", version: 1 };
    known.add("ghu_sealed_token");
    let sealed = ring.seal(&aad, &"ghu_sealed_token".into()).unwrap();
    assert_quiet(&known, "an opened token", &ring.open(&aad, &sealed).unwrap());
}

#[tokio::test]
async fn what_a_request_works_with_prints_nothing_secret() {
    let mut known = of_the_app();
    let running = start().await;
    let user = running.sign_in("octocat").await;
    known.add(&user.api_key);
    known.add(&user.session_cookie);
    let service = &running.stack.service;
    let jwt = service.github_app.jwt().await.unwrap();
    known.add(jwt.token().expose_secret());
    assert_quiet(&known, "IssuedJwt", &jwt);
    assert_quiet(&known, "OauthClient", &service.oauth_client(ProviderType::Github).await.unwrap());
    let token = running.github().mint_user_token("octocat");
    known.add(&token.access_token);
    known.add(&token.refresh_token);
    let fixed = FixedToken::forwarded(token.access_token.clone().into());
    assert_quiet(&known, "FixedToken", &fixed);
    assert_quiet(&known, "AccessToken", &fixed.token().await.unwrap());
    let public_url = running.stack.url.parse().unwrap();
    let budget = Budget::new(tokio::time::Instant::now() + Duration::from_secs(5), 1);
    let from = StartedBy { user: None, return_to: "/", lasting: Lasting::WithSession };
    let started =
        sign_in::start(service, ProviderType::Github, &public_url, from, &budget).await.unwrap().unwrap();
    known.add(started.cookie.value());
    assert_quiet(&known, "Started", &started);
    let callback = Callback {
        code: Some("the-code-of-github".into()),
        state: Some("the-state-of-ours".into()),
        error: None,
        issuer: None,
    };
    known.add("the-code-of-github");
    known.add("the-state-of-ours");
    assert_quiet(&known, "Callback", &callback);
    let headers = HeaderMap::from_iter([(
        http::header::AUTHORIZATION,
        format!("Bearer {}", token.access_token).parse().unwrap(),
    )]);
    let call = Call {
        method: http::Method::POST,
        url: public_url,
        headers,
        body: Some("the-code-of-github".into()),
    };
    assert_quiet(&known, "Call", &call);
    assert_quiet(&known, "Service", service);
    assert_quiet(&known, "SandboxGithub's tokens", &token);
}

#[test]
fn what_cargo_run_works_with_prints_nothing_secret() {
    let mut known = of_the_app();
    let user = DemoUser {
        user_id: "usr_01M7XT5HJNKV9FDM3HPZ9WD9YB".to_owned(),
        api_key: "gik_the-api-key".to_owned(),
        session_cookie: "the-session-cookie".to_owned(),
    };
    known.add(&user.api_key);
    known.add(&user.session_cookie);
    assert_quiet(&known, "DemoUser", &user);
    let ready =
        Ready { url: "http://localhost:3000".to_owned(), demo_user: Some(user), endpoints: BTreeMap::new() };
    assert_quiet(&known, "Ready", &ready);
    let options = Options {
        port: 0,
        database: None,
        github_state: None,
        token_keys: TOKEN_KEYS.to_owned(),
        github: GithubChoice::Real(sandbox_app_secret()),
        latency: std::time::Duration::ZERO,
        webhooks: false,
        other_hosts: false,
        gitlab_state: None,
        openid_state: None,
        front: None,
        clock: Clock::system(),
        github_clock: Clock::system(),
        settings: BTreeMap::new(),
    };
    assert_quiet(&known, "Options", &options);
}
