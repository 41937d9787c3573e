//! Who asks, and for what: the `Authorization` header, the query, the addresses to answer with.
//! What an endpoint does with it lives in `rest` and `app_rest`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, Uri};

use super::Github;
use super::answers::Answer;
use super::faults::AuthorizationKind;
use super::jwt::{self, NOT_DECODED, Refusal};
use super::limits::Bucket;
use super::objects::Links;
use super::tokens::InstallationToken;
use super::world::AccountId;

/// Who the caller turned out to be.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    Nobody,
    User(AccountId),
    Installation(InstallationToken),
    App,
    /// A client id and secret, not looked at yet.
    Client(String, String),
    /// A token that opens nothing.
    Stranger,
    /// A JSON web token that is refused.
    Refused(Refusal),
}

impl Caller {
    /// Whose rate limit the caller uses. Anonymous calls are not limited, as on a server of one's own.
    pub(super) fn bucket(&self, github: &Github) -> Option<Bucket> {
        match self {
            Self::User(user) => Some(Bucket::User(*user)),
            Self::Installation(token) => Some(Bucket::Installation(token.installation)),
            Self::App => Some(Bucket::App(github.app.app_id)),
            Self::Nobody | Self::Client(..) | Self::Stranger | Self::Refused(_) => None,
        }
    }
}

/// The credentials of a request, by their form alone.
enum Credentials {
    None,
    Token(String),
    Jwt(String),
    Basic(String, String),
    Other,
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(AUTHORIZATION) else { return Self::None };
        let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return Self::Other;
        };
        let rest = rest.trim();
        match scheme.to_ascii_lowercase().as_str() {
            // Only `Bearer` carries a JSON web token; the other tokens may come with either word.
            "bearer" if jwt::is_jwt(rest) => Self::Jwt(rest.to_owned()),
            "bearer" | "token" => Self::Token(rest.to_owned()),
            "basic" => basic(rest).map_or(Self::Other, |(id, secret)| Self::Basic(id, secret)),
            _ => Self::Other,
        }
    }
}

fn basic(encoded: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// What kind of proof a request carries, for the record of calls.
pub(super) fn authorization_kind(headers: &HeaderMap) -> AuthorizationKind {
    match Credentials::of(headers) {
        Credentials::None => AuthorizationKind::None,
        Credentials::Token(token) if token.starts_with("ghu_") => AuthorizationKind::User,
        Credentials::Token(token) if token.starts_with("ghs_") => AuthorizationKind::Installation,
        Credentials::Jwt(_) => AuthorizationKind::Jwt,
        Credentials::Basic(..) => AuthorizationKind::Basic,
        Credentials::Token(_) | Credentials::Other => AuthorizationKind::Other,
    }
}

/// Finds out who the caller is.
pub(super) fn identify(github: &Github, headers: &HeaderMap) -> Caller {
    let now = github.clock.unix();
    match Credentials::of(headers) {
        Credentials::None => Caller::Nobody,
        Credentials::Other => Caller::Stranger,
        Credentials::Basic(id, secret) => Caller::Client(id, secret),
        Credentials::Jwt(token) => {
            jwt::verify(&token, &github.key, &github.app, now).map_or_else(Caller::Refused, |()| Caller::App)
        }
        Credentials::Token(token) => {
            let state = github.store.lock();
            let user = state.tokens().user(&token, now).filter(|user| state.world().users.contains_key(user));
            let installation = || {
                let token = state.tokens().installation(&token, now)?;
                let alive = state.world().installations.contains_key(&token.installation);
                alive.then(|| Caller::Installation(token.clone()))
            };
            user.map(Caller::User).or_else(installation).unwrap_or(Caller::Stranger)
        }
    }
}

/// A request of the REST API, as the endpoints see it.
#[derive(Clone, Debug)]
pub(super) struct Ask(Arc<Asked>);

#[derive(Debug)]
struct Asked {
    caller: Caller,
    links: Links,
    path: String,
    query: Vec<(String, String)>,
}

impl Ask {
    pub(super) fn new(github: &Github, caller: Caller, uri: &Uri, headers: &HeaderMap) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(Arc::new(Asked {
            caller,
            links: links(github, headers),
            path: uri.path().to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        }))
    }

    pub(super) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// A query parameter; of several the last, as GitHub takes it.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.0.query.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// This request's address with another page.
    pub(super) fn address_of_page(&self, page: usize) -> String {
        self.address_with("page", &page.to_string())
    }

    /// This request's address with another value of a parameter.
    pub(super) fn address_with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut placed = false;
        for (key, old) in &self.0.query {
            if key == name {
                if !placed {
                    query.append_pair(key, value);
                }
                placed = true;
            } else {
                query.append_pair(key, old);
            }
        }
        if !placed {
            query.append_pair(name, value);
        }
        format!("{}{}?{}", self.0.links.origin, self.0.path, query.finish())
    }

    /// The user who asks, or what GitHub answers to anybody else.
    pub(super) fn user(&self) -> Result<AccountId, Answer> {
        match self.caller() {
            Caller::User(user) => Ok(*user),
            Caller::Nobody => Err(Answer::requires_authentication()),
            Caller::Installation(_) => Err(Answer::forbidden("Resource not accessible by integration")),
            Caller::App | Caller::Client(..) | Caller::Stranger | Caller::Refused(_) => {
                Err(Answer::bad_credentials())
            }
        }
    }

    /// The App, or what GitHub answers to anybody else.
    pub(super) fn app(&self) -> Result<(), Answer> {
        match self.caller() {
            Caller::App => Ok(()),
            Caller::Refused(Refusal::Unauthorized(message)) => Err(Answer::unauthorized(message)),
            Caller::Refused(Refusal::UnknownIssuer) => Err(Answer::integration_not_found()),
            _ => Err(Answer::unauthorized(NOT_DECODED)),
        }
    }

    /// The installation that asks, or what GitHub answers to anybody else.
    pub(super) fn installation(&self) -> Result<&InstallationToken, Answer> {
        match self.caller() {
            Caller::Installation(token) => Ok(token),
            Caller::Nobody => Err(Answer::requires_authentication()),
            Caller::User(_) | Caller::App => Err(Answer::forbidden(
                "You must authenticate with an installation access token in order to list repositories for an installation.",
            )),
            Caller::Client(..) | Caller::Stranger | Caller::Refused(_) => Err(Answer::bad_credentials()),
        }
    }

    /// Anybody, but not with a token that opens nothing.
    pub(super) fn anybody(&self) -> Result<(), Answer> {
        match self.caller() {
            Caller::Client(..) | Caller::Stranger | Caller::Refused(_) => Err(Answer::bad_credentials()),
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Ask {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Answer::not_found)
    }
}

/// The addresses of an answer: by the request's `Host`, or by our own name if it has none.
pub(super) fn links(github: &Github, headers: &HeaderMap) -> Links {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<http::uri::Authority>().is_ok() && !host.contains('@'));
    let origin = host.map_or_else(|| github.web_url.clone(), |host| format!("http://{host}"));
    Links { origin }
}
