//! A delivery's headers and JSON as a typed [`Change`]: parsed in one place, after the signature was checked.
//! GitHub's dates are integers in some events and ISO strings in others (reference: GitHub 2.1).

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Deserializer};

use crate::provider::github::{Account, unix_seconds};
use crate::store::NamedRepository;

/// One delivery of our own App's webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `X-GitHub-Delivery`: the same for every delivery of one event.
    pub guid: String,
    /// `X-GitHub-Hook-Installation-Target-ID`: the App; with the GUID it names the event, because GUIDs are
    /// shared between the Apps that an event goes to (reference: GitHub 2.2).
    pub target_id: u64,
    /// `X-GitHub-Event`.
    pub event: String,
    /// What happened.
    pub change: Change,
}

/// What a delivery tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// GitHub tries whether somebody listens.
    Ping,
    /// An installation came, went or changed.
    Installation {
        /// How.
        action: InstallationAction,
        /// What it is now.
        installation: Box<InstallationState>,
        /// All repositories that it reaches, where the event lists them.
        repositories: Option<Vec<NamedRepository>>,
        /// Numeric id of the account that did it.
        sender: Option<u64>,
    },
    /// Repositories were added to an installation or removed from it.
    Repositories {
        /// The installation as it is now.
        installation: Box<InstallationState>,
        /// Added.
        added: Vec<NamedRepository>,
        /// Removed.
        removed: Vec<NamedRepository>,
    },
    /// An account was renamed. The event holds no order: only GitHub knows the name of today.
    Renamed {
        /// The installation on the account.
        installation_id: u64,
    },
    /// A user took back the authorization of the App.
    AuthorizationRevoked {
        /// Numeric id of the user.
        account_id: u64,
    },
    /// Another App's event.
    OtherApp,
    /// An event or an action that changes nothing here.
    Unknown,
}

/// What an `installation` event says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallationAction {
    /// `created`.
    Created,
    /// `deleted`: final for this id, which is never used again.
    Deleted,
    /// `suspend`.
    Suspend,
    /// `unsuspend`.
    Unsuspend,
    /// `new_permissions_accepted`.
    NewPermissionsAccepted,
}

/// An installation as an event or the REST API describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct InstallationState {
    /// Id.
    pub id: u64,
    /// The App it is of.
    pub app_id: Option<u64>,
    /// The account; GitHub documents `null`.
    pub account: Option<Account>,
    /// `User`, `Organization`, `Enterprise`.
    pub target_type: Option<String>,
    /// `all` or `selected`.
    pub repository_selection: Option<String>,
    /// When it was suspended, in Unix seconds.
    #[serde(default, deserialize_with = "moment")]
    pub suspended_at: Option<i64>,
    /// Last change, in Unix seconds.
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<i64>,
}

/// Why a delivery cannot be read; the text names the header or the part of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryProblem {
    /// A header is missing or not of its form.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// The webhook is set to form encoding.
    #[error("the content type must be application/json; set it in the App's webhook settings")]
    ContentType,
    /// The body is not JSON, or not of the event's form.
    #[error("the body is not the JSON of an {event} event: {problem}")]
    Body {
        /// The event, by its header.
        event: String,
        /// Position and kind, never a part of the body.
        problem: String,
    },
}

/// Reads a delivery whose signature was accepted. Events of other Apps are told by the target's id and by
/// the installation's `app_id` (reference: GitHub 5.1, replay).
///
/// # Errors
/// [`DeliveryProblem`].
pub fn parse(headers: &HeaderMap, body: &[u8], app_id: u64) -> Result<Delivery, DeliveryProblem> {
    let text = |name: &'static str, header: &'static str| {
        let value = headers.get(header).and_then(|value| value.to_str().ok());
        value.filter(|value| !value.is_empty()).ok_or(DeliveryProblem::Header(name))
    };
    let event = text("X-GitHub-Event", "x-github-event")?.to_owned();
    let guid = text("X-GitHub-Delivery", "x-github-delivery")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if guid.len() > 64 || !guid.bytes().all(plain) {
        return Err(DeliveryProblem::Header("X-GitHub-Delivery"));
    }
    let target_id = "X-GitHub-Hook-Installation-Target-ID";
    let target_id = text(target_id, "x-github-hook-installation-target-id")?
        .parse()
        .map_err(|_| DeliveryProblem::Header(target_id))?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(DeliveryProblem::ContentType);
    }
    let change = if target_id == app_id { change(&event, body, app_id)? } else { Change::OtherApp };
    Ok(Delivery { guid: guid.to_owned(), target_id, event, change })
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    action: String,
}

#[derive(Deserialize)]
struct InstallationBody {
    installation: InstallationState,
    #[serde(default)]
    repositories: Option<Vec<NamedRepository>>,
    sender: Option<Id>,
}

#[derive(Deserialize)]
struct RepositoriesBody {
    installation: InstallationState,
    repository_selection: Option<String>,
    #[serde(default)]
    repositories_added: Vec<NamedRepository>,
    #[serde(default)]
    repositories_removed: Vec<NamedRepository>,
}

#[derive(Deserialize)]
struct TargetBody {
    installation: Id,
}

#[derive(Deserialize)]
struct SenderBody {
    sender: Id,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

fn change(event: &str, body: &[u8], app_id: u64) -> Result<Change, DeliveryProblem> {
    // serde would take an array for a struct whose fields may all be left out.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(DeliveryProblem::Body { event: event_name(event), problem: "not an object".to_owned() });
    }
    let Action { action } = read(event, body)?;
    let installation_action = match (event, action.as_str()) {
        ("ping", _) => return Ok(Change::Ping),
        ("installation", "created") => InstallationAction::Created,
        ("installation", "deleted") => InstallationAction::Deleted,
        ("installation", "suspend") => InstallationAction::Suspend,
        ("installation", "unsuspend") => InstallationAction::Unsuspend,
        ("installation", "new_permissions_accepted") => InstallationAction::NewPermissionsAccepted,
        ("installation_repositories", "added" | "removed") => {
            let mut read: RepositoriesBody = read(event, body)?;
            if read.installation.app_id.is_some_and(|id| id != app_id) {
                return Ok(Change::OtherApp);
            }
            // The event's own field is of the event; the installation's may be from before it.
            if read.repository_selection.is_some() {
                read.installation.repository_selection = read.repository_selection;
            }
            return Ok(Change::Repositories {
                installation: Box::new(read.installation),
                added: read.repositories_added,
                removed: read.repositories_removed,
            });
        }
        ("installation_target", "renamed") => {
            let TargetBody { installation } = read(event, body)?;
            return Ok(Change::Renamed { installation_id: installation.id });
        }
        ("github_app_authorization", "revoked") => {
            let SenderBody { sender } = read(event, body)?;
            return Ok(Change::AuthorizationRevoked { account_id: sender.id });
        }
        _ => return Ok(Change::Unknown),
    };
    let body: InstallationBody = read(event, body)?;
    if body.installation.app_id.is_some_and(|id| id != app_id) {
        return Ok(Change::OtherApp);
    }
    Ok(Change::Installation {
        action: installation_action,
        installation: Box::new(body.installation),
        repositories: body.repositories,
        sender: body.sender.map(|sender| sender.id),
    })
}

fn read<'a, T: Deserialize<'a>>(event: &str, body: &'a [u8]) -> Result<T, DeliveryProblem> {
    serde_json::from_slice(body).map_err(|error| DeliveryProblem::Body {
        event: event_name(event),
        problem: format!("{:?} at line {} column {}", error.classify(), error.line(), error.column()),
    })
}

/// The event's name as it may stand in a message.
fn event_name(event: &str) -> String {
    event.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Unix(i64),
    Text(String),
}

/// Unix seconds from either form; a date of no known form is a defect of ours to hear of, not to guess.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Option::<Moment>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Moment::Unix(seconds)) => Ok(Some(seconds)),
        Some(Moment::Text(text)) => {
            let seconds = unix_seconds(&text);
            seconds.map(Some).ok_or_else(|| serde::de::Error::custom("a date of no known form"))
        }
    }
}

#[cfg(test)]
mod tests;
