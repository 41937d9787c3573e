//! `/logout`: a session ends at a client's request (RP-initiated logout 1.0), after a question where nothing proves it.
//! How the other clients learn of it is `backchannel`'s affair.

use std::sync::Arc;

use axum::extract::{RawQuery, State as Shared};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use url::Url;

use super::answers::{Parameters, authenticated, error_page, page};
use super::auth_page::redirect;
use super::{OIDC, Openid, REALM, SESSION_COOKIE};
use crate::sandbox_github::html::hidden;

/// What the page's own form says.
const CONFIRMED: &str = "confirmed";

/// `GET /logout`.
pub(super) async fn get(
    Shared(openid): Shared<Arc<Openid>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match Parameters::of(query.unwrap_or_default().as_bytes()) {
        Ok(asked) => log_out(&openid, &asked, &headers).await,
        Err(_) => error_page(StatusCode::BAD_REQUEST, "Invalid Request"),
    }
}

/// `POST /logout`: the same, the page's own form, or Keycloak's older way with a refresh token.
pub(super) async fn post(Shared(openid): Shared<Arc<Openid>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(asked) = Parameters::of_form(&headers, &body) else {
        return error_page(StatusCode::BAD_REQUEST, "Invalid Request");
    };
    match asked.get("refresh_token") {
        Some(token) => with_refresh_token(&openid, &headers, &asked, token).await,
        None => log_out(&openid, &asked, &headers).await,
    }
}

async fn with_refresh_token(
    openid: &Openid,
    headers: &HeaderMap,
    asked: &Parameters,
    token: &str,
) -> Response {
    let client = match authenticated(openid, headers, asked) {
        Ok(client) => client,
        Err(problem) => return problem.into_response(),
    };
    let sid = {
        let state = openid.store.lock();
        let sid = state.sessions.sid_of_refresh(token);
        let is_clients = |sid: &String| {
            let session = state.sessions.session(sid, openid.clock.unix());
            session.is_some_and(|session| session.client_id == client.client_id)
        };
        sid.filter(is_clients)
    };
    if let Some(sid) = sid {
        openid.log_out(&sid).await;
    }
    // A token that is not active any more is no reason to complain.
    StatusCode::NO_CONTENT.into_response()
}

/// What an `id_token_hint` tells: the client and the session. It may have expired, but a key of ours signed it.
fn hinted(openid: &Openid, hint: &str) -> Option<(String, String)> {
    let claims = openid.store.lock().keys.verify(hint)?;
    let text = |name: &str| Some(claims.get(name)?.as_str()?.to_owned());
    (text("iss")? == openid.issuer && text("typ")? == "ID").then(|| Some((text("azp")?, text("sid")?)))?
}

async fn log_out(openid: &Openid, asked: &Parameters, headers: &HeaderMap) -> Response {
    let refuse = |message: &str| error_page(StatusCode::BAD_REQUEST, message);
    let hint = match asked.get("id_token_hint") {
        None => None,
        Some(hint) => match hinted(openid, hint) {
            Some(hint) => Some(hint),
            None => return refuse("Invalid parameter: id_token_hint"),
        },
    };
    let hinted_client = hint.as_ref().map(|(client, _)| client.as_str());
    let client = match (asked.get("client_id"), hinted_client) {
        (Some(asked), Some(hinted)) if asked != hinted => return refuse("Invalid parameter: client_id"),
        (Some(id), _) | (None, Some(id)) => match openid.client(id) {
            Some(client) => Some(client),
            None => return refuse("Invalid parameter: client_id"),
        },
        (None, None) => None,
    };
    let destination = match (asked.get("post_logout_redirect_uri"), client) {
        (None, _) => None,
        (Some(_), None) => return refuse("Missing parameters: id_token_hint"),
        (Some(uri), Some(client)) => {
            let known = client.post_logout_redirect_uris.iter().any(|one| one == uri);
            match Url::parse(uri).ok().filter(|_| known) {
                Some(url) => Some(url),
                None => return refuse("Invalid redirect uri"),
            }
        }
    };
    let sid = match hint {
        Some((_, sid)) => Some(sid),
        // Anybody's link may lead here: whoever sits before the browser is asked.
        None if asked.get(CONFIRMED).is_none() => return question(asked),
        None => session_of_browser(headers),
    };
    if let Some(sid) = sid {
        openid.log_out(&sid).await;
    }
    let mut response = match destination {
        Some(mut url) => {
            if let Some(state) = asked.get("state") {
                url.query_pairs_mut().append_pair("state", state);
            }
            redirect(url.as_str())
        }
        None => page("You are logged out", "<p>The session has ended.</p>", &[]),
    };
    if let Ok(cookie) = format!("{SESSION_COOKIE}=; Path={REALM}/; Max-Age=0; HttpOnly; SameSite=Lax").parse()
    {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn question(asked: &Parameters) -> Response {
    let kept = ["client_id", "post_logout_redirect_uri", "state"];
    let fields: String = kept.iter().filter_map(|name| Some(hidden(name, asked.get(name)?))).collect();
    let destinations: Vec<String> =
        asked.get("post_logout_redirect_uri").map(str::to_owned).into_iter().collect();
    let body = format!(
        "<p>Do you want to log out?</p>\n<form method=\"post\" action=\"{REALM}{OIDC}/logout\">\n{fields}\n\
         <button name=\"{CONFIRMED}\" value=\"1\">Logout</button>\n</form>"
    );
    page("Logging out", &body, &destinations)
}

/// The session that this browser signed in to last.
fn session_of_browser(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, sid)| sid.to_owned())
}
