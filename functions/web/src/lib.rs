//! What is for everybody: `/healthz`, which says that the gateway reaches a function and which version that is, the
//! API's document and the page that shows it. It asks nobody, so that a monitor costs nothing and another part's
//! failure is not taken for this one's.

mod files;

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use lambda_http::RequestExt;
use shared::contract::{Family, Request, Response, health, published};
use shared::failure::Failure;
use shared::runtime::respond;
use shared::service::Service;

/// The version of the workspace, and so of every function of a release.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The page runs its own two scripts and asks this service only (W3C, Content Security Policy 3). Swagger UI's pictures
/// stand in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self' 'sha256-zASF+94QqHhTB7w5zxSEooD7FqpvfXcEIX+uW3Y1NAY='; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::OpenHands, request, answer).await
}

/// By the path, since `cargo lambda watch` gives every event the same route key.
async fn answer(_: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let path = request.raw_http_path().trim_end_matches('/');
    if path == "/healthz" {
        return Ok(health::ok(VERSION));
    }
    let file = files::at(path).ok_or(Failure::NotFound("Page"))?;
    let mut response = published::answer(file, request.headers())?;
    if path == "/docs" {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    Ok(response)
}
