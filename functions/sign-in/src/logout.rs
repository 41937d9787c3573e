//! `POST /auth/logout`: ends the browser's session.

use std::sync::Arc;

use http::StatusCode;
use shared::contract::{Request, Response, empty};
use shared::failure::Failure;
use shared::identity::{caller, session, sign_in};
use shared::service::Service;

/// 204 whether or not somebody was signed in: afterwards nobody is.
pub(crate) async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    if let Some(session) = caller::browser(service, request).await? {
        sign_in::sign_out(service, &session, &service.budget(request)).await?;
    }
    let signed_out = empty(StatusCode::NO_CONTENT);
    // A form on another site comes without the cookie (SameSite=Lax); to remove it then would sign the
    // browser out for that site.
    if session::cookie_values(request, &service.config.session.cookie_name).next().is_none() {
        return Ok(signed_out);
    }
    let secure = sign_in::is_secure(&service.public_url(request)?);
    crate::with_cookies(signed_out, [session::removal(service, secure)])
}
