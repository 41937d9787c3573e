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
    let ids = match query.provider {
        ProviderType::Github => {
            let budget = service.budget(request);
            let token =
                LinkedToken::new(service.clone(), caller.user().clone(), ProviderType::Github, &budget);
            let installations = service.github.installations(&token, &budget).await?;
            installations.iter().map(|installation| installation.id.to_string()).collect::<Vec<_>>()
        }
        // No other provider can be linked yet.
        other => return Err(Failure::NotLinked(Some(other))),
    };
    Ok(openhands::installations(&ids, &[]))
}
