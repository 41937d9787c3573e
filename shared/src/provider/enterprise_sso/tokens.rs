//! The issuer's token endpoint: code exchange, refresh and revocation of tokens.
//! Where tokens are kept, and when they are refreshed, is `identity`'s business.

use http::StatusCode;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::discovery::ClientAuth;
use super::id_token::{Expected, IdentityClaims};
use super::kept::Asker;
use super::{EnterpriseSso, SsoClient, SsoError, TokenProblem, classify};
use crate::provider::authorized::basic;
use crate::provider::field::value;
use crate::provider::oauth::{self, OauthError, TokenGrant, host_time, token_call};
use crate::provider::upstream::{Answer, Budget, Call};
use crate::provider::{ProviderError, ProviderType};

/// What a sign-in gave.
#[derive(Clone, Debug)]
pub struct SsoGrant {
    /// The issuer's tokens.
    pub tokens: TokenGrant,
    /// The `id_token` itself, as the hint that ends the issuer's session later.
    pub id_token: SecretString,
    /// Who has signed in.
    pub claims: IdentityClaims,
}

/// What OpenID Connect adds to OAuth's answer, and Keycloak's name for the refresh token's life.
#[derive(Deserialize)]
struct Additions<'a> {
    id_token: Option<SecretString>,
    #[serde(borrow)]
    token_type: Option<&'a RawValue>,
    #[serde(borrow)]
    refresh_expires_in: Option<&'a RawValue>,
}

impl EnterpriseSso {
    /// Exchanges a code of the web flow for tokens, and checks the `id_token` among them.
    ///
    /// # Errors
    /// [`SsoError`].
    pub async fn exchange_code(
        &self,
        client: &SsoClient,
        code: &str,
        redirect_uri: &str,
        code_verifier: &str,
        nonce: &str,
        budget: &Budget,
    ) -> Result<SsoGrant, SsoError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", code_verifier),
        ];
        self.discovery(client, Asker::User, budget).await?;
        // The first sign-in of a process needs both: one round trip less.
        let (granted, keys) = futures::join!(
            self.grant(client, &fields, OauthError::BadCode, budget),
            self.keys(client, Asker::User, budget),
        );
        let (tokens, id_token) = granted?;
        keys?;
        let id_token = id_token.ok_or(TokenProblem::Missing)?;
        let expected = Expected { nonce: Some(nonce), subject: None, access: &tokens.access };
        let claims = self.id_token(client, &id_token, expected, budget).await?;
        Ok(SsoGrant { tokens, id_token, claims })
    }

    /// Exchanges a refresh token for new tokens. An `id_token` among them must be about `subject`, where that is
    /// given (OpenID Connect Core 1.0, 12.2). Where no new refresh token comes back, the grant carries the old one.
    ///
    /// # Errors
    /// [`OauthError`]; after [`OauthError::Host`] nobody knows whether the refresh token was used.
    pub async fn refresh(
        &self,
        client: &SsoClient,
        refresh_token: &SecretString,
        subject: Option<&str>,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        // Before the refresh token is used up: what could not be checked would be lost with it.
        self.keys(client, Asker::User, budget).await?;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        let (mut tokens, id_token) = self.grant(client, &fields, OauthError::BadRefreshToken, budget).await?;
        if let Some(id_token) = id_token {
            let expected = Expected { nonce: None, subject, access: &tokens.access };
            let checked = self.id_token(client, &id_token, expected, budget).await;
            checked.inspect_err(|error| tracing::warn!(%error, "refreshed tokens are not taken"))?;
        }
        tokens.refresh.get_or_insert_with(|| refresh_token.clone());
        Ok(tokens)
    }

    /// Ends a token at the issuer (RFC 7009), where it offers that. A token that it does not know is ended
    /// already.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn revoke(
        &self,
        client: &SsoClient,
        token: &SecretString,
        budget: &Budget,
    ) -> Result<(), ProviderError> {
        let discovery = match self.discovery(client, Asker::User, budget).await {
            Ok(discovery) => discovery,
            Err(SsoError::Host(error)) => return Err(error),
            Err(_) => return Err(ProviderError::BadResponse { status: 200 }),
        };
        let Some(url) = discovery.revocation_endpoint.clone() else { return Ok(()) };
        let fields = [("token", token.expose_secret())];
        let call = authenticated(client, discovery.revocation_auth, url, &fields)?;
        let answer = self.ask(client, &call, budget).await?;
        if answer.status == StatusCode::OK { Ok(()) } else { Err(classify(&answer)) }
    }

    /// `invalid_grant`: what that means for these fields.
    async fn grant(
        &self,
        client: &SsoClient,
        fields: &[(&str, &str)],
        invalid_grant: OauthError,
        budget: &Budget,
    ) -> Result<(TokenGrant, Option<SecretString>), OauthError> {
        let discovery = self.discovery(client, Asker::User, budget).await?;
        let call = authenticated(client, discovery.token_auth, discovery.token_endpoint.clone(), fields)?;
        budget.record().token_request(ProviderType::EnterpriseSso);
        let answer = self.ask(client, &call, budget).await?;
        self.read_grant(&answer, invalid_grant)
    }

    pub(super) fn read_grant(
        &self,
        answer: &Answer,
        invalid_grant: OauthError,
    ) -> Result<(TokenGrant, Option<SecretString>), OauthError> {
        let code = |code: &str| match code {
            "invalid_grant" => Some(invalid_grant),
            "invalid_client" | "unauthorized_client" => Some(OauthError::BadClient),
            "invalid_redirect_uri" | "redirect_uri_mismatch" => Some(OauthError::BadRedirect),
            _ => None,
        };
        let mut tokens = oauth::read_grant(answer, &self.clock, code, classify)?;
        let unreadable = || OauthError::Host(ProviderError::BadResponse { status: 200 });
        let more: Additions<'_> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        // Who does not know a token's type must not use it (RFC 6749, 7.1).
        let kind: Option<String> = value(more.token_type);
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(unreadable());
        }
        // Keycloak writes 0 for a refresh token that does not end.
        let life: Option<i64> = value(more.refresh_expires_in).filter(|seconds| *seconds > 0);
        if let (None, Some(life)) = (tokens.refresh_expires_at, life) {
            tokens.refresh_expires_at = Some(host_time(answer, &self.clock).saturating_add(life));
        }
        Ok((tokens, more.id_token))
    }
}

/// The call of an endpoint where our client proves itself. In the header, id and secret are encoded as in a form
/// before they are joined (RFC 6749, 2.3.1): either may contain a colon.
fn authenticated(
    client: &SsoClient,
    auth: ClientAuth,
    url: Url,
    fields: &[(&str, &str)],
) -> Result<Call, ProviderError> {
    let (id, secret) = (client.client.client_id.as_str(), client.client.client_secret.expose_secret());
    match auth {
        ClientAuth::Header => {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let mut call = token_call(url, fields);
            call.headers.insert(AUTHORIZATION, basic(&format!("{}:{}", encoded(id), encoded(secret)))?);
            Ok(call)
        }
        ClientAuth::Form => {
            let own = [("client_id", id), ("client_secret", secret)];
            Ok(token_call(url, &[fields, &own].concat()))
        }
    }
}
