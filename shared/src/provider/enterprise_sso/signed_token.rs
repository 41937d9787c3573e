//! A JWT before anything is believed of it: its form, its algorithm, its kind, the key that it names.
//! Which keys there are is `keys`' business, what it claims `claims`'.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::TokenProblem;

/// The longest token that is looked at. One with many groups has some 20 KB.
const LONGEST: usize = 64 * 1024;

/// A JWT in compact form with one of our algorithms.
#[derive(Debug)]
pub(super) struct SignedToken<'a> {
    pub(super) text: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl<'a> SignedToken<'a> {
    /// Reads the header. The algorithm is one of ours and never just what the token says (RFC 8725, 3.1): none
    /// without a signature, none with a shared secret.
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenProblem> {
        if text.len() > LONGEST || text.split('.').count() != 3 {
            return Err(TokenProblem::Malformed);
        }
        let header = text.split('.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenProblem::Malformed)?;
        let header: JoseHeader = serde_json::from_slice(&header).map_err(|_| TokenProblem::Malformed)?;
        let algorithm = match header.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "PS256" => Algorithm::PS256,
            "ES256" => Algorithm::ES256,
            _ => return Err(TokenProblem::Algorithm),
        };
        if header.crit.is_some() {
            return Err(TokenProblem::Critical);
        }
        Ok(Self { text, algorithm, key_id: header.kid, kind: header.typ })
    }

    /// Whether its `typ`, if it has one, is among these (RFC 8725, 3.11; RFC 7515, 4.1.9 for how it is written).
    pub(super) fn expect_kind(&self, kinds: &[&str]) -> Result<(), TokenProblem> {
        let Some(kind) = &self.kind else { return Ok(()) };
        let kind = kind.to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if kinds.contains(&kind) { Ok(()) } else { Err(TokenProblem::Kind) }
    }
}
