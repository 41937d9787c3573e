//! GitHub's web flow and the life of user tokens: authorize address, code exchange, refresh, revocation
//! (reference: GitHub 1.9, 1.10). Who may start a flow and where tokens are kept is `identity`'s business.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Github;
use crate::config::endpoint;
use crate::provider::authorized::basic;
use crate::provider::oauth::{self, OauthClient, OauthError, TokenGrant, token_call};
use crate::provider::upstream::{Answer, Budget, Call};
use crate::provider::{ProviderError, ProviderType};

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
        client: &OauthClient,
        code: &str,
        redirect_uri: &str,
        code_verifier: &str,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let fields = [
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.client_secret.expose_secret()),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", code_verifier),
        ];
        self.grant(&fields, budget).await
    }

    /// Exchanges a refresh token for new tokens. GitHub ends the old pair at once (single use).
    ///
    /// # Errors
    /// [`OauthError`]; after [`OauthError::Host`] nobody knows whether the refresh token was used.
    pub async fn refresh(
        &self,
        client: &OauthClient,
        refresh_token: &SecretString,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let fields = [
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.client_secret.expose_secret()),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ];
        self.grant(&fields, budget).await
    }

    async fn grant(&self, fields: &[(&str, &str)], budget: &Budget) -> Result<TokenGrant, OauthError> {
        let call = token_call(endpoint(&self.host.web, &["login", "oauth", "access_token"]), fields);
        budget.record().token_request(ProviderType::Github);
        let answer = self.upstream.call(ProviderType::Github, &call, budget).await?;
        self.read_grant(&answer)
    }

    /// GitHub reports OAuth errors with status 200 and `{"error":...}` (reference 1.9).
    pub(super) fn read_grant(&self, answer: &Answer) -> Result<TokenGrant, OauthError> {
        let code = |code: &str| match code {
            "bad_verification_code" => Some(OauthError::BadCode),
            "bad_refresh_token" | "invalid_grant" => Some(OauthError::BadRefreshToken),
            "incorrect_client_credentials" | "invalid_client" => Some(OauthError::BadClient),
            "redirect_uri_mismatch" => Some(OauthError::BadRedirect),
            _ => None,
        };
        oauth::read_grant(answer, &self.clock, code, |answer| super::classify(answer, &self.clock))
    }

    /// Ends an access token at GitHub, `DELETE /applications/{client_id}/token`. A token that GitHub does
    /// not know is ended already.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn revoke(
        &self,
        client: &OauthClient,
        access_token: &SecretString,
        budget: &Budget,
    ) -> Result<(), ProviderError> {
        let mut headers = HeaderMap::new();
        super::with_defaults(&mut headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let credentials = format!("{}:{}", client.client_id, client.client_secret.expose_secret());
        headers.insert(AUTHORIZATION, basic(&credentials)?);
        let body = serde_json::json!({ "access_token": access_token.expose_secret() });
        let call = Call {
            method: Method::DELETE,
            url: self.url(&["applications", &client.client_id, "token"], &[]),
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
