//! Where the browser is sent at the issuer, to sign in and to sign out, and whether its answer is the issuer's.
//! What the answer is exchanged for is in `tokens`.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::kept::Asker;
use super::{EnterpriseSso, SsoClient, SsoError};
use crate::provider::upstream::Budget;

/// What is asked of the user: who they are, and what may be shown of it.
pub const SCOPE: &str = "openid email profile";

/// Asks for tokens that outlive the session at the issuer (OpenID Connect Core 1.0, 11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// A hint that is longer is left out: servers refuse addresses beyond 4 KB, and the client's id alone will do, with a
/// question to the user (OpenID Connect RP-Initiated Logout 1.0, 2).
const LONGEST_HINT: usize = 3_000;

/// What a sign-in is bound to.
#[derive(Clone, Copy)]
pub struct AuthorizeRequest<'a> {
    /// Our callback address.
    pub redirect_uri: &'a str,
    /// Binds the answer to the browser.
    pub state: &'a str,
    /// PKCE's challenge, by S256.
    pub code_challenge: &'a str,
    /// Binds the `id_token` to the sign-in.
    pub nonce: &'a str,
    /// Whether tokens are wanted that outlive the issuer's session, which may be as short as half an hour: what is
    /// brokered is fetched again with them. Asked for only of an issuer that brokers something and offers them.
    pub offline: bool,
}

// By hand: state and nonce are nobody else's to know.
impl std::fmt::Debug for AuthorizeRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorizeRequest({})", self.redirect_uri)
    }
}

impl EnterpriseSso {
    /// Where the browser is sent to sign in (OpenID Connect Core 1.0, 3.1.2.1; RFC 7636).
    ///
    /// # Errors
    /// [`SsoError`] when the issuer's addresses cannot be had.
    pub async fn authorize_url(
        &self,
        client: &SsoClient,
        request: &AuthorizeRequest<'_>,
        budget: &Budget,
    ) -> Result<Url, SsoError> {
        let discovery = self.discovery(client, Asker::User, budget).await?;
        let mut url = discovery.authorization_endpoint.clone();
        let offline = request.offline && !client.broker.is_empty() && discovery.offers_offline_access;
        let scope = if offline { format!("{SCOPE} {OFFLINE_ACCESS}") } else { SCOPE.to_owned() };
        url.query_pairs_mut()
            .append_pair("client_id", &client.client.client_id)
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", &scope)
            .append_pair("state", request.state)
            .append_pair("nonce", request.nonce)
            .append_pair("code_challenge", request.code_challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Whether an answer in the browser is the issuer's by its parameter `iss` (RFC 9207, 2.4): equal where it is
    /// there, and there where the issuer says that it always is.
    ///
    /// # Errors
    /// [`SsoError::OtherIssuer`], or that the issuer's document cannot be had.
    pub async fn check_answer_issuer(
        &self,
        client: &SsoClient,
        iss: Option<&str>,
        budget: &Budget,
    ) -> Result<(), SsoError> {
        let right = match iss {
            Some(iss) => iss == client.issuer.as_str(),
            None => !self.discovery(client, Asker::User, budget).await?.answers_name_issuer,
        };
        if right { Ok(()) } else { Err(SsoError::OtherIssuer) }
    }

    /// Where the browser is sent to end the issuer's own session too (OpenID Connect RP-Initiated Logout 1.0, 2);
    /// `None` where the issuer does not offer it. There is no `state`: nothing hangs on how the browser comes back.
    ///
    /// # Errors
    /// [`SsoError`] when the issuer's addresses cannot be had.
    pub async fn end_session_url(
        &self,
        client: &SsoClient,
        id_token: &SecretString,
        post_logout_redirect_uri: &str,
        budget: &Budget,
    ) -> Result<Option<Url>, SsoError> {
        let discovery = self.discovery(client, Asker::User, budget).await?;
        let Some(mut url) = discovery.end_session_endpoint.clone() else { return Ok(None) };
        if id_token.expose_secret().len() <= LONGEST_HINT {
            url.query_pairs_mut().append_pair("id_token_hint", id_token.expose_secret());
        }
        url.query_pairs_mut()
            .append_pair("client_id", &client.client.client_id)
            .append_pair("post_logout_redirect_uri", post_logout_redirect_uri);
        Ok(Some(url))
    }
}
