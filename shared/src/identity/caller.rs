//! Who is asking: each route takes certain kinds of caller and gets a value that proves one (DESIGN 3).
//! A listing takes a [`SignedIn`], so a request without one cannot reach it.

use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Method};
use secrecy::SecretString;

use super::{api_key, session};
use crate::contract::Request;
use crate::failure::{CredentialProblem, Failure};
use crate::record::{CallerKind, Record};
use crate::service::Service;
use crate::store::{ApiKeyId, Session, UserId};

/// A user who has proved it. Only this module makes one.
#[derive(Clone, Debug)]
pub struct SignedIn {
    user: UserId,
    by: ProvedBy,
}

/// How a user proved it.
#[derive(Clone, Debug)]
pub enum ProvedBy {
    /// The browser's cookie.
    Session(Session),
    /// An API key.
    ApiKey(ApiKeyId),
}

impl SignedIn {
    /// Who.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// How it was proved.
    #[must_use]
    pub const fn proved_by(&self) -> &ProvedBy {
        &self.by
    }
}

/// Who may ask for `GET /user/installations`.
#[derive(Clone, Debug)]
pub enum GithubCaller {
    /// A signed-in user.
    SignedIn(SignedIn),
    /// Somebody with a GitHub user token of their own, which is forwarded and never stored.
    UserToken(SecretString),
}

/// Who may ask for `GET /users/{username}/installation`.
#[derive(Clone, Debug)]
pub enum AppCaller {
    /// A signed-in user, about their own login.
    SignedIn(SignedIn),
    /// Our own App, about anybody.
    App,
}

pub(crate) enum Credential<'a> {
    ApiKey(&'a str),
    Bearer(&'a str),
    Nothing,
}

/// What stands in the headers, the explicit before the cookie. An empty header counts as none.
pub(crate) fn credential(headers: &HeaderMap) -> Result<Credential<'_>, Failure> {
    let invalid = || Failure::Unauthenticated(CredentialProblem::Invalid);
    let mut keys = headers.get_all("x-session-api-key").iter();
    if let Some(key) = keys.next() {
        let key = key.to_str().map_err(|_| invalid())?.trim();
        if keys.next().is_some() {
            return Err(invalid());
        }
        if !key.is_empty() {
            return Ok(Credential::ApiKey(key));
        }
    }
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let Some(authorization) = authorizations.next() else { return Ok(Credential::Nothing) };
    if authorizations.next().is_some() {
        return Err(invalid());
    }
    let text = authorization.to_str().map_err(|_| invalid())?.trim();
    if text.is_empty() {
        return Ok(Credential::Nothing);
    }
    // GitHub takes `token` as well as `Bearer` (DESIGN 3); schemes are case-insensitive (RFC 9110, 11.1).
    let (scheme, token) = text.split_once(' ').ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("token") {
        return Err(invalid());
    }
    Ok(Credential::Bearer(token.trim_start()))
}

/// The user who asks, by API key or session.
///
/// # Errors
/// [`Failure::Unauthenticated`]; [`Failure::Forbidden`] for a cookie that would change state from another
/// site; [`Failure`] when the table fails.
pub async fn signed_in(service: &Service, request: &Request) -> Result<SignedIn, Failure> {
    match credential(request.headers())? {
        Credential::ApiKey(key) | Credential::Bearer(key) => by_api_key(service, request, key).await,
        Credential::Nothing => by_session(service, request).await,
    }
}

/// The user of the browser's session, if any: what `/auth` takes, where API keys count for nothing.
///
/// # Errors
/// As [`signed_in`], but nobody being signed in is no error.
pub async fn browser(service: &Service, request: &Request) -> Result<Option<Session>, Failure> {
    let session = session::of_request(service, request).await?;
    if session.is_some() {
        Record::of(request).proved(CallerKind::Session);
        same_origin(service, request)?;
    }
    Ok(session)
}

/// Who asks GitHub's `GET /user/installations` of us.
///
/// # Errors
/// As [`signed_in`].
pub async fn github(service: &Service, request: &Request) -> Result<GithubCaller, Failure> {
    match credential(request.headers())? {
        Credential::Bearer(token) if !token.starts_with(api_key::PREFIX) => {
            // Whether it is a user's token, GitHub knows; what cannot be one is not sent on.
            let plausible =
                !token.is_empty() && token.len() <= 1024 && token.bytes().all(|byte| byte.is_ascii_graphic());
            if plausible {
                Record::of(request).proved(CallerKind::UserToken);
                Ok(GithubCaller::UserToken(token.to_owned().into()))
            } else {
                Err(Failure::Unauthenticated(CredentialProblem::Invalid))
            }
        }
        Credential::ApiKey(key) | Credential::Bearer(key) => {
            by_api_key(service, request, key).await.map(GithubCaller::SignedIn)
        }
        Credential::Nothing => by_session(service, request).await.map(GithubCaller::SignedIn),
    }
}

/// Who asks for a user's installation of the App.
///
/// # Errors
/// As [`signed_in`]; [`CredentialProblem::Jwt`] for a JWT that is not our App's.
pub async fn app(service: &Service, request: &Request) -> Result<AppCaller, Failure> {
    match credential(request.headers())? {
        Credential::Bearer(token) if !token.starts_with(api_key::PREFIX) => {
            // Three parts: a JWT, that it names no algorithm notwithstanding. GitHub's own tokens are none.
            if token.split('.').count() != 3 {
                return Err(Failure::Unauthenticated(CredentialProblem::Invalid));
            }
            match service.github_app.verify(token).await? {
                Ok(()) => {
                    Record::of(request).proved(CallerKind::App);
                    Ok(AppCaller::App)
                }
                Err(reason) => Err(Failure::Unauthenticated(CredentialProblem::Jwt(reason))),
            }
        }
        Credential::ApiKey(key) | Credential::Bearer(key) => {
            by_api_key(service, request, key).await.map(AppCaller::SignedIn)
        }
        Credential::Nothing => by_session(service, request).await.map(AppCaller::SignedIn),
    }
}

async fn by_api_key(service: &Service, request: &Request, text: &str) -> Result<SignedIn, Failure> {
    let key =
        api_key::find(service, text).await?.ok_or(Failure::Unauthenticated(CredentialProblem::Invalid))?;
    Record::of(request).proved(CallerKind::ApiKey);
    Ok(SignedIn { user: key.user_id, by: ProvedBy::ApiKey(key.id) })
}

async fn by_session(service: &Service, request: &Request) -> Result<SignedIn, Failure> {
    let sent = session::cookie_values(request, &service.config.session.cookie_name).next().is_some();
    let problem = if sent { CredentialProblem::Invalid } else { CredentialProblem::Missing };
    let session = session::of_request(service, request).await?.ok_or(Failure::Unauthenticated(problem))?;
    Record::of(request).proved(CallerKind::Session);
    same_origin(service, request)?;
    Ok(SignedIn { user: session.user_id.clone(), by: ProvedBy::Session(session) })
}

/// A cookie changes state only on a request from our own pages (DESIGN 3): browsers send `Origin` with
/// every POST and DELETE, and most send `Sec-Fetch-Site` too. A client that is no browser uses an API key.
fn same_origin(service: &Service, request: &Request) -> Result<(), Failure> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let refused = Err(Failure::Forbidden(
        "a session cookie changes something only in a request from this site's own pages; \
         other clients send an API key",
    ));
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let fetch_site = request.headers().get("sec-fetch-site").map(text);
    let origin = request.headers().get(ORIGIN).map(text);
    if fetch_site.as_deref().is_some_and(|site| site != "same-origin") {
        return refused;
    }
    match origin {
        Some(origin) if origin == service.public_url(request)?.origin().ascii_serialization() => Ok(()),
        None if fetch_site.is_some() => Ok(()),
        _ => refused,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{Credential, credential};

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    // API Gateway joins repeated headers before we see them; the rule must not hang on that.
    #[test]
    fn a_credential_that_is_sent_twice_is_refused_even_if_both_are_the_same() {
        for name in ["authorization", "x-session-api-key"] {
            assert!(credential(&headers(&[(name, "Bearer a"), (name, "Bearer a")])).is_err(), "{name}");
        }
    }

    #[test]
    fn the_explicit_key_comes_before_the_authorization_and_an_empty_one_is_none() {
        let both = headers(&[("x-session-api-key", "k"), ("authorization", "Bearer t")]);
        assert!(matches!(credential(&both), Ok(Credential::ApiKey("k"))));
        let empty = headers(&[("x-session-api-key", ""), ("authorization", "token t")]);
        assert!(matches!(credential(&empty), Ok(Credential::Bearer("t"))));
        assert!(matches!(credential(&headers(&[("authorization", " ")])), Ok(Credential::Nothing)));
        assert!(credential(&headers(&[("authorization", "Basic t")])).is_err());
    }

    proptest! {
        #[test]
        fn a_credential_is_what_stands_in_the_header_whatever_is_around_it(
            scheme in "[Bb][Ee]arer|[Tt]o[Kk]en",
            token in "[!-~]{1,60}",
            spaces in " {1,3}",
            padding in "[ \t]{0,2}",
        ) {
            let value = format!("{padding}{scheme}{spaces}{token}{padding}");
            let mut sent = HeaderMap::new();
            sent.insert("authorization", HeaderValue::from_str(&value).unwrap());
            prop_assert!(matches!(credential(&sent), Ok(Credential::Bearer(found)) if found == token));
        }

        #[test]
        fn no_header_makes_the_reader_panic_and_what_was_sent_is_never_nothing(
            value in proptest::collection::vec(any::<u8>(), 0..60),
            name in proptest::sample::select(vec!["authorization", "x-session-api-key"]),
        ) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let blank = value.as_bytes().trim_ascii().is_empty();
            let mut sent = HeaderMap::new();
            sent.insert(name, value);
            prop_assert_eq!(matches!(credential(&sent), Ok(Credential::Nothing)), blank);
        }
    }
}
