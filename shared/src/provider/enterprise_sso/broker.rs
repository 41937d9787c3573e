//! The hosts' tokens that the issuer holds for its users as a broker: Keycloak's `/broker/{alias}/token`.
//! Which of them are linked to whom is `identity`'s business.

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{EnterpriseSso, SsoClient, classify};
use crate::config::endpoint;
use crate::provider::authorized::bearer;
use crate::provider::field::value;
use crate::provider::token::{AccessToken, TokenSource};
use crate::provider::upstream::{Answer, Budget, Call};
use crate::provider::{CallError, ForbiddenReason, ProviderError, ProviderType};

/// A host's token out of the issuer's hands.
#[derive(Clone, Debug)]
pub struct BrokeredToken {
    /// The host's access token.
    pub access: SecretString,
    /// When it ends, in Unix seconds, where the broker has noted that.
    pub access_expires_at: Option<i64>,
}

/// What the broker stored, where that is JSON.
#[derive(Deserialize)]
struct Stored<'a> {
    access_token: Option<SecretString>,
    #[serde(borrow, rename = "accessTokenExpiration")]
    expires_at: Option<&'a RawValue>,
}

impl EnterpriseSso {
    /// The token of `provider` that the issuer holds for the user; `None` where it holds none, or does not broker
    /// that host. `source` gives the issuer's own access token and is asked for another when that is not accepted.
    ///
    /// # Errors
    /// [`CallError`] for want of a token of the issuer's, or at the issuer.
    pub async fn brokered_token<T: TokenSource>(
        &self,
        client: &SsoClient,
        provider: ProviderType,
        source: &T,
        budget: &Budget,
    ) -> Result<Option<BrokeredToken>, CallError> {
        let Some(alias) = client.broker.get(&provider) else { return Ok(None) };
        let url = endpoint(client.issuer.url(), &["broker", alias, "token"]);
        let send = async |token: &AccessToken| {
            let headers = HeaderMap::from_iter([
                (ACCEPT, HeaderValue::from_static("application/json")),
                (AUTHORIZATION, bearer(&token.secret)?),
            ]);
            self.ask(client, &Call { method: Method::GET, url: url.clone(), headers, body: None }, budget)
                .await
        };
        let token = source.token().await?;
        let mut answer = send(&token).await?;
        if is_token_refused(&answer)
            && let Some(other) = source.renew(&token).await?
        {
            answer = send(&other).await?;
        }
        if is_token_refused(&answer) {
            return Err(ProviderError::Unauthorized.into());
        }
        match answer.status {
            StatusCode::OK => Ok(stored(&answer)?),
            StatusCode::NO_CONTENT => Ok(None),
            _ => Ok(without_token(&answer, provider).map(|()| None)?),
        }
    }
}

/// Whether our own access token was not accepted. Keycloak says that with 400.
pub(super) fn is_token_refused(answer: &Answer) -> bool {
    answer.status == StatusCode::UNAUTHORIZED
        || (answer.status == StatusCode::BAD_REQUEST && words(answer).starts_with("Invalid token"))
}

/// Nothing where the answer says that there is no token for this user, else what it means.
pub(super) fn without_token(answer: &Answer, provider: ProviderType) -> Result<(), ProviderError> {
    let words = words(answer);
    let says = |part: &str| words.contains(part);
    match answer.status.as_u16() {
        400 if says("does not support this operation") || says("not associated with identity provider") => {
            Ok(())
        }
        404 if says("No token stored") || says("not associated with identity provider") => Ok(()),
        400 | 403 if says("not authorized to retrieve tokens") => {
            tracing::warn!(
                host = provider.as_str(),
                "the issuer's broker does not give its tokens away: users need its role read-token"
            );
            Err(ProviderError::Forbidden(ForbiddenReason::Plain))
        }
        _ => Err(classify(answer)),
    }
}

/// Keycloak's words of refusal.
fn words(answer: &Answer) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return String::new() };
    body["errorMessage"].as_str().unwrap_or_default().to_owned()
}

/// What the broker stored: the host's own answer, be it JSON or a form, whatever the content type says.
///
/// `expires_in` in it counts from a moment that nobody knows; `accessTokenExpiration` is Keycloak's own note.
pub(super) fn stored(answer: &Answer) -> Result<Option<BrokeredToken>, ProviderError> {
    let body = answer.body.trim_ascii();
    let (access, access_expires_at) = if body.starts_with(b"{") {
        let stored: Stored<'_> = serde_json::from_slice(body).map_err(|error| {
            // The position and kind only: the body holds tokens.
            tracing::warn!(column = error.column(), category = ?error.classify(), "a brokered token is unreadable");
            ProviderError::BadResponse { status: 200 }
        })?;
        (stored.access_token, value(stored.expires_at).filter(|moment: &i64| *moment > 0))
    } else {
        let found = form_urlencoded::parse(body).find(|(name, _)| name == "access_token");
        (found.map(|(_, token)| SecretString::from(token.into_owned())), None)
    };
    let access = access.filter(|token| !token.expose_secret().is_empty()).ok_or_else(|| {
        tracing::warn!("what the issuer's broker stored holds no access token");
        ProviderError::BadResponse { status: 200 }
    })?;
    Ok(Some(BrokeredToken { access, access_expires_at }))
}
