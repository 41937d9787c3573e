//! `GET /auth/{provider}/callback`: the browser comes back from the host.
//! What the host sends it with is worth something only with a state that this browser has started.

use std::sync::Arc;

use shared::contract::auth::{Notice, ReturnTo, redirect};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::sign_in::{self, Callback, Lasting, SignInError, StartedBy};
use shared::provider::ProviderType;
use shared::service::Service;

pub(crate) async fn answer(
    service: &Arc<Service>,
    provider: ProviderType,
    request: &Request,
) -> Result<Response, Failure> {
    if !service.offers_sign_in(provider).await? {
        return Ok(Notice::ProviderNotConfigured(provider).page());
    }
    let query = crate::query(request);
    let github = provider == ProviderType::Github;
    if github && query.last("state").is_none() && query.last("installation_id").is_some() {
        // "Request user authorization during installation" comes without a state of ours (reference: GitHub
        // 1.10). Its code is anybody's: the setup page asks for a sign-in that this browser has started.
        return crate::setup::from_query(request);
    }
    let text = |name| query.last(name).map(|value| value.into_owned());
    let callback = Callback {
        code: text("code").map(Into::into),
        state: text("state").map(Into::into),
        error: text("error"),
        issuer: text("iss"),
    };
    let public_url = service.public_url(request)?;
    let budget = service.budget(request);
    let notice = match sign_in::finish(service, provider, request, &public_url, &callback, &budget).await {
        Ok(finished) => {
            let return_to = ReturnTo::parse(&finished.return_to)?;
            return crate::with_cookies(redirect::back(&return_to), finished.cookies);
        }
        Err(SignInError::NoOfflineAccess { user, return_to }) => {
            let from =
                StartedBy { user: user.as_ref(), return_to: &return_to, lasting: Lasting::WithSession };
            match sign_in::start(service, provider, &public_url, from, &budget).await? {
                Some(started) => {
                    return crate::with_cookies(redirect::to_provider(&started.authorize), [started.cookie]);
                }
                None => Notice::ProviderNotConfigured(provider),
            }
        }
        Err(SignInError::Failure(failure)) => return Err(failure),
        Err(SignInError::OtherUser) => Notice::OtherUsersIdentity(provider),
        Err(SignInError::StateMissing) => Notice::StateMissing(provider),
        Err(SignInError::StateReused) => Notice::StateReused(provider),
        Err(SignInError::StateExpired) => Notice::StateExpired(provider),
        Err(SignInError::Denied) => Notice::AccessDenied(provider),
        Err(SignInError::Refused) => Notice::SignInFailed(provider),
    };
    Ok(notice.page())
}
