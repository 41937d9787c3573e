//! What GitHub hands out: codes, user tokens with their refresh tokens, installation tokens.
//! Only their SHA-256 is kept. Which answer carries them is `oauth`'s and `app_rest`'s affair.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use shared::clock::{NoEntropy, random};

use super::world::{AccountId, InstallationId, RepositoryId};

/// Seconds that a code lives (reference/github.md 1.10).
const CODE_LIFE: i64 = 600;
/// Seconds that a user token lives (reference/github.md 1.9).
pub const USER_TOKEN_LIFE: i64 = 28_800;
/// Seconds that a refresh token lives (reference/github.md 1.9).
pub const REFRESH_TOKEN_LIFE: i64 = 15_897_600;
/// Seconds that an installation token lives.
const INSTALLATION_TOKEN_LIFE: i64 = 3_600;

/// A user's tokens, as the web flow hands them out.
#[derive(Clone, Serialize, Deserialize)]
pub struct UserTokens {
    /// The access token (`ghu_`).
    pub access_token: String,
    /// Seconds that it lives.
    pub expires_in: i64,
    /// The refresh token (`ghr_`): single use.
    pub refresh_token: String,
    /// Seconds that it lives.
    pub refresh_token_expires_in: i64,
}

impl std::fmt::Debug for UserTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserTokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// The SHA-256 of a token, in hex: a state file opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
struct Key(String);

impl Key {
    fn of(token: &str) -> Self {
        Self(hex(digest(&SHA256, token.as_bytes()).as_ref()))
    }
}

/// What a code was given for; an exchange must repeat it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) user: AccountId,
    pub(super) redirect_uri: Option<String>,
    pub(super) challenge: Option<String>,
    expires_at: i64,
}

/// A pair of tokens that live and die together.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pair {
    user: AccountId,
    access: Key,
    access_expires_at: i64,
    refresh: Key,
    refresh_expires_at: i64,
}

/// What an installation token opens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct InstallationToken {
    pub(super) installation: InstallationId,
    /// `None`: all that the installation reaches.
    pub(super) repositories: Option<BTreeSet<RepositoryId>>,
    expires_at: i64,
}

/// Everything that was handed out and is still good.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tokens {
    codes: BTreeMap<Key, Code>,
    pairs: Vec<Pair>,
    installations: BTreeMap<Key, InstallationToken>,
}

impl Tokens {
    /// A code for the web flow: single use, ten minutes.
    pub(super) fn issue_code(
        &mut self,
        user: AccountId,
        redirect_uri: Option<&str>,
        challenge: Option<&str>,
        now: i64,
    ) -> Result<String, NoEntropy> {
        let code = hex(&random::<10>()?);
        self.codes.retain(|_, code| code.expires_at > now);
        let granted = Code {
            user,
            redirect_uri: redirect_uri.map(str::to_owned),
            challenge: challenge.map(str::to_owned),
            expires_at: now + CODE_LIFE,
        };
        self.codes.insert(Key::of(&code), granted);
        Ok(code)
    }

    /// Uses a code up.
    pub(super) fn redeem_code(&mut self, code: &str, now: i64) -> Option<Code> {
        self.codes.remove(&Key::of(code)).filter(|code| code.expires_at > now)
    }

    /// A new pair for a user.
    pub(super) fn issue_pair(&mut self, user: AccountId, now: i64) -> Result<UserTokens, NoEntropy> {
        let tokens = UserTokens {
            access_token: format!("ghu_{}", characters(36)?),
            expires_in: USER_TOKEN_LIFE,
            refresh_token: format!("ghr_{}", characters(76)?),
            refresh_token_expires_in: REFRESH_TOKEN_LIFE,
        };
        self.pairs.retain(|pair| pair.refresh_expires_at > now);
        self.pairs.push(Pair {
            user,
            access: Key::of(&tokens.access_token),
            access_expires_at: now + USER_TOKEN_LIFE,
            refresh: Key::of(&tokens.refresh_token),
            refresh_expires_at: now + REFRESH_TOKEN_LIFE,
        });
        Ok(tokens)
    }

    /// Uses a refresh token up: with it goes the access token of its pair (reference/github.md 1.9).
    pub(super) fn refresh(&mut self, token: &str, now: i64) -> Result<Option<UserTokens>, NoEntropy> {
        let key = Key::of(token);
        let Some(index) =
            self.pairs.iter().position(|pair| pair.refresh == key && pair.refresh_expires_at > now)
        else {
            return Ok(None);
        };
        let tokens = self.issue_pair(self.pairs[index].user, now)?;
        self.pairs.retain(|pair| pair.refresh != key);
        Ok(Some(tokens))
    }

    /// Whose access token this is.
    pub(super) fn user(&self, token: &str, now: i64) -> Option<AccountId> {
        let key = Key::of(token);
        let pair = self.pairs.iter().find(|pair| pair.access == key && pair.access_expires_at > now)?;
        Some(pair.user)
    }

    /// Revokes one access token and its refresh token; tells whether there was one.
    pub(super) fn revoke(&mut self, access_token: &str, now: i64) -> bool {
        let known = self.user(access_token, now).is_some();
        let key = Key::of(access_token);
        self.pairs.retain(|pair| pair.access != key);
        known
    }

    /// Revokes all that a user granted to the App.
    pub(super) fn revoke_grant(&mut self, user: AccountId) {
        self.pairs.retain(|pair| pair.user != user);
        self.codes.retain(|_, code| code.user != user);
    }

    /// A token for an installation, and when it ends. `stateless`: the long form of 2026
    /// (reference/github.md 1.9), of which clients must not assume length or alphabet.
    pub(super) fn issue_installation(
        &mut self,
        installation: InstallationId,
        repositories: Option<BTreeSet<RepositoryId>>,
        stateless: Option<u64>,
        now: i64,
    ) -> Result<(String, i64), NoEntropy> {
        let token = match stateless {
            None => format!("ghs_{}", characters(36)?),
            Some(app) => {
                let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT"}"#);
                format!("ghs_{app}_{header}.{}.{}", characters(380)?, characters(86)?)
            }
        };
        let expires_at = now + INSTALLATION_TOKEN_LIFE;
        self.installations.retain(|_, token| token.expires_at > now);
        let granted = InstallationToken { installation, repositories, expires_at };
        self.installations.insert(Key::of(&token), granted);
        Ok((token, expires_at))
    }

    /// What an installation token opens.
    pub(super) fn installation(&self, token: &str, now: i64) -> Option<&InstallationToken> {
        self.installations.get(&Key::of(token)).filter(|token| token.expires_at > now)
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// So many random characters of GitHub's alphabet for tokens.
fn characters(count: usize) -> Result<String, NoEntropy> {
    let mut text = String::with_capacity(count + 64);
    while text.len() < count {
        let drawn = URL_SAFE_NO_PAD.encode(random::<48>()?);
        text.extend(drawn.chars().filter(char::is_ascii_alphanumeric));
    }
    text.truncate(count);
    Ok(text)
}
