//! `GET /auth/github/login`: to GitHub's authorize page, bound to this browser.

use shared::contract::auth::{ReturnTo, redirect};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::sign_in;
use shared::service::Service;

pub(crate) async fn answer(service: &Service, request: &Request) -> Result<Response, Failure> {
    let return_to = match crate::query(request).last("return_to") {
        Some(path) => ReturnTo::parse(&path)?,
        None => ReturnTo::default(),
    };
    let public_url = service.public_url(request)?;
    let started = sign_in::start(service, &public_url, return_to.as_str()).await?;
    crate::with_cookies(redirect::to_provider(&started.authorize), [started.cookie])
}
