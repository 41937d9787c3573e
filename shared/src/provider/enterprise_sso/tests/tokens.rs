//! The token endpoint and revocation: what is sent, and what the answers mean.

use secrecy::ExposeSecret;

use super::*;
use crate::provider::oauth::OauthError;

const REVOKE: &str = "/realms/acme/revoke";
/// `git:installations` and `s+c/r:t %`, each encoded as in a form and then joined.
const BASIC: &str = "Basic Z2l0JTNBaW5zdGFsbGF0aW9uczpzJTJCYyUyRnIlM0F0KyUyNQ==";

fn pairs(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

async fn refreshed(world: &World, subject: Option<&str>) -> Result<TokenGrantText, String> {
    let grant = world.sso.refresh(&world.client, &"old-rt".into(), subject, &budget()).await;
    let grant = grant.map_err(|error| error.to_string())?;
    let text = |token: Option<secrecy::SecretString>| token.map(|token| token.expose_secret().to_owned());
    Ok((grant.access.expose_secret().to_owned(), text(grant.refresh)))
}

type TokenGrantText = (String, Option<String>);

#[tokio::test]
async fn a_code_is_exchanged_with_the_secret_in_the_header() {
    let world = World::new().await;
    let grant = world.sign_in_with(&world.key).await.unwrap();
    assert_eq!(grant.tokens.access.expose_secret(), "at");
    assert_eq!(grant.tokens.refresh.map(|token| token.expose_secret().to_owned()).as_deref(), Some("rt"));
    assert_eq!(grant.id_token.expose_secret().split('.').count(), 3);
    assert!(!format!("{:?}", grant.id_token).contains('.'));
    let life = grant.tokens.access_expires_at.unwrap() - world.clock.unix();
    assert!((298..=300).contains(&life), "{life}");

    let id_token = world.key.token(&world.claims());
    world.sign_in(&id_token).await.unwrap();
    let request = world.host.last();
    assert_eq!((request.path.as_str(), request.header("authorization")), (TOKEN, Some(BASIC)));
    assert_eq!(
        pairs(&request.form()),
        [
            ("grant_type", "authorization_code"),
            ("code", "code"),
            ("redirect_uri", "https://us.example/cb"),
            ("code_verifier", "verifier"),
        ]
    );
}

#[tokio::test]
async fn the_secret_is_in_the_form_where_the_issuer_takes_nothing_else() {
    let world = World::new().await;
    let mut document = world.discovery();
    document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    world.host.serve_json(DISCOVERY, &document);
    world.sign_in_with(&world.key).await.unwrap();
    world.sign_in_with(&world.key).await.unwrap();
    let request = world.host.last();
    assert_eq!(request.header("authorization"), None);
    assert_eq!(pairs(&request.form())[4..], [("client_id", CLIENT_ID), ("client_secret", "s+c/r:t %")]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let world = World::new().await;
    let host = |error| SsoError::Host(error);
    let bad = |status| host(ProviderError::BadResponse { status });
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant"}"#, SsoError::BadCode),
        (401, r#"{"error":"invalid_client"}"#, SsoError::BadClient),
        (400, r#"{"error":"unauthorized_client"}"#, SsoError::BadClient),
        (400, r#"{"error":"invalid_redirect_uri"}"#, SsoError::BadRedirect),
        (400, r#"{"error":"invalid_scope"}"#, SsoError::Refused("invalid_scope".to_owned())),
        (400, r#"{"error":"<b>Secret 1</b>"}"#, SsoError::Refused("becretb".to_owned())),
        (401, "<html>", SsoError::BadClient),
        (400, "<html>", bad(400)),
        (404, "<html>", bad(404)),
        (429, "{}", host(ProviderError::RateLimited { retry_after: None })),
        (500, r#"{"error":"invalid_grant"}"#, bad(500)),
        (200, "{}", bad(200)),
        (200, r#"{"access_token":"at","token_type":"DPoP","id_token":"x"}"#, bad(200)),
    ] {
        world.host.serve(TOKEN, status, &[], body);
        assert_eq!(world.exchange().await.map(|_| ()), Err(expected), "{status} {body}");
    }
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_or_keeps_the_old_one() {
    let world = World::new().await;
    world.host.serve_json(TOKEN, &json!({ "access_token": "a2", "refresh_token": "r2" }));
    assert_eq!(refreshed(&world, Some(SUBJECT)).await, Ok(("a2".to_owned(), Some("r2".to_owned()))));
    let request = world.host.last();
    assert_eq!(request.header("authorization"), Some(BASIC));
    assert_eq!(pairs(&request.form()), [("grant_type", "refresh_token"), ("refresh_token", "old-rt")]);
    world.host.serve_json(TOKEN, &json!({ "access_token": "a3" }));
    assert_eq!(refreshed(&world, None).await, Ok(("a3".to_owned(), Some("old-rt".to_owned()))));

    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant"}"#, "the refresh token is not accepted"),
        (401, r#"{"error":"invalid_client"}"#, "the host does not accept the client credentials"),
        (503, "", "the host answered 503 in an unexpected form"),
    ] {
        world.host.serve(TOKEN, status, &[], body);
        assert_eq!(refreshed(&world, None).await, Err(expected.to_owned()));
    }
}

#[tokio::test]
async fn keycloaks_life_of_a_refresh_token_is_understood() {
    let world = World::new().await;
    for (answer, life) in [
        (json!({ "access_token": "a", "refresh_expires_in": 1800 }), Some(1800)),
        (json!({ "access_token": "a", "refresh_expires_in": 0 }), None),
        (json!({ "access_token": "a", "refresh_expires_in": "soon" }), None),
        (
            json!({ "access_token": "a", "refresh_expires_in": 1800, "refresh_token_expires_in": 60 }),
            Some(60),
        ),
        (json!({ "access_token": "a" }), None),
    ] {
        let headers = [("date", "Fri, 20 Nov 2026 09:40:00 GMT")];
        world.host.serve(TOKEN, 200, &headers, &answer.to_string());
        let grant = world.sso.refresh(&world.client, &"rt".into(), None, &budget()).await.unwrap();
        assert_eq!(grant.refresh_expires_at, life.map(|life| 1_795_167_600 + life), "{answer}");
    }
}

#[tokio::test]
async fn a_refreshed_id_token_must_be_about_the_same_person() {
    let world = World::new().await;
    let refused = Err("the host refuses: bad_id_token".to_owned());
    let mut claims = world.claims();
    claims.as_object_mut().unwrap().remove("nonce");
    let serve = |id_token: &str| {
        world.host.serve_json(TOKEN, &json!({ "access_token": "a2", "id_token": id_token }));
    };
    serve(&world.key.token(&claims));
    assert!(refreshed(&world, Some(SUBJECT)).await.is_ok(), "without a nonce");
    assert!(refreshed(&world, None).await.is_ok());
    assert_eq!(refreshed(&world, Some("somebody-else")).await, refused);

    claims["iss"] = json!("https://sso.example");
    serve(&world.key.token(&claims));
    assert_eq!(refreshed(&world, Some(SUBJECT)).await, refused);
    serve(&Pair::es256("k1").token(&world.claims()));
    assert_eq!(refreshed(&world, Some(SUBJECT)).await, refused);
    serve("x.y.z");
    assert_eq!(refreshed(&world, None).await, refused);
}

#[tokio::test]
async fn no_refresh_token_is_used_up_for_what_could_not_be_checked() {
    let world = World::new().await;
    world.host.serve_json(TOKEN, &json!({ "access_token": "a2" }));
    world.host.serve(KEYS, 500, &[], "");
    let result = world.sso.refresh(&world.client, &"rt".into(), None, &budget()).await;
    assert!(matches!(result, Err(OauthError::Host(ProviderError::BadResponse { status: 500 }))));
    assert_eq!(world.host.calls(TOKEN), 0);
}

#[tokio::test]
async fn a_token_is_revoked_where_the_issuer_offers_it() {
    let world = World::new().await;
    let revoke = async |world: &World| world.sso.revoke(&world.client, &"rt".into(), &budget()).await;
    world.host.serve(REVOKE, 200, &[], "");
    assert_eq!(revoke(&world).await, Ok(()));
    let request = world.host.last();
    assert_eq!((request.path.as_str(), request.header("authorization")), (REVOKE, Some(BASIC)));
    assert_eq!(pairs(&request.form()), [("token", "rt")]);
    world.host.serve(REVOKE, 401, &[], "");
    assert_eq!(revoke(&world).await, Err(ProviderError::Unauthorized));

    let world = World::new().await;
    let mut document = world.discovery();
    document["revocation_endpoint"] = json!("https://169.254.169.254/");
    world.host.serve_json(DISCOVERY, &document);
    assert_eq!(revoke(&world).await, Ok(()), "not offered at an address that may be called");
    world.host.serve(DISCOVERY, 404, &[], "");
    world.pass(kept::LAST_RESORT_SECONDS);
    assert_eq!(revoke(&world).await, Err(ProviderError::NotFound));
}
