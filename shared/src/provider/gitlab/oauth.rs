//! GitLab's web flow with PKCE and the life of its tokens: authorize address, code exchange, refresh,
//! revocation. Who may start a flow and where tokens are kept is `identity`'s business.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Gitlab;
use super::errors::{classify, success};
use crate::config::endpoint;
use crate::provider::oauth::{self, OauthClient, OauthError, TokenGrant, token_call};
use crate::provider::upstream::{Answer, Budget};
use crate::provider::{ProviderError, ProviderType};

/// What is asked of the user: to read over the API, which is what `/groups` and `/projects` demand.
///
/// It opens `/user` too; `read_user` beside it would open nothing more, and would be refused wherever the
/// operator registered the application without it. `api` could write.
pub const SCOPE: &str = "read_api";

impl Gitlab {
    /// Where the browser is sent to sign in.
    #[must_use]
    pub fn authorize_url(
        &self,
        client_id: &str,
        redirect_uri: &str,
        state: &str,
        code_challenge: &str,
    ) -> Url {
        let mut url = endpoint(&self.host.base, &["oauth", "authorize"]);
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("state", state)
            .append_pair("scope", SCOPE)
            .append_pair("code_challenge", code_challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges a code of the web flow for tokens.
    ///
    /// # Errors
    /// [`OauthError`]. GitLab has one refusal for a wrong code, a wrong verifier and another redirect address.
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
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", code_verifier),
        ];
        self.grant(&fields, OauthError::BadCode, budget).await
    }

    /// Exchanges a refresh token for new tokens. GitLab ends both old ones at once, so that of two refreshes
    /// with the same token one loses; `redirect_uri` must be the one of the sign-in.
    ///
    /// # Errors
    /// [`OauthError`]; after [`OauthError::Host`] nobody knows whether the refresh token was used.
    pub async fn refresh(
        &self,
        client: &OauthClient,
        refresh_token: &SecretString,
        redirect_uri: &str,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let fields = [
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.client_secret.expose_secret()),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("redirect_uri", redirect_uri),
        ];
        self.grant(&fields, OauthError::BadRefreshToken, budget).await
    }

    async fn grant(
        &self,
        fields: &[(&str, &str)],
        bad_grant: OauthError,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let call = token_call(endpoint(&self.host.base, &["oauth", "token"]), fields);
        budget.record().token_request(ProviderType::Gitlab);
        let answer = self.upstream.call(ProviderType::Gitlab, &call, budget).await?;
        self.read_grant(&answer, bad_grant)
    }

    pub(super) fn read_grant(
        &self,
        answer: &Answer,
        bad_grant: OauthError,
    ) -> Result<TokenGrant, OauthError> {
        let code = |code: &str| match code {
            "invalid_grant" => Some(bad_grant),
            "invalid_client" | "unauthorized_client" => Some(OauthError::BadClient),
            "invalid_redirect_uri" => Some(OauthError::BadRedirect),
            _ => None,
        };
        oauth::read_grant(answer, &self.clock, code, |answer| classify(answer, &self.clock))
    }

    /// Ends an access token at GitLab, and with it its refresh token. A token that GitLab does not know is
    /// ended already.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn revoke(
        &self,
        client: &OauthClient,
        access_token: &SecretString,
        budget: &Budget,
    ) -> Result<(), ProviderError> {
        let fields = [
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.client_secret.expose_secret()),
            ("token", access_token.expose_secret()),
            ("token_type_hint", "access_token"),
        ];
        let call = token_call(endpoint(&self.host.base, &["oauth", "revoke"]), &fields);
        let answer = self.upstream.call(ProviderType::Gitlab, &call, budget).await?;
        success(&answer, &self.clock)
    }
}
