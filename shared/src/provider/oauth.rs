//! What OAuth's web flow has in common at all hosts: our client there, what the token endpoint grants, why it
//! does not. The hosts' own forms are in their modules; who may start a flow is `identity`'s business.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::ProviderError;
use super::upstream::{Answer, Call};
use crate::clock::Clock;

/// Our OAuth client at a host.
#[derive(Clone, Debug)]
pub struct OauthClient {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

/// What a token endpoint granted. Expiries are absolute, counted from the answer's own `Date`,
/// so that a local clock that is wrong does not matter.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// The access token.
    pub access: SecretString,
    /// When the access token ends, in Unix seconds; `None` where it does not.
    pub access_expires_at: Option<i64>,
    /// The refresh token; single use at every host that rotates them.
    pub refresh: Option<SecretString>,
    /// When the refresh token ends, in Unix seconds.
    pub refresh_expires_at: Option<i64>,
}

/// The token endpoint did not grant anything.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OauthError {
    /// The code is wrong, used or too old, or the PKCE verifier does not fit.
    #[error("the code is not accepted")]
    BadCode,
    /// The refresh token is used, revoked or expired.
    #[error("the refresh token is not accepted")]
    BadRefreshToken,
    /// The client id or secret is wrong: the operator's problem.
    #[error("the host does not accept the client credentials")]
    BadClient,
    /// The redirect address is not one of the client's callback URLs: the operator's problem.
    #[error("the host does not accept the callback URL")]
    BadRedirect,
    /// Any other refusal, by the host's own error code.
    #[error("the host refuses: {0}")]
    Refused(String),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] ProviderError),
}

impl OauthError {
    /// A refusal by a host's own code, cut to what may stand in a log.
    #[must_use]
    pub fn refused(code: &str) -> Self {
        Self::Refused(code.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect())
    }
}

/// The call of a token endpoint: these fields as a form, JSON asked for.
#[must_use]
pub fn token_call(url: Url, fields: &[(&str, &str)]) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let form =
        SecretString::from(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish());
    Call { method: Method::POST, url, headers, body: Some(Bytes::from(form.expose_secret().to_owned())) }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<SecretString>,
    expires_in: Option<i64>,
    refresh_token: Option<SecretString>,
    refresh_token_expires_in: Option<i64>,
    /// OAuth's code; some hosts put an object of their API's own kind here.
    error: Option<Value>,
}

/// Reads the answer of a token endpoint (RFC 6749, 5.1 and 5.2). `code` says what a host's own error codes mean,
/// `failed` what an answer means that is neither a grant nor a refusal with a code. Some hosts send their
/// refusals with 200; a rate limit or a failure means itself, whatever its body says. What a token endpoint checks
/// at first is who we are, and nothing that is there is hidden from somebody: without a code, 401 means our client,
/// and 404 that there is no such endpoint.
///
/// # Errors
/// [`OauthError`].
pub fn read_grant(
    answer: &Answer,
    clock: &Clock,
    code: impl FnOnce(&str) -> Option<OauthError>,
    failed: impl Fn(&Answer) -> ProviderError,
) -> Result<TokenGrant, OauthError> {
    let ok = answer.status == StatusCode::OK;
    let failed = || match failed(answer) {
        _ if ok => ProviderError::BadResponse { status: 200 }.into(),
        ProviderError::Unauthorized => OauthError::BadClient,
        ProviderError::NotFound => ProviderError::BadResponse { status: 404 }.into(),
        error => error.into(),
    };
    if !matches!(answer.status.as_u16(), 200 | 400 | 401 | 403) {
        return Err(failed());
    }
    let granted: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| failed())?;
    if let Some(error) = granted.error.as_ref().and_then(Value::as_str) {
        return Err(code(error).unwrap_or_else(|| OauthError::refused(error)));
    }
    let access = granted.access_token.filter(|_| ok).ok_or_else(failed)?;
    let now = host_time(answer, clock);
    let end = |seconds: Option<i64>| seconds.map(|seconds| now.saturating_add(seconds));
    Ok(TokenGrant {
        access,
        access_expires_at: end(granted.expires_in),
        refresh: granted.refresh_token,
        refresh_expires_at: end(granted.refresh_token_expires_in),
    })
}

/// The host's time in Unix seconds, by the answer's `Date`; ours where it has none.
#[must_use]
pub fn host_time(answer: &Answer, clock: &Clock) -> i64 {
    answer
        .header(DATE.as_str())
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_else(|| clock.unix())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(status: u16, body: String) -> Result<TokenGrant, OauthError> {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::from(body) };
        let code = |code: &str| (code == "invalid_grant").then_some(OauthError::BadCode);
        read_grant(&answer, &Clock::system(), code, |answer| ProviderError::BadResponse {
            status: answer.status.as_u16(),
        })
    }

    proptest! {
        #[test]
        fn a_grant_is_only_what_a_success_names_and_it_ends_when_it_says(
            status in prop::sample::select(vec![200_u16, 201, 400, 401, 403, 404, 429, 500, 502]),
            token in "[a-zA-Z0-9_.-]{1,30}",
            life in any::<i64>(),
        ) {
            let now = Clock::system().unix();
            let body = serde_json::json!({"access_token": token, "expires_in": life}).to_string();
            match read(status, body) {
                Ok(grant) => {
                    prop_assert_eq!((status, grant.access.expose_secret()), (200, &*token));
                    let end = grant.access_expires_at.unwrap();
                    prop_assert!(end.abs_diff(now.saturating_add(life)) <= 60, "{} {}", end, life);
                }
                Err(_) => prop_assert_ne!(status, 200),
            }
        }

        #[test]
        fn a_refusal_is_told_in_words_fit_for_a_log(error in any::<String>(), status in 200_u16..=500) {
            let body = serde_json::json!({"access_token": "t", "error": error}).to_string();
            match read(status, body) {
                Ok(_) => prop_assert!(false, "an error is no grant"),
                Err(OauthError::Refused(code)) => {
                    prop_assert!(code.len() <= 64);
                    prop_assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
                }
                Err(_) => {}
            }
        }

        #[test]
        fn no_body_makes_the_reader_panic(body in r#"(\{"(access_token|expires_in|error)":)?[\[\]{}":,a-z0-9 -]{0,30}|.*"#) {
            let _ = read(200, body);
        }
    }
}
