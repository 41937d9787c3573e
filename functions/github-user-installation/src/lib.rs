//! `GET /users/{username}/installation`: the App's installation on a user's account, GitHub's own bytes.
//! It is asked with our App's key, so users may ask about themselves only; the App may ask about anybody.

use std::sync::Arc;

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, StatusCode};
use lambda_http::RequestExt;
use shared::contract::github::{Username, forwarded_request_headers};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::identity::caller::{self, AppCaller};
use shared::identity::linked_token::LinkedToken;
use shared::if_none_match;
use shared::provider::github::Installation;
use shared::provider::token::TokenError;
use shared::provider::upstream::Budget;
use shared::provider::{CallError, ProviderError, ProviderType};
use shared::relay::{Asking, Copy, KeptRequest, Relayed};
use shared::runtime::respond;
use shared::service::Service;
use shared::store::{AnswerOwner, MappingRow, UserId};

/// The kind of account that a user has; organisations share their numbers, enterprises have their own.
const USER: &str = "User";

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::Github, request, answer).await
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let caller = caller::app(service, request).await?;
    let username = request.path_parameters_ref().and_then(|path| path.first("username")).unwrap_or_default();
    let username = Username::parse(username)?;
    let public_url = service.public_url(request)?;
    let budget = service.budget(request);
    let mut headers = forwarded_request_headers(request.headers());
    let path = format!("/users/{}/installation", username.as_str().to_ascii_lowercase());

    let owner = match &caller {
        AppCaller::App => AnswerOwner::App,
        AppCaller::SignedIn(caller) => {
            forget_wildcard(&mut headers);
            AnswerOwner::User(caller.user().clone())
        }
    };
    let kept = KeptRequest::new(owner.clone(), &path, "", &headers, &service.clock);
    let (copy, own_account) = match &owner {
        AnswerOwner::App => (kept.copy(service).await, None),
        AnswerOwner::User(user) => {
            let (copy, account) =
                tokio::join!(kept.copy(service), own_account(service, user, &username, &budget));
            (copy, Some(account?))
        }
    };
    let url = service.github.url(&["users", username.as_str(), "installation"], &[]);
    let asking = Asking { service, url, client: &headers, budget: &budget };
    let relayed = asking.by_the_app(copy.clone()).await;
    let relayed = match (relayed, &owner, own_account) {
        (Ok(relayed), AnswerOwner::User(user), Some(account)) => {
            let relayed = if relayed.answer().status == StatusCode::NOT_FOUND {
                by_known_installation(&asking, user, account, copy).await?.unwrap_or(relayed)
            } else {
                relayed
            };
            Ok(own_only(relayed, account))
        }
        (relayed, ..) => relayed,
    };
    match relayed {
        Ok(relayed) => {
            kept.settle(service, &relayed).await;
            if relayed.answer().status == StatusCode::NOT_FOUND && own_account.is_some() {
                // To a user, not installed, not existing and not theirs look the same to the last header.
                return Err(Failure::NotFound("installation"));
            }
            Ok(relayed.response(&public_url, &path))
        }
        Err(failure) => kept.instead_of(service, failure, &public_url, &path, &budget).await,
    }
}

/// The caller's own account at GitHub by its number, if `username` is its login: the one that is stored or,
/// after a rename, the one that GitHub tells with the user's own token.
async fn own_account(
    service: &Arc<Service>,
    user: &UserId,
    username: &Username,
    budget: &Budget,
) -> Result<u64, Failure> {
    let provider = ProviderType::Github;
    let identity = service.table.identity(user, provider).await?.ok_or(Failure::NotLinked(Some(provider)))?;
    let account = identity
        .subject
        .parse()
        .map_err(|_| Failure::Internal("a GitHub identity without a numeric id".to_owned()))?;
    if identity.login.eq_ignore_ascii_case(username.as_str()) {
        return Ok(account);
    }
    let token = LinkedToken::new(service.clone(), user.clone(), provider, budget);
    match service.github.user(&token, budget).await {
        Ok(now) if now.id == account && now.login.eq_ignore_ascii_case(username.as_str()) => {
            // What is not noted now is found out again by the next request.
            if let Err(error) = service.table.rename_identity(user, provider, &now.login).await {
                tracing::warn!(%error, "a new login was not noted");
            }
            Ok(account)
        }
        // Without a token of theirs nobody learns anything about another login.
        Ok(_)
        | Err(
            CallError::Token(TokenError::NotLinked | TokenError::Expired | TokenError::BrokerExpired)
            | CallError::Host(ProviderError::Unauthorized),
        ) => Err(Failure::NotFound("installation")),
        Err(error) => Err(error.into()),
    }
}

/// After a rename GitHub's API does not know the old login; the installation keeps its number
/// (reference: GitHub 1.2).
async fn by_known_installation(
    asking: &Asking<'_>,
    user: &UserId,
    account: u64,
    copy: Option<Arc<Copy>>,
) -> Result<Option<Relayed>, Failure> {
    let service = asking.service;
    let rows = service.table.mapping_of(user).await?;
    let own = |row: &&MappingRow| {
        row.facts.account_id == Some(account) && row.facts.account_type.as_deref() == Some(USER)
    };
    let Some(row) = rows.iter().rev().find(own) else { return Ok(None) };
    let url = service.github.url(&["app", "installations", &row.installation_id.to_string()], &[]);
    Asking { url, ..*asking }.by_the_app(copy).await.map(Some)
}

/// An old login may have been registered by somebody else meanwhile: what is not about the caller's own
/// account is not found, whether GitHub has sent it or it is the copy. A 304 without a body repeats what this very
/// caller was shown.
fn own_only(relayed: Relayed, account: u64) -> Relayed {
    let answer = relayed.answer();
    if answer.status != StatusCode::OK {
        return relayed;
    }
    let own = serde_json::from_slice::<Installation>(&answer.body).is_ok_and(|installation| {
        installation.account_type() == Some(USER)
            && installation.account.is_some_and(|owner| owner.id == account)
    });
    if own { relayed } else { relayed.not_found() }
}

/// `If-None-Match: *` is 304 for whatever exists, so whose it is could not be looked at.
fn forget_wildcard(headers: &mut HeaderMap) {
    if if_none_match::is_wildcard(headers) {
        headers.remove(IF_NONE_MATCH);
    }
}
