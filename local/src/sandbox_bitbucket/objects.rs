//! Bitbucket's objects: user, workspace, repository, as its API writes them.
//! Who may see them is decided in `rest`.

use serde_json::{Value, json};

use super::world::{Access, Repository, User, Workspace, World};

pub(super) fn user(user: &User, web: &str) -> Value {
    let mut object = json!({
        "type": "user",
        "uuid": user.uuid,
        "account_id": format!("557058:{}", user.uuid.trim_matches(['{', '}'])),
        "nickname": user.login,
        "display_name": user.login,
        "account_status": "active",
        "links": {
            "self": { "href": format!("{web}/2.0/users/{}", user.uuid) },
            "avatar": { "href": format!("{web}/avatars/{}.png", user.login) },
        },
    });
    if user.tells_username {
        object["username"] = json!(user.login);
    }
    object
}

/// An item of `/2.0/user/workspaces`: no name, no permission in words.
pub(super) fn workspace_access(workspace: &Workspace, access: Option<Access>, web: &str) -> Value {
    json!({
        "type": "workspace_access",
        "administrator": access == Some(Access::Admin),
        "workspace": {
            "type": "workspace_base",
            "uuid": workspace.uuid,
            "slug": workspace.slug,
            "links": { "self": { "href": format!("{web}/2.0/workspaces/{}", workspace.slug) } },
        },
    })
}

pub(super) fn workspace(workspace: &Workspace, web: &str) -> Value {
    json!({
        "type": "workspace",
        "uuid": workspace.uuid,
        "slug": workspace.slug,
        "name": workspace.slug,
        "is_private": true,
        "created_on": super::world::timestamp(0),
        "links": {
            "self": { "href": format!("{web}/2.0/workspaces/{}", workspace.slug) },
            "html": { "href": format!("{web}/{}/", workspace.slug) },
        },
    })
}

pub(super) fn repository(world: &World, workspace: &Workspace, repository: &Repository, web: &str) -> Value {
    let personal = world.users.iter().find(|user| user.uuid == workspace.uuid);
    let owner = personal.map_or_else(
        || {
            json!({
                "type": "team",
                "uuid": workspace.uuid,
                "username": workspace.slug,
                "display_name": workspace.slug,
            })
        },
        |owner| user(owner, web),
    );
    let full_name = format!("{}/{}", workspace.slug, repository.slug);
    json!({
        "type": "repository",
        "uuid": repository.uuid,
        "full_name": full_name,
        "name": repository.name,
        "slug": repository.slug,
        "is_private": repository.is_private,
        "scm": "git",
        "description": "",
        "language": repository.language,
        "size": 1234,
        "created_on": repository.created_on,
        "updated_on": repository.updated_on,
        "has_issues": false,
        "has_wiki": false,
        "fork_policy": if repository.is_private { "no_public_forks" } else { "allow_forks" },
        "website": null,
        "mainbranch": repository.main_branch.as_ref().map(|name| json!({ "type": "branch", "name": name })),
        "owner": owner,
        "workspace": (!repository.workspace_is_null).then(|| json!({
            "type": "workspace",
            "uuid": workspace.uuid,
            "name": workspace.slug,
            "slug": workspace.slug,
            "links": {},
        })),
        "links": { "html": { "href": format!("{web}/{full_name}") } },
    })
}
