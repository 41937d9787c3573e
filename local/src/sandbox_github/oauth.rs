//! `/login/oauth/access_token`: codes and refresh tokens become user tokens (reference/github.md 1.9, 1.10).
//! Codes are given in `authorize_page`; what the tokens open is looked up in `asking`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use ring::digest::{SHA256, digest};
use shared::clock::NoEntropy;

use super::Github;
use super::json::{Json, object};
use super::tokens::UserTokens;

pub(super) const TOKEN_PATH: &str = "/login/oauth/access_token";

const ERRORS: &str =
    "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/";

/// Why there are no tokens; GitHub says it with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    IncorrectClientCredentials,
    RedirectUriMismatch,
    BadVerificationCode,
    BadRefreshToken,
    UnsupportedGrantType,
}

impl Refusal {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::IncorrectClientCredentials => {
                ("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
            }
            Self::RedirectUriMismatch => (
                "redirect_uri_mismatch",
                "The redirect_uri MUST match the registered callback URL for this application.",
            ),
            Self::BadVerificationCode => {
                ("bad_verification_code", "The code passed is incorrect or expired.")
            }
            Self::BadRefreshToken => {
                ("bad_refresh_token", "The refresh token passed is incorrect or expired.")
            }
            Self::UnsupportedGrantType => {
                ("unsupported_grant_type", "The grant_type passed is not supported.")
            }
        }
    }

    fn into_json(self) -> Json {
        let (error, description) = self.words();
        object! {
            "error": error,
            "error_description": description,
            "error_uri": format!("{ERRORS}#{}", error.replace('_', "-")),
        }
    }
}

/// The endpoint.
pub(super) async fn access_token(
    State(github): State<Arc<Github>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parameters = parameters(query.as_deref(), &headers, &body);
    if parameters.get("client_id") != Some(&github.app.client_id) {
        return write(&headers, StatusCode::NOT_FOUND, &object! { "error": "Not Found" });
    }
    match grant(&github, &parameters) {
        Ok(Ok(tokens)) => write(&headers, StatusCode::OK, &success(&tokens)),
        Ok(Err(refusal)) => write(&headers, StatusCode::OK, &refusal.into_json()),
        Err(NoEntropy) => {
            write(&headers, StatusCode::INTERNAL_SERVER_ERROR, &object! { "error": "server_error" })
        }
    }
}

fn success(tokens: &UserTokens) -> Json {
    let seconds = |life: i64| Json::Number(u64::try_from(life).unwrap_or_default());
    object! {
        "access_token": &tokens.access_token,
        "expires_in": seconds(tokens.expires_in),
        "refresh_token": &tokens.refresh_token,
        "refresh_token_expires_in": seconds(tokens.refresh_token_expires_in),
        "token_type": "bearer",
        // Always empty for Apps: their permissions are the installation's.
        "scope": "",
    }
}

type Parameters = BTreeMap<String, String>;

fn grant(github: &Github, parameters: &Parameters) -> Result<Result<UserTokens, Refusal>, NoEntropy> {
    let parameter = |name: &str| parameters.get(name).map(String::as_str);
    if parameter("client_secret") != Some(github.app.client_secret.as_str()) {
        return Ok(Err(Refusal::IncorrectClientCredentials));
    }
    let now = github.clock.unix();
    let mut state = github.store.lock();
    match parameter("grant_type") {
        Some("refresh_token") => {
            let token = parameter("refresh_token").unwrap_or_default();
            Ok(state.change_tokens().refresh(token, now)?.ok_or(Refusal::BadRefreshToken))
        }
        None | Some("authorization_code") => {
            let code = parameter("code").unwrap_or_default();
            let Some(code) = state.change_tokens().redeem_code(code, now) else {
                return Ok(Err(Refusal::BadVerificationCode));
            };
            let returned_to = code.redirect_uri.as_ref().or(github.app.callback_urls.first());
            if parameter("redirect_uri").is_some_and(|uri| Some(uri) != returned_to.map(String::as_str)) {
                return Ok(Err(Refusal::RedirectUriMismatch));
            }
            if code
                .challenge
                .as_deref()
                .is_some_and(|challenge| !proves(parameter("code_verifier"), challenge))
            {
                return Ok(Err(Refusal::BadVerificationCode));
            }
            Ok(Ok(state.change_tokens().issue_pair(code.user, now)?))
        }
        Some(_) => Ok(Err(Refusal::UnsupportedGrantType)),
    }
}

/// PKCE S256: whoever began the flow knows what was hashed.
fn proves(verifier: Option<&str>, challenge: &str) -> bool {
    verifier.is_some_and(|verifier| URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == challenge)
}

/// Parameters come in the query, in a form, or in JSON.
fn parameters(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Parameters {
    let content = headers.get(CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
    let mut parameters: Parameters =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    if content.starts_with("application/json") {
        parameters.extend(serde_json::from_slice::<Parameters>(body).unwrap_or_default());
    } else {
        parameters.extend(form_urlencoded::parse(body).into_owned());
    }
    parameters
}

/// Form-encoded, unless `Accept` asks for JSON.
fn write(request: &HeaderMap, status: StatusCode, answer: &Json) -> Response {
    let accept = request.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (content, body) = if accept.contains("application/json") {
        ("application/json; charset=utf-8", serde_json::to_string(answer).unwrap_or_default())
    } else {
        ("application/x-www-form-urlencoded; charset=utf-8", form(answer))
    };
    let headers = [(CONTENT_TYPE, content), (CACHE_CONTROL, "max-age=0, private, must-revalidate")];
    (status, headers, body).into_response()
}

fn form(answer: &Json) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    if let Json::Object(entries) = answer {
        for (key, value) in entries {
            match value {
                Json::Text(text) => form.append_pair(key, text),
                Json::Number(number) => form.append_pair(key, &number.to_string()),
                _ => &mut form,
            };
        }
    }
    form.finish()
}
