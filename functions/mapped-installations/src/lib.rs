//! `/api/users/{user_id}/installations`: a user's rows of the mapping, listed and removed, and what can be
//! imported through one (Neptun). Only imports ask a host; another user's rows look like those of nobody.

use std::sync::Arc;

use http::Method;
use lambda_http::RequestExt;
use shared::config::endpoint;
use shared::contract::neptun::{self, ImportRow, InstallationRow};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::identity::linked_token::LinkedToken;
use shared::provider::github::RepositoryDetails;
use shared::provider::{ProviderType, listing};
use shared::runtime::respond;
use shared::service::Service;
use shared::store::{MappingRow, UserId};
use time::OffsetDateTime;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::Neptun, request, answer).await
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let caller = caller::signed_in(service, request).await?;
    let path = request.path_parameters_ref();
    if path.and_then(|path| path.first("user_id")) != Some(caller.user().as_str()) {
        return Err(Failure::NotFound("User"));
    }
    match (request.method(), path.and_then(|path| path.first("installation_id"))) {
        (&Method::DELETE, id) => remove(service, caller.user(), id).await,
        (_, Some(id)) => imports(service, caller.user(), id, request).await,
        (_, None) => list(service, caller.user()).await,
    }
}

async fn list(service: &Service, user: &UserId) -> Result<Response, Failure> {
    let rows = service.table.mapping_of(user).await?;
    let rows: Vec<InstallationRow> = rows.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(neptun::installations(&rows))
}

/// The row of that `id`, not the installation of that number: what is removed is the user's own.
async fn remove(service: &Service, user: &UserId, id: Option<&str>) -> Result<Response, Failure> {
    let removed = match id.and_then(row_id) {
        Some(id) => service.table.remove_mapping_row(user, id, service.clock.unix()).await?,
        None => false,
    };
    if removed { Ok(neptun::deleted()) } else { Err(Failure::NotFound("Installation")) }
}

/// What GitHub shows to the user's own token: a row tells of an installation, not of what a member of it may see.
async fn imports(
    service: &Arc<Service>,
    user: &UserId,
    id: &str,
    request: &Request,
) -> Result<Response, Failure> {
    let row = own_row(service, user, id).await?.ok_or(Failure::NotFound("Installation"))?;
    let budget = service.budget(request);
    let token = LinkedToken::new(service.clone(), user.clone(), ProviderType::Github, &budget);
    let found = listing::of_installation(&service.github, row.installation_id, &token, &budget).await?;
    let rows: Vec<ImportRow> =
        found.into_iter().map(|repository| import(service, &row, repository)).collect::<Result<_, _>>()?;
    Ok(neptun::imports(&rows))
}

async fn own_row(service: &Service, user: &UserId, id: &str) -> Result<Option<MappingRow>, Failure> {
    let Some(id) = row_id(id) else { return Ok(None) };
    Ok(service.table.mapping_of(user).await?.into_iter().find(|row| row.id == id))
}

/// Digits only: what is written otherwise is no row's id.
fn row_id(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits && !text.starts_with('0'))
}

fn import(service: &Service, row: &MappingRow, repository: RepositoryDetails) -> Result<ImportRow, Failure> {
    // Without any date of GitHub's, one that stays the same: since when the installation is known.
    let created_at = match repository.created_at.or(repository.updated_at) {
        Some(date) => date,
        None => moment(row.created_at)?,
    };
    Ok(ImportRow {
        id: repository.id,
        github_repository_id: repository.id,
        github_repository_name: repository.name,
        github_repository_description: repository.description,
        github_repository_size: repository.size,
        github_repository_language: repository.language,
        github_repository_license: repository.license,
        github_repository_url: repository.html_url.unwrap_or_else(|| {
            let name: Vec<&str> = repository.full_name.split('/').collect();
            endpoint(&service.github.host().web, &name).into()
        }),
        github_repository_website_url: repository.homepage,
        github_repository_default_branch: repository.default_branch,
        github_repository_is_private: repository.is_private,
        github_repository_is_fork: Some(repository.is_fork),
        github_repository_is_template: Some(repository.is_template),
        github_repository_is_archived: repository.is_archived,
        created_at,
        updated_at: repository.updated_at.unwrap_or(created_at),
        github_app_installation_id: public_id(row)?,
    })
}

fn row(row: MappingRow) -> Result<InstallationRow, Failure> {
    Ok(InstallationRow {
        id: public_id(&row)?,
        neptun_user_id: row.user_id.as_str().to_owned(),
        github_installation_id: row.installation_id.to_string(),
        github_account_name: row.facts.account_name,
        github_account_type: row.facts.account_type,
        github_account_avatar_url: row.facts.account_avatar_url,
        repository_selection: row.facts.repository_selection,
        suspended_at: row.facts.suspended_at.map(moment).transpose()?,
        created_at: moment(row.created_at)?,
        updated_at: moment(row.updated_at)?,
    })
}

fn public_id(row: &MappingRow) -> Result<u64, Failure> {
    u64::try_from(row.id).map_err(|_| Failure::Internal("a row of the mapping has a negative id".to_owned()))
}

fn moment(seconds: i64) -> Result<OffsetDateTime, Failure> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|_| Failure::Internal("a row of the mapping has an impossible date".to_owned()))
}
