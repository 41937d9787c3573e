//! A GET with a user's token at any host: renewed once when the host does not accept it, tried once more when
//! the host does not know a new token yet. How a token stands in a header is the host's to say.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::token::{AccessToken, TokenError, TokenSource};
use super::upstream::{Answer, Budget, Call, Upstream};
use super::{ProviderError, ProviderType};

/// Wait before a token that was just obtained is tried again (GitHub's replication lag, reference 1.9).
const REPLICATION_LAG: Duration = Duration::from_secs(1);

/// A call of ours failed, for want of a token or at the host.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// No usable token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The host failed or refused.
    #[error(transparent)]
    Host(#[from] ProviderError),
}

/// How a token stands in `Authorization`.
pub type Scheme = fn(&SecretString) -> Result<HeaderValue, ProviderError>;

/// `Authorization: Bearer`, marked so that nothing prints it.
///
/// # Errors
/// [`ProviderError::Unauthorized`] when the token cannot stand in a header at all.
pub fn bearer(token: &SecretString) -> Result<HeaderValue, ProviderError> {
    sensitive(&format!("Bearer {}", token.expose_secret()))
}

/// `Authorization: Basic` of `name:secret`, marked the same.
///
/// # Errors
/// [`ProviderError::Unauthorized`], which base64 never gives.
pub fn basic(credentials: &str) -> Result<HeaderValue, ProviderError> {
    sensitive(&format!("Basic {}", STANDARD.encode(credentials)))
}

fn sensitive(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| ProviderError::Unauthorized)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A GET with the token of `source`, which is renewed once when the host does not accept it, and tried once
/// more after a second when the host does not know a new token yet. An answer of any status is `Ok`.
///
/// # Errors
/// [`CallError`] for want of a token or of an answer.
pub async fn get<T: TokenSource>(
    upstream: &Upstream,
    provider: ProviderType,
    url: Url,
    headers: HeaderMap,
    scheme: Scheme,
    source: &T,
    budget: &Budget,
) -> Result<Answer, CallError> {
    get_with(upstream, provider, url, headers, scheme, |_| {}, source, budget).await
}

/// [`get`] whose headers are completed for the very token that they are sent with: a condition is of use only
/// with the token that it was made for.
///
/// # Errors
/// As [`get`].
#[expect(clippy::too_many_arguments, reason = "one call, described once")]
pub async fn get_with<T: TokenSource>(
    upstream: &Upstream,
    provider: ProviderType,
    url: Url,
    headers: HeaderMap,
    scheme: Scheme,
    complete: impl Fn(&mut HeaderMap) + Send + Sync,
    source: &T,
    budget: &Budget,
) -> Result<Answer, CallError> {
    let mut token = source.token().await?;
    let (mut waited, mut renewed) = (false, false);
    let send = async |token: &AccessToken| {
        let mut headers = headers.clone();
        headers.insert(AUTHORIZATION, scheme(&token.secret)?);
        complete(&mut headers);
        let call = Call { method: Method::GET, url: url.clone(), headers, body: None };
        upstream.call(provider, &call, budget).await
    };
    loop {
        let answer = send(&token).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // Each once: a new token may have ended all the same, such as by a renewal somewhere else.
        if token.fresh && !waited && Instant::now() + REPLICATION_LAG < budget.deadline() {
            tokio::time::sleep(REPLICATION_LAG).await;
            waited = true;
            continue;
        }
        if renewed {
            return Ok(answer);
        }
        let Some(other) = source.renew(&token).await? else { return Ok(answer) };
        renewed = true;
        token = other;
    }
}
