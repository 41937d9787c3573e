//! `/site/oauth2/authorize`: the page on which one chooses who to be, and the way back with a code.
//! Codes are exchanged in `oauth`.

use std::sync::Arc;

use axum::extract::{Form, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::Deserialize;
use shared::clock::NoEntropy;
use url::Url;

use super::Bitbucket;
use super::html::{self, escape, hidden};

pub(super) const AUTHORIZE_PATH: &str = "/site/oauth2/authorize";

/// The parameters of `/site/oauth2/authorize`.
#[derive(Clone, Debug, Deserialize)]
pub struct AuthorizeRequest {
    /// Which OAuth consumer asks.
    #[serde(default)]
    pub client_id: String,
    /// `code`.
    #[serde(default)]
    pub response_type: String,
    /// Where to return to; the first callback URL if it is left out.
    pub redirect_uri: Option<String>,
    /// Given back untouched.
    pub state: Option<String>,
    /// The account that the page suggests; the sandbox's own.
    pub login: Option<String>,
}

impl Default for AuthorizeRequest {
    fn default() -> Self {
        let response_type = "code".to_owned();
        Self { client_id: String::new(), response_type, redirect_uri: None, state: None, login: None }
    }
}

/// Why the page refuses.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// No consumer has that client id.
    #[error("No OAuth consumer of the sandbox Bitbucket has this client_id.")]
    UnknownClient,
    /// Not `code`.
    #[error("The response_type must be code.")]
    ResponseType,
    /// Not one of the consumer's callback URLs, character by character.
    #[error("The redirect_uri is not one of the OAuth consumer's callback URLs, exactly.")]
    RedirectUri,
    /// Nobody has that login.
    #[error("Nobody in the sandbox Bitbucket has this login.")]
    UnknownLogin,
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl IntoResponse for AuthorizeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownClient => StatusCode::NOT_FOUND,
            Self::NoEntropy(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ResponseType | Self::RedirectUri | Self::UnknownLogin => StatusCode::BAD_REQUEST,
        };
        html::refusal(status, &self.to_string())
    }
}

impl AuthorizeRequest {
    /// Checks all but the user, and gives the address to return to.
    fn check(&self, bitbucket: &Bitbucket) -> Result<Url, AuthorizeError> {
        if self.client_id != bitbucket.client.client_id {
            return Err(AuthorizeError::UnknownClient);
        }
        if self.response_type != "code" {
            return Err(AuthorizeError::ResponseType);
        }
        let callbacks = &bitbucket.client.callback_urls;
        let callback = match &self.redirect_uri {
            Some(asked) => callbacks.iter().find(|callback| *callback == asked),
            None => callbacks.first(),
        };
        callback.and_then(|callback| Url::parse(callback).ok()).ok_or(AuthorizeError::RedirectUri)
    }
}

/// Issues a code to a user's choice and gives the address to return to.
pub(super) fn authorize(
    bitbucket: &Bitbucket,
    login: &str,
    request: &AuthorizeRequest,
) -> Result<String, AuthorizeError> {
    let mut location = request.check(bitbucket)?;
    let mut state = bitbucket.lock();
    let user = state.world.user(login).ok_or(AuthorizeError::UnknownLogin)?.uuid.clone();
    let now = bitbucket.clock.unix();
    let code = state.tokens.issue_code(&user, request.redirect_uri.as_deref(), now)?;
    location.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = &request.state {
        location.query_pairs_mut().append_pair("state", state);
    }
    Ok(location.into())
}

/// The page.
pub(super) async fn show(
    Shared(bitbucket): Shared<Arc<Bitbucket>>,
    Query(request): Query<AuthorizeRequest>,
) -> Result<Response, AuthorizeError> {
    request.check(&bitbucket)?;
    let state = bitbucket.lock();
    let suggested = |login: &str| request.login.as_deref() == Some(login);
    let mut users: Vec<_> = state.world.users.iter().collect();
    // Who is suggested comes first and has the focus, so that Enter chooses that account.
    users.sort_by_key(|user| !suggested(&user.login));
    let buttons: String = users
        .into_iter()
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
        ("response_type", Some(&request.response_type)),
        ("redirect_uri", request.redirect_uri.as_ref()),
        ("state", request.state.as_ref()),
    ];
    let fields: String = fields.into_iter().filter_map(|(name, value)| Some(hidden(name, value?))).collect();
    let body = format!(
        "<p>Who do you want to be?</p>\n<form method=\"post\" action=\"{AUTHORIZE_PATH}\">\n{fields}\n{buttons}\
         <button class=\"cancel\" name=\"cancel\" value=\"1\">Cancel</button>\n</form>"
    );
    Ok(html::page(StatusCode::OK, "Grant access to your account", &body, &bitbucket.client.callback_urls))
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
    Shared(bitbucket): Shared<Arc<Bitbucket>>,
    Form(form): Form<Choice>,
) -> Result<Response, AuthorizeError> {
    let mut callback = form.request.check(&bitbucket)?;
    let location = match form.choice {
        Some(login) if form.cancel.is_none() => authorize(&bitbucket, &login, &form.request)?,
        _ => {
            let mut query = callback.query_pairs_mut();
            query.append_pair("error", "access_denied");
            query.append_pair("error_description", "The user denied access to your application");
            if let Some(state) = &form.request.state {
                query.append_pair("state", state);
            }
            drop(query);
            callback.into()
        }
    };
    Ok((StatusCode::FOUND, [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())]).into_response())
}
