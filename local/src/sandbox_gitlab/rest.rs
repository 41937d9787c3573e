//! The REST API: the signed-in user, groups, and projects of everybody, of a group, of a user.
//! How listings are cut into pages lives in `paging`.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::answers::{Parameters, Problem};
use super::asking::{READ, READ_USER, authorize};
use super::paging::{Listing, Page};
use super::world::{AccessLevel, Group, GroupId, Namespace, Project, User, Visibility, World};
use super::{Gitlab, objects};

type Answer = Result<Response, Problem>;

fn listed(items: Vec<Value>, headers: HeaderMap) -> Response {
    (StatusCode::OK, headers, axum::Json(items)).into_response()
}

/// `GET /user`.
pub(super) async fn user(State(gitlab): State<Arc<Gitlab>>, headers: HeaderMap) -> Answer {
    let user = authorize(&gitlab, &headers, READ_USER)?;
    Ok(axum::Json(objects::user(&gitlab, &user)).into_response())
}

/// `GET /groups`.
pub(super) async fn groups(
    State(gitlab): State<Arc<Gitlab>>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let asker = authorize(&gitlab, &headers, READ)?;
    let parameters = Parameters::of_query(query.as_deref());
    let path = gitlab.path_below_api(uri.path());
    let listing = Listing { gitlab: &gitlab, parameters: &parameters, path, kind: "Group" };
    // Groups have pages by ids for those only who are not signed in.
    listing.is_by_id(false)?;
    let order = parameters.word("order_by", &["name", "path", "id", "similarity"])?;
    let descending = parameters.word("sort", &["asc", "desc"])? == "desc";
    let state = gitlab.store.lock();
    let world = &state.world;
    let mut found = visible_groups(world, &asker, &parameters)?;
    match order {
        "id" => found.sort_by_key(|group| group.id),
        _ => found.sort_by(|a, b| a.path.cmp(&b.path).then(a.id.cmp(&b.id))),
    }
    if descending {
        found.reverse();
    }
    let Page { items, headers } = listing.by_number(found)?;
    Ok(listed(items.into_iter().map(|group| objects::group(&gitlab, world, group)).collect(), headers))
}

fn visible_groups<'a>(
    world: &'a World,
    asker: &User,
    parameters: &Parameters,
) -> Result<Vec<&'a Group>, Problem> {
    let owned = parameters.flag("owned")? == Some(true);
    let top_level = parameters.flag("top_level_only")? == Some(true);
    let all = parameters.flag("all_available")?.unwrap_or(asker.admin);
    let least = parameters.number("min_access_level")?;
    let visibility = visibility(parameters)?;
    let search = parameters.text("search").map(str::to_ascii_lowercase);
    let authorized = world.authorized_groups(asker.id);
    let groups = world.groups.values().filter(|group| {
        let level = world.group_level(asker.id, group.id);
        let available = match least {
            // It wins over `all_available`, and knows no group of which only something inside is the user's.
            Some(least) => level.is_some_and(|level| level as u64 >= least),
            None if all => world.sees_group(asker, group),
            None => authorized.contains(&group.id),
        };
        available
            && (!owned || level == Some(AccessLevel::Owner))
            && (!top_level || group.parent.is_none())
            && visibility.is_none_or(|wanted| group.visibility == wanted)
            && search.as_ref().is_none_or(|part| group.path.to_ascii_lowercase().contains(part.as_str()))
    });
    Ok(groups.collect())
}

/// `GET /groups/:id/projects`.
pub(super) async fn group_projects(
    State(gitlab): State<Arc<Gitlab>>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let asker = authorize(&gitlab, &headers, READ)?;
    let parameters = Parameters::of_query(query.as_deref());
    let subgroups = parameters.flag("include_subgroups")? == Some(true);
    let shared = parameters.flag("with_shared")?.unwrap_or(true);
    let group = {
        let state = gitlab.store.lock();
        let world = &state.world;
        let by_number = id.parse().ok().and_then(|id| world.groups.get(&GroupId(id)));
        by_number
            .or_else(|| world.group(&id))
            .filter(|group| world.sees_group(&asker, group))
            .map(|group| group.id)
            .ok_or_else(|| Problem::not_found("Group"))?
    };
    let inside = |world: &World, project: &Project| {
        let is_in = match project.namespace {
            Namespace::Group(own) if subgroups => world.chain(own).any(|above| above.id == group),
            Namespace::Group(own) => own == group,
            Namespace::User(_) => false,
        };
        is_in || (shared && project.shared_with.contains_key(&group))
    };
    projects_where(&gitlab, &asker, &parameters, gitlab.path_below_api(uri.path()), false, inside)
}

/// `GET /users/:id/projects`: by number or by name.
pub(super) async fn user_projects(
    State(gitlab): State<Arc<Gitlab>>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let asker = authorize(&gitlab, &headers, READ)?;
    let parameters = Parameters::of_query(query.as_deref());
    let user = {
        let state = gitlab.store.lock();
        let named = state.world.users.values().find(|user| user.id.to_string() == id);
        named
            .or_else(|| state.world.user(&id))
            .map(|user| user.id)
            .ok_or_else(|| Problem::not_found("User"))?
    };
    let own = |_: &World, project: &Project| project.namespace == Namespace::User(user);
    projects_where(&gitlab, &asker, &parameters, gitlab.path_below_api(uri.path()), false, own)
}

/// `GET /projects`.
pub(super) async fn projects(
    State(gitlab): State<Arc<Gitlab>>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let asker = authorize(&gitlab, &headers, READ)?;
    let parameters = Parameters::of_query(query.as_deref());
    let member = parameters.flag("membership")? == Some(true);
    let mine = |world: &World, project: &Project| !member || world.project_level(asker.id, project).is_some();
    projects_where(&gitlab, &asker, &parameters, gitlab.path_below_api(uri.path()), true, mine)
}

fn visibility(parameters: &Parameters) -> Result<Option<Visibility>, Problem> {
    Ok(match parameters.word("visibility", &["", "public", "internal", "private"])? {
        "public" => Some(Visibility::Public),
        "internal" => Some(Visibility::Internal),
        "private" => Some(Visibility::Private),
        _ => None,
    })
}

/// A page of the projects that the asker sees and that are wanted, in the order that was asked for.
fn projects_where(
    gitlab: &Gitlab,
    asker: &User,
    parameters: &Parameters,
    path: &str,
    by_id_available: bool,
    wanted: impl Fn(&World, &Project) -> bool,
) -> Answer {
    let listing = Listing { gitlab, parameters, path, kind: "Project" };
    let by_id = listing.is_by_id(by_id_available)?;
    let state = gitlab.store.lock();
    let world = &state.world;
    let mut found = filtered(world, asker, parameters, wanted)?;
    order(&mut found, parameters)?;
    let page =
        if by_id { listing.by_id(found, |project| project.id.0)? } else { listing.by_number(found)? };
    let simple = parameters.flag("simple")? == Some(true);
    let object = |project: &Project| objects::project(gitlab, world, asker, project, simple);
    Ok(listed(page.items.into_iter().map(object).collect(), page.headers))
}

fn filtered<'a>(
    world: &'a World,
    asker: &User,
    parameters: &Parameters,
    wanted: impl Fn(&World, &Project) -> bool,
) -> Result<Vec<&'a Project>, Problem> {
    let archived = parameters.flag("archived")?;
    let active = parameters.flag("active")?;
    let owned = parameters.flag("owned")? == Some(true);
    let least = parameters.number("min_access_level")?;
    let after = parameters.number("id_after")?.unwrap_or_default();
    let before = parameters.number("id_before")?.unwrap_or(u64::MAX);
    let visibility = visibility(parameters)?;
    let search = parameters.text("search").map(str::to_ascii_lowercase);
    let projects = world.projects.values().filter(|project| {
        let is_active = !project.archived && project.marked_for_deletion_on.is_none();
        project.id.0 > after
            && project.id.0 < before
            && archived.is_none_or(|archived| project.archived == archived)
            && active.is_none_or(|active| is_active == active)
            && visibility.is_none_or(|visibility| project.visibility == visibility)
            && search.as_ref().is_none_or(|part| project.path.to_ascii_lowercase().contains(part.as_str()))
            && (!owned || world.project_level(asker.id, project) == Some(AccessLevel::Owner))
            && least.is_none_or(|least| {
                world.project_level(asker.id, project).is_some_and(|level| level as u64 >= least)
            })
            && wanted(world, project)
            && world.sees_project(asker, project)
    });
    Ok(projects.collect())
}

fn order(projects: &mut [&Project], parameters: &Parameters) -> Result<(), Problem> {
    let words =
        ["created_at", "id", "name", "path", "updated_at", "last_activity_at", "star_count", "similarity"];
    let order = parameters.word("order_by", &words)?;
    let descending = parameters.word("sort", &["desc", "asc"])? == "desc";
    // Equal ones newest first, whatever the direction.
    projects.sort_by_key(|project| Reverse(project.id));
    match order {
        "id" => projects.sort_by_key(|project| project.id),
        "name" | "path" => projects.sort_by_cached_key(|project| project.path.to_ascii_lowercase()),
        "updated_at" | "last_activity_at" => projects.sort_by_key(|project| project.last_activity_at),
        "star_count" => projects.sort_by_key(|project| project.stars),
        _ => projects.sort_by_key(|project| project.created_at),
    }
    if descending {
        projects.reverse();
    }
    Ok(())
}
