//! Tokens of an issuer: the JWT itself in the first line, then claims as they stand in one whose signature is good.
//! Which sessions they begin or end is decided by the service.

use std::sync::LazyLock;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use shared::fuzzing::enterprise_sso::{KeySet, algorithm, id_token, logout_token};

use crate::hosts::HOSTS;

/// When the tokens of the corpus are valid.
const NOW: i64 = 1_800_000_000;
const NONCE: &str = "n-0S6_WzA2Mj";
const SKEW: f64 = 60.0;

/// The signed example of RFC 7515, A.2, with its public key.
static SIGNED: LazyLock<Value> = LazyLock::new(|| {
    let examples: Value =
        serde_json::from_str(include_str!("../../shared/fixtures/rfc7515.json")).expect("JSON");
    examples["rs256"].clone()
});

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let key = json!({ "kty": "RSA", "n": SIGNED["n"], "e": SIGNED["e"] });
    KeySet::read(&json!({ "keys": [key] })).expect("a key")
});

/// Only an asymmetric signature of ours is looked at; who is signed in is named by this issuer, to us, now, for this
/// very sign-in; and no token of one kind is one of the other.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let token = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let algorithm = algorithm(&token);
    assert!(algorithm.as_deref().is_none_or(|name| ["RS256", "PS256", "ES256"].contains(&name)));
    if KEYS.has_signed(&token) {
        // Nobody has the key but the RFC's authors, and they signed this one.
        assert_eq!(SIGNED["token"], token.as_str());
        assert!(algorithm.is_some());
    }
    for line in lines.take(3) {
        if let Ok(Value::Object(claims)) = serde_json::from_slice(line) {
            check(&claims);
        }
    }
}

fn check(claims: &Map<String, Value>) {
    let client = &HOSTS.sso_client;
    let access = SecretString::from("access");
    let identity = id_token(client, claims.clone(), NONCE, &access, NOW);
    let logout = logout_token(client, claims.clone(), NOW);
    assert!(identity.is_none() || logout.is_none(), "one token is of both kinds");
    if identity.is_some() || logout.is_some() {
        assert_eq!(claims["iss"], client.issuer.as_str());
        let ours = json!(client.client.client_id);
        assert!(claims["aud"] == ours || claims["aud"].as_array().is_some_and(|all| all.contains(&ours)));
        let now = NOW as f64;
        assert!(claims["exp"].as_f64().is_some_and(|end| end + SKEW >= now - 1.0), "it is over");
        assert!(claims["iat"].as_f64().is_some_and(|at| at <= now + SKEW + 1.0), "it is yet to come");
    }
    let identifier = |text: &str| {
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    if let Some(identity) = identity {
        assert_eq!(claims["nonce"], NONCE);
        assert!(claims["sub"] == identity.subject.as_str() && identifier(&identity.subject));
        assert!(identity.session_id.is_none_or(|id| identifier(&id)));
        assert!((1..=255).contains(&identity.login.len()) && !identity.login.chars().any(char::is_control));
        assert!(identity.avatar_url.is_none_or(|picture| picture.starts_with("https://")));
    }
    if let Some(logout) = logout {
        assert!(!claims.contains_key("nonce"));
        assert!(identifier(&logout.jti) && (logout.subject.is_some() || logout.session_id.is_some()));
    }
}
