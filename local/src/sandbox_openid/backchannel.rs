//! Back-channel logout: the token that tells a client that a session has ended, and its sending.
//! Which sessions end is decided in `logout`, `console` and the handle.

use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::Openid;
use super::jwt::{Claims, claims};
use super::sessions::{Session, new_uuid};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds that a logout token lives.
const LIFE: i64 = 120;
/// The event that makes a token one.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Why no logout token was made or sent.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// Nobody has that name.
    #[error("nobody at the sandbox OpenID provider has the name {0:?}")]
    UnknownUser(String),
    /// The user has no session.
    #[error("{0:?} has no session at the sandbox OpenID provider")]
    NoSession(String),
    /// The client of the session has no address for it.
    #[error("the client has no back-channel logout address")]
    NoAddress,
    /// It was not signed.
    #[error(transparent)]
    Key(#[from] super::KeyError),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] shared::clock::NoEntropy),
    /// It did not arrive.
    #[error("the logout token was not delivered: {0}")]
    NotDelivered(#[from] reqwest::Error),
}

/// A client that talks to this machine only, and follows nothing.
pub(super) fn http_client() -> reqwest::Result<reqwest::Client> {
    // Over plain http; a TLS provider is asked for all the same.
    let tls = shared::provider::upstream::tls_config(&[]).ok();
    let mut client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    if let Some(tls) = tls {
        client = client.tls_backend_preconfigured(tls);
    }
    client.build()
}

impl Openid {
    /// A logout token for a session, after `change` had its way with header and claims.
    pub(super) fn logout_token(
        &self,
        sid: &str,
        session: &Session,
        change: impl FnOnce(&mut Claims, &mut Claims),
    ) -> Result<String, LogoutError> {
        let now = self.clock.unix();
        let state = self.store.lock();
        let mut header = state.keys.header("logout+jwt")?;
        let mut body = claims(json!({
            "iat": now,
            "exp": now + LIFE,
            "jti": new_uuid()?,
            "iss": self.issuer,
            "aud": session.client_id,
            "sub": session.sub,
            "typ": "Logout",
            "sid": sid,
            "events": { EVENT: {} },
        }));
        change(&mut header, &mut body);
        Ok(state.keys.sign(&header, &body)?)
    }

    /// Tells a session's client that the session has ended.
    pub(super) async fn notify(&self, sid: &str, session: &Session) -> Result<StatusCode, LogoutError> {
        let client = self.client(&session.client_id);
        let address = client.and_then(|client| client.backchannel_logout_uri.as_deref());
        let address = address.ok_or(LogoutError::NoAddress)?;
        let token = self.logout_token(sid, session, |_, _| {})?;
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
        let request = self.http.post(address).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        Ok(request.body(body).send().await?.status())
    }

    /// Ends a session here, and at its client if that has an address for it.
    pub(super) async fn log_out(&self, sid: &str) {
        let ended = self.store.lock().sessions.end(sid);
        let Some(session) = ended else { return };
        match self.notify(sid, &session).await {
            Ok(status) if status.is_success() => {}
            Err(LogoutError::NoAddress) => {}
            Ok(status) => tracing::info!(%status, "a client refused a logout token"),
            Err(error) => tracing::info!(%error, "a client was not told that a session has ended"),
        }
    }

    /// Ends all sessions of a subject; answers how many.
    pub(super) async fn log_out_everywhere(&self, sub: &str) -> usize {
        let sessions = self.store.lock().sessions.of_user(sub, self.clock.unix());
        for sid in &sessions {
            self.log_out(sid).await;
        }
        sessions.len()
    }
}
