//! The JWTs by which the App proves itself to GitHub, and the check of one that is sent to us.
//! Claims, their margins and the repair of a wrong clock: reference github, 1.8.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use super::credentials::AppCredentials;
use super::private_key::{KeyId, PrivateKey};
use crate::clock::{Clock, NoEntropy, random};
use crate::ring_provider;

/// `iat` lies this far back, so that a host whose clock is behind takes the token.
const BACKDATED_SECONDS: i64 = 60;
/// `exp` lies this far ahead; GitHub's limit of 600 leaves no room for skew.
const LIFE_SECONDS: i64 = 540;
/// A token with less life left is not given out any more.
const MARGIN_SECONDS: i64 = 60;
/// GitHub's own limit for `exp`.
const LONGEST_LIFE_SECONDS: i64 = 600;
/// How far another clock than ours may be off.
const LEEWAY_SECONDS: i64 = 60;
/// A token of ours has about 500 bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

// GitHub's own words, where it has words for a rule: clients such as Octokit act on them.
const UNDECODABLE: &str = "A JSON web token could not be decoded";
const NO_ISSUER: &str = "Missing 'issuer' claim ('iss')";
const WRONG_ISSUER: &str = "'Issuer' claim ('iss') must be the client ID or the ID of this App";
const WRONG_EXPIRY: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
const FAR_EXPIRY: &str = "'Expiration time' claim ('exp') is too far in the future";
const WRONG_ISSUED: &str =
    "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
const WRONG_ALGORITHM: &str = "The algorithm must be RS256";
const TOO_LONG: &str = "The JSON web token is too long";

/// Whether this message of a 401 means that GitHub's clock and ours differ:
/// [`AppJwt::repair_clock`] helps, and then one retry.
#[must_use]
pub fn is_clock_skew(message: &str) -> bool {
    [WRONG_EXPIRY, FAR_EXPIRY, WRONG_ISSUED].iter().any(|text| message.contains(text))
}

/// Whether this message of a 401 means that GitHub does not know the key (any more):
/// the secret has to be read again, and then one retry.
#[must_use]
pub fn is_unknown_key(message: &str) -> bool {
    message.contains(UNDECODABLE)
}

/// No JWT could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFailed {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoEntropy,
    /// There is no key to sign with.
    #[error("the App has no private key")]
    NoKey,
    /// The key does not compute; its parts contradict each other.
    #[error("the private key {0} does not sign")]
    Key(KeyId),
}

impl From<NoEntropy> for SigningFailed {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// A JWT ready to be sent.
#[derive(Clone, Debug)]
pub struct IssuedJwt {
    token: SecretString,
    key: KeyId,
    client_id: String,
    expires_at: i64,
}

impl IssuedJwt {
    /// The value for `Authorization: Bearer`.
    #[must_use]
    pub const fn token(&self) -> &SecretString {
        &self.token
    }

    /// The key that signed it.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
    jti: String,
}

/// Issues the App's JWTs: one per key, reused for its life.
#[derive(Debug)]
pub struct AppJwt {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// GitHub's time minus ours, in seconds, as far as we had to learn it.
    offset: i64,
    issued: HashMap<KeyId, Arc<IssuedJwt>>,
    refused: HashSet<KeyId>,
}

impl AppJwt {
    /// An issuer that tells time by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        ring_provider::install();
        Self { clock, state: Mutex::default() }
    }

    /// A JWT with a minute of life or more, signed by the first key that GitHub has not refused.
    ///
    /// # Errors
    /// [`SigningFailed`]: the key or the operating system does not do its part.
    pub fn issue(&self, app: &AppCredentials) -> Result<Arc<IssuedJwt>, SigningFailed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = app.private_keys();
        state.issued.retain(|id, _| keys.iter().any(|key| key.id() == *id));
        if keys.iter().all(|key| state.refused.contains(&key.id())) {
            state.refused.clear();
        }
        let Some(key) = keys.iter().find(|key| !state.refused.contains(&key.id())) else {
            return Err(SigningFailed::NoKey);
        };
        let now = self.clock.unix() + state.offset;
        let usable =
            |jwt: &&Arc<IssuedJwt>| jwt.client_id == app.client_id && jwt.expires_at - now >= MARGIN_SECONDS;
        if let Some(jwt) = state.issued.get(&key.id()).filter(usable) {
            return Ok(jwt.clone());
        }
        let jwt = Arc::new(sign(&app.client_id, key, now)?);
        state.issued.insert(key.id(), jwt.clone());
        Ok(jwt)
    }

    /// Learns GitHub's time from the `Date` header of its refusal; JWTs issued from now on go by it.
    /// `false` if the header is no HTTP date.
    pub fn repair_clock(&self, date: &str) -> bool {
        let Ok(theirs) = httpdate::parse_http_date(date) else { return false };
        let Ok(theirs) = theirs.duration_since(UNIX_EPOCH) else { return false };
        let offset = i64::try_from(theirs.as_secs()).unwrap_or(i64::MAX) - self.clock.unix();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.offset != offset {
            tracing::warn!(offset_seconds = offset, "GitHub's clock differs from ours");
            state.offset = offset;
        }
        state.issued.clear();
        true
    }

    /// Remembers that GitHub does not know this JWT's key, so that another one signs if there is one.
    pub fn refuse(&self, jwt: &IssuedJwt) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused.insert(jwt.key);
    }
}

fn sign(client_id: &str, key: &PrivateKey, now: i64) -> Result<IssuedJwt, SigningFailed> {
    let expires_at = now + LIFE_SECONDS;
    let claims = Claims {
        iat: now - BACKDATED_SECONDS,
        exp: expires_at,
        iss: client_id,
        jti: URL_SAFE_NO_PAD.encode(random::<16>()?),
    };
    let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key.signing())
        .map_err(|_| SigningFailed::Key(key.id()))?;
    Ok(IssuedJwt { token: token.into(), key: key.id(), client_id: client_id.to_owned(), expires_at })
}

/// Whether this is a JWT of our own App: somebody who holds its private key sent it.
///
/// # Errors
/// The rule that it breaks, in GitHub's words where GitHub has some.
pub fn verify(app: &AppCredentials, token: &str, now: i64) -> Result<(), &'static str> {
    if token.len() > LONGEST_TOKEN {
        return Err(TOO_LONG);
    }
    let claims = signed_claims(app, token)?;
    match claims.get("iss") {
        None | Some(Value::Null) => return Err(NO_ISSUER),
        Some(issuer) if is_this_app(app, issuer) => {}
        Some(_) => return Err(WRONG_ISSUER),
    }
    let expires = claims.get("exp").and_then(Value::as_i64).filter(|exp| *exp > now).ok_or(WRONG_EXPIRY)?;
    if expires > now + LONGEST_LIFE_SECONDS + LEEWAY_SECONDS {
        return Err(FAR_EXPIRY);
    }
    let issued = claims.get("iat").and_then(Value::as_i64).ok_or(WRONG_ISSUED)?;
    if issued > now + LEEWAY_SECONDS {
        return Err(WRONG_ISSUED);
    }
    Ok(())
}

/// The claims, if one of the App's keys signed them with RS256.
fn signed_claims(app: &AppCredentials, token: &str) -> Result<Map<String, Value>, &'static str> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| UNDECODABLE)?;
    if header.alg != Algorithm::RS256 {
        return Err(WRONG_ALGORITHM);
    }
    // RFC 7515, 4.1.11: who does not understand an extension that is marked critical must refuse it.
    if header.crit.is_some() {
        return Err(UNDECODABLE);
    }
    // The claims are checked by our own clock, and the issuer may be a number.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    for key in app.private_keys() {
        match jsonwebtoken::decode(token, key.verifying(), &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
            Err(_) => break,
        }
    }
    Err(UNDECODABLE)
}

/// GitHub takes the client id, the App's id, and that id's digits as a string.
fn is_this_app(app: &AppCredentials, issuer: &Value) -> bool {
    match issuer {
        Value::String(text) => *text == app.client_id || *text == app.app_id.to_string(),
        Value::Number(number) => number.as_u64() == Some(app.app_id),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
