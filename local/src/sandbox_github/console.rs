//! What a person or a script can do in the sandbox, in one list for the page and for the API.
//! The page is `console_page`, the API `console_api`; what the changes mean is defined in `changes`.

use std::collections::BTreeSet;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode};

use super::delivery_faults::DeliveryFaults;
use super::state::lock;
use super::world::{AccountId, InstallationId, RepositoryId, Selection, Target, World};
use super::{Github, hook_rest, html};

/// The longest login and the longest repository name at GitHub.
const LONGEST_LOGIN: usize = 39;
const LONGEST_NAME: usize = 100;

/// Something to do.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Install(Installing),
    Uninstall(u64),
    Suspend(u64),
    Unsuspend(u64),
    AcceptPermissions(u64),
    /// Makes the repository if there is none of the name.
    AddRepository(u64, String),
    RemoveRepository(u64, String),
    /// Chooses anew; `None`: all.
    Select(u64, Option<Vec<String>>),
    Rename {
        account: String,
        login: String,
    },
    Revoke(String),
    Ping,
    Redeliver(String),
    Faults(DeliveryFaults),
}

/// How to install.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Installing {
    /// The login of the account.
    pub(super) account: String,
    /// Names of repositories; all if it is left out.
    #[serde(default)]
    pub(super) repositories: Option<Vec<String>>,
    /// The login of who installs.
    #[serde(default)]
    pub(super) sender: Option<String>,
    /// The login of who asked for it.
    #[serde(default)]
    pub(super) requester: Option<String>,
}

/// Why something was not done.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn not_found(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: format!("{what} is not in the sandbox GitHub.") }
    }

    fn unprocessable(message: &str) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.to_owned() }
    }
}

/// Does something; gives the installation that it was done to, if that is still there.
pub(super) fn perform(github: &Github, action: Action) -> Result<Option<InstallationId>, Refused> {
    match action {
        Action::Install(asked) => github.change(|world| install(world, &asked)).map(Some),
        Action::Uninstall(id) => {
            on(github, id, |world, id| {
                world.uninstall(id);
                Ok(())
            })?;
            Ok(None)
        }
        Action::Suspend(id) => on(github, id, |world, id| {
            world.suspend_by_owner(id);
            Ok(())
        }),
        Action::Unsuspend(id) => on(github, id, |world, id| {
            world.unsuspend(id);
            Ok(())
        }),
        Action::AcceptPermissions(id) => on(github, id, |world, id| {
            world.accept_permissions(id);
            Ok(())
        }),
        Action::AddRepository(id, name) => on(github, id, |world, id| add_repository(world, id, &name)),
        Action::RemoveRepository(id, name) => on(github, id, |world, id| {
            let repository = named(world, id, &name)?;
            let reached =
                world.installations.get(&id).map(|one| world.reached(one).any(|r| r.id == repository));
            if reached != Some(true) {
                return Err(Refused::unprocessable("The installation does not reach this repository."));
            }
            world.remove_repository_from_installation(id, repository);
            Ok(())
        }),
        Action::Select(id, names) => on(github, id, |world, id| {
            let selection = match names {
                None => Selection::All,
                Some(names) => {
                    let chosen: Result<BTreeSet<_>, _> =
                        names.iter().map(|one| named(world, id, one)).collect();
                    Selection::Selected(chosen?)
                }
            };
            world.select_repositories(id, selection);
            Ok(())
        }),
        Action::Rename { account, login } => {
            github.change(|world| rename(world, &account, &login)).map(|()| None)
        }
        Action::Revoke(login) => {
            let mut state = github.store.lock();
            let user = state.world().user(&login).ok_or_else(|| Refused::not_found("This user"))?.id;
            github.revoke(&mut state, user);
            Ok(None)
        }
        Action::Ping => {
            github.ping();
            Ok(None)
        }
        Action::Redeliver(id) => match hook_rest::redeliver(github, &id) {
            Ok(()) => Ok(None),
            Err(answer) => Err(Refused {
                status: answer.status,
                message: "This delivery is not in the log, or is older than 3 days.".to_owned(),
            }),
        },
        Action::Faults(faults) => {
            *lock(&github.hookshot.faults) = faults;
            github.hookshot.wake();
            Ok(None)
        }
    }
}

fn on(
    github: &Github,
    id: u64,
    change: impl FnOnce(&mut World, InstallationId) -> Result<(), Refused>,
) -> Result<Option<InstallationId>, Refused> {
    let id = InstallationId(id);
    github.change(|world| {
        if !world.installations.contains_key(&id) {
            return Err(Refused::not_found("This installation"));
        }
        change(world, id).map(|()| Some(id))
    })
}

/// The account of a login, user or organisation.
fn account(world: &World, login: &str) -> Result<AccountId, Refused> {
    let user = world.user(login).map(|user| user.id);
    let found = user.or_else(|| world.organization(login).map(|organization| organization.id));
    found.ok_or_else(|| Refused::not_found("This account"))
}

fn install(world: &mut World, asked: &Installing) -> Result<InstallationId, Refused> {
    let owner = account(world, &asked.account)?;
    let target = Target::Account(owner);
    if world.installation_on(target).is_some() {
        return Err(Refused::unprocessable("The App is installed on this account already."));
    }
    let person = |login: &Option<String>| match login {
        None => Ok(None),
        Some(login) => {
            world.user(login).map(|user| Some(user.id)).ok_or_else(|| Refused::not_found("This user"))
        }
    };
    let (sender, requester) = (person(&asked.sender)?, person(&asked.requester)?);
    let selection = match &asked.repositories {
        None => Selection::All,
        Some(names) => {
            let chosen: Result<BTreeSet<_>, _> = names.iter().map(|name| owned(world, owner, name)).collect();
            Selection::Selected(chosen?)
        }
    };
    if let Some(sender) = sender {
        world.acting_as(sender);
    }
    if let Some(requester) = requester {
        world.requested_by(requester);
    }
    Ok(world.install(target, selection))
}

fn owned(world: &World, owner: AccountId, name: &str) -> Result<RepositoryId, Refused> {
    let mut all = world.repositories.values();
    let found = all.find(|one| one.owner == owner && one.name.eq_ignore_ascii_case(name));
    found.map(|one| one.id).ok_or_else(|| Refused::not_found("This repository"))
}

/// A repository of an installation's account.
fn named(world: &World, id: InstallationId, name: &str) -> Result<RepositoryId, Refused> {
    match world.installations.get(&id).map(|one| one.target) {
        Some(Target::Account(owner)) => owned(world, owner, name),
        _ => Err(Refused::not_found("This repository")),
    }
}

fn add_repository(world: &mut World, id: InstallationId, name: &str) -> Result<(), Refused> {
    let Some(Target::Account(owner)) = world.installations.get(&id).map(|one| one.target) else {
        return Err(Refused::unprocessable("An enterprise has no repositories of its own."));
    };
    let repository = match owned(world, owner, name) {
        Ok(known) => {
            let reached = world.installations.get(&id).map(|one| world.reached(one).any(|r| r.id == known));
            if reached == Some(true) {
                return Err(Refused::unprocessable("The installation reaches this repository already."));
            }
            known
        }
        Err(_) => {
            let fits = |one: char| one.is_ascii_alphanumeric() || "._-".contains(one);
            if name.is_empty()
                || name.len() > LONGEST_NAME
                || !name.chars().all(fits)
                || name.starts_with('.')
            {
                return Err(Refused::unprocessable(
                    "A repository's name has up to 100 letters, digits, dots, hyphens and underscores.",
                ));
            }
            world.add_repository(owner, name)
        }
    };
    world.add_repository_to_installation(id, repository);
    Ok(())
}

fn rename(world: &mut World, old: &str, login: &str) -> Result<(), Refused> {
    let renamed = account(world, old)?;
    let fits = |one: char| one.is_ascii_alphanumeric() || one == '-';
    if login.is_empty() || login.len() > LONGEST_LOGIN || !login.chars().all(fits) || login.starts_with('-') {
        return Err(Refused::unprocessable("A login has up to 39 letters, digits and hyphens."));
    }
    if account(world, login).is_ok_and(|owner| owner != renamed) {
        return Err(Refused::unprocessable("Another account has this login."));
    }
    world.rename(renamed, login);
    Ok(())
}

/// Only this machine's own pages and programs: a page from elsewhere can neither post here nor, by a name
/// that it makes point here, read.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if is_from_here(request.headers(), is_read) {
        next.run(request).await
    } else {
        let message = "Only pages and programs of this machine may do this.";
        html::refusal(StatusCode::FORBIDDEN, message).into_response()
    }
}

pub(crate) fn is_from_here(headers: &HeaderMap, is_read: bool) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let Some(host) = text(HOST.as_str()) else { return false };
    let is_local = host
        .parse::<Authority>()
        .is_ok_and(|authority| ["localhost", "127.0.0.1", "[::1]"].contains(&authority.host()));
    if is_read || !is_local {
        return is_local;
    }
    match (text(ORIGIN.as_str()), text("sec-fetch-site")) {
        (Some(origin), _) => origin.strip_prefix("http://") == Some(host),
        (None, site) => site.is_none_or(|site| site == "same-origin" || site == "none"),
    }
}
