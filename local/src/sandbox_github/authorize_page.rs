//! `/login/oauth/authorize`: the page on which one chooses who to be, and the way back with a code.
//! Codes are exchanged in `oauth`.

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::Deserialize;
use shared::clock::NoEntropy;
use url::Url;

use super::Github;
use super::html::{self, escape, hidden};

/// Length of a SHA-256 in base64url: the only challenge that GitHub takes (reference/github.md 1.10).
const CHALLENGE_LENGTH: usize = 43;

/// The parameters of `/login/oauth/authorize`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizeRequest {
    /// Which App asks.
    pub client_id: String,
    /// Where to return to; the first callback URL if it is left out.
    pub redirect_uri: Option<String>,
    /// Given back untouched.
    pub state: Option<String>,
    /// PKCE: the hash of the verifier.
    pub code_challenge: Option<String>,
    /// PKCE: `S256`.
    pub code_challenge_method: Option<String>,
    /// The account that the page suggests.
    pub login: Option<String>,
}

/// Why the page refuses.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// No App has that client id.
    #[error("No App of the sandbox GitHub has this client_id.")]
    UnknownClient,
    /// Not one of the App's callback URLs, character by character.
    #[error(
        "The redirect_uri is not associated with this application. It must be one of the App's callback URLs, exactly."
    )]
    RedirectUri,
    /// Not `S256`.
    #[error("The code_challenge_method must be S256.")]
    ChallengeMethod,
    /// Not the base64url of a SHA-256.
    #[error("The code_challenge must be 43 characters of base64url.")]
    Challenge,
    /// Nobody has that login.
    #[error("Nobody in the sandbox GitHub has this login.")]
    UnknownLogin,
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl AuthorizeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownClient => StatusCode::NOT_FOUND,
            Self::NoEntropy(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RedirectUri | Self::ChallengeMethod | Self::Challenge | Self::UnknownLogin => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

impl IntoResponse for AuthorizeError {
    fn into_response(self) -> Response {
        html::refusal(self.status(), &self.to_string())
    }
}

impl AuthorizeRequest {
    /// Checks all but the user, and gives the address to return to.
    fn check(&self, github: &Github) -> Result<Url, AuthorizeError> {
        if self.client_id != github.app.client_id {
            return Err(AuthorizeError::UnknownClient);
        }
        let callbacks = &github.app.callback_urls;
        let callback = match &self.redirect_uri {
            Some(asked) => callbacks.iter().find(|callback| *callback == asked),
            None => callbacks.first(),
        };
        let callback =
            callback.and_then(|callback| Url::parse(callback).ok()).ok_or(AuthorizeError::RedirectUri)?;
        if let Some(challenge) = &self.code_challenge {
            if self.code_challenge_method.as_deref() != Some("S256") {
                return Err(AuthorizeError::ChallengeMethod);
            }
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(is_base64url) {
                return Err(AuthorizeError::Challenge);
            }
        }
        Ok(callback)
    }
}

/// Issues a code to a user's choice and gives the address to return to.
pub(super) fn authorize(
    github: &Github,
    login: &str,
    request: &AuthorizeRequest,
) -> Result<String, AuthorizeError> {
    let mut location = request.check(github)?;
    let mut state = github.store.lock();
    let user = state.world().user(login).ok_or(AuthorizeError::UnknownLogin)?.id;
    let code = state.change_tokens().issue_code(
        user,
        request.redirect_uri.as_deref(),
        request.code_challenge.as_deref(),
        github.clock.unix(),
    )?;
    location.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = &request.state {
        location.query_pairs_mut().append_pair("state", state);
    }
    Ok(location.into())
}

/// A redirect after a form: the browser follows with GET, and keeps nothing.
pub(super) fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location), (CACHE_CONTROL, "no-store")]).into_response()
}

/// The page.
pub(super) async fn show(
    State(github): State<Arc<Github>>,
    Query(request): Query<AuthorizeRequest>,
) -> Result<Response, AuthorizeError> {
    request.check(&github)?;
    let state = github.store.lock();
    let world = state.world();
    let mut users: Vec<_> = world.users.values().collect();
    let suggested =
        |login: &str| request.login.as_ref().is_some_and(|asked| asked.eq_ignore_ascii_case(login));
    // Who is suggested comes first and has the focus, so that Enter chooses that account.
    users.sort_by_key(|user| !suggested(&user.login));
    let buttons: String = users
        .iter()
        .map(|user| {
            let class = if suggested(&user.login) { " class=\"first\" autofocus" } else { "" };
            let (login, about) = (escape(&user.login), escape(&user.about));
            format!(
                "<button name=\"choice\" value=\"{login}\"{class}>{login}<small>{about}</small></button>\n"
            )
        })
        .collect();
    let fields = [
        ("client_id", Some(&request.client_id)),
        ("redirect_uri", request.redirect_uri.as_ref()),
        ("state", request.state.as_ref()),
        ("code_challenge", request.code_challenge.as_ref()),
        ("code_challenge_method", request.code_challenge_method.as_ref()),
    ];
    let fields: String = fields.into_iter().filter_map(|(name, value)| Some(hidden(name, value?))).collect();
    let body = format!(
        "<p>Who do you want to be?</p>\n<form method=\"post\" action=\"/login/oauth/authorize\">\n{fields}\n{buttons}\
         <button class=\"cancel\" name=\"cancel\" value=\"1\">Cancel</button>\n</form>"
    );
    let title = format!("Authorize {}", world.app.name);
    Ok(html::page(StatusCode::OK, &title, &body, &github.app.callback_urls))
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
    State(github): State<Arc<Github>>,
    Form(form): Form<Choice>,
) -> Result<Response, AuthorizeError> {
    let mut callback = form.request.check(&github)?;
    match form.choice {
        Some(login) if form.cancel.is_none() => Ok(redirect(&authorize(&github, &login, &form.request)?)),
        _ => {
            callback
                .query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_description", "The user has denied your application access.")
                .append_pair(
                    "error_uri",
                    "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-authorization-request-errors/#access-denied",
                );
            if let Some(state) = &form.request.state {
                callback.query_pairs_mut().append_pair("state", state);
            }
            Ok(redirect(callback.as_str()))
        }
    }
}
