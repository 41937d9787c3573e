//! `/sandbox/api`: what one can do at the provider, for scripts; the page at `/` does the same by forms and tells
//! how. What a logout or a rotation means lives in `backchannel` and `keys`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Request, State as Shared};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, REFERRER_POLICY};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Openid;
use super::answers::{error_page, page};
use super::auth_page::redirect;
use super::broker;
use super::keys::{Algorithm, OldKeys};
use super::state::State;
use crate::sandbox_github::console::is_from_here;
use crate::sandbox_github::html::{escape, hidden};

/// The API, as the page explains it.
const API: [(&str, &str); 5] = [
    ("GET /sandbox/api/users", "the users, and what they broker"),
    ("GET /sandbox/api/sessions", "the sessions"),
    (
        "POST /sandbox/api/keys/rotate",
        "{\"algorithm\": \"ES256\" or \"RS256\", \"keep_old\": true or false}: another key signs",
    ),
    (
        "POST /sandbox/api/users/{username}/logout",
        "ends all sessions, and tells the clients by back-channel logout",
    ),
    ("POST /sandbox/api/users/{username}/broker/{alias}/forget", "drops the token that the broker holds"),
];

/// The page and the API.
pub(super) fn router() -> Router<Arc<Openid>> {
    Router::new()
        .route("/", get(show).post(act))
        .route("/sandbox/api/users", get(users))
        .route("/sandbox/api/sessions", get(sessions))
        .route("/sandbox/api/keys/rotate", post(rotate))
        .route("/sandbox/api/users/{username}/logout", post(log_out))
        .route("/sandbox/api/users/{username}/broker/{alias}/forget", post(forget))
        .layer(from_fn(guard))
}

/// Only this machine's own pages and programs.
async fn guard(request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if is_from_here(request.headers(), is_read) {
        next.run(request).await
    } else {
        error_page(StatusCode::FORBIDDEN, "Only pages and programs of this machine may do this.")
    }
}

/// Why something was not done.
struct Refused(StatusCode, String);

impl Refused {
    fn unknown(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("{what} is not at the sandbox OpenID provider."))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        answer(self.0, &json!({ "message": self.1 }))
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

fn sub_of(openid: &Openid, username: &str) -> Result<String, Refused> {
    let state = openid.store.lock();
    state.world.user(username).map(|user| user.sub.clone()).ok_or_else(|| Refused::unknown("This user"))
}

fn forget_token(openid: &Openid, username: &str, alias: &str) -> Result<(), Refused> {
    let sub = sub_of(openid, username)?;
    let mut state = openid.store.lock();
    if !state.world.providers.contains_key(alias) {
        return Err(Refused::unknown("This identity provider"));
    }
    broker::forget(&mut state.brokered, Some(&sub), alias);
    Ok(())
}

fn rotate_keys(openid: &Openid, algorithm: Algorithm, old: OldKeys) -> Result<String, Refused> {
    let rotated = openid.store.lock().keys.rotate(algorithm, old);
    rotated.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn users(Shared(openid): Shared<Arc<Openid>>) -> Response {
    let state = openid.store.lock();
    let users = state.world.users.iter().map(|user| {
        json!({
            "sub": user.sub,
            "username": user.username,
            "email": user.email,
            "accounts": user.accounts,
            "may_read_tokens": user.may_read_tokens,
        })
    });
    answer(StatusCode::OK, &users.collect())
}

async fn sessions(Shared(openid): Shared<Arc<Openid>>) -> Response {
    let state = openid.store.lock();
    let sessions = state.sessions.all(openid.clock.unix()).into_iter().map(|(sid, session)| {
        json!({
            "sid": sid,
            "username": state.world.by_sub(&session.sub).map(|user| &user.username),
            "client_id": session.client_id,
            "auth_time": session.auth_time,
            "idle_until": session.idle_until,
        })
    });
    answer(StatusCode::OK, &sessions.collect())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    algorithm: Option<String>,
    keep_old: Option<bool>,
}

async fn rotate(Shared(openid): Shared<Arc<Openid>>, body: Bytes) -> Result<Response, Refused> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let bad = |message: String| Refused(StatusCode::BAD_REQUEST, message);
    let Rotation { algorithm, keep_old } =
        serde_json::from_slice(body).map_err(|error| bad(format!("The body: {error}.")))?;
    let algorithm = match algorithm.as_deref() {
        None | Some("ES256") => Algorithm::Es256,
        Some("RS256") => Algorithm::Rs256,
        Some(_) => return Err(bad("The algorithm is ES256 or RS256.".to_owned())),
    };
    let old = if keep_old.unwrap_or(true) { OldKeys::Keep } else { OldKeys::Drop };
    Ok(answer(StatusCode::OK, &json!({ "kid": rotate_keys(&openid, algorithm, old)? })))
}

async fn log_out(
    Shared(openid): Shared<Arc<Openid>>,
    Path(username): Path<String>,
) -> Result<Response, Refused> {
    let sub = sub_of(&openid, &username)?;
    Ok(answer(StatusCode::OK, &json!({ "ended": openid.log_out_everywhere(&sub).await })))
}

async fn forget(
    Shared(openid): Shared<Arc<Openid>>,
    Path((username, alias)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    forget_token(&openid, &username, &alias).map(|()| StatusCode::NO_CONTENT)
}

/// The fields of all forms; `what` says which button it was.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Doing {
    what: String,
    username: String,
    alias: String,
}

async fn act(Shared(openid): Shared<Arc<Openid>>, Form(form): Form<Doing>) -> Response {
    let Doing { what, username, alias } = form;
    let done = match what.as_str() {
        "rotate" => rotate_keys(&openid, Algorithm::Es256, OldKeys::Keep).map(drop),
        "replace" => rotate_keys(&openid, Algorithm::Es256, OldKeys::Drop).map(drop),
        "forget" => forget_token(&openid, &username, &alias),
        "logout" => match sub_of(&openid, &username) {
            Ok(sub) => {
                openid.log_out_everywhere(&sub).await;
                Ok(())
            }
            Err(refused) => Err(refused),
        },
        _ => Err(Refused(StatusCode::BAD_REQUEST, "This form has a field that cannot be read.".to_owned())),
    };
    match done {
        Ok(()) => redirect("/"),
        Err(Refused(status, message)) => error_page(status, &message),
    }
}

/// A form with one button.
fn button(what: &str, fields: &str, words: &str) -> String {
    format!(
        "<form class=\"row\" method=\"post\" action=\"/\">{fields}\
         <button name=\"what\" value=\"{what}\">{words}</button></form>\n"
    )
}

async fn show(Shared(openid): Shared<Arc<Openid>>) -> Response {
    let state = openid.store.lock();
    let now = openid.clock.unix();
    let kids: String =
        state.keys.kids().iter().rev().map(|kid| format!("<small>{}</small><br>", escape(kid))).collect();
    let users: String = state.world.users.iter().map(|user| user_row(&state, &user.username, now)).collect();
    let api: String = API
        .iter()
        .map(|(request, words)| format!("<p>{}<br><small>{}</small></p>\n", escape(request), escape(words)))
        .collect();
    let body = format!(
        "<p>Issuer: {}</p>\n<h2>Keys</h2>\n<p>{kids}</p>\n{}{}<h2>Users</h2>\n{users}\
         <details><summary>The same for scripts</summary>\n{api}</details>\n",
        escape(&openid.issuer),
        button("rotate", "", "Rotate keys, keep the old ones"),
        button("replace", "", "Rotate keys, drop the old ones"),
    );
    drop(state);
    let mut page = page("Sandbox OpenID provider", &body, &[]);
    // With `no-referrer` browsers would send `Origin: null` with our own forms too.
    page.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    page
}

fn user_row(state: &State, username: &str, now: i64) -> String {
    let Some(user) = state.world.user(username) else { return String::new() };
    let sessions = state.sessions.of_user(&user.sub, now).len();
    let who = hidden("username", username);
    let accounts: String = user
        .accounts
        .iter()
        .map(|(alias, login)| {
            let held = state.brokered.get(&user.sub).is_some_and(|held| held.contains_key(alias));
            let words = if held { "End broker token" } else { "No broker token yet" };
            let fields = format!(
                "{who}{}<span>{} <small>{}</small></span>",
                hidden("alias", alias),
                escape(alias),
                escape(login)
            );
            button("forget", &fields, words)
        })
        .collect();
    format!(
        "<details><summary>{} <small>{sessions} sessions</small></summary>\n<p>{}</p>\n{accounts}{}</details>\n",
        escape(username),
        escape(&user.about),
        button("logout", &who, "Log out everywhere (back-channel)")
    )
}
