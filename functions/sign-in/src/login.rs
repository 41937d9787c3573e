//! `GET /auth/{provider}/login`: to the host's authorize page, bound to this browser. Who is signed in already links
//! an account, and is asked first unless one of our own pages has sent them.

use shared::contract::auth::{Notice, ReturnTo, confirm_linking, redirect};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::linking::wanted_confirmation;
use shared::identity::session;
use shared::identity::sign_in::{self, Lasting, StartedBy};
use shared::provider::ProviderType;
use shared::service::Service;

pub(crate) async fn answer(
    service: &Service,
    provider: ProviderType,
    request: &Request,
) -> Result<Response, Failure> {
    let query = crate::query(request);
    let return_to = match query.last("return_to") {
        Some(path) => ReturnTo::parse(&path)?,
        None => ReturnTo::default(),
    };
    let (public_url, budget) = (service.public_url(request)?, service.budget(request));
    let session = session::of_request(service, request).await?;
    let sent = query.last("confirmation");
    if session.is_some()
        && service.offers_sign_in(provider).await?
        && let Some(confirmation) = wanted_confirmation(service, request, provider, sent.as_deref())
    {
        return Ok(confirm_linking(provider, &return_to, &confirmation));
    }
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
