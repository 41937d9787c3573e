//! `POST /auth/enterprise_sso/backchannel-logout`: the issuer says that a session there has ended
//! (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8). It proves itself by the token's signature alone.

use std::sync::Arc;

use http::StatusCode;
use lambda_http::Body;
use shared::contract::auth::logout_refused;
use shared::contract::{Request, Response, empty};
use shared::failure::Failure;
use shared::identity::sign_out::{self, BackchannelError};
use shared::service::Service;

/// A logout token has about a kilobyte; the keys behind it are looked up before its signature is known to be good.
const LONGEST_BODY: usize = 16 * 1024;

pub(crate) async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let body = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    };
    if body.len() > LONGEST_BODY {
        return Ok(logout_refused("the body is too long"));
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
        return Ok(logout_refused("the form must have one field logout_token"));
    };
    let token = token.into_owned().into();
    match sign_out::backchannel_logout(service, &token, &service.budget(request)).await {
        Ok(()) => Ok(empty(StatusCode::OK)),
        Err(BackchannelError::NotConfigured) => Err(Failure::NotFound("Page")),
        Err(BackchannelError::Failure(failure)) => Err(failure),
        Err(error @ (BackchannelError::BadToken(_) | BackchannelError::Replayed)) => {
            Ok(logout_refused(&error.to_string()))
        }
    }
}
