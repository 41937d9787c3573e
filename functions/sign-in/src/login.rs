//! `GET /auth/{provider}/login`: to the host's authorize page, bound to this browser.
//! A host at which the operator has registered no client says so.

use shared::contract::auth::{Notice, ReturnTo, redirect};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::sign_in::{self, Lasting};
use shared::provider::ProviderType;
use shared::service::Service;

pub(crate) async fn answer(
    service: &Service,
    provider: ProviderType,
    request: &Request,
) -> Result<Response, Failure> {
    let return_to = match crate::query(request).last("return_to") {
        Some(path) => ReturnTo::parse(&path)?,
        None => ReturnTo::default(),
    };
    let (public_url, budget) = (service.public_url(request)?, service.budget(request));
    match sign_in::start(service, provider, &public_url, return_to.as_str(), Lasting::BeyondSession, &budget)
        .await?
    {
        Some(started) => crate::with_cookies(redirect::to_provider(&started.authorize), [started.cookie]),
        None => Ok(Notice::ProviderNotConfigured(provider).page()),
    }
}
