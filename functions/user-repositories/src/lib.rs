//! `GET /api/user/repositories`: the repositories that the caller reaches through installations (OpenHands).
//! One installation's page, one provider's list, or the merged list of all linked providers.

use std::sync::Arc;

use futures::future::join_all;
use shared::contract::openhands::{
    self, DEFAULT_PAGE, Extent, PartialFailure, RepositoriesQuery, Repository, link_header,
};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::identity::linked_hosts::{self, InstallationPage};
use shared::provider::listing::{self, LONGEST};
use shared::provider::upstream::Budget;
use shared::provider::{self, CallError, ProviderError, ProviderType};
use shared::runtime::{answered, request_id};
use shared::service::Service;
use shared::store::UserId;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    answered(Family::OpenHands, &request_id(&request), answer(&service, &request).await)
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let caller = caller::signed_in(service, request).await?;
    let query = RepositoriesQuery::parse(request.uri().query().unwrap_or_default())?;
    let budget = service.budget(request);
    match (query.selected_provider, &query.installation_id) {
        (Some(provider), Some(installation)) => {
            installation_page(service, caller.user(), &query, provider, installation, &budget).await
        }
        (selected, None) => merged(service, caller.user(), &query, selected, &budget).await,
        // Without a provider an installation means nothing; the query's parser has dropped it.
        (None, Some(_)) => merged(service, caller.user(), &query, None, &budget).await,
    }
}

/// One page as the host has it, in the order asked for within the page. Of the hosts that an enterprise SSO
/// brokers, each that knows an installation of this id gives its page.
async fn installation_page(
    service: &Arc<Service>,
    user: &UserId,
    query: &RepositoriesQuery,
    provider: ProviderType,
    installation: &str,
    budget: &Budget,
) -> Result<Response, Failure> {
    let (page, per_page) = query.paging().unwrap_or((DEFAULT_PAGE, openhands::DEFAULT_PER_PAGE));
    let sort = query.sort;
    let mut hosts = linked_hosts::of_provider(service, user, provider, budget).await?;
    hosts.retain(|host| openhands::installation_id_for(host.provider(), installation).is_ok());
    let asked = hosts.iter().map(async |host| {
        let asked = InstallationPage { installation, sort, page, per_page };
        host.found(host.installation_page(asked, budget).await)
    });
    let mut results: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    if results.is_empty() {
        return Err(Failure::Provider { provider, error: ProviderError::NotFound });
    }
    // Where another host knows the id, or may know it, who does not is no failure.
    let unknown =
        |result: &Result<_, CallError>| matches!(result, Err(CallError::Host(ProviderError::NotFound)));
    if !results.iter().all(|(_, result)| unknown(result)) {
        results.retain(|(_, result)| !unknown(result));
    }
    let (pages, missing) =
        listing::succeeded(results).map_err(|(provider, error)| Failure::of_call(provider, error))?;
    let more = pages.iter().any(|(_, more)| *more);
    let repositories = pages.into_iter().flat_map(|(repositories, _)| repositories).collect();
    let repositories = listing::order(repositories, sort);
    let missing: Vec<PartialFailure> = missing.into_iter().map(PartialFailure::from).collect();
    Ok(openhands::repositories(&on_the_wire(repositories, query, more.then_some(page + 1)), None, &missing))
}

/// The list of one provider or of all that are linked: whole, or a page of it.
async fn merged(
    service: &Arc<Service>,
    user: &UserId,
    query: &RepositoriesQuery,
    selected: Option<ProviderType>,
    budget: &Budget,
) -> Result<Response, Failure> {
    let hosts = match selected {
        Some(provider) => linked_hosts::of_provider(service, user, provider, budget).await?,
        None => linked_hosts::all(service, user, budget).await?,
    };
    let asked = hosts.iter().map(async |host| host.found(host.repositories(budget).await));
    let list = listing::merge(join_all(asked).await.into_iter().flatten().collect())
        .map_err(|(provider, error)| Failure::of_call(provider, error))?
        .sorted(query.sort);
    let extent = Extent { total: list.total, truncated: list.total > LONGEST };
    let missing: Vec<PartialFailure> = list.missing.into_iter().map(PartialFailure::from).collect();
    let repositories = match query.paging() {
        None => on_the_wire(list.repositories, query, None),
        Some((page, per_page)) => {
            let (repositories, more) = listing::page(list.repositories, page, per_page);
            on_the_wire(repositories, query, more.then_some(page + 1))
        }
    };
    Ok(openhands::repositories(&repositories, Some(extent), &missing))
}

fn on_the_wire(
    repositories: Vec<provider::Repository>,
    query: &RepositoriesQuery,
    next_page: Option<u32>,
) -> Vec<Repository> {
    let link = next_page.map(|page| link_header(query, page));
    repositories.into_iter().map(|repository| Repository::new(repository, link.clone())).collect()
}
