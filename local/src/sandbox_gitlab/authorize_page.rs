//! `/oauth/authorize`: the page on which one chooses who to be, and the way back with a code.
//! Codes are exchanged in `oauth`.

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::Deserialize;
use shared::clock::NoEntropy;
use url::Url;

use super::Gitlab;
use super::html::{self, escape, hidden};
use super::tokens::Grant;

/// Length of a SHA-256 in base64url.
const CHALLENGE_LENGTH: usize = 43;

/// The parameters of `/oauth/authorize`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizeRequest {
    /// Which application asks.
    pub client_id: String,
    /// Where to return to; one of the application's, exactly.
    pub redirect_uri: String,
    /// `code`.
    pub response_type: String,
    /// Given back untouched.
    pub state: Option<String>,
    /// What is asked for; all that the application may have if it is left out.
    pub scope: Option<String>,
    /// PKCE: the hash of the verifier.
    pub code_challenge: Option<String>,
    /// PKCE: `S256`.
    pub code_challenge_method: Option<String>,
}

/// Why the page refuses.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// No application has that client id.
    #[error("Client authentication failed due to unknown client.")]
    UnknownClient,
    /// Not one of the application's addresses, character by character.
    #[error("The redirect URI included is not valid.")]
    RedirectUri,
    /// Not `code`.
    #[error("The authorization server does not support this response type.")]
    ResponseType,
    /// More than the application may have, or nothing.
    #[error("The requested scope is invalid, unknown, or malformed.")]
    Scope,
    /// Not `S256`, or not the base64url of a SHA-256.
    #[error("The code challenge method must be S256, and the challenge 43 characters of base64url.")]
    Challenge,
    /// Nobody has that name.
    #[error("Nobody in the sandbox GitLab has this name.")]
    UnknownUser,
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl IntoResponse for AuthorizeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownClient => StatusCode::UNAUTHORIZED,
            Self::NoEntropy(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        html::refusal(status, &self.to_string())
    }
}

impl AuthorizeRequest {
    /// Checks all but the user; gives the address to return to and the scopes.
    fn check(&self, gitlab: &Gitlab) -> Result<(Url, String), AuthorizeError> {
        let application = &gitlab.application;
        if self.client_id != application.client_id {
            return Err(AuthorizeError::UnknownClient);
        }
        let known = application.redirect_uris.contains(&self.redirect_uri);
        let callback =
            Url::parse(&self.redirect_uri).ok().filter(|_| known).ok_or(AuthorizeError::RedirectUri)?;
        if self.response_type != "code" {
            return Err(AuthorizeError::ResponseType);
        }
        let scopes = self.scope.as_deref().filter(|scope| !scope.is_empty()).unwrap_or(&application.scopes);
        let allowed = |scope: &str| application.scopes.split(' ').any(|known| known == scope);
        if !scopes.split(' ').all(allowed) {
            return Err(AuthorizeError::Scope);
        }
        if let Some(challenge) = &self.code_challenge {
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if self.code_challenge_method.as_deref() != Some("S256")
                || challenge.len() != CHALLENGE_LENGTH
                || !challenge.bytes().all(is_base64url)
            {
                return Err(AuthorizeError::Challenge);
            }
        }
        Ok((callback, scopes.to_owned()))
    }
}

/// Issues a code to a user's choice and gives the address to return to.
pub(super) fn authorize(
    gitlab: &Gitlab,
    username: &str,
    request: &AuthorizeRequest,
) -> Result<String, AuthorizeError> {
    let (mut location, scopes) = request.check(gitlab)?;
    let mut state = gitlab.store.lock();
    let user = state.world.user(username).ok_or(AuthorizeError::UnknownUser)?.id;
    let grant = Grant { user, redirect_uri: request.redirect_uri.clone(), scopes };
    let code = state.tokens.issue_code(grant, request.code_challenge.as_deref(), gitlab.clock.unix())?;
    location.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = &request.state {
        location.query_pairs_mut().append_pair("state", state);
    }
    Ok(location.into())
}

fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location), (CACHE_CONTROL, "no-store")]).into_response()
}

/// The page.
pub(super) async fn show(
    State(gitlab): State<Arc<Gitlab>>,
    Query(request): Query<AuthorizeRequest>,
) -> Result<Response, AuthorizeError> {
    let (callback, _) = request.check(&gitlab)?;
    let state = gitlab.store.lock();
    let buttons: String = state
        .world
        .users
        .values()
        .map(|user| {
            let (name, about) = (escape(&user.username), escape(&user.about));
            format!("<button name=\"choice\" value=\"{name}\">{name}<small>{about}</small></button>\n")
        })
        .collect();
    let fields = [
        ("client_id", Some(&request.client_id)),
        ("redirect_uri", Some(&request.redirect_uri)),
        ("response_type", Some(&request.response_type)),
        ("state", request.state.as_ref()),
        ("scope", request.scope.as_ref()),
        ("code_challenge", request.code_challenge.as_ref()),
        ("code_challenge_method", request.code_challenge_method.as_ref()),
    ];
    let fields: String = fields.into_iter().filter_map(|(name, value)| Some(hidden(name, value?))).collect();
    let action = escape(&format!("{}/oauth/authorize", gitlab.prefix));
    let body = format!(
        "<p>Who do you want to be?</p>\n<form method=\"post\" action=\"{action}\">\n{fields}\n{buttons}\
         <button name=\"cancel\" value=\"1\">Deny</button>\n</form>"
    );
    Ok(html::page(
        StatusCode::OK,
        "Authorize git-installations at the sandbox GitLab",
        &body,
        Some(&callback),
    ))
}

/// The page's form.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(flatten)]
    request: AuthorizeRequest,
    choice: Option<String>,
    cancel: Option<String>,
}

/// The choice.
pub(super) async fn choose(
    State(gitlab): State<Arc<Gitlab>>,
    Form(form): Form<Choice>,
) -> Result<Response, AuthorizeError> {
    let (mut callback, _) = form.request.check(&gitlab)?;
    match form.choice {
        Some(username) if form.cancel.is_none() => {
            Ok(redirect(&authorize(&gitlab, &username, &form.request)?))
        }
        _ => {
            callback.query_pairs_mut().append_pair("error", "access_denied").append_pair(
                "error_description",
                "The resource owner or authorization server denied the request.",
            );
            if let Some(state) = &form.request.state {
                callback.query_pairs_mut().append_pair("state", state);
            }
            Ok(redirect(callback.as_str()))
        }
    }
}
