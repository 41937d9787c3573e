//! GitHub's web flow and the life of user tokens: authorize address, code exchange, refresh, revocation
//! (reference: GitHub 1.9, 1.10). Who may start a flow and where tokens are kept is `identity`'s business.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::Github;
use crate::config::endpoint;
use crate::provider::upstream::{Answer, Budget, Call};
use crate::provider::{ProviderError, ProviderType};

/// The App's OAuth credentials.
#[derive(Clone, Debug)]
pub struct GithubOauth {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

/// What the token endpoint granted. Expiries are absolute, counted from the answer's own `Date`,
/// so that a local clock that is wrong does not matter.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// `ghu_` token.
    pub access: SecretString,
    /// When the access token ends, in Unix seconds; `None` for Apps that opted out of expiry.
    pub access_expires_at: Option<i64>,
    /// `ghr_` token, single use.
    pub refresh: Option<SecretString>,
    /// When the refresh token ends, in Unix seconds.
    pub refresh_expires_at: Option<i64>,
}

/// The token endpoint did not grant anything.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OauthError {
    /// The code is wrong, used or over 10 minutes old, or the PKCE verifier does not fit.
    #[error("the code is not accepted")]
    BadCode,
    /// The refresh token is used, revoked or expired.
    #[error("the refresh token is not accepted")]
    BadRefreshToken,
    /// The App's client id or secret is wrong: the operator's problem.
    #[error("GitHub does not accept the App's client credentials")]
    BadClient,
    /// The redirect address is not one of the App's callback URLs: the operator's problem.
    #[error("GitHub does not accept the callback URL")]
    BadRedirect,
    /// Any other refusal, by GitHub's own error code.
    #[error("GitHub refuses: {0}")]
    Refused(String),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] ProviderError),
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<SecretString>,
    expires_in: Option<i64>,
    refresh_token: Option<SecretString>,
    refresh_token_expires_in: Option<i64>,
    error: Option<String>,
}

impl Github {
    /// Where the browser is sent to sign in. GitHub takes no scopes for Apps.
    #[must_use]
    pub fn authorize_url(
        &self,
        client_id: &str,
        redirect_uri: &str,
        state: &str,
        code_challenge: &str,
    ) -> Url {
        let mut url = endpoint(&self.host.web, &["login", "oauth", "authorize"]);
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state)
            .append_pair("code_challenge", code_challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges a code of the web flow for tokens.
    ///
    /// # Errors
    /// [`OauthError`].
    pub async fn exchange_code(
        &self,
        oauth: &GithubOauth,
        code: &str,
        redirect_uri: &str,
        code_verifier: &str,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let body = form(&[
            ("client_id", &oauth.client_id),
            ("client_secret", oauth.client_secret.expose_secret()),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", code_verifier),
        ]);
        self.grant(body, budget).await
    }

    /// Exchanges a refresh token for new tokens. GitHub ends the old pair at once (single use).
    ///
    /// # Errors
    /// [`OauthError`]; after [`OauthError::Host`] nobody knows whether the refresh token was used.
    pub async fn refresh(
        &self,
        oauth: &GithubOauth,
        refresh_token: &SecretString,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let body = form(&[
            ("client_id", &oauth.client_id),
            ("client_secret", oauth.client_secret.expose_secret()),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ]);
        self.grant(body, budget).await
    }

    async fn grant(&self, body: SecretString, budget: &Budget) -> Result<TokenGrant, OauthError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let call = Call {
            method: Method::POST,
            url: endpoint(&self.host.web, &["login", "oauth", "access_token"]),
            headers,
            body: Some(Bytes::from(body.expose_secret().to_owned())),
        };
        let answer = self.upstream.call(ProviderType::Github, &call, budget).await?;
        self.read_grant(&answer)
    }

    /// GitHub reports OAuth errors with status 200 and `{"error":...}` (reference 1.9).
    fn read_grant(&self, answer: &Answer) -> Result<TokenGrant, OauthError> {
        let granted: TokenAnswer = match serde_json::from_slice(&answer.body) {
            Ok(granted) => granted,
            Err(_) if answer.status != StatusCode::OK => {
                return Err(super::classify(answer, &self.clock).into());
            }
            Err(_) => return Err(ProviderError::BadResponse { status: 200 }.into()),
        };
        if let Some(error) = granted.error {
            return Err(match error.as_str() {
                "bad_verification_code" => OauthError::BadCode,
                "bad_refresh_token" | "invalid_grant" => OauthError::BadRefreshToken,
                "incorrect_client_credentials" | "invalid_client" => OauthError::BadClient,
                "redirect_uri_mismatch" => OauthError::BadRedirect,
                _ => OauthError::Refused(
                    error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect(),
                ),
            });
        }
        let Some(access) = granted.access_token else {
            return Err(match answer.status {
                StatusCode::OK => ProviderError::BadResponse { status: 200 }.into(),
                _ => super::classify(answer, &self.clock).into(),
            });
        };
        let now = answer
            .header(DATE.as_str())
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_secs()).ok())
            .unwrap_or_else(|| self.clock.unix());
        Ok(TokenGrant {
            access,
            access_expires_at: granted.expires_in.map(|seconds| now + seconds),
            refresh: granted.refresh_token,
            refresh_expires_at: granted.refresh_token_expires_in.map(|seconds| now + seconds),
        })
    }

    /// Ends an access token at GitHub, `DELETE /applications/{client_id}/token`. A token that GitHub does
    /// not know is ended already.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn revoke(
        &self,
        oauth: &GithubOauth,
        access_token: &SecretString,
        budget: &Budget,
    ) -> Result<(), ProviderError> {
        let mut headers = HeaderMap::new();
        super::with_defaults(&mut headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let basic = STANDARD.encode(format!("{}:{}", oauth.client_id, oauth.client_secret.expose_secret()));
        let mut authorization = HeaderValue::try_from(format!("Basic {basic}"))
            .map_err(|_| ProviderError::BadResponse { status: 0 })?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        let body = serde_json::json!({ "access_token": access_token.expose_secret() });
        let call = Call {
            method: Method::DELETE,
            url: self.url(&["applications", &oauth.client_id, "token"], &[]),
            headers,
            body: Some(Bytes::from(body.to_string())),
        };
        let answer = self.upstream.call(ProviderType::Github, &call, budget).await?;
        match answer.status {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Ok(()),
            _ => Err(super::classify(&answer, &self.clock)),
        }
    }
}

fn form(fields: &[(&str, &str)]) -> SecretString {
    SecretString::from(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}
