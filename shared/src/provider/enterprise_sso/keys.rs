//! The issuer's key set (RFC 7517): which of its keys can be used, and whether one of them has signed a token.
//! When the set is read again is `kept`'s business.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::claims::Claims;
use super::signed_token::SignedToken;
use super::{SsoError, TokenProblem};

/// The sizes of RSA's modulus that ring verifies with, in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// The size of a coordinate of P-256.
const P256_BYTES: usize = 32;

/// The keys of a set that can verify tokens.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The one algorithm that the key is for, where the set says so.
    algorithm: Option<String>,
    verifying: DecodingKey,
}

impl Keys {
    /// Reads a set. What is for encryption, of another type or odd is left out and costs nothing else.
    pub(super) fn read(set: &Value) -> Result<Self, SsoError> {
        let listed = set["keys"].as_array().ok_or(SsoError::KeySet("is no list of keys"))?;
        let keys: Vec<Key> = listed.iter().filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err(SsoError::KeySet("has no key that can verify a token"));
        }
        Ok(Self(keys))
    }

    /// The claims of a token that one of the keys has signed: the one that it names or, where it names none,
    /// the only one that fits its algorithm.
    pub(super) fn claims(&self, token: &SignedToken<'_>) -> Result<Claims, TokenProblem> {
        let Some(id) = &token.key_id else {
            let mut fitting = self.0.iter().filter(|key| key.fits(token.algorithm));
            let key = fitting.next().ok_or(TokenProblem::UnknownKey)?;
            if fitting.next().is_some() {
                return Err(TokenProblem::AmbiguousKey);
            }
            // Without names, a new key looks like a wrong signature.
            return key.claims(token).map_err(|problem| match problem {
                TokenProblem::Signature => TokenProblem::UnknownKey,
                other => other,
            });
        };
        let mut named = self.0.iter().filter(|key| key.id.as_ref() == Some(id)).peekable();
        if named.peek().is_none() {
            return Err(TokenProblem::UnknownKey);
        }
        // Keys of different types may share a name (RFC 7517, 4.5).
        let key = named.find(|key| key.fits(token.algorithm)).ok_or(TokenProblem::Algorithm)?;
        key.claims(token)
    }
}

impl Key {
    fn read(key: &Value) -> Option<Self> {
        let key = key.as_object()?;
        let verifies = |operations: &Value| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|one| one == "verify"))
        };
        if key.get("use").is_some_and(|usage| usage != "sig")
            || key.get("key_ops").is_some_and(|operations| !verifies(operations))
        {
            return None;
        }
        let text = |name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { id: text("kid"), algorithm: text("alg"), verifying: verifying(key)? })
    }

    /// Whether the key is of the algorithm's type, and not for another algorithm of that type.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let name = match algorithm {
            Algorithm::RS256 => "RS256",
            Algorithm::PS256 => "PS256",
            Algorithm::ES256 => "ES256",
            _ => return false,
        };
        self.verifying.family() == algorithm.family() && self.algorithm.as_ref().is_none_or(|own| own == name)
    }

    fn claims(&self, token: &SignedToken<'_>) -> Result<Claims, TokenProblem> {
        // The signature only: jsonwebtoken checks times by the system's clock and not ours, takes a list of
        // issuers for an issuer, and does not look at nonce, azp and iat. `claims` does all of it.
        let mut validation = Validation::new(token.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token.text, &self.verifying, &validation);
        decoded.map(|data| Claims::new(data.claims)).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenProblem::Signature,
            _ => TokenProblem::Malformed,
        })
    }
}

/// The key itself, if it is of a type and size that we verify with; never a secret shared with the issuer.
fn verifying(key: &Map<String, Value>) -> Option<DecodingKey> {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?.trim_end_matches('=')).ok();
    match key.get("kty")?.as_str()? {
        "RSA" => {
            let (n, e) = (number("n")?, number("e")?);
            // Some issuers write the sign's zero byte; ring wants the number alone.
            let n = &n[n.iter().position(|byte| *byte != 0)?..];
            RSA_BYTES.contains(&n.len()).then(|| DecodingKey::from_rsa_raw_components(n, &e))
        }
        "EC" if key.get("crv")? == "P-256" => {
            let (x, y) = (number("x")?, number("y")?);
            if x.len() != P256_BYTES || y.len() != P256_BYTES {
                return None;
            }
            Some(DecodingKey::from_ec_der(&[&[4], &*x, &*y].concat()))
        }
        _ => None,
    }
}
