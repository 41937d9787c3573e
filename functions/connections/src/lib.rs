//! `/api/keys`: a user's API keys, made, listed and ended. `/api/add-git-providers` and
//! `/api/unset-provider-tokens`: tokens that a user brings and takes away (OpenHands).

use std::sync::Arc;

use http::Method;
use http::header::CONTENT_TYPE;
use lambda_http::RequestExt;
use shared::contract::openhands::{KeyRow, NewKey, body, git_providers, keys};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::given_tokens::{self, Given};
use shared::identity::{api_key, caller};
use shared::runtime::respond;
use shared::service::Service;
use shared::store::{ApiKeyId, UserId};
use time::OffsetDateTime;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::OpenHands, request, answer).await
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let caller = caller::signed_in(service, request).await?;
    // By the path, since `cargo lambda watch` gives every event the same route key.
    match request.raw_http_path().trim_end_matches('/') {
        "/api/add-git-providers" => return add_providers(service, caller.user(), request).await,
        "/api/unset-provider-tokens" => {
            given_tokens::unset(service, caller.user(), &service.budget(request)).await?;
            return Ok(git_providers::unset());
        }
        _ => {}
    }
    match *request.method() {
        Method::POST => create(service, caller.user(), request).await,
        Method::DELETE => end(service, caller.user(), request).await,
        _ => list(service, caller.user()).await,
    }
}

async fn add_providers(
    service: &Arc<Service>,
    user: &UserId,
    request: &Request,
) -> Result<Response, Failure> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = git_providers::given_tokens(content_type, request.body().as_ref())?;
    Ok(match given_tokens::store(service, user, given, &service.budget(request)).await? {
        Given::Stored => git_providers::stored(),
        Given::NotAccepted(provider) => git_providers::not_accepted(provider),
        Given::HostNotAllowed(provider) => git_providers::host_not_allowed(provider),
        Given::OfAnotherUser(provider) => git_providers::of_another_user(provider),
    })
}

async fn create(service: &Service, user: &UserId, request: &Request) -> Result<Response, Failure> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let name = body::name(content_type, request.body().as_ref())?;
    let (key, token) = api_key::create(service, user, &name).await?;
    Ok(keys::created(&NewKey {
        id: key.id.as_str().to_owned(),
        name: key.name,
        prefix: key.prefix,
        key: token.expose().to_owned(),
        created_at: moment(key.created_at)?,
    }))
}

async fn list(service: &Service, user: &UserId) -> Result<Response, Failure> {
    let rows: Vec<KeyRow> = service
        .table
        .api_keys_of(user)
        .await?
        .into_iter()
        .map(|key| {
            Ok(KeyRow {
                id: key.id.as_str().to_owned(),
                name: key.name,
                prefix: key.prefix,
                created_at: moment(key.created_at)?,
                last_used_at: key.last_used_at.map(moment).transpose()?,
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(keys::list(&rows))
}

async fn end(service: &Service, user: &UserId, request: &Request) -> Result<Response, Failure> {
    let id = request.path_parameters_ref().and_then(|path| path.first("id")).and_then(ApiKeyId::parse);
    let ended = match id {
        Some(id) => service.table.end_api_key(user, &id).await?,
        None => false,
    };
    if ended { Ok(keys::deleted()) } else { Err(Failure::NotFound("API key")) }
}

fn moment(seconds: i64) -> Result<OffsetDateTime, Failure> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|_| Failure::Internal("an API key has an impossible date".to_owned()))
}
