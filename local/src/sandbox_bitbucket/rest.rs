//! The endpoints that Bitbucket still has, and those that it removed (reference: Bitbucket 2.1, 2.2).
//! Who asks is found in `asking`; pages are cut in `answers`.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State as Shared};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::answers::{Parameters, Refusal, json_response, page};
use super::asking::{Caller, identify};
use super::tokens::Scope;
use super::world::{Access, Repository, Workspace, World};
use super::{Bitbucket, State, objects};

/// Seconds of the rolling window of the rate limit.
const HOUR: i64 = 3_600;

type Answered = Result<Response, Refusal>;

/// `/2.0/workspaces`, `/2.0/repositories`, `/2.0/user/permissions/*`: gone, whoever asks.
pub(super) async fn removed() -> Refusal {
    Refusal::Gone
}

/// Any other path of the API.
pub(super) async fn nothing_here() -> Refusal {
    Refusal::NotFound("Resource".to_owned())
}

/// `/2.0/user`.
pub(super) async fn user(Shared(bitbucket): Shared<Arc<Bitbucket>>, headers: HeaderMap) -> Answered {
    let state = bitbucket.lock();
    let caller = identify(&state, &headers, bitbucket.clock.unix())?;
    let uuid = caller.user(Scope::User)?;
    let user = state.world.users.iter().find(|user| user.uuid == uuid).ok_or(Refusal::Unauthorized)?;
    Ok(json_response(StatusCode::OK, &objects::user(user, &bitbucket.web_url)))
}

/// `/2.0/user/workspaces`.
pub(super) async fn user_workspaces(
    Shared(bitbucket): Shared<Arc<Bitbucket>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answered {
    let state = bitbucket.lock();
    let caller = identify(&state, &headers, bitbucket.clock.unix())?;
    let uuid = caller.user(Scope::Workspace)?;
    let world = &state.world;
    let all: Vec<&Workspace> = world.workspaces.iter().filter(|one| world.belongs(uuid, one)).collect();
    let web = &bitbucket.web_url;
    page(
        world,
        &all,
        &format!("{web}/2.0/user/workspaces"),
        &Parameters::of(&query.unwrap_or_default()),
        |workspace| &workspace.uuid,
        |workspace| objects::workspace_access(workspace, workspace.members.get(uuid).copied(), web),
    )
}

/// `/2.0/workspaces/{workspace}`.
pub(super) async fn workspace(
    Shared(bitbucket): Shared<Arc<Bitbucket>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answered {
    let state = bitbucket.lock();
    let caller = identify(&state, &headers, bitbucket.clock.unix())?;
    caller.may(Scope::Workspace)?;
    let found = visible(&state.world, &caller, &id)?;
    Ok(json_response(StatusCode::OK, &objects::workspace(found, &bitbucket.web_url)))
}

/// `/2.0/repositories/{workspace}`, by slug or by uuid in braces.
pub(super) async fn repositories(
    Shared(bitbucket): Shared<Arc<Bitbucket>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answered {
    let mut state = bitbucket.lock();
    let now = bitbucket.clock.unix();
    let caller = identify(&state, &headers, now)?;
    count(&mut state, &caller, now)?;
    caller.may(Scope::Repository)?;
    let world = &state.world;
    let workspace = visible(world, &caller, &id)?;
    let parameters = Parameters::of(&query.unwrap_or_default());
    if parameters.get("q").is_some() || parameters.get("fields").is_some() {
        return Err(Refusal::Invalid("The sandbox Bitbucket knows neither q nor fields"));
    }
    let role = parameters.get("role");
    if role.is_some_and(|role| !matches!(role, "member" | "contributor" | "admin" | "owner")) {
        return Err(Refusal::Invalid("Invalid role"));
    }
    let mut all: Vec<&Repository> =
        world.repositories_of(workspace).filter(|one| is_listed(workspace, &caller, one, role)).collect();
    if let Some(sort) = parameters.get("sort") {
        let (field, reverse) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
        let order = order(field)?;
        all.sort_by(|a, b| if reverse { order(b, a) } else { order(a, b) });
    }
    let web = &bitbucket.web_url;
    page(
        world,
        &all,
        // As Bitbucket writes it, whichever way the workspace was named.
        &format!("{web}/2.0/repositories/{}", workspace.slug),
        &parameters,
        |repository| &repository.uuid,
        |repository| objects::repository(world, workspace, repository, web),
    )
}

/// Counts a call, or refuses it: so many in any hour for each user.
fn count(state: &mut State, caller: &Caller, now: i64) -> Result<(), Refusal> {
    let Some(who) = caller.counted() else { return Ok(()) };
    let limit = state.world.hourly_limit;
    let calls = state.counted.entry(who.to_owned()).or_default();
    while calls.front().is_some_and(|at| *at + HOUR <= now) {
        calls.pop_front();
    }
    if calls.len() >= limit {
        return Err(Refusal::RateLimited);
    }
    calls.push_back(now);
    Ok(())
}

/// A workspace that shows the caller anything; an unknown one and a hidden one are alike.
fn visible<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Workspace, Refusal> {
    let unknown = || Refusal::NotFound(format!("Workspace {id}"));
    let workspace = world.workspace(id).ok_or_else(unknown)?;
    let belongs = match caller {
        Caller::Anonymous => false,
        Caller::User { uuid, .. } => world.belongs(uuid, workspace),
        Caller::Workspace(uuid) => *uuid == workspace.uuid,
    };
    if belongs || world.repositories_of(workspace).any(|one| !one.is_private) {
        Ok(workspace)
    } else {
        Err(unknown())
    }
}

/// Without a role all that the caller may see; with one what was granted, at least as far as the role says.
fn is_listed(workspace: &Workspace, caller: &Caller, repository: &Repository, role: Option<&str>) -> bool {
    let granted = match caller {
        Caller::Anonymous => None,
        Caller::User { uuid, .. } => workspace.access(uuid, repository),
        Caller::Workspace(uuid) => (*uuid == workspace.uuid).then_some(Access::Read),
    };
    match role {
        None => granted.is_some() || !repository.is_private,
        Some("contributor") => granted >= Some(Access::Write),
        Some("admin") => granted >= Some(Access::Admin),
        Some("owner") => matches!(caller, Caller::User { uuid, .. } if *uuid == workspace.uuid),
        Some(_) => granted.is_some(),
    }
}

type Order = fn(&Repository, &Repository) -> Ordering;

/// Dates are all written alike, so they compare as text.
fn order(field: &str) -> Result<Order, Refusal> {
    Ok(match field {
        "created_on" => |a, b| a.created_on.cmp(&b.created_on),
        "updated_on" => |a, b| a.updated_on.cmp(&b.updated_on),
        "name" => |a, b| a.name.cmp(&b.name),
        "slug" => |a, b| a.slug.cmp(&b.slug),
        "uuid" => |a, b| a.uuid.cmp(&b.uuid),
        _ => return Err(Refusal::Invalid("Invalid sort field")),
    })
}
