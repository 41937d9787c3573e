//! The claims of a token whose signature is good, and the rules that every kind of token has to keep.
//! What only one kind has to keep is in `id_token` and `logout_token`.

use serde_json::{Map, Value};

use super::{SsoClient, TokenProblem};

/// How far the issuer's clock and ours may be apart (reference 3.2).
pub(super) const SKEW_SECONDS: i64 = 60;
/// The longest identifier (OpenID Connect Core 1.0, 2, of `sub`).
const LONGEST_IDENTIFIER: usize = 255;

/// The claims.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) const fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a string where it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TokenProblem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenProblem::Malformed),
        }
    }

    /// A claim that can identify something: 1 to 255 printable ASCII characters. Any other identifies nothing.
    pub(super) fn identifier(&self, name: &str) -> Option<&str> {
        let text = self.0.get(name)?.as_str()?;
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        (printable && (1..=LONGEST_IDENTIFIER).contains(&text.len())).then_some(text)
    }

    /// A moment in Unix seconds; a fraction is allowed (RFC 7519, 2) and does not count.
    fn moment(&self, name: &str) -> Result<Option<i64>, TokenProblem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                // `as` saturates, and either end is far enough.
                let rounded = || number.as_f64().map(|seconds| seconds as i64);
                number.as_i64().or_else(rounded).map(Some).ok_or(TokenProblem::Malformed)
            }
            Some(_) => Err(TokenProblem::Malformed),
        }
    }

    /// All of `aud`, one text or a list of them.
    pub(super) fn audiences(&self) -> Result<Vec<&str>, TokenProblem> {
        match self.0.get("aud") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(several)) => {
                several.iter().map(|one| one.as_str().ok_or(TokenProblem::Malformed)).collect()
            }
            Some(_) => Err(TokenProblem::Malformed),
        }
    }

    /// What holds for every token that is for us (OpenID Connect Core 1.0, 3.1.3.7, 2 to 4, 9, 10; RFC 7519, 4.1.5):
    /// issuer, audience, and a time that is neither over nor yet to come. Gives `exp`.
    pub(super) fn check(&self, client: &SsoClient, now: i64) -> Result<i64, TokenProblem> {
        if self.text("iss")? != Some(client.issuer.as_str()) {
            return Err(TokenProblem::Issuer);
        }
        if !self.audiences()?.contains(&client.client.client_id.as_str()) {
            return Err(TokenProblem::Audience);
        }
        let expires_at = self.moment("exp")?.ok_or(TokenProblem::Expiry)?;
        if expires_at.saturating_add(SKEW_SECONDS) <= now {
            return Err(TokenProblem::Expiry);
        }
        let latest = now + SKEW_SECONDS;
        if self.moment("iat")?.ok_or(TokenProblem::IssuedAt)? > latest {
            return Err(TokenProblem::IssuedAt);
        }
        if self.moment("nbf")?.is_some_and(|not_before| not_before > latest) {
            return Err(TokenProblem::NotBefore);
        }
        Ok(expires_at)
    }
}
