//! Bitbucket's web flow and the renewal of its tokens (reference: Bitbucket 2.3).
//! Who may start a flow and where tokens are kept is `identity`'s business.

use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Bitbucket;
use crate::config::endpoint;
use crate::provider::ProviderType;
use crate::provider::authorized::basic;
use crate::provider::oauth::{self, OauthClient, OauthError, TokenGrant, token_call};
use crate::provider::upstream::{Answer, Budget};

impl Bitbucket {
    /// Where the browser is sent to sign in. Bitbucket documents no PKCE: the state is the only guard. Scopes are
    /// those of the OAuth consumer.
    #[must_use]
    pub fn authorize_url(&self, client_id: &str, redirect_uri: &str, state: &str) -> Url {
        let mut url = endpoint(&self.host.web, &["site", "oauth2", "authorize"]);
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state);
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
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
        self.grant(client, &fields, OauthError::BadCode, budget).await
    }

    /// Exchanges a refresh token for new tokens. Bitbucket ends the old refresh token, or lets it live on: where no
    /// new one comes back, the grant carries the old one.
    ///
    /// # Errors
    /// [`OauthError`]; after [`OauthError::Host`] nobody knows whether the refresh token was used.
    pub async fn refresh(
        &self,
        client: &OauthClient,
        refresh_token: &SecretString,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        let mut grant = self.grant(client, &fields, OauthError::BadRefreshToken, budget).await?;
        grant.refresh.get_or_insert_with(|| refresh_token.clone());
        Ok(grant)
    }

    /// `invalid_grant`: what that means for these fields.
    async fn grant(
        &self,
        client: &OauthClient,
        fields: &[(&str, &str)],
        invalid_grant: OauthError,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let url = endpoint(&self.host.web, &["site", "oauth2", "access_token"]);
        let mut call = token_call(url, fields);
        let credentials = format!("{}:{}", client.client_id, client.client_secret.expose_secret());
        call.headers.insert(AUTHORIZATION, basic(&credentials)?);
        budget.record().token_request(ProviderType::Bitbucket);
        let answer = self.upstream.call(ProviderType::Bitbucket, &call, budget).await?;
        self.read_grant(&answer, invalid_grant)
    }

    pub(super) fn read_grant(
        &self,
        answer: &Answer,
        invalid_grant: OauthError,
    ) -> Result<TokenGrant, OauthError> {
        let code = |code: &str| match code {
            "invalid_grant" => Some(invalid_grant),
            "invalid_client" | "unauthorized_client" => Some(OauthError::BadClient),
            "redirect_uri_mismatch" => Some(OauthError::BadRedirect),
            _ => None,
        };
        oauth::read_grant(answer, &self.clock, code, super::classify)
    }
}
