//! ID tokens: Keycloak's claims, and every way in which a test can have the next one spoiled.
//! When one is handed out is decided in `token`.

use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Value, json};

use super::jwt::{self, Claims, base64url, claims};
use super::keys::{KeyError, rsa_public};
use super::sessions::Session;
use super::state::State;
use super::world::User;

/// Another client and another issuer, for tokens that are not ours.
const OTHER_CLIENT: &str = "another-client";
const OTHER_ISSUER: &str = "https://login.example.com/realms/sandbox";

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenChange {
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// HS256, keyed with the RSA public key as PEM.
    Hs256KeyedWithPem,
    /// HS256, keyed with the RSA public key as DER.
    Hs256KeyedWithDer,
    /// Another subject under the signature of the right one.
    Tampered,
    /// A good signature, under a `kid` that is in no JWKS.
    UnknownKid,
    /// Another issuer.
    WrongIssuer,
    /// For another client only.
    WrongAudience,
    /// It ended an hour ago.
    Expired,
    /// No `exp`.
    NoExpiry,
    /// No `sub`.
    NoSubject,
    /// For us and another client, and no `azp` that says for whom it was made.
    TwoAudiencesWithoutAzp,
    /// Made for another client.
    AzpOfAnother,
    /// No `nonce`.
    NonceMissing,
    /// Another `nonce`.
    NonceOther,
    /// Good from an hour on.
    NotBeforeInFuture,
    /// Issued tomorrow.
    IssuedTomorrow,
    /// No `kid`: the only one that a client may accept, where one key fits.
    NoKid,
}

impl IdTokenChange {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::AlgNone,
        Self::Hs256KeyedWithPem,
        Self::Hs256KeyedWithDer,
        Self::Tampered,
        Self::UnknownKid,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::Expired,
        Self::NoExpiry,
        Self::NoSubject,
        Self::TwoAudiencesWithoutAzp,
        Self::AzpOfAnother,
        Self::NonceMissing,
        Self::NonceOther,
        Self::NotBeforeInFuture,
        Self::IssuedTomorrow,
        Self::NoKid,
    ];

    /// Whether every client has to refuse it at a sign-in.
    #[must_use]
    pub const fn must_be_refused(self) -> bool {
        !matches!(self, Self::NoKid)
    }

    fn change(self, header: &mut Claims, body: &mut Claims, client_id: &str, now: i64) {
        let mut say = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        match self {
            Self::AlgNone => {
                header.insert("alg".to_owned(), json!("none"));
            }
            Self::Hs256KeyedWithPem | Self::Hs256KeyedWithDer => {
                header.insert("alg".to_owned(), json!("HS256"));
            }
            Self::UnknownKid => {
                header.insert("kid".to_owned(), json!(base64url([7; 32])));
            }
            Self::NoKid => {
                header.remove("kid");
            }
            Self::WrongIssuer => say("iss", json!(OTHER_ISSUER)),
            Self::WrongAudience => say("aud", json!(OTHER_CLIENT)),
            Self::Expired => {
                say("iat", json!(now - 3_900));
                say("auth_time", json!(now - 3_900));
                say("exp", json!(now - 3_600));
            }
            Self::AzpOfAnother => say("azp", json!(OTHER_CLIENT)),
            Self::NonceOther => say("nonce", json!("another-nonce")),
            Self::NotBeforeInFuture => {
                say("nbf", json!(now + 3_600));
                say("exp", json!(now + 7_200));
            }
            Self::IssuedTomorrow => {
                say("iat", json!(now + 86_400));
                say("exp", json!(now + 86_700));
            }
            Self::TwoAudiencesWithoutAzp => {
                say("aud", json!([client_id, OTHER_CLIENT]));
                body.remove("azp");
            }
            Self::NoExpiry => {
                body.remove("exp");
            }
            Self::NoSubject => {
                body.remove("sub");
            }
            Self::NonceMissing => {
                body.remove("nonce");
            }
            Self::Tampered => {}
        }
    }
}

/// What an ID token is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) issuer: &'a str,
    pub(super) user: &'a User,
    pub(super) sid: &'a str,
    pub(super) session: &'a Session,
    pub(super) access_token: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) jti: &'a str,
    pub(super) expires_at: i64,
    pub(super) now: i64,
}

/// What is said about a user, in ID tokens and by the userinfo endpoint.
pub(super) fn profile(user: &User) -> Claims {
    claims(json!({
        "email_verified": user.email_verified,
        "name": user.name(),
        "preferred_username": user.username,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "email": user.email,
    }))
}

/// The left half of the access token's hash.
fn at_hash(access_token: &str) -> String {
    let hash = digest(&SHA256, access_token.as_bytes());
    base64url(&hash.as_ref()[..16])
}

/// Writes one, spoiled if a test wants it.
pub(super) fn write(
    state: &State,
    about: About<'_>,
    change: Option<IdTokenChange>,
) -> Result<String, KeyError> {
    let About { session, now, .. } = about;
    let mut body = claims(json!({
        "exp": about.expires_at,
        "iat": now,
        "auth_time": session.auth_time,
        "jti": about.jti,
        "iss": about.issuer,
        "aud": session.client_id,
        "sub": about.user.sub,
        "typ": "ID",
        "azp": session.client_id,
        "session_state": about.sid,
        "at_hash": at_hash(about.access_token),
        "acr": "1",
        "sid": about.sid,
    }));
    if let Some(nonce) = about.nonce {
        body.insert("nonce".to_owned(), json!(nonce));
    }
    body.extend(profile(about.user));
    let mut header = state.keys.header("JWT")?;
    let Some(change) = change else { return state.keys.sign(&header, &body) };
    change.change(&mut header, &mut body, &session.client_id, now);
    let hs256 = |key: &[u8]| {
        let input = jwt::signing_input(&header, &body);
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
        jwt::compact(&input, signature.as_ref())
    };
    let (pem, der) = rsa_public()?;
    Ok(match change {
        IdTokenChange::AlgNone => jwt::compact(&jwt::signing_input(&header, &body), b""),
        IdTokenChange::Hs256KeyedWithPem => hs256(pem.as_bytes()),
        IdTokenChange::Hs256KeyedWithDer => hs256(&der),
        IdTokenChange::Tampered => {
            let signed = state.keys.sign(&header, &body)?;
            body.insert("sub".to_owned(), json!("00000000-0000-4000-8000-000000000000"));
            jwt::tamper(&signed, &body)
        }
        _ => state.keys.sign(&header, &body)?,
    })
}
