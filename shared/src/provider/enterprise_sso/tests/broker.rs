//! The brokered tokens: the forms that they come in, and what their absence looks like.

use std::sync::Mutex;

use secrecy::ExposeSecret;

use super::*;
use crate::provider::CallError;
use crate::provider::token::{AccessToken, FixedToken, TokenError, TokenSource};

const BROKER: &str = "/realms/acme/broker/github-acme/token";

async fn brokered<T: TokenSource>(
    world: &World,
    source: &T,
) -> Result<Option<(String, Option<i64>)>, CallError> {
    let token = world.sso.brokered_token(&world.client, ProviderType::Github, source, &budget()).await?;
    Ok(token.map(|token| (token.access.expose_secret().to_owned(), token.access_expires_at)))
}

fn fixed() -> FixedToken {
    FixedToken::forwarded("sso-at".into())
}

/// What the broker's answer means, failures by their status.
async fn meaning(status: u16, kind: &str, body: &str) -> Result<Option<(String, Option<i64>)>, u16> {
    let world = World::new().await;
    world.host.serve(BROKER, status, &[("content-type", kind)], body);
    brokered(&world, &fixed()).await.map_err(|error| match error {
        CallError::Host(error) => error.status(),
        CallError::Token(error) => panic!("{error}"),
    })
}

#[tokio::test]
async fn a_token_comes_as_json_or_as_a_form_whatever_its_type_says() {
    let form = "access_token=gho_1%2Bx&expires_in=28800&scope=&token_type=bearer";
    for (kind, body, expected) in [
        (
            "application/json",
            r#"{"access_token":"t","expires_in":7200,"accessTokenExpiration":1795167600}"#,
            ("t", Some(1_795_167_600)),
        ),
        ("application/json", r#"{"access_token":"t","expires_in":7200,"refresh_token":"r"}"#, ("t", None)),
        ("application/json", r#"{"access_token":"t","accessTokenExpiration":0}"#, ("t", None)),
        ("application/json", r#"{"access_token":"t","accessTokenExpiration":"soon"}"#, ("t", None)),
        ("text/plain", "\n {\"access_token\":\"t\"}", ("t", None)),
        ("application/x-www-form-urlencoded", form, ("gho_1+x", None)),
        ("application/json", form, ("gho_1+x", None)),
        ("", "access_token=t\n", ("t", None)),
    ] {
        let expected = Some((expected.0.to_owned(), expected.1));
        assert_eq!(meaning(200, kind, body).await, Ok(expected), "{kind} {body}");
    }
}

#[tokio::test]
async fn it_is_asked_for_with_the_issuers_own_token() {
    let world = World::new().await;
    world.host.serve(BROKER, 200, &[], "access_token=t");
    brokered(&world, &fixed()).await.unwrap();
    let request = world.host.last();
    assert_eq!((request.path.as_str(), request.header("authorization")), (BROKER, Some("Bearer sso-at")));
    assert_eq!(world.host.calls(DISCOVERY), 0, "its address is known by the issuer's");
}

#[tokio::test]
async fn a_host_that_is_not_brokered_has_no_token() {
    let world = World::new().await;
    for provider in [ProviderType::Gitlab, ProviderType::Bitbucket, ProviderType::EnterpriseSso] {
        let token = world.sso.brokered_token(&world.client, provider, &fixed(), &budget()).await.unwrap();
        assert!(token.is_none(), "{provider}");
    }
}

#[tokio::test]
async fn no_token_there_is_told_apart_from_a_failure() {
    let none = |text: &str| format!(r#"{{"errorMessage":"{text}"}}"#);
    let (support, association, stored, role) = (
        none("Identity Provider [github-acme] does not support this operation."),
        none("User [1-2] is not associated with identity provider [github-acme]."),
        none("No token stored for user [1-2] with associated identity provider [github-acme]."),
        none("Client [git] not authorized to retrieve tokens from identity provider [github-acme]."),
    );
    for (status, body, expected) in [
        (400, support.as_str(), Ok(None)),
        (400, &association, Ok(None)),
        (404, &association, Ok(None)),
        (404, &stored, Ok(None)),
        (403, &role, Err(403)),
        (400, &role, Err(403)),
        (204, "", Ok(None)),
        (200, "", Err(502)),
        (200, " \n", Err(502)),
        // What nobody said of tokens is no word about them.
        (404, "", Err(404)),
        (404, r#"{"error":"HTTP 404 Not Found"}"#, Err(404)),
        (403, "<html>", Err(403)),
        (403, r#"{"errorMessage":"Realm has not migrated"}"#, Err(403)),
        (400, r#"{"errorMessage":"Invalid client."}"#, Err(502)),
        (500, support.as_str(), Err(502)),
        (200, "<html>Sign in</html>", Err(502)),
        (200, r#"{"error":"bad_verification_code"}"#, Err(502)),
        (200, r#"{"access_token":""}"#, Err(502)),
        (200, r#"{"access_token":"#, Err(502)),
        (200, "access_token=", Err(502)),
        (302, "", Err(502)),
        (429, "", Err(429)),
    ] {
        assert_eq!(meaning(status, "application/json", body).await, expected, "{status} {body}");
    }
}

/// A source whose first token is refused, and which counts renewals.
struct Renewing {
    second: Option<&'static str>,
    rejected: Mutex<Vec<u64>>,
}

impl TokenSource for Renewing {
    async fn token(&self) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { secret: "old".into(), version: 1, fresh: false })
    }

    async fn renew(&self, rejected: &AccessToken) -> Result<Option<AccessToken>, TokenError> {
        self.rejected.lock().unwrap().push(rejected.version);
        Ok(self.second.map(|secret| AccessToken { secret: secret.into(), version: 2, fresh: true }))
    }
}

#[tokio::test]
async fn our_own_token_is_renewed_once_when_it_is_not_accepted() {
    for (status, body) in
        [(401, ""), (401, r#"{"error":"invalid_token"}"#), (400, r#"{"errorMessage":"Invalid token."}"#)]
    {
        for second in [Some("new"), None] {
            let world = World::new().await;
            world.host.serve(BROKER, status, &[], body);
            let source = Renewing { second, rejected: Mutex::default() };
            let result = brokered(&world, &source).await;
            assert!(matches!(result, Err(CallError::Host(ProviderError::Unauthorized))), "{status} {body}");
            assert_eq!(*source.rejected.lock().unwrap(), [1], "{status} {body}");
            assert_eq!(world.host.calls(BROKER), if second.is_some() { 2 } else { 1 });
        }
        let world = World::new().await;
        world.host.serve(BROKER, status, &[], body);
        world.host.serve_authorized(BROKER, "Bearer new", "access_token=t");
        let source = Renewing { second: Some("new"), rejected: Mutex::default() };
        assert_eq!(brokered(&world, &source).await.unwrap(), Some(("t".to_owned(), None)));
    }
}
