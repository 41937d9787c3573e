//! `GET /auth/github/callback`: the browser comes back from GitHub.

use std::sync::Arc;

use shared::contract::auth::{Notice, ReturnTo, redirect};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::sign_in::{self, Callback, SignInError};
use shared::provider::ProviderType;
use shared::service::Service;

pub(crate) async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let query = crate::query(request);
    if query.last("state").is_none() && query.last("installation_id").is_some() {
        // "Request user authorization during installation" comes without a state of ours (reference: GitHub
        // 1.10). Its code is anybody's: the setup page asks for a sign-in that this browser has started.
        return crate::setup::from_query(request);
    }
    let text = |name| query.last(name).map(|value| value.into_owned());
    let callback = Callback {
        code: text("code").map(Into::into),
        state: text("state").map(Into::into),
        error: text("error"),
    };
    let public_url = service.public_url(request)?;
    let budget = service.budget(request);
    let github = ProviderType::Github;
    let notice = match sign_in::finish(service, request, &public_url, &callback, &budget).await {
        Ok(finished) => {
            let return_to = ReturnTo::parse(&finished.return_to)?;
            return crate::with_cookies(redirect::back(&return_to), finished.cookies);
        }
        Err(SignInError::Failure(failure)) => return Err(failure),
        Err(SignInError::OtherUser) => {
            return Err(Failure::Forbidden(
                "this GitHub account cannot be linked: it belongs to another user here, or you are signed \
                 in with another GitHub account; sign out first",
            ));
        }
        Err(SignInError::StateMissing) => Notice::StateMissing(github),
        Err(SignInError::StateReused) => Notice::StateReused(github),
        Err(SignInError::StateExpired) => Notice::StateExpired(github),
        Err(SignInError::Denied) => Notice::AccessDenied(github),
        Err(SignInError::Refused) => Notice::SignInFailed(github),
    };
    Ok(notice.page())
}
