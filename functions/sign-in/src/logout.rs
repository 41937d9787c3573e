//! `POST /auth/logout`: ends the browser's session, and tells where the one at the enterprise SSO ends.

use std::sync::Arc;

use http::StatusCode;
use http::header::ACCEPT;
use shared::contract::auth::{redirect, session_at_issuer};
use shared::contract::{Request, Response, empty};
use shared::failure::Failure;
use shared::identity::{caller, session, sign_in, sign_out};
use shared::service::Service;

/// 204 whether or not somebody was signed in: afterwards nobody is. Only for a session that came from an
/// enterprise SSO there is more to do: a form is sent on to the issuer, a script is told its address.
pub(crate) async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let public_url = service.public_url(request)?;
    let mut signed_out = empty(StatusCode::NO_CONTENT);
    if let Some(session) = caller::browser(service, request).await? {
        let budget = service.budget(request);
        // Asked for first: with the session its ID token is gone.
        let end_session = sign_out::end_session_url(service, &session, &public_url, &budget).await?;
        sign_out::sign_out(service, &session, &budget).await?;
        signed_out = match end_session {
            Some(url) if wants_page(request) => redirect::to_issuer(&url),
            Some(url) => session_at_issuer(&url),
            None => signed_out,
        };
    }
    // A form on another site comes without the cookie (SameSite=Lax); to remove it then would sign the
    // browser out for that site.
    if session::cookie_values(request, &service.config.session.cookie_name).next().is_none() {
        return Ok(signed_out);
    }
    let secure = sign_in::is_secure(&public_url);
    crate::with_cookies(signed_out, [session::removal(service, secure)])
}

/// Whether a person is looking: a form's answer is shown, a script's is read.
fn wants_page(request: &Request) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text("sec-fetch-mode") == "navigate" || text(ACCEPT.as_str()).starts_with("text/html")
}
