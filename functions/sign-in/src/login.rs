//! `GET /auth/{provider}/login`: to the host's authorize page, bound to this browser.
//! A host at which the operator has registered no client says so.

use shared::contract::auth::{Notice, ReturnTo, redirect};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::session;
use shared::identity::sign_in::{self, Lasting, StartedBy};
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
    let session = session::of_request(service, request).await?;
    let from = StartedBy {
        user: session.as_ref().map(|session| &session.user_id),
        return_to: return_to.as_str(),
        lasting: Lasting::BeyondSession,
    };
    match sign_in::start(service, provider, &public_url, from, &budget).await? {
        Some(started) => crate::with_cookies(redirect::to_provider(&started.authorize), [started.cookie]),
        None => Ok(Notice::ProviderNotConfigured(provider).page()),
    }
}
