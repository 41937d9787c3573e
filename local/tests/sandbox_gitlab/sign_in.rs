//! The web flow with PKCE, the life of tokens, and who they belong to.

use std::time::Duration;

use local::sandbox_gitlab::AuthorizeRequest;
use secrecy::SecretString;
use shared::provider::ProviderError;
use shared::provider::oauth::{OauthClient, OauthError, TokenGrant};
use shared::provider::token::FixedToken;
use shared::provider::upstream::http_client;
use url::Url;

use super::lab::{CALLBACK, Lab, budget, forwarded, host_error, oauth_client};

/// The vector of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The code of whoever chooses to be this user on the page that the client sends the browser to.
async fn code(lab: &Lab, username: &str) -> String {
    let url = lab.gitlab.authorize_url("sandbox-client", CALLBACK, "a state", CHALLENGE);
    let http = http_client(&[]).unwrap();
    let page = http.get(url.clone()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains(&format!("value=\"{username}\"")));
    let mut fields: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    fields.push(("choice".to_owned(), username.to_owned()));
    let location = post(&lab.sandbox.url(), &fields).await;
    assert!(location.starts_with(CALLBACK), "{location}");
    assert_eq!(parameter(&location, "state").as_deref(), Some("a state"));
    parameter(&location, "code").unwrap()
}

/// Sends the page's form; where it leads.
async fn post(base: &str, fields: &[(String, String)]) -> String {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let http = http_client(&[]).unwrap();
    let request = http.post(format!("{base}/oauth/authorize"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 302);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

async fn sign_in(lab: &Lab, username: &str) -> TokenGrant {
    let code = code(lab, username).await;
    lab.gitlab.exchange_code(&oauth_client(), &code, CALLBACK, VERIFIER, &budget()).await.unwrap()
}

async fn login(lab: &Lab, access: &SecretString) -> Result<String, ProviderError> {
    let source = FixedToken::forwarded(access.clone());
    match lab.gitlab.user(&source, &budget()).await {
        Ok(user) => Ok(user.login),
        error => Err(host_error(error)),
    }
}

#[tokio::test]
async fn the_web_flow_ends_with_tokens_of_who_was_chosen() {
    let lab = Lab::new().await;
    let grant = sign_in(&lab, "gitlab-cat").await;
    let now = lab.clock.unix();
    assert!((now + 7_190..=now + 7_200).contains(&grant.access_expires_at.unwrap()));
    assert_eq!(grant.refresh_expires_at, None);
    let user = lab.gitlab.user(&FixedToken::fresh(grant.access), &budget()).await.unwrap();
    assert_eq!((user.id.as_str(), user.login.as_str()), ("7", "gitlab-cat"));
    assert!(user.avatar_url.unwrap().starts_with(&lab.sandbox.url()));
}

#[tokio::test]
async fn a_code_is_single_use_and_bound_to_verifier_address_and_client() {
    let lab = Lab::new().await;
    let exchange = async |code: &str, redirect_uri: &str, verifier: &str, client: &OauthClient| {
        lab.gitlab.exchange_code(client, code, redirect_uri, verifier, &budget()).await.map(|_| ())
    };
    let client = oauth_client();
    let used = code(&lab, "gitlab-cat").await;
    exchange(&used, CALLBACK, VERIFIER, &client).await.unwrap();
    let old = code(&lab, "gitlab-cat").await;
    lab.clock.advance(Duration::from_secs(601));
    let fresh = async || code(&lab, "gitlab-cat").await;
    for (code, redirect_uri, verifier) in [
        (used, CALLBACK, VERIFIER),
        (old, CALLBACK, VERIFIER),
        (fresh().await, CALLBACK, "another verifier"),
        (fresh().await, "http://localhost:3000/other", VERIFIER),
        ("nonsense".to_owned(), CALLBACK, VERIFIER),
    ] {
        let refused = exchange(&code, redirect_uri, verifier, &client).await;
        assert!(matches!(refused, Err(OauthError::BadCode)), "{refused:?}");
    }
    let wrong = OauthClient { client_secret: "wrong".into(), ..client };
    let refused = exchange(&fresh().await, CALLBACK, VERIFIER, &wrong).await;
    assert!(matches!(refused, Err(OauthError::BadClient)), "{refused:?}");
}

#[tokio::test]
async fn a_refresh_ends_both_old_tokens_at_once_and_only_once() {
    let lab = Lab::new().await;
    let old = sign_in(&lab, "gitlab-cat").await;
    let refresh = async |token: &Option<SecretString>, redirect_uri: &str| {
        lab.gitlab.refresh(&oauth_client(), token.as_ref().unwrap(), redirect_uri, &budget()).await
    };
    let elsewhere = refresh(&old.refresh, "http://localhost:3000/other").await;
    assert!(matches!(elsewhere, Err(OauthError::BadRefreshToken)), "{elsewhere:?}");
    assert_eq!(login(&lab, &old.access).await.unwrap(), "gitlab-cat", "a refused refresh ends nothing");

    let (one, other) = tokio::join!(refresh(&old.refresh, CALLBACK), refresh(&old.refresh, CALLBACK));
    let (new, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    assert!(matches!(lost, Err(OauthError::BadRefreshToken)), "{lost:?}");
    let new = new.unwrap();
    assert_eq!(login(&lab, &old.access).await, Err(ProviderError::Unauthorized));
    assert_eq!(login(&lab, &new.access).await.unwrap(), "gitlab-cat", "a replay does not end the new pair");

    lab.clock.advance(Duration::from_secs(7_201));
    assert_eq!(login(&lab, &new.access).await, Err(ProviderError::Unauthorized), "expired");
    let newest = refresh(&new.refresh, CALLBACK).await.unwrap();
    assert_eq!(login(&lab, &newest.access).await.unwrap(), "gitlab-cat");
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_and_renews_nothing() {
    let lab = Lab::new().await;
    let grant = sign_in(&lab, "gitlab-cat").await;
    for _ in 0..2 {
        lab.gitlab.revoke(&oauth_client(), &grant.access, &budget()).await.unwrap();
    }
    assert_eq!(login(&lab, &grant.access).await, Err(ProviderError::Unauthorized));
    let refresh = grant.refresh.unwrap();
    let renewed = lab.gitlab.refresh(&oauth_client(), &refresh, CALLBACK, &budget()).await;
    assert!(matches!(renewed, Err(OauthError::BadRefreshToken)), "{renewed:?}");

    let other = sign_in(&lab, "gitlab-cat").await;
    lab.sandbox.revoke_grant("gitlab-cat");
    assert_eq!(login(&lab, &other.access).await, Err(ProviderError::Unauthorized));
    let wrong = OauthClient { client_secret: "wrong".into(), ..oauth_client() };
    assert!(lab.gitlab.revoke(&wrong, &other.access, &budget()).await.is_err());
}

#[tokio::test]
async fn personal_tokens_stand_in_the_same_header() {
    let lab = Lab::new().await;
    let personal = lab.sandbox.mint_personal_token("gitlab-cat", "read_api").unwrap();
    assert_eq!(login(&lab, &SecretString::from(personal.clone())).await.unwrap(), "gitlab-cat");
    let repositories = lab.gitlab.repositories(&forwarded(&personal), &budget()).await.unwrap();
    assert!(!repositories.is_empty());
    let too_little = lab.sandbox.mint_personal_token("gitlab-cat", "read_user").unwrap();
    assert_eq!(login(&lab, &SecretString::from(too_little.clone())).await.unwrap(), "gitlab-cat");
    let refused = lab.gitlab.repositories(&forwarded(&too_little), &budget()).await;
    assert_eq!(host_error(refused).status(), 403);
}

#[tokio::test]
async fn the_page_refuses_what_gitlab_refuses_and_returns_a_denial() {
    let lab = Lab::new().await;
    let good = AuthorizeRequest {
        client_id: "sandbox-client".to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        response_type: "code".to_owned(),
        state: Some("<s>".to_owned()),
        scope: Some("read_api".to_owned()),
        code_challenge: Some(CHALLENGE.to_owned()),
        code_challenge_method: Some("S256".to_owned()),
    };
    assert!(lab.sandbox.authorize("gitlab-cat", &good).is_ok());
    let edited = |edit: fn(&mut AuthorizeRequest)| {
        let mut request = good.clone();
        edit(&mut request);
        request
    };
    for request in [
        edited(|request| request.client_id = "other".to_owned()),
        edited(|request| request.redirect_uri.push('/')),
        edited(|request| request.response_type = "token".to_owned()),
        edited(|request| request.scope = Some("api".to_owned())),
        edited(|request| request.code_challenge = Some("short".to_owned())),
        edited(|request| request.code_challenge_method = Some("plain".to_owned())),
        edited(|request| request.code_challenge_method = None),
    ] {
        assert!(lab.sandbox.authorize("gitlab-cat", &request).is_err(), "{request:?}");
    }
    assert!(lab.sandbox.authorize("nobody", &good).is_err());
    let fields = [
        ("client_id", "sandbox-client"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("state", "<s>"),
        ("cancel", "1"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let location = post(&lab.sandbox.url(), &fields).await;
    assert_eq!(parameter(&location, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&location, "state").as_deref(), Some("<s>"));
}
