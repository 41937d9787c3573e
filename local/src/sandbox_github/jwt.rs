//! The App's JSON web tokens: RS256 by the App's public key, and GitHub's rules for the claims.
//! Which endpoints want one is decided in `app_rest`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::AppRegistration;

/// The longest time that a token may still live (reference/github.md 1.8).
const LONGEST_LIFE: i64 = 600;

pub(super) const NOT_DECODED: &str = "A JSON web token could not be decoded";
const EXPIRED: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
const TOO_FAR: &str = "'Expiration time' claim ('exp') is too far in the future";
const ISSUED: &str =
    "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";

/// The App's public key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the App's public key is not an RSA public key in PEM (SPKI or PKCS#1): {0}")]
pub struct PublicKeyError(&'static str);

/// The public half of the App's key.
#[derive(Clone, Debug)]
pub(super) struct PublicKey(UnparsedPublicKey<Vec<u8>>);

impl PublicKey {
    /// Reads `BEGIN PUBLIC KEY` (SPKI) and `BEGIN RSA PUBLIC KEY` (PKCS#1).
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, PublicKeyError> {
        let text = std::str::from_utf8(pem).map_err(|_| PublicKeyError("it is not text"))?;
        let (_, rest) = text.split_once("-----BEGIN ").ok_or(PublicKeyError("it has no BEGIN line"))?;
        let (label, rest) = rest.split_once("-----").ok_or(PublicKeyError("its BEGIN line is broken"))?;
        let (body, _) = rest.split_once("-----END ").ok_or(PublicKeyError("it has no END line"))?;
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| PublicKeyError("its base64 is broken"))?;
        let key = match label {
            "RSA PUBLIC KEY" => der,
            "PUBLIC KEY" => spki_content(&der).ok_or(PublicKeyError("its DER is broken"))?.to_vec(),
            _ => return Err(PublicKeyError("it is something else")),
        };
        Ok(Self(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)))
    }
}

/// The key inside `SEQUENCE { SEQUENCE { algorithm }, BIT STRING { key } }`.
fn spki_content(der: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(der, 0x30)?;
    let (_algorithm, rest) = element(outer, 0x30)?;
    let (bits, _) = element(rest, 0x03)?;
    // The first byte of a BIT STRING counts the unused bits at its end.
    bits.strip_prefix(&[0])
}

/// The content of the DER element at the beginning, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    let (length, der) = if first < 0x80 {
        (usize::from(first), der)
    } else {
        let (digits, der) = der.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), der)
    };
    if found == tag { der.split_at_checked(length) } else { None }
}

/// Why a token is refused, in GitHub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 401 with this message.
    Unauthorized(&'static str),
    /// 404: no App has that issuer.
    UnknownIssuer,
}

/// Whether an `Authorization` value looks like a JSON web token at all.
pub(super) fn is_jwt(token: &str) -> bool {
    token.starts_with("eyJ") && token.split('.').count() == 3
}

/// Verifies a token of the App.
pub(super) fn verify(token: &str, key: &PublicKey, app: &AppRegistration, now: i64) -> Result<(), Refusal> {
    const UNDECODED: Refusal = Refusal::Unauthorized(NOT_DECODED);
    let (signed, signature) = token.rsplit_once('.').ok_or(UNDECODED)?;
    let (header, claims) = signed.split_once('.').ok_or(UNDECODED)?;
    let header = decode(header).ok_or(UNDECODED)?;
    let claims = decode(claims).ok_or(UNDECODED)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(UNDECODED);
    }
    let is_app = match claims.get("iss") {
        Some(Value::Number(id)) => id.as_u64() == Some(app.app_id),
        Some(Value::String(id)) => *id == app.client_id || *id == app.app_id.to_string(),
        _ => return Err(Refusal::Unauthorized("'Issuer' claim ('iss') must be an Integer")),
    };
    if !is_app {
        return Err(Refusal::UnknownIssuer);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| UNDECODED)?;
    key.0.verify(signed.as_bytes(), &signature).map_err(|_| UNDECODED)?;

    let expires = claims.get("exp").and_then(Value::as_i64).ok_or(Refusal::Unauthorized(EXPIRED))?;
    if expires <= now {
        return Err(Refusal::Unauthorized(EXPIRED));
    }
    if expires > now + LONGEST_LIFE {
        return Err(Refusal::Unauthorized(TOO_FAR));
    }
    match claims.get("iat").and_then(Value::as_i64) {
        Some(issued) if issued <= now => Ok(()),
        _ => Err(Refusal::Unauthorized(ISSUED)),
    }
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
