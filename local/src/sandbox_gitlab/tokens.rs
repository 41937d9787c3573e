//! What GitLab hands out: codes, OAuth tokens with their refresh tokens, personal tokens.
//! Only their SHA-256 is kept. What opens what is decided in `asking`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use shared::clock::{NoEntropy, random};

use super::world::UserId;

/// Seconds that a code lives.
const CODE_LIFE: i64 = 600;
/// Seconds that an access token of OAuth lives. Refresh tokens live until they are used.
pub const ACCESS_TOKEN_LIFE: i64 = 7_200;

/// A user's tokens, as the web flow hands them out.
#[derive(Clone)]
pub struct UserTokens {
    /// The access token.
    pub access_token: String,
    /// Seconds that it lives.
    pub expires_in: i64,
    /// The refresh token: single use.
    pub refresh_token: String,
}

impl std::fmt::Debug for UserTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserTokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// The SHA-256 of a token: a state file opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
struct Key(String);

impl Key {
    fn of(token: &str) -> Self {
        Self(sha256(token))
    }
}

/// A SHA-256 in base64url.
pub(super) fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// A SHA-256 as a content security policy writes it.
pub(super) fn sha256_base64(text: &str) -> String {
    STANDARD.encode(digest(&SHA256, text.as_bytes()))
}

/// What a sign-in was for; tokens repeat it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) user: UserId,
    pub(super) redirect_uri: String,
    pub(super) scopes: String,
}

/// A code, and what its exchange must prove.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) challenge: Option<String>,
    expires_at: i64,
}

/// An access token and its refresh token, which end together.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pair {
    grant: Grant,
    refresh: Key,
    expires_at: i64,
    revoked: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Personal {
    user: UserId,
    scopes: String,
    revoked: bool,
}

/// How a token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It opens these scopes of this user.
    Good {
        user: UserId,
        scopes: String,
    },
    Expired,
    Revoked,
    Unknown,
}

/// Everything that was handed out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tokens {
    codes: BTreeMap<Key, Code>,
    /// By their access token.
    pairs: BTreeMap<Key, Pair>,
    personal: BTreeMap<Key, Personal>,
}

impl Tokens {
    /// A code for the web flow: single use, ten minutes.
    pub(super) fn issue_code(
        &mut self,
        grant: Grant,
        challenge: Option<&str>,
        now: i64,
    ) -> Result<String, NoEntropy> {
        let code = token("", 48)?;
        self.codes.retain(|_, code| code.expires_at > now);
        let challenge = challenge.map(str::to_owned);
        self.codes.insert(Key::of(&code), Code { grant, challenge, expires_at: now + CODE_LIFE });
        Ok(code)
    }

    /// Uses a code up.
    pub(super) fn redeem_code(&mut self, code: &str, now: i64) -> Option<Code> {
        self.codes.remove(&Key::of(code)).filter(|code| code.expires_at > now)
    }

    /// A new pair.
    pub(super) fn issue_pair(&mut self, grant: Grant, now: i64) -> Result<UserTokens, NoEntropy> {
        let tokens = UserTokens {
            access_token: token("", 48)?,
            expires_in: ACCESS_TOKEN_LIFE,
            refresh_token: token("", 48)?,
        };
        let refresh = Key::of(&tokens.refresh_token);
        let pair = Pair { grant, refresh, expires_at: now + ACCESS_TOKEN_LIFE, revoked: false };
        self.pairs.insert(Key::of(&tokens.access_token), pair);
        Ok(tokens)
    }

    /// Uses a refresh token up; both old tokens end at once. The redirect address must be the one of the sign-in.
    pub(super) fn refresh(
        &mut self,
        refresh_token: &str,
        redirect_uri: &str,
        now: i64,
    ) -> Result<Option<(UserTokens, String)>, NoEntropy> {
        let key = Key::of(refresh_token);
        let old = self.pairs.values_mut().find(|pair| pair.refresh == key && !pair.revoked);
        let Some(old) = old.filter(|pair| pair.grant.redirect_uri == redirect_uri) else { return Ok(None) };
        old.revoked = true;
        let grant = old.grant.clone();
        let scopes = grant.scopes.clone();
        Ok(Some((self.issue_pair(grant, now)?, scopes)))
    }

    /// A personal token, with scopes as in `read_api read_user`.
    pub(super) fn issue_personal(&mut self, user: UserId, scopes: &str) -> Result<String, NoEntropy> {
        let personal = token("glpat-", 20)?;
        self.personal
            .insert(Key::of(&personal), Personal { user, scopes: scopes.to_owned(), revoked: false });
        Ok(personal)
    }

    /// How an access token of OAuth stands.
    pub(super) fn oauth(&self, access_token: &str, now: i64) -> Standing {
        match self.pairs.get(&Key::of(access_token)) {
            None => Standing::Unknown,
            Some(pair) if pair.revoked => Standing::Revoked,
            Some(pair) if pair.expires_at <= now => Standing::Expired,
            Some(pair) => Standing::Good { user: pair.grant.user, scopes: pair.grant.scopes.clone() },
        }
    }

    /// How a personal token stands.
    pub(super) fn personal(&self, token: &str) -> Standing {
        match self.personal.get(&Key::of(token)) {
            None => Standing::Unknown,
            Some(personal) if personal.revoked => Standing::Revoked,
            Some(personal) => Standing::Good { user: personal.user, scopes: personal.scopes.clone() },
        }
    }

    /// Ends the pair that an access or a refresh token is of.
    pub(super) fn revoke(&mut self, token: &str) {
        let key = Key::of(token);
        for (access, pair) in &mut self.pairs {
            pair.revoked |= *access == key || pair.refresh == key;
        }
    }

    /// Ends everything of a user.
    pub(super) fn revoke_grant(&mut self, user: UserId) {
        self.codes.retain(|_, code| code.grant.user != user);
        for pair in self.pairs.values_mut() {
            pair.revoked |= pair.grant.user == user;
        }
        for personal in self.personal.values_mut() {
            personal.revoked |= personal.user == user;
        }
    }
}

/// A prefix and so many random characters.
fn token(prefix: &str, count: usize) -> Result<String, NoEntropy> {
    let mut text = prefix.to_owned();
    let length = prefix.len() + count;
    while text.len() < length {
        let drawn = URL_SAFE_NO_PAD.encode(random::<48>()?);
        text.extend(drawn.chars().filter(char::is_ascii_alphanumeric));
    }
    text.truncate(length);
    Ok(text)
}
