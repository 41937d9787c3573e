//! Users, groups and projects as JSON, in the fields that GitLab gives them.
//! Who sees which of them is decided in `access`.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Gitlab;
use super::world::{Group, Namespace, Project, User, World};

/// Namespaces of users have numbers of their own.
const USER_NAMESPACES: u64 = 900_000;

/// A moment as GitLab writes it.
fn moment(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = moment.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}.000Z", moment.date())
}

/// `GET /user`.
pub(super) fn user(gitlab: &Gitlab, user: &User) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "name": user.username,
        "state": "active",
        "locked": false,
        "avatar_url": format!("{}/uploads/-/system/user/avatar/{}/avatar.png", gitlab.url, user.id),
        "web_url": format!("{}/{}", gitlab.url, user.username),
        "bot": false,
        "two_factor_enabled": true,
        "namespace_id": USER_NAMESPACES + user.id.0,
    })
}

/// An item of `GET /groups`.
pub(super) fn group(gitlab: &Gitlab, world: &World, group: &Group) -> Value {
    let full_path = world.group_path(group.id);
    json!({
        "id": group.id,
        "web_url": format!("{}/groups/{full_path}", gitlab.url),
        "name": group.path,
        "path": group.path,
        "description": "",
        "visibility": group.visibility.as_str(),
        "avatar_url": null,
        "full_name": full_path.replace('/', " / "),
        "full_path": full_path,
        "parent_id": group.parent,
        "archived": false,
        "marked_for_deletion_on": null,
    })
}

fn namespace(gitlab: &Gitlab, world: &World, namespace: Namespace) -> Value {
    let full_path = world.namespace_path(namespace);
    let path = full_path.rsplit('/').next().unwrap_or_default();
    let (id, kind, parent, page) = match namespace {
        Namespace::User(user) => {
            (USER_NAMESPACES + user.0, "user", None, format!("{}/{full_path}", gitlab.url))
        }
        Namespace::Group(group) => {
            let parent = world.groups.get(&group).and_then(|group| group.parent);
            (group.0, "group", parent, format!("{}/groups/{full_path}", gitlab.url))
        }
    };
    json!({
        "id": id,
        "name": path,
        "path": path,
        "kind": kind,
        "full_path": full_path,
        "parent_id": parent,
        "avatar_url": null,
        "web_url": page,
    })
}

/// An item of a listing of projects; `simple` is without visibility, and more.
pub(super) fn project(
    gitlab: &Gitlab,
    world: &World,
    asker: &User,
    project: &Project,
    simple: bool,
) -> Value {
    let full_path = world.project_path(project);
    let page = format!("{}/{full_path}", gitlab.url);
    let mut object = json!({
        "id": project.id,
        "description": null,
        "name": project.path,
        "name_with_namespace": full_path.replace('/', " / "),
        "path": project.path,
        "path_with_namespace": full_path,
        "created_at": moment(project.created_at),
        "tag_list": [],
        "topics": [],
        "ssh_url_to_repo": format!("git@localhost:{full_path}.git"),
        "http_url_to_repo": format!("{page}.git"),
        "web_url": page,
        "avatar_url": null,
        "star_count": project.stars,
        "last_activity_at": moment(project.last_activity_at),
        "namespace": namespace(gitlab, world, project.namespace),
    });
    if world.reads_code(asker, project) {
        object["default_branch"] = project.default_branch.as_str().into();
        object["forks_count"] = 0.into();
        object["readme_url"] = if project.empty {
            Value::Null
        } else {
            format!("{page}/-/blob/{}/README.md", project.default_branch).into()
        };
    }
    if simple {
        return object;
    }
    object["empty_repo"] = project.empty.into();
    object["archived"] = project.archived.into();
    object["visibility"] = project.visibility.as_str().into();
    object["permissions"] = json!({
        "project_access": project.members.get(&asker.id).map(|level| json!({ "access_level": *level as u64 })),
        "group_access": match project.namespace {
            Namespace::Group(group) => world.group_level(asker.id, group),
            Namespace::User(_) => None,
        }
        .map(|level| json!({ "access_level": level as u64 })),
    });
    if let Namespace::User(owner) = project.namespace
        && let Some(owner) = world.users.get(&owner)
    {
        object["owner"] =
            json!({ "id": owner.id, "username": owner.username, "name": owner.username, "state": "active" });
    }
    if let Some(day) = &project.marked_for_deletion_on {
        object["marked_for_deletion_at"] = day.as_str().into();
        object["marked_for_deletion_on"] = day.as_str().into();
    }
    object
}
