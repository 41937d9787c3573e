//! `/api/users/{user_id}/installations`: a user's rows of the mapping, listed and removed (Neptun).
//! No host is asked; another user's rows look like those of a user who does not exist.

use std::sync::Arc;

use http::Method;
use lambda_http::RequestExt;
use shared::contract::neptun::{self, InstallationRow};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::runtime::{answered, request_id};
use shared::service::Service;
use shared::store::{MappingRow, UserId};
use time::OffsetDateTime;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    answered(Family::Neptun, &request_id(&request), answer(&service, &request).await)
}

async fn answer(service: &Service, request: &Request) -> Result<Response, Failure> {
    let caller = caller::signed_in(service, request).await?;
    let user_id = request.path_parameters_ref().and_then(|path| path.first("user_id"));
    if user_id != Some(caller.user().as_str()) {
        return Err(Failure::NotFound("User"));
    }
    match *request.method() {
        Method::DELETE => remove(service, caller.user(), request).await,
        _ => list(service, caller.user()).await,
    }
}

async fn list(service: &Service, user: &UserId) -> Result<Response, Failure> {
    let rows = service.table.mapping_of(user).await?;
    let rows: Vec<InstallationRow> = rows.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(neptun::installations(&rows))
}

/// The row of that `id`, not the installation of that number: what is removed is the user's own.
async fn remove(service: &Service, user: &UserId, request: &Request) -> Result<Response, Failure> {
    let id = request.path_parameters_ref().and_then(|path| path.first("installation_id")).and_then(row_id);
    let removed = match id {
        Some(id) => service.table.remove_mapping_row(user, id).await?,
        None => false,
    };
    if removed { Ok(neptun::deleted()) } else { Err(Failure::NotFound("Installation")) }
}

/// Digits only: what is written otherwise is no row's id.
fn row_id(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits && !text.starts_with('0'))
}

fn row(row: MappingRow) -> Result<InstallationRow, Failure> {
    let moment = |seconds| {
        OffsetDateTime::from_unix_timestamp(seconds)
            .map_err(|_| Failure::Internal("a row of the mapping has an impossible date".to_owned()))
    };
    Ok(InstallationRow {
        id: u64::try_from(row.id)
            .map_err(|_| Failure::Internal("a row of the mapping has a negative id".to_owned()))?,
        neptun_user_id: row.user_id.as_str().to_owned(),
        github_installation_id: row.installation_id.to_string(),
        github_account_name: row.account_name,
        github_account_type: row.account_type,
        github_account_avatar_url: row.account_avatar_url,
        repository_selection: row.repository_selection,
        suspended_at: row.suspended_at.map(moment).transpose()?,
        created_at: moment(row.created_at)?,
        updated_at: moment(row.updated_at)?,
    })
}
