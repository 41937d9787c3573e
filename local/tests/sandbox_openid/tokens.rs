//! The token endpoint, its refusals, the life of tokens, userinfo and revocation.

use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, CACHE_CONTROL, DATE, WWW_AUTHENTICATE};
use serde_json::json;

use super::lab::{CALLBACK, CLIENT, Lab, SECRET, Tokens, VERIFIER, basic, parameter, parts};

fn error(status: u16, error: &str, description: &str) -> (u16, String, String) {
    (status, error.to_owned(), description.to_owned())
}

fn invalid_grant(description: &str) -> (u16, String, String) {
    error(400, "invalid_grant", description)
}

#[tokio::test]
async fn a_code_becomes_the_tokens_that_keycloak_answers_with() {
    let lab = Lab::new().await;
    let answer = lab.exchange(&lab.code("sso-cat").await).await;
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let json = answer.json();
    let mut names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "access_token",
        "expires_in",
        "id_token",
        "not-before-policy",
        "refresh_expires_in",
        "refresh_token",
        "scope",
        "session_state",
        "token_type",
    ];
    assert_eq!(names, expected);
    assert_eq!((&json["expires_in"], &json["refresh_expires_in"]), (&json!(300), &json!(1_800)));
    assert_eq!((&json["token_type"], &json["not-before-policy"]), (&json!("Bearer"), &json!(0)));
    assert_eq!(json["scope"], "openid profile email");
    let tokens = Tokens(json);
    let access = lab.verified(tokens.access()).await.unwrap();
    assert_eq!((&access["typ"], &access["azp"]), (&json!("Bearer"), &json!(CLIENT)));
    let (header, refresh) = parts(tokens.refresh());
    assert_eq!((&header["alg"], &refresh["typ"]), (&json!("HS512"), &json!("Refresh")));

    let user = lab.bearer(&lab.url("/userinfo"), tokens.access()).await.json();
    assert_eq!(user["sub"], access["sub"]);
    assert_eq!(
        (&user["preferred_username"], &user["email"]),
        (&json!("sso-cat"), &json!("sso-cat@example.com"))
    );
}

#[tokio::test]
async fn dates_are_the_clocks() {
    let lab = Lab::new().await;
    lab.clock.advance(Duration::from_secs(40 * 86_400));
    let answer = lab.get(&lab.url("/certs")).await;
    let date = httpdate::parse_http_date(answer.header(DATE)).unwrap();
    let seconds = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(seconds.abs_diff(lab.clock.unix().unsigned_abs()) <= 5);
}

#[tokio::test]
async fn the_client_proves_itself_by_basic_with_both_halves_encoded_or_by_the_form() {
    let lab = Lab::new().await;
    let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let attempt = async |header: Option<String>, more: &[(&str, &str)]| {
        let code = lab.code("sso-cat").await;
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let fields = [&grant, more].concat();
        let mut request = lab.form(&lab.url("/token"), &fields);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        lab.send(request).await
    };
    let good = attempt(Some(basic(CLIENT, &encoded)), &[]).await;
    assert_eq!(good.status, StatusCode::OK, "{good:?}");
    let good = attempt(None, &[("client_id", CLIENT), ("client_secret", SECRET)]).await;
    assert_eq!(good.status, StatusCode::OK, "{good:?}");
    let words = "Invalid client or Invalid client credentials";
    let wrong = error(401, "unauthorized_client", words);
    assert_eq!(attempt(Some(basic(CLIENT, "wrong")), &[]).await.error(), wrong);
    assert_eq!(attempt(None, &[("client_id", CLIENT), ("client_secret", "wrong")]).await.error(), wrong);
    assert_eq!(attempt(None, &[("client_id", CLIENT)]).await.error(), wrong);
    // Half of what is not encoded is read as if it were.
    assert_eq!(attempt(Some(basic(CLIENT, SECRET)), &[]).await.error(), wrong);
    let unknown = error(401, "invalid_client", words);
    assert_eq!(attempt(Some(basic("nobody", &encoded)), &[]).await.error(), unknown);
    assert_eq!(attempt(None, &[]).await.error(), unknown);
}

#[tokio::test]
async fn a_code_is_bound_to_client_address_and_verifier_and_lives_a_minute() {
    let lab = Lab::new().await;
    let attempt = async |code: &str, client: &str, redirect_uri: &str, verifier: &str| {
        let fields = [
            ("client_id", client),
            ("client_secret", SECRET),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        lab.send(lab.form(&lab.url("/token"), &fields)).await.error()
    };
    let fresh = async || lab.code("sso-cat").await;
    let other = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX";
    let elsewhere = format!("{CALLBACK}?more=1");
    assert_eq!(attempt("nonsense", CLIENT, CALLBACK, VERIFIER).await, invalid_grant("Code not valid"));
    assert_eq!(
        attempt(&fresh().await, "second-client", CALLBACK, VERIFIER).await,
        invalid_grant("Auth error")
    );
    let refused = attempt(&fresh().await, CLIENT, &elsewhere, VERIFIER).await;
    assert_eq!(refused, invalid_grant("Incorrect redirect_uri"));
    let refused = attempt(&fresh().await, CLIENT, CALLBACK, other).await;
    assert_eq!(refused, invalid_grant("PKCE verification failed: Code mismatch"));
    let refused = attempt(&fresh().await, CLIENT, CALLBACK, "").await;
    assert_eq!(refused, invalid_grant("PKCE code verifier not specified"));
    let old = fresh().await;
    lab.clock.advance(Duration::from_secs(61));
    assert_eq!(attempt(&old, CLIENT, CALLBACK, VERIFIER).await, invalid_grant("Code not valid"));
}

#[tokio::test]
async fn a_code_that_comes_again_ends_the_tokens_of_the_first_time() {
    let lab = Lab::new().await;
    let code = lab.code("sso-cat").await;
    let tokens = Tokens(lab.exchange(&code).await.json());
    assert!(lab.opens(tokens.access()).await);
    lab.clock.advance(Duration::from_secs(120));
    assert_eq!(lab.exchange(&code).await.error(), invalid_grant("Code not valid"));
    assert!(!lab.opens(tokens.access()).await);
    assert_eq!(lab.refresh(tokens.refresh()).await.error(), invalid_grant("Token is not active"));
    assert_eq!(lab.sandbox.sessions("sso-cat"), 0);
}

#[tokio::test]
async fn malformed_requests_are_refused_in_keycloaks_words() {
    let lab = Lab::new().await;
    let invalid = |words: &str| error(400, "invalid_request", words);
    assert_eq!(lab.post("/token", &[]).await.error(), invalid("Missing form parameter: grant_type"));
    let without = lab.post("/token", &[("grant_type", "authorization_code")]).await.error();
    assert_eq!(without, invalid("Missing parameter: code"));
    let without = lab.post("/token", &[("grant_type", "refresh_token")]).await.error();
    assert_eq!(without, invalid("No refresh token"));
    let twice = lab.post("/token", &[("grant_type", "password"), ("grant_type", "password")]).await.error();
    assert_eq!(twice, invalid("duplicated parameter"));
    let unsupported = lab.post("/token", &[("grant_type", "password")]).await.error();
    assert_eq!(unsupported, error(400, "unsupported_grant_type", "Unsupported grant_type"));
    let json = lab.http.post(lab.url("/token")).body(r#"{"grant_type":"refresh_token"}"#);
    let json = lab.send(json.header("content-type", "application/json")).await.error();
    assert_eq!(json, invalid("Missing form parameter: grant_type"));
}

#[tokio::test]
async fn refresh_tokens_rotate_and_one_that_comes_again_ends_the_session() {
    let lab = Lab::new().await;
    let first = lab.sign_in("sso-cat").await;
    lab.clock.advance(Duration::from_secs(301));
    assert!(!lab.opens(first.access()).await, "expired");
    let second = Tokens(lab.refresh(first.refresh()).await.json());
    assert_ne!(first.refresh(), second.refresh());
    assert_eq!(first.text("session_state"), second.text("session_state"));
    assert!(lab.opens(second.access()).await);
    assert_eq!(lab.refresh(first.refresh()).await.error(), invalid_grant("Token is not active"));
    assert!(!lab.opens(second.access()).await, "the session is over");
    assert_eq!(lab.refresh(second.refresh()).await.error(), invalid_grant("Token is not active"));
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_own() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    let fields = [
        ("client_id", "second-client"),
        ("client_secret", SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh()),
    ];
    let refused = lab.send(lab.form(&lab.url("/token"), &fields)).await;
    assert_eq!(refused.error(), invalid_grant("Token is not active"));
    assert_eq!(lab.refresh(tokens.refresh()).await.status, StatusCode::OK, "it is not used up");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_after_its_whole_life() {
    let lab = Lab::new().await;
    let idle = lab.sign_in("sso-dev").await;
    lab.clock.advance(Duration::from_secs(1_801));
    assert_eq!(lab.refresh(idle.refresh()).await.error(), invalid_grant("Token is not active"));

    let mut tokens = lab.sign_in("sso-cat").await;
    for _ in 0..20 {
        lab.clock.advance(Duration::from_secs(1_750));
        tokens = Tokens(lab.refresh(tokens.refresh()).await.json());
    }
    // 35,000 seconds of 36,000.
    assert!(tokens.0["refresh_expires_in"].as_i64().unwrap() <= 1_000);
    lab.clock.advance(Duration::from_secs(1_001));
    assert_eq!(lab.refresh(tokens.refresh()).await.error(), invalid_grant("Token is not active"));
}

#[tokio::test]
async fn offline_access_outlives_both() {
    let lab = Lab::new().await;
    let url = lab.authorize_url(&[("scope", "openid offline_access")]);
    let chosen = lab.choose(&url, ("choice", "sso-cat")).await;
    let tokens = Tokens(lab.exchange(&parameter(chosen.location(), "code").unwrap()).await.json());
    assert_eq!(tokens.0["refresh_expires_in"], 0);
    assert_eq!(parts(tokens.refresh()).1["typ"], "Offline");
    lab.clock.advance(Duration::from_secs(90 * 86_400));
    let renewed = Tokens(lab.refresh(tokens.refresh()).await.json());
    assert!(lab.opens(renewed.access()).await);
}

#[tokio::test]
async fn userinfo_refuses_what_is_not_a_good_access_token_with_a_challenge() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    for token in ["", "nonsense", tokens.id(), tokens.refresh()] {
        let refused = lab.bearer(&lab.url("/userinfo"), token).await;
        assert_eq!(refused.error(), error(401, "invalid_token", "Token verification failed"));
        assert!(refused.header(WWW_AUTHENTICATE).contains("error=\"invalid_token\""));
    }
    assert_eq!(lab.get(&lab.url("/userinfo")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_access_token_ends_alone_and_a_revoked_refresh_token_with_its_session() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    assert_eq!(lab.post("/revoke", &[("token", tokens.access())]).await.status, StatusCode::OK);
    assert!(!lab.opens(tokens.access()).await);
    let renewed = Tokens(lab.refresh(tokens.refresh()).await.json());
    for _ in 0..2 {
        let fields = [("token", renewed.refresh()), ("token_type_hint", "refresh_token")];
        assert_eq!(lab.post("/revoke", &fields).await.status, StatusCode::OK);
    }
    assert!(!lab.opens(renewed.access()).await);
    assert_eq!(lab.refresh(renewed.refresh()).await.error(), invalid_grant("Token is not active"));

    let mine = lab.sign_in("sso-cat").await;
    let fields = [("client_id", "second-client"), ("client_secret", SECRET), ("token", mine.refresh())];
    let foreign = lab.send(lab.form(&lab.url("/revoke"), &fields)).await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
    assert!(lab.opens(mine.access()).await);
    let unproved = lab.form(&lab.url("/revoke"), &[("token", mine.refresh())]);
    assert_eq!(lab.send(unproved).await.status, StatusCode::UNAUTHORIZED);
}
