//! Who asks, by the `Authorization` header: an OAuth token, a user's API token, a workspace's access token.
//! What they see is decided in `rest` (reference: Bitbucket 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::State;
use super::answers::Refusal;
use super::faults::AuthorizationKind;
use super::tokens::Scope;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody: sees what is public.
    Anonymous,
    /// A user, by uuid, with what the token may be used for.
    User { uuid: String, scopes: Vec<Scope> },
    /// A workspace's access token: nobody is behind it.
    Workspace(String),
}

impl Caller {
    /// What the rate limit counts by; access tokens have limits of their own.
    pub(super) fn counted(&self) -> Option<&str> {
        match self {
            Self::Anonymous => Some(""),
            Self::User { uuid, .. } => Some(uuid),
            Self::Workspace(_) => None,
        }
    }

    /// The user's uuid, if the token has this scope. A token that is nobody's is not supported where a user is
    /// meant, which is the very text of the 401.
    pub(super) fn user(&self, scope: Scope) -> Result<&str, Refusal> {
        match self {
            Self::User { uuid, .. } => self.may(scope).map(|()| uuid.as_str()),
            Self::Anonymous | Self::Workspace(_) => Err(Refusal::Unauthorized),
        }
    }

    /// Whether the token has this scope.
    pub(super) fn may(&self, scope: Scope) -> Result<(), Refusal> {
        match self {
            Self::User { scopes, .. } if !scopes.contains(&scope) => {
                Err(Refusal::MissingScope { required: scope, granted: scopes.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// How the request proves who sent it.
pub(super) fn authorization_kind(headers: &HeaderMap) -> AuthorizationKind {
    match headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default()) {
        None => AuthorizationKind::None,
        Some(value) if parameter(value, "Basic").is_some() => AuthorizationKind::Basic,
        Some(value) if parameter(value, "Bearer").is_some() => AuthorizationKind::Bearer,
        Some(_) => AuthorizationKind::Other,
    }
}

/// Who sent the request; a proof that does not hold is refused, even where none is needed.
pub(super) fn identify(state: &State, headers: &HeaderMap, now: i64) -> Result<Caller, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Caller::Anonymous) };
    let value = value.to_str().map_err(|_| Refusal::Unauthorized)?;
    let caller = if let Some(token) = parameter(value, "Bearer") {
        bearer(state, token, now)
    } else {
        basic(value).and_then(|(name, secret)| with_api_token(state, &name, &secret))
    };
    caller.ok_or(Refusal::Unauthorized)
}

/// An API token is no bearer token: it needs the address beside it.
fn bearer(state: &State, token: &str, now: i64) -> Option<Caller> {
    if let Some(uuid) = state.tokens.user(token, now) {
        return Some(Caller::User { uuid: uuid.to_owned(), scopes: Scope::ALL.to_vec() });
    }
    state.tokens.workspace(token).map(|uuid| Caller::Workspace(uuid.to_owned()))
}

/// The e-mail address and nothing else: not the username, not the name that git uses.
fn with_api_token(state: &State, name: &str, secret: &str) -> Option<Caller> {
    let token = state.tokens.api(secret)?;
    let user = state.world.users.iter().find(|user| user.uuid == token.user)?;
    user.email
        .eq_ignore_ascii_case(name)
        .then(|| Caller::User { uuid: user.uuid.clone(), scopes: token.scopes.iter().copied().collect() })
}

/// Name and secret of `Basic`.
pub(super) fn basic(value: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(parameter(value, "Basic")?).ok()?;
    let (name, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

fn parameter<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = value.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}
