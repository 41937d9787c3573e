//! `/token` and `/revoke`: codes and refresh tokens become tokens, and tokens end.
//! Codes are given in `auth_page`; what ID tokens say is in `id_token`.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, StatusCode};
use ring::hmac;
use serde_json::{Value, json};

use super::answers::{Parameters, Problem, authenticated};
use super::handle::OfflineAccess;
use super::id_token::{self, About};
use super::jwt::{self, claims};
use super::sessions::{Redeemed, Session, new_uuid, sha256};
use super::state::State;
use super::world::User;
use super::{ACCESS_TOKEN_LIFE, Client, Openid};

pub(super) const GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];

/// `POST /token`.
pub(super) async fn token(
    Shared(openid): Shared<Arc<Openid>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = Parameters::of_form(&headers, &body)?;
    let Some(grant_type) = form.get("grant_type") else {
        return Err(Problem::invalid_request("Missing form parameter: grant_type"));
    };
    // Keycloak looks at the kind of grant before it looks at the client.
    if !GRANTS.contains(&grant_type) {
        let description = "Unsupported grant_type";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description));
    }
    let client = authenticated(&openid, &headers, &form)?;
    let now = openid.clock.unix();
    let mut state = openid.store.lock();
    let (sid, nonce) = if grant_type == "authorization_code" {
        code(&mut state, client, &form, now)?
    } else {
        let Some(token) = form.get("refresh_token") else {
            return Err(Problem::invalid_request("No refresh token"));
        };
        let sid = state.sessions.redeem_refresh(token, &client.client_id, now);
        // A refreshed ID token has no nonce: it answers no request for authentication.
        (sid.ok_or_else(|| Problem::invalid_grant("Token is not active"))?, None)
    };
    let answer = answer(&openid, &mut state, &sid, nonce.as_deref(), now)?;
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], axum::Json(answer)).into_response())
}

/// The session and the nonce that a code was given for.
fn code(
    state: &mut State,
    client: &Client,
    form: &Parameters,
    now: i64,
) -> Result<(String, Option<String>), Problem> {
    let Some(code) = form.get("code") else {
        return Err(Problem::invalid_request("Missing parameter: code"));
    };
    let code = match state.sessions.redeem_code(code, now) {
        Redeemed::Good(code) => code,
        Redeemed::Bad => return Err(Problem::invalid_grant("Code not valid")),
        Redeemed::NoSession => return Err(Problem::invalid_grant("Session not active")),
    };
    if code.client_id != client.client_id {
        return Err(Problem::invalid_grant("Auth error"));
    }
    if form.get("redirect_uri") != Some(&code.redirect_uri) {
        return Err(Problem::invalid_grant("Incorrect redirect_uri"));
    }
    match form.get("code_verifier") {
        None => Err(Problem::invalid_grant("PKCE code verifier not specified")),
        Some(verifier) if !is_verifier(verifier) => {
            Err(Problem::invalid_grant("PKCE verification failed: Invalid code verifier"))
        }
        Some(verifier) if sha256(verifier) != code.challenge => {
            Err(Problem::invalid_grant("PKCE verification failed: Code mismatch"))
        }
        Some(_) => Ok((code.sid, code.nonce)),
    }
}

/// RFC 7636, 4.1.
fn is_verifier(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(fits)
}

/// New tokens of a session.
fn answer(
    openid: &Openid,
    state: &mut State,
    sid: &str,
    nonce: Option<&str>,
    now: i64,
) -> Result<Value, Problem> {
    let inactive = || Problem::invalid_grant("Session not active");
    let refresh_ends = state.sessions.touch(sid, now + openid.refresh_token_life);
    let session = state.sessions.session(sid, now).cloned().ok_or_else(inactive)?;
    let user = state.world.by_sub(&session.sub).cloned().ok_or_else(inactive)?;
    let is_offline = session.scope.split(' ').any(|scope| scope == "offline_access");
    if is_offline && openid.switches().offline_access == OfflineAccess::NotForUsers {
        let description = "Offline tokens not allowed for the user or client";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "not_allowed", description));
    }
    let access_life = session.ends_at.map_or(ACCESS_TOKEN_LIFE, |end| ACCESS_TOKEN_LIFE.min(end - now));
    let new_id = || new_uuid().map_err(|_| Problem::internal());
    let access_token =
        access_token(openid, state, (sid, &session, &user), &new_id()?, now + access_life, now)?;
    let refresh_token = refresh_token(openid, state, (sid, &session), &new_id()?, refresh_ends, now)?;
    state.sessions.keep_access(&access_token, sid, now + access_life);
    state.sessions.keep_refresh(&refresh_token, sid);
    let about = About {
        issuer: &openid.issuer,
        user: &user,
        sid,
        session: &session,
        access_token: &access_token,
        nonce,
        jti: &new_id()?,
        expires_at: now + access_life,
        now,
    };
    let change = openid.switches().id_token.take();
    let id_token = id_token::write(state, about, change).map_err(|_| Problem::internal())?;
    Ok(json!({
        "access_token": access_token,
        "expires_in": access_life,
        "refresh_expires_in": refresh_ends.map_or(0, |end| end - now),
        "refresh_token": refresh_token,
        "token_type": "Bearer",
        "id_token": id_token,
        "not-before-policy": 0,
        "session_state": sid,
        "scope": session.scope,
    }))
}

fn access_token(
    openid: &Openid,
    state: &State,
    (sid, session, user): (&str, &Session, &User),
    jti: &str,
    expires_at: i64,
    now: i64,
) -> Result<String, Problem> {
    let mut body = claims(json!({
        "exp": expires_at,
        "iat": now,
        "auth_time": session.auth_time,
        "jti": format!("onrtac:{jti}"),
        "iss": openid.issuer,
        "aud": if user.may_read_tokens { json!(["broker", "account"]) } else { json!("account") },
        "sub": user.sub,
        "typ": "Bearer",
        "azp": session.client_id,
        "sid": sid,
        "acr": "1",
        "scope": session.scope,
    }));
    if user.may_read_tokens {
        body.insert("resource_access".to_owned(), json!({ "broker": { "roles": ["read-token"] } }));
    }
    body.extend(id_token::profile(user));
    let header = state.keys.header("JWT").map_err(|_| Problem::internal())?;
    state.keys.sign(&header, &body).map_err(|_| Problem::internal())
}

/// A token that only the provider reads.
fn refresh_token(
    openid: &Openid,
    state: &State,
    (sid, session): (&str, &Session),
    jti: &str,
    expires_at: Option<i64>,
    now: i64,
) -> Result<String, Problem> {
    let header = claims(json!({ "alg": "HS512", "typ": "JWT" }));
    let mut body = claims(json!({
        "iat": now,
        "jti": jti,
        "iss": openid.issuer,
        "aud": openid.issuer,
        "sub": session.sub,
        "typ": if expires_at.is_some() { "Refresh" } else { "Offline" },
        "azp": session.client_id,
        "sid": sid,
        "scope": session.scope,
    }));
    if let Some(end) = expires_at {
        body.insert("exp".to_owned(), json!(end));
    }
    let input = jwt::signing_input(&header, &body);
    let key = hmac::Key::new(hmac::HMAC_SHA512, state.secret.as_bytes());
    Ok(jwt::compact(&input, hmac::sign(&key, input.as_bytes()).as_ref()))
}

/// `POST /revoke` (RFC 7009): a refresh token ends its session; a token that is not known is ended already.
pub(super) async fn revoke(
    Shared(openid): Shared<Arc<Openid>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let form = Parameters::of_form(&headers, &body)?;
    let client = authenticated(&openid, &headers, &form)?;
    let Some(token) = form.get("token") else {
        return Err(Problem::invalid_request("Token not provided"));
    };
    let now = openid.clock.unix();
    let mut state = openid.store.lock();
    let is_ours = |session: Option<&Session>| session.is_none_or(|one| one.client_id == client.client_id);
    let sid = state.sessions.sid_of_refresh(token);
    let session = match &sid {
        Some(sid) => state.sessions.session(sid, now),
        None => state.sessions.of_access(token, now),
    };
    if !is_ours(session) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_token", "Unmatching clients"));
    }
    match sid {
        Some(sid) => drop(state.sessions.end(&sid)),
        None => state.sessions.forget_access(token),
    }
    Ok(StatusCode::OK.into_response())
}
