//! `/site/oauth2/access_token`: codes and refresh tokens become access tokens (reference: Bitbucket 2.3).
//! Codes are given in `authorize_page`.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use shared::clock::NoEntropy;

use super::Bitbucket;
use super::answers::{Parameters, json_response};
use super::asking::basic;
use super::tokens::UserTokens;
use super::world::RefreshRule;

pub(super) const TOKEN_PATH: &str = "/site/oauth2/access_token";
const SCOPES: &str = "account repository";

/// Why there are no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Client,
    Code,
    RedirectUri,
    RefreshToken,
    GrantType,
    NoEntropy,
}

impl From<NoEntropy> for Refusal {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

impl Refusal {
    fn answer(self) -> Response {
        let (status, error, description) = match self {
            Self::Client => (401, "unauthorized_client", "Invalid OAuth client credentials"),
            Self::Code => (400, "invalid_grant", "The specified code is not valid."),
            Self::RedirectUri => (400, "invalid_grant", "The redirect_uri is not that of the authorization."),
            Self::RefreshToken => (400, "invalid_grant", "Invalid refresh_token"),
            Self::GrantType => (400, "unsupported_grant_type", "Unsupported grant type"),
            Self::NoEntropy => (500, "server_error", "No random bytes"),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        json_response(status, &json!({ "error": error, "error_description": description }))
    }
}

/// The endpoint.
pub(super) async fn access_token(
    Shared(bitbucket): Shared<Arc<Bitbucket>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match grant(&bitbucket, &headers, &body) {
        Ok((tokens, rule)) => json_response(StatusCode::OK, &success(&tokens, rule)),
        Err(refusal) => refusal.answer(),
    }
}

/// The form of before May 2026, or that of after.
fn success(tokens: &UserTokens, rule: RefreshRule) -> serde_json::Value {
    let mut answer = json!({
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
    });
    if rule == RefreshRule::Rotates {
        answer["scope"] = json!(SCOPES);
    } else {
        answer["scopes"] = json!(SCOPES);
        answer["state"] = json!("authorization_code");
    }
    if rule != RefreshRule::StaysUntold {
        answer["refresh_token"] = json!(tokens.refresh_token);
    }
    answer
}

fn grant(
    bitbucket: &Bitbucket,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(UserTokens, RefreshRule), Refusal> {
    let client = headers.get(AUTHORIZATION).and_then(|value| basic(value.to_str().ok()?));
    let ours = (bitbucket.client.client_id.clone(), bitbucket.client.client_secret.clone());
    if client != Some(ours) {
        return Err(Refusal::Client);
    }
    let parameters = Parameters::of(&String::from_utf8_lossy(body));
    let parameter = |name: &str| parameters.get(name);
    let now = bitbucket.clock.unix();
    let mut state = bitbucket.lock();
    let rule = state.world.refresh;
    match parameter("grant_type") {
        Some("authorization_code") => {
            let code = parameter("code").and_then(|code| state.tokens.redeem_code(code, now));
            let code = code.ok_or(Refusal::Code)?;
            if code.redirect_uri.as_deref() != parameter("redirect_uri") {
                return Err(Refusal::RedirectUri);
            }
            // The first refresh token is told whatever becomes of it later.
            let told = if rule == RefreshRule::StaysUntold { RefreshRule::Stays } else { rule };
            Ok((state.tokens.issue(&code.user, now)?, told))
        }
        Some("refresh_token") => {
            let token = parameter("refresh_token").unwrap_or_default();
            let tokens = state.tokens.refresh(token, rule, now)?.ok_or(Refusal::RefreshToken)?;
            Ok((tokens, rule))
        }
        _ => Err(Refusal::GrantType),
    }
}
