//! The web flow and the renewal of tokens, with refresh tokens that rotate and such that do not.
//! What the tokens open is tested in `tokens`.

use std::time::Duration;

use local::sandbox_bitbucket::{AuthorizeRequest, RefreshRule};
use secrecy::{ExposeSecret, SecretString};
use shared::provider::oauth::{OauthClient, OauthError, TokenGrant};
use shared::provider::token::FixedToken;

use super::lab::{CALLBACK, Lab, budget, oauth_client, parameter};

impl Lab {
    fn code(&self, state: &str) -> String {
        let url = self.client.authorize_url("sandbox-key", CALLBACK, state);
        let request = AuthorizeRequest {
            client_id: parameter(url.as_str(), "client_id").unwrap(),
            response_type: parameter(url.as_str(), "response_type").unwrap(),
            redirect_uri: parameter(url.as_str(), "redirect_uri"),
            state: parameter(url.as_str(), "state"),
            login: None,
        };
        let back = self.sandbox.authorize("bitbucket-cat", &request).unwrap();
        assert!(back.starts_with(CALLBACK));
        assert_eq!(parameter(&back, "state").as_deref(), Some(state));
        parameter(&back, "code").unwrap()
    }

    async fn exchange(&self, code: &str) -> Result<TokenGrant, OauthError> {
        self.client.exchange_code(&oauth_client(), code, CALLBACK, &budget()).await
    }

    async fn refresh(&self, token: &SecretString) -> Result<TokenGrant, OauthError> {
        self.client.refresh(&oauth_client(), token, &budget()).await
    }

    async fn login(&self, grant: &TokenGrant) -> String {
        let source = FixedToken::forwarded(grant.access.clone());
        self.client.user(&source, &budget()).await.unwrap().login
    }
}

#[tokio::test]
async fn a_code_becomes_tokens_once_and_within_ten_minutes() {
    let lab = Lab::new().await;
    let code = lab.code("a state & more");
    let grant = lab.exchange(&code).await.unwrap();
    let ends = grant.access_expires_at.unwrap() - lab.clock.unix();
    assert!((7_195..=7_200).contains(&ends), "{ends}");
    assert!(grant.refresh.is_some() && grant.refresh_expires_at.is_none());
    assert_eq!(lab.login(&grant).await, "bitbucket-cat");

    assert!(matches!(lab.exchange(&code).await, Err(OauthError::BadCode)));
    let code = lab.code("s");
    lab.clock.advance(Duration::from_secs(601));
    assert!(matches!(lab.exchange(&code).await, Err(OauthError::BadCode)));
    let (client, code, budget) = (oauth_client(), lab.code("s"), budget());
    let other = lab.client.exchange_code(&client, &code, "http://localhost/other", &budget);
    assert!(matches!(other.await, Err(OauthError::BadCode)));
}

#[tokio::test]
async fn wrong_client_credentials_are_the_operators_problem() {
    let lab = Lab::new().await;
    for (id, secret) in [("sandbox-key", "wrong"), ("other", "sandbox-secret")] {
        let client = OauthClient { client_id: id.to_owned(), client_secret: SecretString::from(secret) };
        let refused = lab.client.exchange_code(&client, &lab.code("s"), CALLBACK, &budget()).await;
        assert!(matches!(refused, Err(OauthError::BadClient)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_rotates_is_good_once() {
    let lab = Lab::new().await;
    let old = lab.exchange(&lab.code("s")).await.unwrap();
    let refresh = old.refresh.clone().unwrap();
    let new = lab.refresh(&refresh).await.unwrap();
    assert_ne!(new.refresh.as_ref().unwrap().expose_secret(), refresh.expose_secret());
    assert_ne!(new.access.expose_secret(), old.access.expose_secret());
    assert_eq!(lab.login(&new).await, "bitbucket-cat");
    assert!(matches!(lab.refresh(&refresh).await, Err(OauthError::BadRefreshToken)));
    assert!(lab.refresh(new.refresh.as_ref().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_that_stays_is_carried_on_whether_it_comes_back_or_not() {
    let lab = Lab::new().await;
    for rule in [RefreshRule::Stays, RefreshRule::StaysUntold] {
        lab.sandbox.world(|world| world.refresh = rule);
        let refresh = lab.exchange(&lab.code("s")).await.unwrap().refresh.unwrap();
        for _ in 0..2 {
            let new = lab.refresh(&refresh).await.unwrap();
            assert_eq!(new.refresh.as_ref().unwrap().expose_secret(), refresh.expose_secret(), "{rule:?}");
            assert_eq!(lab.login(&new).await, "bitbucket-cat");
        }
    }
}

#[tokio::test]
async fn a_refresh_token_ends_with_the_grant_and_after_three_months_without_use() {
    let lab = Lab::new().await;
    let unused = lab.exchange(&lab.code("s")).await.unwrap().refresh.unwrap();
    lab.clock.advance(Duration::from_secs(91 * 86_400));
    assert!(matches!(lab.refresh(&unused).await, Err(OauthError::BadRefreshToken)));
    let revoked = lab.exchange(&lab.code("s")).await.unwrap().refresh.unwrap();
    lab.sandbox.revoke_grant("bitbucket-cat");
    assert!(matches!(lab.refresh(&revoked).await, Err(OauthError::BadRefreshToken)));
}

#[tokio::test]
async fn the_authorize_page_shows_who_one_can_be_and_returns_with_the_choice() {
    let lab = Lab::new().await;
    let good = lab.client.authorize_url("sandbox-key", CALLBACK, "<s>").to_string();
    let shown = lab.http.get(&good).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert!(shown.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let page = shown.text().await.unwrap();
    assert!(page.contains("value=\"&lt;s&gt;\"") && page.contains("value=\"many-workspaces\""));
    for (bad, status) in [
        (good.replace("sandbox-key", "other"), 404),
        (good.replace("callback", "callback%2F"), 400),
        (good.replace("response_type=code", "response_type=token"), 400),
        (good.replace("response_type=code&", ""), 400),
    ] {
        assert_eq!(lab.http.get(&bad).send().await.unwrap().status(), status, "{bad}");
    }
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(shared::provider::upstream::tls_config(&[]).unwrap())
        .build()
        .unwrap();
    let choose = async |choice: (&'static str, &'static str)| {
        let fields = [("client_id", "sandbox-key"), ("response_type", "code"), ("redirect_uri", CALLBACK)];
        let fields = fields.into_iter().chain([("state", "s"), choice]);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let url = format!("{}/site/oauth2/authorize", lab.sandbox.web_url());
        let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = request.send().await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location.unwrap_or_default())
    };
    let (status, location) = choose(("choice", "many-workspaces")).await;
    assert_eq!((status, parameter(&location, "state").as_deref()), (302, Some("s")));
    let grant = lab.exchange(&parameter(&location, "code").unwrap()).await.unwrap();
    assert_eq!(lab.login(&grant).await, "many-workspaces");
    let (_, location) = choose(("cancel", "1")).await;
    assert_eq!(parameter(&location, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&location, "state").as_deref(), Some("s"));
    assert_eq!(choose(("choice", "nobody")).await.0, 400);
}
