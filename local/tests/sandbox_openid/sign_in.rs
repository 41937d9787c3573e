//! The authorization endpoint: what it asks for, what it refuses and to whom it says so.

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use local::sandbox_openid::{AnswerIss, AuthorizeError, AuthorizeRequest};

use super::lab::{CALLBACK, Lab, parameter, parts};

#[tokio::test]
async fn the_discovery_document_names_endpoints_that_answer() {
    let lab = Lab::new().await;
    let issuer = lab.sandbox.issuer();
    assert!(issuer.starts_with("http://127.0.0.1:") && issuer.ends_with("/realms/sandbox"), "{issuer}");
    let answer = lab.get(&format!("{issuer}/.well-known/openid-configuration")).await;
    let document = answer.json();
    assert_eq!(document["issuer"], issuer.as_str());
    for (name, path) in [
        ("authorization_endpoint", "/auth"),
        ("token_endpoint", "/token"),
        ("jwks_uri", "/certs"),
        ("end_session_endpoint", "/logout"),
        ("revocation_endpoint", "/revoke"),
        ("userinfo_endpoint", "/userinfo"),
    ] {
        assert_eq!(document[name], lab.url(path), "{name}");
        assert_ne!(lab.get(&lab.url(path)).await.status, StatusCode::NOT_FOUND, "{name}");
    }
    for name in [
        "authorization_response_iss_parameter_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
    ] {
        assert_eq!(document[name], true, "{name}");
    }
    let holds = |name: &str, value: &str| document[name].as_array().unwrap().contains(&value.into());
    assert!(holds("id_token_signing_alg_values_supported", "RS256"));
    assert!(holds("code_challenge_methods_supported", "S256"));
    assert!(holds("token_endpoint_auth_methods_supported", "client_secret_basic"));

    lab.sandbox.discovery_issuer(Some("https://elsewhere.example.com"));
    let lying = lab.get(&format!("{issuer}/.well-known/openid-configuration")).await.json();
    assert_eq!(lying["issuer"], "https://elsewhere.example.com");
    assert_eq!(lying["jwks_uri"], document["jwks_uri"]);
}

#[tokio::test]
async fn the_page_lists_the_users_and_what_they_broker_and_a_choice_returns_with_a_code() {
    let lab = Lab::new().await;
    let url = lab.authorize_url(&[("login_hint", "sso-plain")]);
    let page = lab.get(&url).await;
    assert_eq!(page.status, StatusCode::OK);
    for text in ["value=\"sso-cat\"", "github: octocat", "no accounts", "name=\"deny\""] {
        assert!(page.body.contains(text), "{text}");
    }
    assert!(page.body.find("sso-plain") < page.body.find("sso-cat"), "who is suggested comes first");
    let policy = page.header(CONTENT_SECURITY_POLICY);
    assert!(policy.contains("form-action 'self' http://localhost:3000;"), "{policy}");

    let chosen = lab.choose(&url, ("choice", "sso-cat")).await;
    let location = chosen.location();
    assert!(location.starts_with(&format!("{CALLBACK}?")), "{location}");
    assert_eq!(parameter(location, "state").as_deref(), Some("a state"));
    assert_eq!(parameter(location, "iss"), Some(lab.sandbox.issuer()));
    let session = parameter(location, "session_state").unwrap();
    assert!(chosen.header(SET_COOKIE).contains(&session));
    assert!(parameter(location, "code").is_some());
    assert_eq!(lab.sandbox.sessions("sso-cat"), 1);

    let url = lab.authorize_url(&[("redirect_uri", &format!("{CALLBACK}?more=1"))]);
    let chosen = lab.choose(&url, ("choice", "sso-cat")).await;
    assert_eq!(parameter(chosen.location(), "more").as_deref(), Some("1"), "its own query stays");
}

#[tokio::test]
async fn an_unknown_client_or_address_gets_a_page_and_nothing_is_returned() {
    let lab = Lab::new().await;
    for changes in [
        [("client_id", "nobody")],
        [("client_id", "")],
        [("redirect_uri", "")],
        [("redirect_uri", "http://localhost:3000/auth/enterprise_sso/callback/")],
        [("redirect_uri", "http://localhost:3000/auth/enterprise_sso/callbac")],
        [("redirect_uri", "http://LOCALHOST:3000/auth/enterprise_sso/callback")],
        [("redirect_uri", "https://evil.example.com/")],
    ] {
        let url = lab.authorize_url(&changes);
        for answer in [lab.get(&url).await, lab.choose(&url, ("choice", "sso-cat")).await] {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changes:?}");
            assert!(!answer.headers.contains_key("location") && answer.body.contains("<h1>"), "{changes:?}");
        }
    }
    assert_eq!(lab.sandbox.sessions("sso-cat"), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_to_the_client_with_its_state_and_our_issuer() {
    let lab = Lab::new().await;
    for (changes, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("scope", ""), "invalid_scope"),
        (("scope", "profile"), "invalid_scope"),
        (("scope", "openid everything"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("prompt", "none"), "login_required"),
    ] {
        let answer = lab.get(&lab.authorize_url(&[changes])).await;
        let location = answer.location();
        assert!(location.starts_with(CALLBACK), "{changes:?}");
        assert_eq!(parameter(location, "error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(parameter(location, "state").as_deref(), Some("a state"), "{changes:?}");
        assert_eq!(parameter(location, "iss"), Some(lab.sandbox.issuer()), "{changes:?}");
        assert_eq!(parameter(location, "code"), None, "{changes:?}");
    }
    let denied = lab.choose(&lab.authorize_url(&[]), ("deny", "1")).await;
    assert_eq!(parameter(denied.location(), "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(denied.location(), "state").as_deref(), Some("a state"));
    let nobody = lab.choose(&lab.authorize_url(&[]), ("choice", "nobody")).await;
    assert_eq!(nobody.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_issuer_of_an_answer_can_be_another_or_missing() {
    let lab = Lab::new().await;
    for (iss, expected) in [
        (
            AnswerIss::Other("https://evil.example.com".to_owned()),
            Some("https://evil.example.com".to_owned()),
        ),
        (AnswerIss::Missing, None),
        (AnswerIss::Ours, Some(lab.sandbox.issuer())),
    ] {
        lab.sandbox.answer_iss(iss);
        let answer = lab.choose(&lab.authorize_url(&[]), ("choice", "sso-cat")).await;
        assert_eq!(parameter(answer.location(), "iss"), expected);
        let denied = lab.choose(&lab.authorize_url(&[]), ("deny", "1")).await;
        assert_eq!(parameter(denied.location(), "iss"), expected);
    }
}

#[tokio::test]
async fn the_handle_does_what_the_page_does() {
    let lab = Lab::new().await;
    let url = lab.authorize_url(&[]);
    let request = AuthorizeRequest::of_query(url.split_once('?').unwrap().1);
    let location = lab.sandbox.authorize("sso-dev", &request).unwrap();
    assert_eq!(parameter(&location, "state").as_deref(), Some("a state"));
    let answer = lab.exchange(&parameter(&location, "code").unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(parts(answer.json()["id_token"].as_str().unwrap()).1["nonce"], "a nonce");
    assert!(matches!(lab.sandbox.authorize("nobody", &request), Err(AuthorizeError::UnknownUser)));
    let without = AuthorizeRequest { code_challenge: None, ..request };
    let refused = lab.sandbox.authorize("sso-dev", &without);
    assert!(
        matches!(refused, Err(AuthorizeError::Returned(location)) if location.contains("invalid_request"))
    );
}
