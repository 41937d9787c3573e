//! `GET /api/user/installations`: the ids of all installations of the caller at one provider (OpenHands).
//! Complete or an error: a list that is cut would look like a whole one.

use std::sync::Arc;

use shared::contract::openhands::{self, InstallationsQuery};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::identity::linked_token::LinkedToken;
use shared::provider::ProviderType;
use shared::runtime::{answered, request_id};
use shared::service::Service;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    answered(Family::OpenHands, &request_id(&request), answer(&service, &request).await)
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let caller = caller::signed_in(service, request).await?;
    let query = InstallationsQuery::parse(request.uri().query().unwrap_or_default())?;
    let (provider, budget) = (query.provider, service.budget(request));
    let token = LinkedToken::at_any_host(service.clone(), caller.user().clone(), provider, &budget);
    let ids = match provider {
        ProviderType::Github => {
            let found = async { token.github().await?.installations(&token, &budget).await }.await;
            found.map(|found| found.iter().map(|installation| installation.id.to_string()).collect())
        }
        ProviderType::Gitlab => async { token.gitlab().await?.installations(&token, &budget).await }.await,
        ProviderType::Bitbucket => {
            async { token.bitbucket().await?.installations(&token, &budget).await }.await
        }
        // It cannot be linked yet.
        ProviderType::EnterpriseSso => return Err(Failure::NotLinked(Some(provider))),
    };
    let ids: Vec<String> = ids.map_err(|error| Failure::of_call(provider, error))?;
    Ok(openhands::installations(&ids, &[]))
}
