//! JSON web tokens in their compact form: how one is put together, taken apart and, for tests, spoiled.
//! Keys are in `keys`; what stands in the tokens is in `id_token`, `token` and `backchannel`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// An object of claims or of a header.
pub(super) type Claims = Map<String, Value>;

/// What an object literal holds.
pub(super) fn claims(value: Value) -> Claims {
    match value {
        Value::Object(claims) => claims,
        _ => Claims::new(),
    }
}

/// Bytes in base64url.
pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn part(object: &Claims) -> String {
    // Objects of strings and numbers always have a JSON form.
    base64url(serde_json::to_vec(object).unwrap_or_default())
}

/// What is signed.
pub(super) fn signing_input(header: &Claims, claims: &Claims) -> String {
    format!("{}.{}", part(header), part(claims))
}

/// The whole token.
pub(super) fn compact(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", base64url(signature))
}

/// A token taken apart, not yet believed.
pub(super) struct Parsed<'a> {
    pub(super) header: Claims,
    pub(super) claims: Claims,
    pub(super) signing_input: &'a str,
    pub(super) signature: Vec<u8>,
}

/// Takes a token apart; `None` if it is none.
pub(super) fn parse(token: &str) -> Option<Parsed<'_>> {
    let (signing_input, signature) = token.rsplit_once('.')?;
    let (header, claims) = signing_input.split_once('.')?;
    let object = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some(Parsed {
        header: object(header)?,
        claims: object(claims)?,
        signing_input,
        signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
    })
}

/// The token with other claims and the signature that it had.
pub(super) fn tamper(token: &str, claims: &Claims) -> String {
    let mut parts = token.split('.');
    let (header, signature) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    format!("{header}.{}.{signature}", part(claims))
}
