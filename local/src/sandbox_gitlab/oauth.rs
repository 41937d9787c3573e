//! `/oauth/token` and `/oauth/revoke`: codes and refresh tokens become tokens, and tokens end.
//! Codes are given in `authorize_page`; what the tokens open is decided in `asking`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::Gitlab;
use super::answers::{Parameters, Problem};
use super::tokens::{UserTokens, sha256};

fn refused(error: &str, description: &str) -> Problem {
    Problem::described(StatusCode::BAD_REQUEST, error, description)
}

fn invalid_grant() -> Problem {
    refused(
        "invalid_grant",
        "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.",
    )
}

fn is_client(gitlab: &Gitlab, parameters: &Parameters) -> bool {
    parameters.text("client_id") == Some(&gitlab.application.client_id)
        && parameters.text("client_secret") == Some(&gitlab.application.client_secret)
}

fn required<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Problem> {
    let missing = || refused("invalid_request", &format!("Missing required parameter: {name}."));
    parameters.text(name).filter(|value| !value.is_empty()).ok_or_else(missing)
}

/// `POST /oauth/token`.
pub(super) async fn token(
    State(gitlab): State<Arc<Gitlab>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let parameters = Parameters::of_request(query.as_deref(), &headers, &body);
    if !is_client(&gitlab, &parameters) {
        return Err(Problem::described(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.",
        ));
    }
    let (tokens, scopes) = grant(&gitlab, &parameters)?;
    let answer = json!({
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "scope": scopes,
        "created_at": gitlab.clock.unix(),
    });
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(answer)).into_response())
}

fn grant(gitlab: &Gitlab, parameters: &Parameters) -> Result<(UserTokens, String), Problem> {
    let now = gitlab.clock.unix();
    let no_entropy = |_| Problem::internal();
    match required(parameters, "grant_type")? {
        "authorization_code" => {
            let code = required(parameters, "code")?;
            let redirect_uri = required(parameters, "redirect_uri")?;
            let mut state = gitlab.store.lock();
            let code = state.tokens.redeem_code(code, now).ok_or_else(invalid_grant)?;
            let proved = code.challenge.as_ref().is_none_or(|challenge| {
                parameters.text("code_verifier").is_some_and(|verifier| sha256(verifier) == *challenge)
            });
            if code.grant.redirect_uri != redirect_uri || !proved {
                return Err(invalid_grant());
            }
            let scopes = code.grant.scopes.clone();
            Ok((state.tokens.issue_pair(code.grant, now).map_err(no_entropy)?, scopes))
        }
        "refresh_token" => {
            let token = required(parameters, "refresh_token")?;
            let redirect_uri = parameters.text("redirect_uri").unwrap_or_default();
            let mut state = gitlab.store.lock();
            let tokens = state.tokens.refresh(token, redirect_uri, now).map_err(no_entropy)?;
            tokens.ok_or_else(invalid_grant)
        }
        _ => Err(refused(
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        )),
    }
}

/// `POST /oauth/revoke`: a token that is not known is ended already.
pub(super) async fn revoke(
    State(gitlab): State<Arc<Gitlab>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let parameters = Parameters::of_request(query.as_deref(), &headers, &body);
    if !is_client(&gitlab, &parameters) {
        return Err(Problem::described(
            StatusCode::FORBIDDEN,
            "unauthorized_client",
            "You are not authorized to revoke this token",
        ));
    }
    gitlab.store.lock().tokens.revoke(parameters.text("token").unwrap_or_default());
    Ok(axum::Json(json!({})).into_response())
}
