//! What is for everybody: `/healthz`, which says that the gateway reaches a function and which version that is.
//! It asks nobody, so that a monitor costs nothing and another part's failure is not taken for this one's.

use std::sync::Arc;

use lambda_http::RequestExt;
use shared::contract::{Family, Request, Response, health};
use shared::failure::Failure;
use shared::runtime::respond;
use shared::service::Service;

/// The version of the workspace, and so of every function of a release.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::OpenHands, request, answer).await
}

/// By the path, since `cargo lambda watch` gives every event the same route key.
async fn answer(_: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    match request.raw_http_path().trim_end_matches('/') {
        "/healthz" => Ok(health::ok(VERSION)),
        _ => Err(Failure::NotFound("Page")),
    }
}
