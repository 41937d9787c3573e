//! `/api/keys`: a user's API keys, made, listed and ended.
//! A key is shown once; the table holds its hash.

use std::sync::Arc;

use http::Method;
use http::header::CONTENT_TYPE;
use lambda_http::RequestExt;
use shared::contract::openhands::{KeyRow, NewKey, body, keys};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::{api_key, caller};
use shared::runtime::{answered, request_id};
use shared::service::Service;
use shared::store::{ApiKeyId, UserId};
use time::OffsetDateTime;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    answered(Family::OpenHands, &request_id(&request), answer(&service, &request).await)
}

async fn answer(service: &Service, request: &Request) -> Result<Response, Failure> {
    let caller = caller::signed_in(service, request).await?;
    match *request.method() {
        Method::POST => create(service, caller.user(), request).await,
        Method::DELETE => end(service, caller.user(), request).await,
        _ => list(service, caller.user()).await,
    }
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
