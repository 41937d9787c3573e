//! `/sandbox/api`: what one can do in the sandbox, for scripts. Bodies and answers are JSON; errors are
//! `{"message": ...}` with 400, 404 or 422; what is done to an installation answers with that installation.
//!
//! | request | body | what happens |
//! |---|---|---|
//! | `GET installations` | | all installations |
//! | `POST installations` | `{"account", "repositories"?, "sender"?, "requester"?}` | installs; 201 |
//! | `DELETE installations/{id}` | | uninstalls; 204 |
//! | `POST installations/{id}/suspend`, `.../unsuspend` | | suspends in the owner's name, or ends that |
//! | `POST installations/{id}/accept-permissions` | | grants what the App asks for today |
//! | `POST installations/{id}/repositories` | `{"name"}` | adds the repository, made if need be |
//! | `DELETE installations/{id}/repositories/{name}` | | removes it from what is reached |
//! | `PUT installations/{id}/selection` | `{"repositories"?}` | chooses these only; left out: all |
//! | `POST accounts/{login}/rename` | `{"login"}` | renames a user or an organisation; 204 |
//! | `POST users/{login}/revoke` | | revokes what the user granted to the App; 204 |
//! | `POST app/permissions` | `{"issues": "write", ...}` | what the App asks for from now on; 204 |
//! | `POST ping` | | sends a ping; 204 |
//! | `GET deliveries` | | the log, newest first, and how many wait |
//! | `POST deliveries/{id}/redeliver` | | sends it once more, with the same GUID; 204 |
//! | `POST deliveries/now` | | sends all that waits, held or not, and answers when it is done; 204 |
//! | `GET deliveries/faults`, `PUT deliveries/faults` | [`DeliveryFaults`] | what goes wrong on the way |
//!
//! What is done lives in `console`; the page for people is `console_page`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Github;
use super::console::{Action, Refused, perform};
use super::delivery_faults::DeliveryFaults;
use super::hook_rest;
use super::json::{Json, object};
use super::objects::{self, Links};
use super::state::lock;
use super::world::Installation;

type Answered = Result<Response, Refused>;

/// The routes, below `/sandbox/api`.
pub(super) fn router() -> Router<Arc<Github>> {
    Router::new()
        .route("/installations", get(installations).post(install))
        .route("/installations/{id}", delete(uninstall))
        .route("/installations/{id}/{change}", post(change))
        .route("/installations/{id}/repositories", post(add_repository))
        .route("/installations/{id}/repositories/{name}", delete(remove_repository))
        .route("/installations/{id}/selection", put(select))
        .route("/accounts/{login}/rename", post(rename))
        .route("/users/{login}/revoke", post(revoke))
        .route("/app/permissions", post(ask_for))
        .route("/ping", post(ping))
        .route("/deliveries", get(deliveries))
        .route("/deliveries/{id}/redeliver", post(redeliver))
        .route("/deliveries/now", post(deliver_now))
        .route("/deliveries/faults", get(faults).put(set_faults))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        json(self.status, &object! { "message": self.message })
    }
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    // What is answered here always has a JSON form.
    (status, headers, serde_json::to_vec(body).unwrap_or_default()).into_response()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused { status: StatusCode::BAD_REQUEST, message: format!("The body: {error}.") })
}

fn number(id: &str) -> Result<u64, Refused> {
    id.parse().map_err(|_| Refused::not_found("This installation"))
}

/// Does something and answers with the installation, or with nothing.
fn answer(github: &Github, done: StatusCode, action: Action) -> Answered {
    let Some(id) = perform(github, action)? else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let state = github.store.lock();
    let found =
        state.world().installations.get(&id).ok_or_else(|| Refused::not_found("This installation"))?;
    let links = Links { origin: github.web_url.clone() };
    Ok(json(done, &objects::installation(state.world(), &github.app, found, &links)))
}

async fn installations(State(github): State<Arc<Github>>) -> Response {
    let state = github.store.lock();
    let links = Links { origin: github.web_url.clone() };
    let shape = |one: &Installation| objects::installation(state.world(), &github.app, one, &links);
    json(StatusCode::OK, &Json::List(state.world().installations.values().map(shape).collect()))
}

async fn install(State(github): State<Arc<Github>>, body: Bytes) -> Answered {
    answer(&github, StatusCode::CREATED, Action::Install(read(&body)?))
}

async fn uninstall(State(github): State<Arc<Github>>, Path(id): Path<String>) -> Answered {
    answer(&github, StatusCode::OK, Action::Uninstall(number(&id)?))
}

async fn change(State(github): State<Arc<Github>>, Path((id, change)): Path<(String, String)>) -> Answered {
    let id = number(&id)?;
    let action = match change.as_str() {
        "suspend" => Action::Suspend(id),
        "unsuspend" => Action::Unsuspend(id),
        "accept-permissions" => Action::AcceptPermissions(id),
        _ => return Err(Refused::not_found("This change")),
    };
    answer(&github, StatusCode::OK, action)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewName {
    name: String,
}

async fn add_repository(State(github): State<Arc<Github>>, Path(id): Path<String>, body: Bytes) -> Answered {
    let NewName { name } = read(&body)?;
    answer(&github, StatusCode::OK, Action::AddRepository(number(&id)?, name))
}

async fn remove_repository(
    State(github): State<Arc<Github>>,
    Path((id, name)): Path<(String, String)>,
) -> Answered {
    answer(&github, StatusCode::OK, Action::RemoveRepository(number(&id)?, name))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    repositories: Option<Vec<String>>,
}

async fn select(State(github): State<Arc<Github>>, Path(id): Path<String>, body: Bytes) -> Answered {
    let Chosen { repositories } = read(&body)?;
    answer(&github, StatusCode::OK, Action::Select(number(&id)?, repositories))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLogin {
    login: String,
}

async fn rename(State(github): State<Arc<Github>>, Path(account): Path<String>, body: Bytes) -> Answered {
    let NewLogin { login } = read(&body)?;
    answer(&github, StatusCode::OK, Action::Rename { account, login })
}

async fn revoke(State(github): State<Arc<Github>>, Path(login): Path<String>) -> Answered {
    answer(&github, StatusCode::OK, Action::Revoke(login))
}

async fn ask_for(State(github): State<Arc<Github>>, body: Bytes) -> Answered {
    let permissions: BTreeMap<String, String> = read(&body)?;
    github.change(|world| world.app.permissions = permissions);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn ping(State(github): State<Arc<Github>>) -> Answered {
    answer(&github, StatusCode::OK, Action::Ping)
}

async fn deliveries(State(github): State<Arc<Github>>) -> Response {
    let state = github.store.lock();
    let log = state.deliveries().entries().rev().map(hook_rest::item).collect();
    let waiting = state.deliveries().waiting() as u64;
    json(StatusCode::OK, &object! { "waiting": waiting, "deliveries": Json::List(log) })
}

async fn redeliver(State(github): State<Arc<Github>>, Path(id): Path<String>) -> Answered {
    answer(&github, StatusCode::OK, Action::Redeliver(id))
}

async fn deliver_now(State(github): State<Arc<Github>>) -> StatusCode {
    github.deliver_now().await;
    StatusCode::NO_CONTENT
}

async fn faults(State(github): State<Arc<Github>>) -> Response {
    let faults: DeliveryFaults = lock(&github.hookshot.faults).clone();
    json(StatusCode::OK, &faults)
}

async fn set_faults(State(github): State<Arc<Github>>, body: Bytes) -> Answered {
    answer(&github, StatusCode::OK, Action::Faults(read(&body)?))
}
