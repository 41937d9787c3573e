//! Endpoints for user tokens: the user, the installations, the repositories, the memberships.
//! Endpoints for the App itself live in `app_rest`.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::{Path, State};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Github;
use super::answers::{Answer, Page};
use super::asking::{Ask, Caller};
use super::json::{Json, object};
use super::objects;
use super::repository_object::{full_name, repository};
use super::serve::VERSIONS;
use super::world::{
    Access, AccountId, Installation, InstallationId, Organization, Repository, Target, Visibility, World,
};

const INSTALLATIONS: &str = "/apps/installations#list-app-installations-accessible-to-the-user-access-token";
const REPOSITORIES: &str = "/apps/installations#list-repositories-accessible-to-the-user-access-token";
const USER_REPOSITORIES: &str = "/repos/repos#list-repositories-for-the-authenticated-user";
const MEMBERSHIP: &str = "/orgs/members#get-an-organization-membership-for-the-authenticated-user";

type Answered = Result<Answer, Answer>;

/// `GET /`
pub(super) async fn root(ask: Ask) -> Answered {
    ask.anybody()?;
    let links = ask.links();
    Ok(Answer::ok(object! {
        "current_user_url": links.api("/user"),
        "current_user_repositories_url": links.api("/user/repos{?type,page,per_page,sort}"),
        "user_url": links.api("/users/{user}"),
    }))
}

/// `GET /versions`
pub(super) async fn versions(ask: Ask) -> Answered {
    ask.anybody()?;
    Ok(Answer::ok(Json::List(VERSIONS.into_iter().map(Json::from).collect())))
}

/// `GET /user`
pub(super) async fn user(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    let caller = ask.user()?;
    let state = github.store.lock();
    let user = state.world().users.get(&caller).ok_or_else(Answer::bad_credentials)?;
    Ok(Answer::ok(objects::own_account(state.world(), user, ask.links())))
}

/// `GET /user/installations` (reference/github.md 1.1): what lacks a SAML session is missing, and the header says so.
pub(super) async fn installations(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    let caller = app_user(&ask)?;
    let state = github.store.lock();
    let world = state.world();
    let (hidden, visible): (Vec<_>, Vec<_>) = world
        .installations
        .values()
        .filter(|installation| world.is_associated(caller, installation))
        .partition(|installation| world.saml_barrier_of(caller, installation).is_some());
    let answer = Page::of(visible, &ask).answer(|visible, total| {
        let shape = |one: &Installation| objects::installation(world, &github.app, one, ask.links());
        object! {
            "total_count": total,
            "installations": visible.into_iter().map(shape).collect::<Vec<_>>(),
        }
    });
    let hidden = hidden.into_iter().filter_map(|installation| world.saml_barrier_of(caller, installation));
    Ok(answer.with_partial_results(hidden))
}

/// The user, where GitHub explains which tokens it wants.
fn app_user(ask: &Ask) -> Result<AccountId, Answer> {
    match ask.caller() {
        Caller::App | Caller::Installation(_) => Err(Answer::error(
            http::StatusCode::FORBIDDEN,
            "You must authenticate with an access token authorized to a GitHub App in order to list installations",
            INSTALLATIONS,
        )),
        _ => ask.user(),
    }
}

/// `GET /user/installations/{id}/repositories`: what the user *and* the App reach.
pub(super) async fn installation_repositories(
    State(github): State<Arc<Github>>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answered {
    let caller = app_user(&ask)?;
    let state = github.store.lock();
    let world = state.world();
    let installation = find(world, &id)
        .filter(|installation| world.is_associated(caller, installation))
        .ok_or_else(|| Answer::not_found_at(REPOSITORIES))?;
    if let Some(organization) = world.saml_barrier_of(caller, installation) {
        return Err(Answer::saml(organization, &ask));
    }
    if installation.suspended.is_some() {
        return Err(Answer::suspended(REPOSITORIES));
    }
    let reached = world.reached(installation);
    let both: Vec<_> = reached.filter_map(|one| Some((one, world.access(caller, one)?))).collect();
    Ok(Page::of(both, &ask).answer(|both, total| {
        object! {
            "total_count": total,
            "repository_selection": objects::repository_selection(installation),
            "repositories": shape(world, both, &ask),
        }
    }))
}

fn shape(world: &World, repositories: Vec<(&Repository, Access)>, ask: &Ask) -> Vec<Json> {
    repositories.into_iter().map(|(one, access)| repository(world, one, access, ask.links())).collect()
}

/// The installation of a number in a path; anything but a number is nobody's.
pub(super) fn find<'a>(world: &'a World, id: &str) -> Option<&'a Installation> {
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    world.installations.get(&InstallationId(id.parse().ok().filter(|_| digits)?))
}

/// How a user has to do with a repository, for `affiliation`.
fn affiliation(world: &World, user: AccountId, repository: &Repository) -> &'static str {
    if repository.owner == user {
        "owner"
    } else if repository.collaborators.contains_key(&user) {
        "collaborator"
    } else if world.organizations.contains_key(&repository.owner) {
        "organization_member"
    } else {
        "none"
    }
}

/// `GET /user/repos`: with a token of the App, only what its installations reach.
pub(super) async fn repositories(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    let caller = ask.user()?;
    let kind = ask.parameter("type").filter(|kind| *kind != "all");
    if kind.is_some() && (ask.parameter("visibility").is_some() || ask.parameter("affiliation").is_some()) {
        return Err(Answer::unprocessable(
            "If you specify visibility or affiliation, you cannot specify type.",
            USER_REPOSITORIES,
        ));
    }
    let wanted = |repository: &Repository, affiliation: &str| {
        let public = repository.visibility == Visibility::Public;
        let by_visibility = |visibility: &str| match visibility {
            "public" => public,
            "private" => !public,
            _ => true,
        };
        let by_type = match kind {
            Some("owner") => affiliation == "owner",
            Some("member") => affiliation != "owner",
            Some(visibility) => by_visibility(visibility),
            None => true,
        };
        by_type
            && by_visibility(ask.parameter("visibility").unwrap_or("all"))
            && ask
                .parameter("affiliation")
                .is_none_or(|list| list.split(',').any(|one| one.trim() == affiliation))
    };
    let state = github.store.lock();
    let world = state.world();
    let (hidden, mut visible): (Vec<_>, Vec<_>) = world
        .installations
        .values()
        .filter(|installation| installation.suspended.is_none())
        .flat_map(|installation| world.reached(installation))
        .filter_map(|one| Some((one, world.access(caller, one)?)))
        .filter(|(one, _)| wanted(one, affiliation(world, caller, one)))
        .partition(|(one, _)| world.saml_barrier(caller, one.owner).is_some());
    sort(world, &mut visible, &ask);
    let answer = Page::of(visible, &ask).answer(|page, _| Json::List(shape(world, page, &ask)));
    Ok(answer
        .with_partial_results(hidden.iter().filter_map(|(one, _)| world.saml_barrier(caller, one.owner))))
}

/// `sort` and `direction`; repositories without a date are the oldest.
fn sort(world: &World, repositories: &mut [(&Repository, Access)], ask: &Ask) {
    let moment = |date: &str| OffsetDateTime::parse(date, &Rfc3339).ok();
    let by = ask.parameter("sort").unwrap_or("full_name");
    let compare = |one: &Repository, other: &Repository| -> Ordering {
        match by {
            "created" => moment(&one.created_at).cmp(&moment(&other.created_at)),
            "updated" => moment(&one.updated_at).cmp(&moment(&other.updated_at)),
            "pushed" => {
                let pushed = |one: &Repository| one.pushed_at.as_deref().and_then(moment);
                pushed(one).cmp(&pushed(other))
            }
            _ => full_name(world, one).to_lowercase().cmp(&full_name(world, other).to_lowercase()),
        }
    };
    let dated = matches!(by, "created" | "updated" | "pushed");
    let ascending = ask.parameter("direction").map_or(!dated, |direction| direction == "asc");
    repositories.sort_by(|(one, _), (other, _)| {
        let order = compare(one, other);
        if ascending { order } else { order.reverse() }
    });
}

/// `GET /user/memberships/orgs/{org}`: proves administration, where the list of installations proves only
/// association (reference/github.md 5.2). The App must have been granted to see members.
pub(super) async fn membership(
    State(github): State<Arc<Github>>,
    Path(login): Path<String>,
    ask: Ask,
) -> Answered {
    let caller = ask.user()?;
    let state = github.store.lock();
    let world = state.world();
    let not_found = || Answer::not_found_at(MEMBERSHIP);
    let organization: &Organization = world.organization(&login).ok_or_else(not_found)?;
    let installation = world.installation_on(Target::Account(organization.id));
    if !installation.is_some_and(|installation| installation.permissions.contains_key("members")) {
        return Err(Answer::error(
            http::StatusCode::FORBIDDEN,
            "Resource not accessible by integration",
            MEMBERSHIP,
        ));
    }
    if installation.is_some_and(|installation| installation.suspended.is_some()) {
        return Err(Answer::suspended(MEMBERSHIP));
    }
    let membership = *organization.members.get(&caller).ok_or_else(not_found)?;
    if let Some(organization) = world.saml_barrier(caller, organization.id) {
        return Err(Answer::saml(organization, &ask));
    }
    Ok(Answer::ok(objects::membership(world, organization, caller, membership, ask.links())))
}
