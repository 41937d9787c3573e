//! How accounts, installations and the App look on the wire (payloads: reference/github.md 1.3).
//! Repositories, with their many fields, live in `repository_object`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::{Json, object};
use super::world::{
    AccountId, Enterprise, Installation, Membership, Organization, Selection, Target, User, World,
};
use super::{API_BASE, AppRegistration};

/// The addresses in an answer begin as the request's own address did.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Scheme, host and port.
    pub(super) origin: String,
}

impl Links {
    pub(super) fn api(&self, path: &str) -> String {
        format!("{}{API_BASE}{path}", self.origin)
    }

    pub(super) fn web(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// GitHub's old form of a node id: the type's length, the type, the number.
pub(super) fn node_id(kind: &str, id: u64) -> String {
    STANDARD.encode(format!("0{}:{kind}{id}", kind.len()))
}

/// A *simple user*: a user or an organisation.
pub(super) fn account(world: &World, id: AccountId, links: &Links) -> Option<Json> {
    let login = world.login(id)?;
    let kind = if world.users.contains_key(&id) { "User" } else { "Organization" };
    let url = links.api(&format!("/users/{login}"));
    Some(object! {
        "login": login,
        "id": id,
        "node_id": node_id(kind, id.0),
        "avatar_url": links.web(&format!("/avatars/u/{id}?v=4")),
        "gravatar_id": "",
        "url": url.as_str(),
        "html_url": links.web(&format!("/{login}")),
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": kind,
        "user_view_type": "public",
        "site_admin": false,
    })
}

/// What `GET /user` says of the caller. It has no name and no address: nobody here is a person.
pub(super) fn own_account(world: &World, user: &User, links: &Links) -> Json {
    let public = world
        .repositories
        .values()
        .filter(|repository| {
            repository.owner == user.id && repository.visibility == super::Visibility::Public
        })
        .count();
    account(world, user.id, links).unwrap_or(Json::Null).with([
        ("name", Json::Null),
        ("company", Json::Null),
        ("blog", Json::from("")),
        ("location", Json::Null),
        ("email", Json::Null),
        ("hireable", Json::Null),
        ("bio", Json::from(&user.about)),
        ("twitter_username", Json::Null),
        ("notification_email", Json::Null),
        ("public_repos", Json::from(public as u64)),
        ("public_gists", Json::Number(0)),
        ("followers", Json::Number(0)),
        ("following", Json::Number(0)),
        ("created_at", Json::from(&user.created_at)),
        ("updated_at", Json::from(&user.created_at)),
    ])
}

/// An enterprise account: no login and no type, so that strict models of an account break here as they do there.
fn enterprise(enterprise: &Enterprise, links: &Links) -> Json {
    let Enterprise { id, slug, name, .. } = enterprise;
    object! {
        "id": *id,
        "slug": slug,
        "name": name,
        "node_id": node_id("Enterprise", id.0),
        "avatar_url": links.web(&format!("/avatars/b/{id}?v=4")),
        "description": Json::Null,
        "website_url": Json::Null,
        "html_url": links.web(&format!("/enterprises/{slug}")),
        "created_at": "2023-04-11T08:15:30Z",
        "updated_at": "2024-01-20T16:40:00Z",
    }
}

/// An installation, in the form that all endpoints share.
pub(super) fn installation(
    world: &World,
    app: &AppRegistration,
    installation: &Installation,
    links: &Links,
) -> Json {
    let id = installation.id;
    let (account, target_id, target_type, settings) = match installation.target {
        Target::Account(target) => {
            let login = world.login(target).unwrap_or_default();
            let (kind, settings) = if world.users.contains_key(&target) {
                ("User", "/settings".to_owned())
            } else {
                ("Organization", format!("/organizations/{login}/settings"))
            };
            (account(world, target, links), target.0, kind, settings)
        }
        Target::Enterprise(target) => {
            let found = world.enterprises.get(&target);
            let slug = found.map(|enterprise| enterprise.slug.as_str()).unwrap_or_default();
            let settings = format!("/enterprises/{slug}/settings");
            (found.map(|found| enterprise(found, links)), target.0, "Enterprise", settings)
        }
    };
    let account = if installation.account_is_null { None } else { account };
    let suspended_by =
        installation.suspended.as_ref().and_then(|suspension| self::account(world, suspension.by, links));
    object! {
        "id": id,
        "client_id": &app.client_id,
        "account": account,
        "repository_selection": repository_selection(installation),
        "access_tokens_url": links.api(&format!("/app/installations/{id}/access_tokens")),
        "repositories_url": links.api("/installation/repositories"),
        "html_url": links.web(&format!("{settings}/installations/{id}")),
        "app_id": app.app_id,
        "app_slug": &app.slug,
        "target_id": target_id,
        "target_type": target_type,
        "permissions": &installation.permissions,
        "events": installation.events.as_slice(),
        "created_at": &installation.created_at,
        "updated_at": &installation.updated_at,
        "single_file_name": Json::Null,
        "has_multiple_single_files": false,
        "single_file_paths": Vec::<Json>::new(),
        "suspended_by": suspended_by,
        "suspended_at": installation.suspended.as_ref().map(|suspension| suspension.at.as_str()),
    }
}

pub(super) fn repository_selection(installation: &Installation) -> &'static str {
    match installation.selection {
        Selection::All => "all",
        Selection::Selected(_) => "selected",
    }
}

/// The App, for `GET /app`.
pub(super) fn app(world: &World, app: &AppRegistration, links: &Links) -> Json {
    object! {
        "id": app.app_id,
        "client_id": &app.client_id,
        "slug": &app.slug,
        "node_id": node_id("Integration", app.app_id),
        "owner": Json::Null,
        "name": &world.app.name,
        "description": Json::Null,
        "external_url": links.web("/"),
        "html_url": links.web(&format!("/github-apps/{}", app.slug)),
        "created_at": "2024-01-05T09:30:00Z",
        "updated_at": "2024-01-05T09:30:00Z",
        "permissions": &world.app.permissions,
        "events": world.app.events.as_slice(),
        "installations_count": world.installations.len() as u64,
    }
}

/// A user's membership in an organisation.
pub(super) fn membership(
    world: &World,
    organization: &Organization,
    user: AccountId,
    membership: Membership,
    links: &Links,
) -> Json {
    let login = &organization.login;
    let url = links.api(&format!("/orgs/{login}"));
    let member = world.login(user).unwrap_or_default();
    object! {
        "url": format!("{url}/memberships/{member}"),
        "state": match membership.state {
            super::MembershipState::Active => "active",
            super::MembershipState::Pending => "pending",
        },
        "role": match membership.role {
            super::Role::Admin => "admin",
            super::Role::Member => "member",
        },
        "organization_url": url.as_str(),
        "user": account(world, user, links),
        "organization": object! {
            "login": login,
            "id": organization.id,
            "node_id": node_id("Organization", organization.id.0),
            "url": url.as_str(),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"),
            "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": links.web(&format!("/avatars/u/{}?v=4", organization.id)),
            "description": Json::Null,
        },
    }
}
