//! Endpoints for the App itself (JWT), for its installations (`ghs_`) and for its OAuth client (id and secret).
//! How a JWT is judged lives in `jwt`; endpoints for user tokens live in `rest`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Github;
use super::answers::{Answer, Page};
use super::asking::{Ask, Caller};
use super::json::{Json, object};
use super::objects;
use super::repository_object::repository;
use super::rest::find;
use super::world::{Access, Installation, Repository, RepositoryId, Target, World};

const OF_USER: &str = "/apps/apps#get-a-user-installation-for-the-authenticated-app";
const OF_ORGANIZATION: &str = "/apps/apps#get-an-organization-installation-for-the-authenticated-app";
const ONE: &str = "/apps/apps#get-an-installation-for-the-authenticated-app";
const TOKEN: &str = "/apps/apps#create-an-installation-access-token-for-an-app";
const REACHED: &str = "/apps/installations#list-repositories-accessible-to-the-app-installation";
const CLIENT: &str = "/apps/oauth-applications";

/// How many repositories a token may be narrowed to (reference/github.md 1.4).
const MOST_REPOSITORIES: usize = 500;

type Answered = Result<Answer, Answer>;

/// `GET /users/{username}/installation`: 404 also for organisations and for logins of before a rename.
pub(super) async fn installation_of_user(
    State(github): State<Arc<Github>>,
    Path(login): Path<String>,
    ask: Ask,
) -> Answered {
    ask.app()?;
    let state = github.store.lock();
    let world = state.world();
    let user = world.user(&login).map(|user| Target::Account(user.id));
    on_target(&github, world, user, &ask).ok_or_else(|| Answer::not_found_at(OF_USER))
}

/// `GET /orgs/{org}/installation`
pub(super) async fn installation_of_organization(
    State(github): State<Arc<Github>>,
    Path(login): Path<String>,
    ask: Ask,
) -> Answered {
    ask.app()?;
    let state = github.store.lock();
    let world = state.world();
    let organization = world.organization(&login).map(|organization| Target::Account(organization.id));
    on_target(&github, world, organization, &ask).ok_or_else(|| Answer::not_found_at(OF_ORGANIZATION))
}

fn on_target(github: &Github, world: &World, target: Option<Target>, ask: &Ask) -> Option<Answer> {
    let installation = world.installation_on(target?)?;
    Some(Answer::ok(objects::installation(world, &github.app, installation, ask.links())))
}

/// `GET /app`
pub(super) async fn app(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    ask.app()?;
    Ok(Answer::ok(objects::app(github.store.lock().world(), &github.app, ask.links())))
}

/// `GET /app/installations`: a bare array; `since` leaves out what has not changed.
pub(super) async fn installations(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    ask.app()?;
    let moment = |date: &str| OffsetDateTime::parse(date, &Rfc3339).ok();
    let since = ask.parameter("since").and_then(moment);
    let state = github.store.lock();
    let world = state.world();
    let changed: Vec<_> = world
        .installations
        .values()
        .filter(|one| since.is_none_or(|since| moment(&one.updated_at).is_none_or(|at| at >= since)))
        .collect();
    Ok(Page::of(changed, &ask).answer(|page, _| {
        let shape = |one: &Installation| objects::installation(world, &github.app, one, ask.links());
        Json::List(page.into_iter().map(shape).collect())
    }))
}

/// `GET /app/installations/{id}`: works after a rename too.
pub(super) async fn installation(
    State(github): State<Arc<Github>>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answered {
    ask.app()?;
    let state = github.store.lock();
    let world = state.world();
    let found = find(world, &id).ok_or_else(|| Answer::not_found_at(ONE))?;
    Ok(Answer::ok(objects::installation(world, &github.app, found, ask.links())))
}

/// What a token may be narrowed to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Narrowing {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<u64>>,
    permissions: Option<BTreeMap<String, String>>,
}

impl Narrowing {
    fn read(body: &[u8]) -> Result<Self, Answer> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        serde_json::from_slice(body)
            .map_err(|_| Answer::error(StatusCode::BAD_REQUEST, "Problems parsing JSON", TOKEN))
    }

    /// The repositories that were named, if all of them are the installation's.
    fn repositories<'a>(
        &self,
        world: &'a World,
        installation: &'a Installation,
    ) -> Result<Option<Vec<&'a Repository>>, Answer> {
        if self.repositories.is_none() && self.repository_ids.is_none() {
            return Ok(None);
        }
        let names = self.repositories.as_deref().unwrap_or_default();
        let ids = self.repository_ids.as_deref().unwrap_or_default();
        let named = |one: &Repository| {
            ids.contains(&one.id.0) || names.iter().any(|name| name.eq_ignore_ascii_case(&one.name))
        };
        let found: Vec<_> = world.reached(installation).filter(|one| named(one)).collect();
        let all_found = ids.iter().all(|id| found.iter().any(|one| one.id.0 == *id))
            && names.iter().all(|name| found.iter().any(|one| name.eq_ignore_ascii_case(&one.name)));
        if !all_found || found.len() > MOST_REPOSITORIES {
            return Err(Answer::unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
                TOKEN,
            ));
        }
        Ok(Some(found))
    }

    /// The permissions that were named, if all of them were granted.
    fn permissions(&self, installation: &Installation) -> Result<BTreeMap<String, String>, Answer> {
        let Some(asked) = &self.permissions else { return Ok(installation.permissions.clone()) };
        let level = |level: &str| ["read", "write", "admin"].iter().position(|known| *known == level);
        let granted = asked.iter().all(|(name, asked)| {
            let granted = installation.permissions.get(name).and_then(|granted| level(granted));
            level(asked).is_some_and(|asked| granted.is_some_and(|granted| asked <= granted))
        });
        if granted {
            return Ok(asked.clone());
        }
        Err(Answer::unprocessable("The permissions requested are not granted to this installation.", TOKEN))
    }
}

/// `POST /app/installations/{id}/access_tokens`
pub(super) async fn create_token(
    State(github): State<Arc<Github>>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
    ask.app()?;
    let mut state = github.store.lock();
    let world = state.world();
    let installation = find(world, &id).ok_or_else(|| Answer::not_found_at(TOKEN))?;
    if installation.suspended.is_some() {
        return Err(Answer::suspended(TOKEN));
    }
    let narrowing = Narrowing::read(&body)?;
    let permissions = narrowing.permissions(installation)?;
    let repositories = narrowing.repositories(world, installation)?;
    let selection =
        if repositories.is_some() { "selected" } else { objects::repository_selection(installation) };
    let ids: Option<BTreeSet<RepositoryId>> =
        repositories.as_ref().map(|chosen| chosen.iter().map(|one| one.id).collect());
    let shapes = repositories.map(|chosen| {
        chosen.into_iter().map(|one| repository(world, one, Access::Write, ask.links())).collect::<Vec<_>>()
    });
    let id = installation.id;
    let enabled = headers.get("x-github-stateless-s2s-token").is_some_and(|value| value == "enabled");
    let stateless = enabled.then_some(github.app.app_id);
    let now = github.clock.unix();
    let issued = state.change_tokens().issue_installation(id, ids, stateless, now);
    let (token, expires_at) = issued.map_err(|_| Answer::internal())?;
    let body = object! {
        "token": token,
        "expires_at": github.timestamp(expires_at - now),
        "permissions": &permissions,
        "repository_selection": selection,
    };
    let body = body.with(shapes.map(|shapes| ("repositories", Json::List(shapes))));
    Ok(Answer::new(StatusCode::CREATED, body))
}

/// `GET /installation/repositories`
pub(super) async fn reached_repositories(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    let token = ask.installation()?;
    let state = github.store.lock();
    let world = state.world();
    let installation = world.installations.get(&token.installation).ok_or_else(Answer::bad_credentials)?;
    if installation.suspended.is_some() {
        return Err(Answer::suspended(REACHED));
    }
    let open = |one: &&Repository| token.repositories.as_ref().is_none_or(|open| open.contains(&one.id));
    let reached: Vec<_> = world.reached(installation).filter(open).collect();
    Ok(Page::of(reached, &ask).answer(|page, total| {
        let shape = |one: &Repository| repository(world, one, Access::Write, ask.links());
        object! {
            "total_count": total,
            "repository_selection": objects::repository_selection(installation),
            "repositories": page.into_iter().map(shape).collect::<Vec<_>>(),
        }
    }))
}

/// What the endpoints of the OAuth client want in their body.
#[derive(Debug, Deserialize)]
struct Revocation {
    access_token: String,
}

/// Checks the client and reads the token to revoke.
fn revocation(github: &Github, client_id: &str, ask: &Ask, body: &[u8]) -> Result<String, Answer> {
    match ask.caller() {
        Caller::Nobody => return Err(Answer::requires_authentication()),
        Caller::Client(id, secret) if *id == github.app.client_id && *secret == github.app.client_secret => {}
        _ => return Err(Answer::bad_credentials()),
    }
    if client_id != github.app.client_id {
        return Err(Answer::not_found_at(CLIENT));
    }
    let revocation: Revocation = serde_json::from_slice(body).map_err(|_| {
        Answer::unprocessable("Invalid request.\n\n\"access_token\" wasn't supplied.", CLIENT)
    })?;
    Ok(revocation.access_token)
}

/// `DELETE /applications/{client_id}/token`: one token and its refresh token.
pub(super) async fn delete_token(
    State(github): State<Arc<Github>>,
    Path(client_id): Path<String>,
    ask: Ask,
    body: Bytes,
) -> Answered {
    let token = revocation(&github, &client_id, &ask, &body)?;
    let now = github.clock.unix();
    if github.store.lock().change_tokens().revoke(&token, now) {
        Ok(Answer::no_content())
    } else {
        Err(Answer::not_found_at(CLIENT))
    }
}

/// `DELETE /applications/{client_id}/grant`: all that the token's user granted.
pub(super) async fn delete_grant(
    State(github): State<Arc<Github>>,
    Path(client_id): Path<String>,
    ask: Ask,
    body: Bytes,
) -> Answered {
    let token = revocation(&github, &client_id, &ask, &body)?;
    let now = github.clock.unix();
    let mut state = github.store.lock();
    let user = state.tokens().user(&token, now).ok_or_else(|| Answer::not_found_at(CLIENT))?;
    github.revoke(&mut state, user);
    Ok(Answer::no_content())
}
