//! `GET /user/installations`: GitHub's own answer, byte by byte, for any GitHub client.
//! What a signed-in user is shown repairs that user's rows in the mapping.

use std::sync::Arc;

use shared::contract::github::{ListQuery, forwarded_request_headers};
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::github_app::mapping::{Shown, note_shown};
use shared::identity::caller::{self, GithubCaller};
use shared::identity::linked_token::LinkedToken;
use shared::provider::github::Installations;
use shared::provider::token::{FixedToken, TokenSource};
use shared::provider::upstream::Budget;
use shared::provider::{CallError, ProviderType};
use shared::relay::{Asking, KeptRequest, Relayed};
use shared::runtime::respond;
use shared::service::Service;
use shared::store::{AnswerOwner, UserId};

const PATH: &str = "/user/installations";

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::Github, request, answer).await
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let caller = caller::github(service, request).await?;
    let query = ListQuery::parse(request.uri().query().unwrap_or_default())?;
    let public_url = service.public_url(request)?;
    let budget = service.budget(request);
    let headers = forwarded_request_headers(request.headers());
    let numbers = [("per_page", query.per_page), ("page", query.page)];
    let numbers: Vec<(&str, String)> =
        numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string()))).collect();
    let pairs: Vec<(&str, &str)> = numbers.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let url = service.github.url(&["user", "installations"], &pairs);

    match caller {
        // Nothing is kept of what a forwarded token shows.
        GithubCaller::UserToken(token) => {
            let asking = Asking { service, url, client: &headers, budget: &budget };
            let relayed = asking.by_token(&FixedToken::forwarded(token), None).await?;
            Ok(relayed.response(&public_url, PATH))
        }
        GithubCaller::SignedIn(caller) => {
            let user = caller.user();
            let (owner, query) = (AnswerOwner::User(user.clone()), url.query().unwrap_or(""));
            let kept = KeptRequest::new(owner, PATH, query, &headers, &service.clock);
            let token = LinkedToken::new(service.clone(), user.clone(), ProviderType::Github, &budget);
            let asking = Asking { service, url, client: &headers, budget: &budget };
            match by_linked_token(&asking, &kept, &token).await {
                Ok(relayed) => {
                    tokio::join!(kept.settle(service, &relayed), repair(service, user, &relayed, &budget));
                    Ok(relayed.response(&public_url, PATH))
                }
                Err(failure) => kept.instead_of(service, failure, &public_url, PATH, &budget).await,
            }
        }
    }
}

/// GitHub's answer to the user's own token. The copy of the last one is looked for while the token is.
async fn by_linked_token(
    asking: &Asking<'_>,
    kept: &KeptRequest,
    token: &LinkedToken,
) -> Result<Relayed, Failure> {
    let (copy, usable) = tokio::join!(kept.copy(asking.service), token.token());
    usable.map_err(CallError::from)?;
    asking.by_token(token, copy).await
}

/// Rows are added and updated, never removed: a list shrinks for other reasons than uninstalling too
/// (reference: GitHub 1.1). What fails here is repaired by the next answer.
async fn repair(service: &Service, user: &UserId, relayed: &Relayed, budget: &Budget) {
    if !relayed.shows_news() {
        return;
    }
    let Ok(shown) = serde_json::from_slice::<Installations>(&relayed.answer().body) else {
        tracing::warn!("GitHub's list of installations has a form that cannot be read; no row was repaired");
        return;
    };
    let identity = match service.table.identity(user, ProviderType::Github).await {
        Ok(identity) => identity,
        Err(error) => {
            tracing::warn!(%error, "no row was repaired");
            return;
        }
    };
    let own_account = identity.and_then(|identity| identity.subject.parse().ok());
    let rows = match service.github_app.credentials().await {
        Ok(app) => Shown::of_our_app(&shown.installations, app.app_id, own_account),
        Err(error) => {
            tracing::warn!(%error, "no row was repaired");
            return;
        }
    };
    if let Err(failure) = note_shown(service, user, &rows, budget).await {
        tracing::warn!(%failure, "not every row was repaired");
    }
}
