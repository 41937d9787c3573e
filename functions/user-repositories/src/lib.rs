//! `GET /api/user/repositories`: the repositories that the caller reaches through installations (OpenHands).
//! One installation's page, one provider's list, or the merged list of all linked providers.

use std::sync::Arc;

use shared::contract::openhands::{
    self, DEFAULT_PAGE, Extent, PartialFailure, RepositoriesQuery, Repository, link_header,
};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::identity::linked_token::LinkedToken;
use shared::provider::listing::{self, LONGEST, Listing, Missing};
use shared::provider::token::TokenError;
use shared::provider::upstream::Budget;
use shared::provider::{self, CallError, ProviderType};
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

/// One page as the host has it, in the order asked for within the page.
async fn installation_page(
    service: &Arc<Service>,
    user: &UserId,
    query: &RepositoriesQuery,
    provider: ProviderType,
    installation: &str,
    budget: &Budget,
) -> Result<Response, Failure> {
    let (page, per_page) = query.paging().unwrap_or((DEFAULT_PAGE, openhands::DEFAULT_PER_PAGE));
    let token = LinkedToken::at_any_host(service.clone(), user.clone(), provider, budget);
    let sort = query.sort;
    let found = match provider {
        ProviderType::Github => {
            let installation = installation.parse().map_err(|_| {
                Failure::Internal("an installation id passed its check and is no number".to_owned())
            })?;
            let github = token.github().await.map_err(|error| Failure::of_call(provider, error))?;
            let found = github.installation_repositories(installation, page, per_page, &token, budget).await;
            found.map(|found| {
                let asked = u64::from(page) * u64::from(per_page);
                (found.repositories, found.last_page > page || asked < found.total_count)
            })
        }
        ProviderType::Gitlab => {
            let gitlab = token.gitlab().await.map_err(|error| Failure::of_call(provider, error))?;
            gitlab.installation_page(installation, sort, page, per_page, &token, budget).await
        }
        ProviderType::Bitbucket => {
            let bitbucket = token.bitbucket().await.map_err(|error| Failure::of_call(provider, error))?;
            bitbucket.installation_page(installation, sort, page, per_page, &token, budget).await
        }
        // It cannot be linked yet.
        ProviderType::EnterpriseSso => return Err(Failure::NotLinked(Some(provider))),
    };
    let (repositories, more) = found.map_err(|error| Failure::of_call(provider, error))?;
    let repositories = listing::order(repositories, sort);
    Ok(openhands::repositories(&on_the_wire(repositories, query, more.then_some(page + 1)), None, &[]))
}

/// The list of one provider or of all that are linked: whole, or a page of it.
async fn merged(
    service: &Arc<Service>,
    user: &UserId,
    query: &RepositoriesQuery,
    selected: Option<ProviderType>,
    budget: &Budget,
) -> Result<Response, Failure> {
    let providers = match selected {
        Some(provider) => vec![provider],
        None => linked(service, user).await?,
    };
    let at_once = providers.into_iter().map(async |provider| {
        let token = LinkedToken::at_any_host(service.clone(), user.clone(), provider, budget);
        (provider, everything(provider, &token, budget).await)
    });
    let results = futures::future::join_all(at_once).await;
    let list = listing::merge(results)
        .map_err(|(provider, error)| Failure::of_call(provider, error))?
        .sorted(query.sort);
    let extent = Extent { total: list.total, truncated: list.total > LONGEST };
    let missing: Vec<PartialFailure> = list.missing.into_iter().map(partial_failure).collect();
    let repositories = match query.paging() {
        None => on_the_wire(list.repositories, query, None),
        Some((page, per_page)) => {
            let (repositories, more) = listing::page(list.repositories, page, per_page);
            on_the_wire(repositories, query, more.then_some(page + 1))
        }
    };
    Ok(openhands::repositories(&repositories, Some(extent), &missing))
}

/// All that the user reaches at one provider.
async fn everything(
    provider: ProviderType,
    token: &LinkedToken,
    budget: &Budget,
) -> Result<Listing, CallError> {
    match provider {
        ProviderType::Github => listing::github(&token.github().await?, token, budget).await,
        ProviderType::Gitlab => {
            let repositories = token.gitlab().await?.repositories(token, budget).await?;
            Ok(Listing { repositories, missing: Vec::new() })
        }
        ProviderType::Bitbucket => token.bitbucket().await?.repositories(token, budget).await,
        // It cannot be linked yet.
        ProviderType::EnterpriseSso => Err(TokenError::NotLinked.into()),
    }
}

/// The providers at which the user has a token.
async fn linked(service: &Service, user: &UserId) -> Result<Vec<ProviderType>, Failure> {
    let tokens = service.table.provider_tokens(user).await?;
    if tokens.is_empty() {
        return Err(Failure::NotLinked(None));
    }
    Ok(tokens.into_iter().map(|token| token.provider).collect())
}

fn on_the_wire(
    repositories: Vec<provider::Repository>,
    query: &RepositoriesQuery,
    next_page: Option<u32>,
) -> Vec<Repository> {
    let link = next_page.map(|page| link_header(query, page));
    repositories.into_iter().map(|repository| Repository::new(repository, link.clone())).collect()
}

fn partial_failure(missing: Missing) -> PartialFailure {
    PartialFailure { provider: missing.provider, installation: missing.installation, error: missing.error }
}
