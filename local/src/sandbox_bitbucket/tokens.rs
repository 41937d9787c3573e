//! What Bitbucket hands out: codes, OAuth tokens, API tokens of users, access tokens of workspaces.
//! Which header proves what is decided in `asking`; what the token endpoint says, in `oauth`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::clock::{NoEntropy, random};

use super::world::RefreshRule;

/// Seconds that a code lives.
const CODE_LIFE: i64 = 600;
/// Seconds that an OAuth access token lives.
pub const ACCESS_TOKEN_LIFE: i64 = 7_200;
/// Seconds that a refresh token lives without being used: three months.
pub const REFRESH_TOKEN_LIFE: i64 = 90 * 86_400;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Who the user is.
    User,
    /// Which workspaces there are.
    Workspace,
    /// Which repositories there are.
    Repository,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Workspace, Self::Repository];

    /// The name that an API token's scope has.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "read:user:bitbucket",
            Self::Workspace => "read:workspace:bitbucket",
            Self::Repository => "read:repository:bitbucket",
        }
    }
}

/// A user's OAuth tokens, as the web flow hands them out.
#[derive(Clone)]
pub struct UserTokens {
    /// The access token.
    pub access_token: String,
    /// Seconds that it lives.
    pub expires_in: i64,
    /// The refresh token.
    pub refresh_token: String,
}

impl fmt::Debug for UserTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserTokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// What a code was given for; an exchange must repeat it.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) user: String,
    pub(super) redirect_uri: Option<String>,
    expires_at: i64,
}

/// A token of one user, until a moment.
struct Held {
    user: String,
    expires_at: i64,
}

/// An API token and what it opens.
#[derive(Clone)]
pub(super) struct ApiToken {
    pub(super) user: String,
    pub(super) scopes: BTreeSet<Scope>,
}

/// Everything that was handed out and is still good.
#[derive(Default)]
pub(super) struct Tokens {
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Held>,
    refresh: BTreeMap<String, Held>,
    api: BTreeMap<String, ApiToken>,
    workspaces: BTreeMap<String, String>,
}

// By hand: what is in it opens accounts, though none but the sandbox's.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// A code for the web flow: single use, ten minutes.
    pub(super) fn issue_code(
        &mut self,
        user: &str,
        redirect_uri: Option<&str>,
        now: i64,
    ) -> Result<String, NoEntropy> {
        let code = characters(18)?;
        let redirect_uri = redirect_uri.map(str::to_owned);
        let granted = Code { user: user.to_owned(), redirect_uri, expires_at: now + CODE_LIFE };
        self.codes.insert(code.clone(), granted);
        Ok(code)
    }

    /// Uses a code up.
    pub(super) fn redeem_code(&mut self, code: &str, now: i64) -> Option<Code> {
        self.codes.remove(code).filter(|code| code.expires_at > now)
    }

    /// An access token and a refresh token for a user.
    pub(super) fn issue(&mut self, user: &str, now: i64) -> Result<UserTokens, NoEntropy> {
        let refresh_token = characters(18)?;
        let held = Held { user: user.to_owned(), expires_at: now + REFRESH_TOKEN_LIFE };
        self.refresh.insert(refresh_token.clone(), held);
        let access_token = self.issue_access(user, now)?;
        Ok(UserTokens { access_token, expires_in: ACCESS_TOKEN_LIFE, refresh_token })
    }

    fn issue_access(&mut self, user: &str, now: i64) -> Result<String, NoEntropy> {
        let token = characters(84)?;
        let held = Held { user: user.to_owned(), expires_at: now + ACCESS_TOKEN_LIFE };
        self.access.insert(token.clone(), held);
        Ok(token)
    }

    /// Uses a refresh token. The access tokens that came before live on until they end.
    pub(super) fn refresh(
        &mut self,
        token: &str,
        rule: RefreshRule,
        now: i64,
    ) -> Result<Option<UserTokens>, NoEntropy> {
        let Some(held) = self.refresh.get_mut(token).filter(|held| held.expires_at > now) else {
            return Ok(None);
        };
        let user = held.user.clone();
        if rule == RefreshRule::Rotates {
            self.refresh.remove(token);
            return self.issue(&user, now).map(Some);
        }
        held.expires_at = now + REFRESH_TOKEN_LIFE;
        let access_token = self.issue_access(&user, now)?;
        let refresh_token = token.to_owned();
        Ok(Some(UserTokens { access_token, expires_in: ACCESS_TOKEN_LIFE, refresh_token }))
    }

    /// Whose OAuth access token this is.
    pub(super) fn user(&self, token: &str, now: i64) -> Option<&str> {
        let held = self.access.get(token).filter(|held| held.expires_at > now)?;
        Some(&held.user)
    }

    /// Revokes all that a user granted to the OAuth consumer.
    pub(super) fn revoke_grant(&mut self, user: &str) {
        self.codes.retain(|_, code| code.user != user);
        self.access.retain(|_, held| held.user != user);
        self.refresh.retain(|_, held| held.user != user);
    }

    /// An API token of a user.
    pub(super) fn issue_api(&mut self, user: &str, scopes: &[Scope]) -> Result<String, NoEntropy> {
        let token = format!("ATATT3xFfGF0{}", characters(48)?);
        let opens = ApiToken { user: user.to_owned(), scopes: scopes.iter().copied().collect() };
        self.api.insert(token.clone(), opens);
        Ok(token)
    }

    /// What an API token opens.
    pub(super) fn api(&self, token: &str) -> Option<&ApiToken> {
        self.api.get(token)
    }

    /// An access token of a workspace: nobody's.
    pub(super) fn issue_workspace(&mut self, workspace: &str) -> Result<String, NoEntropy> {
        let token = format!("ATCTT3xFfGN0{}", characters(48)?);
        self.workspaces.insert(token.clone(), workspace.to_owned());
        Ok(token)
    }

    /// The uuid of the workspace that an access token is of.
    pub(super) fn workspace(&self, token: &str) -> Option<&str> {
        self.workspaces.get(token).map(String::as_str)
    }
}

/// So many random characters.
fn characters(count: usize) -> Result<String, NoEntropy> {
    let mut text = String::with_capacity(count + 64);
    while text.len() < count {
        let drawn = URL_SAFE_NO_PAD.encode(random::<48>()?);
        text.extend(drawn.chars().filter(char::is_ascii_alphanumeric));
    }
    text.truncate(count);
    Ok(text)
}
