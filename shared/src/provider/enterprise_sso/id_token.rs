//! The `id_token`: who has signed in (OpenID Connect Core 1.0, 2 and 3.1.3.7), and what is shown of them.
//! Its signature is checked before, in `keys`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::claims::Claims;
use super::kept::Asker;
use super::signed_token::SignedToken;
use super::{EnterpriseSso, SsoClient, SsoError, TokenProblem};
use crate::constant_time::same;
use crate::provider::upstream::Budget;

/// The longest address of an avatar that is kept.
const LONGEST_AVATAR_URL: usize = 2048;

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityClaims {
    /// `sub`: with the issuer, the one name that lasts.
    pub subject: String,
    /// `sid`: the session at the issuer, which a logout token may name.
    pub session_id: Option<String>,
    /// A name to show, never to compare: `preferred_username`, else `email`, `name` or the subject.
    pub login: String,
    /// `picture`, if that is an https address.
    pub avatar_url: Option<String>,
}

/// What an `id_token` has to fit.
pub(super) struct Expected<'a> {
    /// The nonce of the sign-in; a refreshed token need not repeat it (OpenID Connect Core 1.0, 12.2).
    pub(super) nonce: Option<&'a str>,
    /// Who it must be about, where that is known already.
    pub(super) subject: Option<&'a str>,
    /// The access token beside it.
    pub(super) access: &'a SecretString,
}

impl EnterpriseSso {
    /// Who has signed in, by a token that came from the issuer's token endpoint.
    pub(super) async fn id_token(
        &self,
        client: &SsoClient,
        token: &SecretString,
        expected: Expected<'_>,
        budget: &Budget,
    ) -> Result<IdentityClaims, SsoError> {
        let token = SignedToken::parse(token.expose_secret())?;
        // Above all no logout token.
        token.expect_kind(&["jwt"])?;
        let claims = self.signed_claims(client, &token, Asker::User, budget).await?;
        claims.check(client, self.clock.unix())?;
        Ok(identity(&claims, client, &expected)?)
    }
}

pub(super) fn identity(
    claims: &Claims,
    client: &SsoClient,
    expected: &Expected<'_>,
) -> Result<IdentityClaims, TokenProblem> {
    let authorized = claims.text("azp")?;
    if authorized.is_some_and(|azp| azp != client.client.client_id)
        || (authorized.is_none() && claims.audiences()?.len() > 1)
    {
        return Err(TokenProblem::AuthorizedParty);
    }
    if let Some(nonce) = expected.nonce
        && !claims.text("nonce")?.is_some_and(|given| same(nonce, given))
    {
        return Err(TokenProblem::Nonce);
    }
    let subject = claims.identifier("sub").ok_or(TokenProblem::Subject)?;
    if expected.subject.is_some_and(|known| known != subject) {
        return Err(TokenProblem::Subject);
    }
    if claims.text("at_hash")?.is_some_and(|hash| !same(hash, &half_hash(expected.access))) {
        return Err(TokenProblem::AccessTokenHash);
    }
    Ok(IdentityClaims {
        subject: subject.to_owned(),
        session_id: claims.identifier("sid").map(str::to_owned),
        login: login(claims).unwrap_or(subject).to_owned(),
        avatar_url: avatar(claims),
    })
}

/// `at_hash` of an access token: the left half of its SHA-256, which all our algorithms have
/// (OpenID Connect Core 1.0, 3.1.3.6).
fn half_hash(access: &SecretString) -> String {
    let hash = digest::digest(&digest::SHA256, access.expose_secret().as_bytes());
    let (half, _) = hash.as_ref().split_at(digest::SHA256_OUTPUT_LEN / 2);
    URL_SAFE_NO_PAD.encode(half)
}

fn login(claims: &Claims) -> Option<&str> {
    ["preferred_username", "email", "name"].into_iter().find_map(|name| {
        let text = claims.get(name).and_then(Value::as_str)?.trim();
        (!text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control)).then_some(text)
    })
}

fn avatar(claims: &Claims) -> Option<String> {
    let text = claims.get("picture")?.as_str().filter(|text| text.len() <= LONGEST_AVATAR_URL)?;
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.username().is_empty())?;
    Some(url.into())
}
