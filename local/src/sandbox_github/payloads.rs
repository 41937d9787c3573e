//! The bodies of webhooks, in the exact shapes of GitHub's published examples (reference/github.md 2.1).
//! Dates are Unix numbers in some of them and ISO strings with an offset in others, as they are there.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, UtcOffset};

use super::AppRegistration;
use super::journal::{Event, Happening, Named};
use super::json::{Json, object};
use super::objects::{self, Links, node_id};
use super::world::{AccountId, Installation, Target, World};

/// The zone in which the examples' strings are written.
const ZONE: UtcOffset = offset!(-4);
const WITH_OFFSET: &[BorrowedFormatItem<'static>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second].000[offset_hour sign:mandatory]:[offset_minute]"
);
/// The keys of an installation in most events.
const SHORT: [&str; 16] = [
    "id",
    "account",
    "repository_selection",
    "access_tokens_url",
    "repositories_url",
    "html_url",
    "app_id",
    "target_id",
    "target_type",
    "permissions",
    "events",
    "created_at",
    "updated_at",
    "single_file_name",
    "suspended_at",
    "suspended_by",
];
/// The keys of an installation in `suspend`, `unsuspend` and `new_permissions_accepted`.
const LONG: [&str; 19] = [
    "id",
    "account",
    "repository_selection",
    "access_tokens_url",
    "repositories_url",
    "html_url",
    "app_id",
    "app_slug",
    "target_id",
    "target_type",
    "permissions",
    "events",
    "created_at",
    "updated_at",
    "single_file_name",
    "has_multiple_single_files",
    "single_file_paths",
    "suspended_by",
    "suspended_at",
];

/// A webhook before it is signed: its event, its action, its body.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) event: &'static str,
    pub(super) action: Option<&'static str>,
    pub(super) installation: Option<u64>,
    pub(super) body: Json,
}

/// How dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dates {
    Unix,
    WithOffset,
}

/// The webhook of something that happened.
pub(super) fn message(world: &World, app: &AppRegistration, event: &Event, links: &Links) -> Message {
    let Event { installation, .. } = event;
    let short = |dates| self::installation(world, app, installation, links, &SHORT, dates);
    let long = |dates| self::installation(world, app, installation, links, &LONG, dates);
    let all = || ("repositories", Json::List(event.repositories.iter().map(named).collect()));
    let requester = event.requester.map(|user| ("requester", account(world, user, links)));
    let (name, action, body) = match &event.happening {
        Happening::Created => {
            let body = object! { "action": "created", "installation": short(Dates::Unix) };
            ("installation", "created", body.with([all()]).with(requester))
        }
        Happening::Deleted => {
            let body = object! { "action": "deleted", "installation": short(Dates::Unix) };
            ("installation", "deleted", body.with([all()]))
        }
        Happening::PermissionsAccepted => {
            let body = object! { "action": "new_permissions_accepted", "installation": long(Dates::Unix) };
            ("installation", "new_permissions_accepted", body.with([all()]))
        }
        Happening::Suspended => {
            let body = object! { "action": "suspend", "installation": long(Dates::WithOffset) };
            ("installation", "suspend", body)
        }
        Happening::Unsuspended => {
            let body = object! { "action": "unsuspend", "installation": long(Dates::WithOffset) };
            ("installation", "unsuspend", body)
        }
        Happening::Added(_) => {
            ("installation_repositories", "added", repositories(world, event, short(Dates::Unix), links))
        }
        Happening::Removed(_) => {
            ("installation_repositories", "removed", repositories(world, event, short(Dates::Unix), links))
        }
        Happening::Renamed(from) => {
            ("installation_target", "renamed", renamed(world, installation, from, links))
        }
    };
    let body = body.with([("sender", optional_account(world, event.sender, links))]);
    Message { event: name, action: Some(action), installation: Some(installation.id.0), body }
}

/// A user ended what the App may do in the user's name. No installation is named.
pub(super) fn revoked(world: &World, user: AccountId, links: &Links) -> Message {
    let body = object! { "action": "revoked", "sender": account(world, user, links) };
    Message { event: "github_app_authorization", action: Some("revoked"), installation: None, body }
}

/// The webhook that tests a hook.
pub(super) fn ping(world: &World, app: &AppRegistration, url: &str, links: &Links) -> Message {
    let date = "2024-01-05T09:30:00Z";
    let body = object! {
        "zen": "Anything added dilutes everything else.",
        "hook_id": app.hook_id,
        "hook": object! {
            "type": "App",
            "id": app.hook_id,
            "name": "web",
            "active": true,
            "events": world.app.events.as_slice(),
            "config": object! { "content_type": "json", "url": url, "insecure_ssl": "0", "secret": "********" },
            "updated_at": date,
            "created_at": date,
            "app_id": app.app_id,
            "deliveries_url": links.api("/app/hook/deliveries"),
        },
    };
    Message { event: "ping", action: None, installation: None, body }
}

fn installation(
    world: &World,
    app: &AppRegistration,
    installation: &Installation,
    links: &Links,
    keys: &[&str],
    dates: Dates,
) -> Json {
    objects::installation(world, app, installation, links).pick(keys).map(|key, value| match key {
        "created_at" | "updated_at" => date(value, dates),
        "account" | "suspended_by" => value.without("user_view_type"),
        _ => value,
    })
}

fn date(value: Json, dates: Dates) -> Json {
    let Json::Text(text) = &value else { return value };
    let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) else { return value };
    match dates {
        Dates::Unix => Json::Number(u64::try_from(moment.unix_timestamp()).unwrap_or_default()),
        Dates::WithOffset => moment.to_offset(ZONE).format(WITH_OFFSET).map_or(value, Json::Text),
    }
}

fn account(world: &World, id: AccountId, links: &Links) -> Json {
    objects::account(world, id, links).unwrap_or(Json::Null).without("user_view_type")
}

fn optional_account(world: &World, id: Option<AccountId>, links: &Links) -> Json {
    id.map_or(Json::Null, |id| account(world, id, links))
}

fn named(repository: &Named) -> Json {
    object! {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id.0),
        "name": &repository.name,
        "full_name": &repository.full_name,
        "private": repository.private,
    }
}

fn repositories(world: &World, event: &Event, installation: Json, links: &Links) -> Json {
    let changed = || Json::List(event.repositories.iter().map(named).collect());
    let none = || Json::List(Vec::new());
    let (action, added, removed) = match event.happening {
        Happening::Removed(_) => ("removed", none(), changed()),
        _ => ("added", changed(), none()),
    };
    object! {
        "action": action,
        "installation": installation,
        "repository_selection": objects::repository_selection(&event.installation),
        "repositories_added": added,
        "repositories_removed": removed,
        "requester": optional_account(world, event.requester, links),
    }
}

fn renamed(world: &World, installation: &Installation, from: &str, links: &Links) -> Json {
    let (account, kind) = match installation.target {
        Target::Account(id) => {
            let kind = if world.users.contains_key(&id) { "User" } else { "Organization" };
            (self::account(world, id, links), kind)
        }
        // Enterprises have no login: they are never renamed here.
        Target::Enterprise(_) => (Json::Null, "Enterprise"),
    };
    let id = installation.id;
    object! {
        "action": "renamed",
        "account": account,
        "changes": object! { "login": object! { "from": from } },
        "installation": object! { "id": id, "node_id": node_id("IntegrationInstallation", id.0) },
        "target_type": kind,
    }
}
