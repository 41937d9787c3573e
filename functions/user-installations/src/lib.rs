//! `GET /api/user/installations`: the ids of all installations of the caller at one provider (OpenHands).
//! Complete or an error: a list that is cut would look like a whole one. Only of the hosts that an enterprise SSO
//! brokers may one be missing, and the answer says so.

use std::sync::Arc;

use futures::future::join_all;
use shared::contract::openhands::{self, InstallationsQuery, PartialFailure};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::identity::linked_hosts;
use shared::provider::listing;
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
    let hosts = linked_hosts::of_provider(service, caller.user(), provider, &budget).await?;
    let asked = hosts.iter().map(async |host| host.found(host.installations(&budget).await));
    let (ids, missing) = listing::merge_installations(join_all(asked).await.into_iter().flatten().collect())
        .map_err(|(provider, error)| Failure::of_call(provider, error))?;
    let missing: Vec<PartialFailure> = missing.into_iter().map(PartialFailure::from).collect();
    Ok(openhands::installations(&ids, &missing))
}
