//! The `logout_token`, by which the issuer says that a session has ended (OpenID Connect Back-Channel
//! Logout 1.0, 2.4 and 2.6). That each is used once, and which sessions it ends, is `identity`'s business.

use serde_json::Value;

use super::claims::Claims;
use super::kept::Asker;
use super::signed_token::SignedToken;
use super::{EnterpriseSso, SsoClient, SsoError, TokenProblem};
use crate::provider::upstream::Budget;

/// What makes a token one of logout.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A checked logout token. At least one of subject and session is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// `jti`: the same one may not be used twice.
    pub jti: String,
    /// `sub`: whose session ended; all of theirs where no session is named.
    pub subject: Option<String>,
    /// `sid`: which session ended.
    pub session_id: Option<String>,
    /// `exp`, in Unix seconds. It is taken for up to a minute longer (skew), so its `jti` must be known as long.
    pub expires_at: i64,
}

impl EnterpriseSso {
    /// Checks a logout token, which anybody can have posted.
    ///
    /// # Errors
    /// [`SsoError::Token`] for a token that breaks a rule, else that the issuer's keys cannot be had.
    pub async fn logout_token(
        &self,
        client: &SsoClient,
        token: &str,
        budget: &Budget,
    ) -> Result<LogoutToken, SsoError> {
        let token = SignedToken::parse(token)?;
        // `logout+jwt` is only recommended; older issuers say JWT or nothing.
        token.expect_kind(&["logout+jwt", "jwt"])?;
        let claims = self.signed_claims(client, &token, Asker::Anybody, budget).await?;
        let expires_at = claims.check(client, self.clock.unix())?;
        Ok(logout(&claims, expires_at)?)
    }
}

pub(super) fn logout(claims: &Claims, expires_at: i64) -> Result<LogoutToken, TokenProblem> {
    if !claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
        return Err(TokenProblem::Event);
    }
    // Where there is a nonce, it is an id_token; even an empty one is one.
    if claims.get("nonce").is_some() {
        return Err(TokenProblem::Nonce);
    }
    let owned = |name: &str| claims.identifier(name).map(str::to_owned);
    let jti = owned("jti").ok_or(TokenProblem::TokenId)?;
    let (subject, session_id) = (owned("sub"), owned("sid"));
    if subject.is_none() && session_id.is_none() {
        return Err(TokenProblem::Session);
    }
    Ok(LogoutToken { jti, subject, session_id, expires_at })
}
