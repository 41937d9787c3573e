//! The protocol against a small issuer on this machine: what it serves is up to each test.

mod broker;
mod discovery;
mod id_tokens;
mod issuer;
mod keys;
mod logout_tokens;
mod odd_documents;
mod signing;
mod tokens;
mod visits;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::provider::oauth::OauthClient;
use issuer::Host;
use signing::{Pair, signed};

const NONCE: &str = "n-0S6_WzA2Mj";
const CLIENT_ID: &str = "git:installations";
const SUBJECT: &str = "f1d2-ada";

const DISCOVERY: &str = "/realms/acme/.well-known/openid-configuration";
const KEYS: &str = "/realms/acme/keys";
const TOKEN: &str = "/realms/acme/token";

/// An issuer with a key and everything that the protocol needs, and our side of it.
struct World {
    host: Host,
    clock: Clock,
    sso: EnterpriseSso,
    client: SsoClient,
    key: Pair,
}

impl World {
    async fn new() -> Self {
        let (host, clock, key) = (Host::start().await, Clock::system(), Pair::es256("k1"));
        let client = client(&format!("{}/realms/acme", host.origin));
        let upstream = Upstream::new(crate::provider::upstream::http_client(&[]).unwrap());
        let sso = EnterpriseSso::new(upstream, clock.clone());
        let world = Self { host, clock, sso, client, key };
        world.host.serve_json(DISCOVERY, &world.discovery());
        world.serve_keys(&[&world.key]);
        world
    }

    fn discovery(&self) -> Value {
        let issuer = self.client.issuer.as_str();
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth?p=1"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "revocation_endpoint": format!("{issuer}/revoke"),
        })
    }

    fn serve_keys(&self, keys: &[&Pair]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.host.serve_json(KEYS, &json!({ "keys": keys }));
    }

    /// The claims of a good `id_token`.
    fn claims(&self) -> Value {
        let now = self.clock.unix();
        json!({
            "iss": self.client.issuer.as_str(),
            "sub": SUBJECT,
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": NONCE,
        })
    }

    /// The claims of a good `logout_token`.
    fn logout_claims(&self) -> Value {
        let now = self.clock.unix();
        json!({
            "iss": self.client.issuer.as_str(),
            "sub": SUBJECT,
            "sid": "session-1",
            "aud": [CLIENT_ID],
            "exp": now + 120,
            "iat": now,
            "jti": "jti-1",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
    }

    /// A sign-in to which the issuer gives this `id_token`.
    async fn sign_in(&self, id_token: &str) -> Result<SsoGrant, SsoError> {
        let grant = json!({
            "access_token": "at", "token_type": "Bearer", "expires_in": 300, "refresh_token": "rt",
            "id_token": id_token,
        });
        self.host.serve_json(TOKEN, &grant);
        self.exchange().await
    }

    async fn exchange(&self) -> Result<SsoGrant, SsoError> {
        self.sso
            .exchange_code(&self.client, "code", "https://us.example/cb", "verifier", NONCE, &budget())
            .await
    }

    async fn sign_in_with(&self, key: &Pair) -> Result<SsoGrant, SsoError> {
        self.sign_in(&key.token(&self.claims())).await
    }

    async fn log_out(&self, token: &str) -> Result<LogoutToken, SsoError> {
        self.sso.logout_token(&self.client, token, &budget()).await
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
    }
}

fn client(issuer: &str) -> SsoClient {
    let client = OauthClient { client_id: CLIENT_ID.to_owned(), client_secret: "s+c/r:t %".into() };
    let broker = BTreeMap::from([(ProviderType::Github, "github-acme".to_owned())]);
    SsoClient { issuer: issuer.parse().unwrap(), client, broker }
}

fn budget() -> Budget {
    Budget::new(Instant::now() + Duration::from_secs(10), 8)
}

const fn token<T>(problem: TokenProblem) -> Result<T, SsoError> {
    Err(SsoError::Token(problem))
}

#[test]
fn an_issuer_is_compared_as_text_and_its_document_is_below_its_path() {
    let issuer = |text: &str| text.parse::<Issuer>();
    let (plain, slash) = (issuer("https://sso.example").unwrap(), issuer("https://sso.example/").unwrap());
    assert_ne!(plain, slash);
    assert_eq!(slash.to_string(), "https://sso.example/");
    for (text, document) in [
        ("https://sso.example", "https://sso.example/.well-known/openid-configuration"),
        ("https://sso.example/", "https://sso.example/.well-known/openid-configuration"),
        ("https://sso.example/realms/a", "https://sso.example/realms/a/.well-known/openid-configuration"),
        ("https://sso.example/t/v2.0/", "https://sso.example/t/v2.0/.well-known/openid-configuration"),
        ("http://127.0.0.1:8080/r", "http://127.0.0.1:8080/r/.well-known/openid-configuration"),
    ] {
        assert_eq!(issuer(text).unwrap().discovery_url().as_str(), document, "{text}");
    }
    for text in [
        "",
        "sso.example",
        "http://sso.example",
        "ftp://sso.example",
        "https://u:hunter2@sso.example",
        "https://sso.example/?a=b",
        "https://sso.example/#a",
        "https://sso.example/a b",
        " https://sso.example",
    ] {
        let problem = issuer(text).unwrap_err().to_string();
        assert!(!problem.is_empty() && !problem.contains("hunter2"), "{text}: {problem}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let client = client("https://sso.example");
    let printed = format!("{client:?}");
    assert!(!printed.contains("s+c/r"), "{printed}");
    let request = AuthorizeRequest {
        redirect_uri: "https://us.example",
        state: "S1",
        code_challenge: "C1",
        nonce: "N1",
        offline: true,
    };
    assert_eq!(format!("{request:?}"), "AuthorizeRequest(https://us.example)");
}

#[test]
fn every_call_can_be_awaited_by_a_server_with_threads() {
    fn sendable<T: Send>(_: &T) {}
    let world = |sso: &EnterpriseSso, client: &SsoClient, budget: &Budget| {
        let source = crate::provider::token::FixedToken::forwarded("at".into());
        sendable(&sso.exchange_code(client, "", "", "", "", budget));
        sendable(&sso.refresh(client, &"".into(), None, budget));
        sendable(&sso.logout_token(client, "", budget));
        sendable(&sso.brokered_token(client, ProviderType::Github, &source, budget));
    };
    let upstream = Upstream::new(crate::provider::upstream::http_client(&[]).unwrap());
    world(&EnterpriseSso::new(upstream, Clock::system()), &client("https://sso.example"), &budget());
}
