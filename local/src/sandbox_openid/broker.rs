//! `/broker/{alias}/token`: the tokens that the realm holds of its users' accounts at other hosts.
//! Who has an account where is the world's; the hosts themselves are other sandboxes, behind [`Broker`].

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Openid;
use super::answers::{bearer, error_page};
use super::state::{Brokered, State};
use super::world::ProviderKind;

/// Where the realm gets tokens of its users' accounts, as if they had signed in there.
pub trait Broker: fmt::Debug + Send + Sync {
    /// New tokens of an account; `None` if the host does not know it.
    fn sign_in(&self, host: ProviderKind, login: &str) -> Option<HostTokens>;
}

/// A host's tokens of a user.
#[derive(Clone)]
pub struct HostTokens {
    /// The access token.
    pub access_token: String,
    /// Seconds that it lives.
    pub expires_in: i64,
    /// The refresh token.
    pub refresh_token: String,
    /// Seconds that it lives, where the host says so.
    pub refresh_token_expires_in: Option<i64>,
    /// What was granted, as the host writes it.
    pub scope: String,
}

// By hand: they open accounts, though none but a sandbox's.
impl fmt::Debug for HostTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostTokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A host's answer as Keycloak keeps it, and hands it out.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    is_form: bool,
    body: String,
    expires_at: i64,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Stored {
    fn new(host: ProviderKind, tokens: &HostTokens, now: i64) -> Self {
        let HostTokens { access_token, expires_in, refresh_token, refresh_token_expires_in, scope } = tokens;
        let expires_at = now + expires_in;
        if host == ProviderKind::Github {
            // GitHub answers so unless it is asked for JSON, which Keycloak does not do.
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("access_token", access_token)
                .append_pair("expires_in", &expires_in.to_string())
                .append_pair("refresh_token", refresh_token);
            if let Some(life) = refresh_token_expires_in {
                form.append_pair("refresh_token_expires_in", &life.to_string());
            }
            form.append_pair("scope", scope).append_pair("token_type", "bearer");
            return Self { is_form: true, body: form.finish(), expires_at };
        }
        let mut body = json!({
            "access_token": access_token,
            "expires_in": expires_in,
            "refresh_token": refresh_token,
            "token_type": "bearer",
            "scope": scope,
        });
        if host == ProviderKind::Gitlab {
            // Keycloak adds it where it speaks OpenID Connect with the host.
            body["accessTokenExpiration"] = json!(expires_at);
        }
        Self { is_form: false, body: body.to_string(), expires_at }
    }
}

/// Keycloak's form of an error that is not OAuth's.
fn refused(status: StatusCode, message: &str) -> Response {
    let body = axum::Json(json!({ "errorMessage": message }));
    (status, [(CACHE_CONTROL, "no-cache")], body).into_response()
}

/// The endpoint.
pub(super) async fn token(
    Shared(openid): Shared<Arc<Openid>>,
    Path(alias): Path<String>,
    headers: HeaderMap,
) -> Response {
    let now = openid.clock.unix();
    let mut state = openid.store.lock();
    let Some(session) = bearer(&headers).and_then(|token| state.bearer(token, now)) else {
        return refused(openid.broker_unauthorized, "Invalid token.");
    };
    let (sub, client_id) = (session.sub.clone(), session.client_id.clone());
    let bad = |message: &str| refused(StatusCode::BAD_REQUEST, message);
    let Some(user) = state.world.by_sub(&sub).cloned() else {
        return refused(openid.broker_unauthorized, "Invalid token.");
    };
    if !user.may_read_tokens {
        let message = format!(
            "Client [{client_id}] not authorized to retrieve tokens from identity provider [{alias}]."
        );
        return refused(StatusCode::FORBIDDEN, &message);
    }
    let Some(provider) = state.world.providers.get(&alias).copied() else {
        // Keycloak has no JSON for this.
        let message = "Could not obtain token from identity provider.";
        return error_page(StatusCode::BAD_GATEWAY, message);
    };
    if provider.kind == ProviderKind::Saml || !provider.stores_tokens {
        return bad(&format!("Identity Provider [{alias}] does not support this operation."));
    }
    let Some(login) = user.accounts.get(&alias) else {
        return bad(&format!("User [{sub}] is not associated with identity provider [{alias}]."));
    };
    let Some(stored) = stored(&openid, &mut state, (&sub, &alias), provider.kind, login, now) else {
        let message =
            format!("No token stored for user [{sub}] with associated identity provider [{alias}].");
        return refused(StatusCode::NOT_FOUND, &message);
    };
    let content = if stored.is_form { "application/x-www-form-urlencoded" } else { "application/json" };
    ([(CONTENT_TYPE, content), (CACHE_CONTROL, "no-cache")], stored.body).into_response()
}

/// What is held, renewed if it has expired and the broker renews.
fn stored(
    openid: &Openid,
    state: &mut State,
    (sub, alias): (&str, &str),
    host: ProviderKind,
    login: &str,
    now: i64,
) -> Option<Stored> {
    let renews = openid.switches().refresh_brokered;
    let held = state.brokered.entry(sub.to_owned()).or_default();
    if let Some(stored) = held.get(alias).filter(|stored| !renews || stored.expires_at > now) {
        return Some(stored.clone());
    }
    let tokens = openid.broker.as_ref()?.sign_in(host, login)?;
    let stored = Stored::new(host, &tokens, now);
    held.insert(alias.to_owned(), stored.clone());
    Some(stored)
}

/// Drops what is held of one account, or of everybody's at one identity provider.
pub(super) fn forget(brokered: &mut Brokered, sub: Option<&str>, alias: &str) {
    for (owner, held) in brokered {
        if sub.is_none_or(|sub| sub == owner) {
            held.remove(alias);
        }
    }
}
