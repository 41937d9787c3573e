//! `/auth`: the page on which one chooses who to be, and the way back with a code.
//! Codes are exchanged in `token`.

use std::sync::Arc;

use axum::extract::{Form, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use serde::Deserialize;
use shared::clock::NoEntropy;
use url::Url;

use super::answers::{error_page, page};
use super::handle::OfflineAccess;
use super::sessions::Session;
use super::world::User;
use super::{Client, OIDC, Openid, REALM, SESSION_COOKIE};
use crate::sandbox_github::html::{escape, hidden};

/// Length of a SHA-256 in base64url.
const CHALLENGE_LENGTH: usize = 43;
/// What a client may ask for; the middle two are granted in any case.
const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// The parameters of the authorization endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizeRequest {
    /// Which client asks.
    pub client_id: String,
    /// Where to return to; one of the client's, exactly.
    pub redirect_uri: String,
    /// `code`.
    pub response_type: String,
    /// What is asked for; `openid` is in it.
    pub scope: String,
    /// Given back untouched.
    pub state: Option<String>,
    /// Repeated in the ID token.
    pub nonce: Option<String>,
    /// PKCE: the hash of the verifier.
    pub code_challenge: Option<String>,
    /// PKCE: `S256`.
    pub code_challenge_method: Option<String>,
    /// `none` asks for an answer without a page, which is always that one has to sign in.
    pub prompt: Option<String>,
    /// `query`, or left out.
    pub response_mode: Option<String>,
    /// Who the page suggests.
    pub login_hint: Option<String>,
}

/// Why the endpoint refuses.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// No client has that id.
    #[error("Client not found.")]
    UnknownClient,
    /// Not one of the client's addresses, character by character.
    #[error("Invalid parameter: redirect_uri")]
    RedirectUri,
    /// Nobody has that name.
    #[error("Invalid username or password.")]
    UnknownUser,
    /// What is wrong with the rest is told to the client, at this address.
    #[error("the client is told at {0}")]
    Returned(String),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl IntoResponse for AuthorizeError {
    fn into_response(self) -> Response {
        match self {
            Self::Returned(location) => redirect(&location),
            Self::NoEntropy(_) => error_page(StatusCode::INTERNAL_SERVER_ERROR, &self.to_string()),
            _ => error_page(StatusCode::BAD_REQUEST, &self.to_string()),
        }
    }
}

pub(super) fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location), (CACHE_CONTROL, "no-store, must-revalidate, max-age=0")])
        .into_response()
}

impl AuthorizeRequest {
    /// The request that an address of the authorization endpoint holds, for programs that act as the browser.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let mut request = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "client_id" => request.client_id = value,
                "redirect_uri" => request.redirect_uri = value,
                "response_type" => request.response_type = value,
                "scope" => request.scope = value,
                "state" => request.state = Some(value),
                "nonce" => request.nonce = Some(value),
                "code_challenge" => request.code_challenge = Some(value),
                "code_challenge_method" => request.code_challenge_method = Some(value),
                "prompt" => request.prompt = Some(value),
                "response_mode" => request.response_mode = Some(value),
                "login_hint" => request.login_hint = Some(value),
                _ => {}
            }
        }
        request
    }

    /// The client and the address to return to: without both, nothing is returned anywhere.
    fn client<'a>(&self, openid: &'a Openid) -> Result<(&'a Client, Url), AuthorizeError> {
        let client = openid.client(&self.client_id).ok_or(AuthorizeError::UnknownClient)?;
        let known = client.redirect_uris.contains(&self.redirect_uri);
        let callback = Url::parse(&self.redirect_uri).ok().filter(|_| known);
        Ok((client, callback.ok_or(AuthorizeError::RedirectUri)?))
    }

    /// The address with an answer, and what belongs to every answer.
    fn answered(&self, openid: &Openid, mut callback: Url, answer: &[(&str, &str)]) -> String {
        let mut query = callback.query_pairs_mut();
        query.extend_pairs(answer);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        if let Some(issuer) = openid.answer_issuer() {
            query.append_pair("iss", &issuer);
        }
        drop(query);
        callback.into()
    }

    fn error(&self, openid: &Openid, callback: &Url, error: &str, description: &str) -> AuthorizeError {
        let answer = [("error", error), ("error_description", description)];
        AuthorizeError::Returned(self.answered(openid, callback.clone(), &answer))
    }

    /// Checks all but the user; gives the client, the address to return to, the challenge and the scopes.
    fn check<'a>(&self, openid: &'a Openid) -> Result<(&'a Client, Url, &str, String), AuthorizeError> {
        let (client, callback) = self.client(openid)?;
        let refuse = |error: &str, description: &str| Err(self.error(openid, &callback, error, description));
        let invalid = |description: &str| refuse("invalid_request", description);
        match self.response_type.as_str() {
            "code" => {}
            "" => return invalid("Missing parameter: response_type"),
            _ => {
                return refuse(
                    "unsupported_response_type",
                    "Client is not allowed to initiate browser login with given response_type.",
                );
            }
        }
        if self.response_mode.as_deref().is_some_and(|mode| mode != "query") {
            return invalid("Invalid parameter: response_mode");
        }
        let mut asked = self.scope.split(' ').filter(|scope| !scope.is_empty());
        let not_ours = openid.switches().offline_access == OfflineAccess::NotForClient;
        let known = |scope: &str| SCOPES.contains(&scope) && !(not_ours && scope == "offline_access");
        if !asked.clone().any(|scope| scope == "openid") || !asked.all(known) {
            return refuse("invalid_scope", &format!("Invalid scopes: {}", self.scope));
        }
        let Some(method) = &self.code_challenge_method else {
            return invalid("Missing parameter: code_challenge_method");
        };
        if method != "S256" {
            return invalid("Invalid parameter: code challenge method is not matching the configured one");
        }
        let Some(challenge) = &self.code_challenge else {
            return invalid("Missing parameter: code_challenge");
        };
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(is_base64url) {
            return invalid("Invalid parameter: code_challenge");
        }
        let granted = SCOPES.into_iter().filter(|scope| {
            ["profile", "email"].contains(scope) || self.scope.split(' ').any(|asked| asked == *scope)
        });
        Ok((client, callback, challenge, granted.collect::<Vec<_>>().join(" ")))
    }
}

/// Begins a session of a user's choice, and gives the address to return to and the session's id.
pub(super) fn authorize(
    openid: &Openid,
    username: &str,
    request: &AuthorizeRequest,
) -> Result<(String, String), AuthorizeError> {
    let (client, callback, challenge, scope) = request.check(openid)?;
    let now = openid.clock.unix();
    let mut state = openid.store.lock();
    let sub = state.world.user(username).ok_or(AuthorizeError::UnknownUser)?.sub.clone();
    let is_offline = scope.split(' ').any(|scope| scope == "offline_access");
    let session = Session {
        sub,
        client_id: client.client_id.clone(),
        scope,
        auth_time: now,
        number: 0,
        idle_until: (!is_offline).then_some(now + openid.refresh_token_life),
        ends_at: (!is_offline).then_some(now + openid.session_life),
    };
    let sid = state.sessions.begin(session)?;
    let nonce = request.nonce.as_deref();
    let code = state.sessions.issue_code(&sid, &request.redirect_uri, challenge, nonce, now)?;
    drop(state);
    Ok((request.answered(openid, callback, &[("session_state", &sid), ("code", &code)]), sid))
}

/// What a user brokers, in words.
fn brokered(user: &User) -> String {
    let accounts: Vec<String> =
        user.accounts.iter().map(|(alias, login)| format!("{alias}: {login}")).collect();
    if accounts.is_empty() { "no accounts".to_owned() } else { accounts.join(", ") }
}

/// The page.
pub(super) async fn show(
    Shared(openid): Shared<Arc<Openid>>,
    Query(request): Query<AuthorizeRequest>,
) -> Result<Response, AuthorizeError> {
    let (client, callback, ..) = request.check(&openid)?;
    if request.prompt.as_deref() == Some("none") {
        return Err(request.error(&openid, &callback, "login_required", "User is not signed in"));
    }
    let hint = request.login_hint.as_deref().unwrap_or_default();
    let state = openid.store.lock();
    let mut users: Vec<&User> = state.world.users.iter().collect();
    let suggested = |user: &User| user.username == hint || user.email == hint;
    // Who is suggested comes first and has the focus, so that Enter chooses that account.
    users.sort_by_key(|user| !suggested(user));
    let buttons: String = users
        .into_iter()
        .map(|user| {
            let class = if suggested(user) { " class=\"first\" autofocus" } else { "" };
            let (name, about) = (escape(&user.username), escape(&user.about));
            let accounts = escape(&brokered(user));
            format!(
                "<button name=\"choice\" value=\"{name}\"{class}>{name}<small>{about}</small>\
                 <small>{accounts}</small></button>\n"
            )
        })
        .collect();
    drop(state);
    let fields = [
        ("client_id", Some(&request.client_id)),
        ("redirect_uri", Some(&request.redirect_uri)),
        ("response_type", Some(&request.response_type)),
        ("scope", Some(&request.scope)),
        ("state", request.state.as_ref()),
        ("nonce", request.nonce.as_ref()),
        ("code_challenge", request.code_challenge.as_ref()),
        ("code_challenge_method", request.code_challenge_method.as_ref()),
    ];
    let fields: String = fields.into_iter().filter_map(|(name, value)| Some(hidden(name, value?))).collect();
    let body = format!(
        "<p>Who do you want to be?</p>\n<form method=\"post\" action=\"{REALM}{OIDC}/auth\">\n{fields}\n{buttons}\
         <button class=\"cancel\" name=\"deny\" value=\"1\">Deny</button>\n</form>"
    );
    Ok(page("Sign in to your account", &body, &client.redirect_uris))
}

/// The page's form.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(flatten)]
    request: AuthorizeRequest,
    choice: Option<String>,
    deny: Option<String>,
}

/// The choice.
pub(super) async fn choose(
    Shared(openid): Shared<Arc<Openid>>,
    Form(form): Form<Choice>,
) -> Result<Response, AuthorizeError> {
    let Choice { request, choice, deny } = form;
    let Some(username) = choice.filter(|_| deny.is_none()) else {
        let (_, callback, ..) = request.check(&openid)?;
        return Err(request.error(&openid, &callback, "access_denied", "User denied access"));
    };
    let (location, sid) = authorize(&openid, &username, &request)?;
    let mut response = redirect(&location);
    let cookie = format!("{SESSION_COOKIE}={sid}; Path={REALM}/; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}
