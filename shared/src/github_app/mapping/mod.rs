//! Keeps the mapping true: what webhooks, users' listings and GitHub's own answers tell of an installation
//! becomes what is known of it and what all rows say, whatever the order in which it is told.

mod delivered;
mod news;
mod shown;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

pub use delivered::{Dealt, MAPPING_EVENTS, deal_with};
pub use news::{Difference, News, Source, Verdict, decide, difference};
pub use shown::{Shown, note_shown};

use super::InstallationReach;
use crate::clock::random;
use crate::failure::Failure;
use crate::provider::ProviderType;
use crate::provider::upstream::Budget;
use crate::service::Service;
use crate::store::{
    AnswerOwner, DeliveryRecord, InstallationChange, KnownInstallation, Loaded, NamedRepository, Proof, Rank,
    RepositoryList, RowWanted, StoreError, UserId,
};

/// How often a change is decided anew because somebody else was faster.
const ATTEMPTS: u32 = 12;
/// The longest wait before the next try, in milliseconds; the first are shorter.
const LONGEST_WAIT: u64 = 60;
/// How many users' kept answers are forgotten at the same time.
const FORGOTTEN_AT_ONCE: usize = 32;
/// The kind of account that a user has.
const USER: &str = "User";

/// Something that is told about one installation.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which.
    pub installation_id: u64,
    /// What.
    pub what: What,
    /// Rows that are to be there because of it.
    pub rows: Rows,
    /// What it tells of repositories.
    pub repositories: Repositories,
    /// The delivery that told it, noted in the same transaction.
    pub delivery: Option<DeliveryRecord>,
}

/// What is told of an installation.
#[derive(Clone, Debug)]
pub enum What {
    /// How it is, or was.
    News(News),
    /// That it is gone, which is final.
    Gone,
    /// That something has changed: GitHub says what.
    Ask,
}

/// Rows that are to be there.
#[derive(Clone, Debug)]
pub enum Rows {
    /// The account's own, if it is a user's and nothing was known of the installation before.
    Owner,
    /// The account's own, and that of the user who has installed it, by number at GitHub.
    Sender(u64),
    /// This user's, whose own token has shown the installation.
    Shown(UserId, Proof),
}

/// What is told of repositories.
#[derive(Clone, Debug)]
pub enum Repositories {
    /// Nothing.
    Untold,
    /// All of them.
    Whole(Vec<NamedRepository>),
    /// Some came, some went.
    Changed {
        /// Reached now.
        added: Vec<NamedRepository>,
        /// Not reached any more.
        removed: Vec<NamedRepository>,
    },
    /// That only GitHub knows them.
    Ask,
}

/// What became of something told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The delivery had been dealt with before.
    Repeated,
    /// It was known, or older than what is known.
    Unchanged,
    /// It has changed what is known or the rows.
    Changed {
        /// What was different at the installation itself, if anything was.
        difference: Option<Difference>,
        /// How many rows were written or removed.
        rows: usize,
    },
}

/// Why one try did not succeed.
#[derive(Debug)]
enum Tried {
    /// Somebody else was faster.
    Conflict,
    Failed(Failure),
}

impl From<StoreError> for Tried {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Tried {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Makes what is told what is known. Where only GitHub can decide, GitHub is asked with the App's own JWT:
/// between reading what is known and writing it, so that an answer that is overtaken is not written.
///
/// # Errors
/// [`Failure`] when the table fails, or GitHub where it has to be asked; what was told can be told again.
pub async fn tell(service: &Service, told: &Told, budget: &Budget) -> Result<Outcome, Failure> {
    for attempt in 0..ATTEMPTS {
        match tell_once(service, told, budget).await {
            Ok(outcome) => return Ok(outcome),
            Err(Tried::Failed(failure)) => return Err(failure),
            Err(Tried::Conflict) => {
                let longest = (10 << attempt.min(3)).min(LONGEST_WAIT);
                let wait = Duration::from_millis(u64::from_le_bytes(random()?) % longest);
                if Instant::now() + wait >= budget.deadline() {
                    break;
                }
                tokio::time::sleep(wait).await;
            }
        }
    }
    Err(StoreError::Conflict.into())
}

async fn tell_once(service: &Service, told: &Told, budget: &Budget) -> Result<Outcome, Tried> {
    let table = &service.table;
    let id = told.installation_id;
    let repeated = async {
        match &told.delivery {
            Some(delivery) => table.has_delivery(delivery.target_id, &delivery.guid).await,
            None => Ok(false),
        }
    };
    let (repeated, loaded) = futures::try_join!(repeated, table.installation(id))?;
    if repeated {
        return Ok(Outcome::Repeated);
    }
    let now = service.clock.unix();
    let before = loaded.known.as_ref();
    let Some(mut known) = known_now(service, told, before, now, budget).await? else {
        return unchanged(service, told).await;
    };
    let rows = if known.is_gone() { Vec::new() } else { wanted(service, told, &loaded, &known).await? };
    let repositories = repositories(service, told, before, &known, now, budget).await?;
    let same = before == Some(&known);
    if same && rows.is_empty() && repositories.is_none() && !loaded.is_unfinished() {
        return unchanged(service, told).await;
    }
    if known.is_gone() {
        known.repositories = None;
        forget_answers(service, &loaded.users, now).await?;
    }
    let difference = difference(before, &known);
    let change = InstallationChange { loaded, known, rows, repositories, delivery: told.delivery.clone() };
    let rows = table.change_installation(change, now).await?;
    Ok(Outcome::Changed { difference, rows })
}

async fn unchanged(service: &Service, told: &Told) -> Result<Outcome, Tried> {
    if let Some(delivery) = &told.delivery {
        service.table.note_delivery(delivery).await?;
    }
    Ok(Outcome::Unchanged)
}

/// What is known with what is told; none if nothing is known and there is nothing to know.
async fn known_now(
    service: &Service,
    told: &Told,
    before: Option<&KnownInstallation>,
    now: i64,
    budget: &Budget,
) -> Result<Option<KnownInstallation>, Tried> {
    let id = told.installation_id;
    if before.is_some_and(KnownInstallation::is_gone) {
        return Ok(before.cloned());
    }
    let become_known = |verdict: Verdict| match verdict {
        Verdict::Become { facts, at, rank } => {
            let new = KnownInstallation::new(id, facts, at, rank);
            Some(match before {
                Some(before) => KnownInstallation {
                    facts: new.facts,
                    changed_at: new.changed_at,
                    rank: new.rank,
                    unsure: false,
                    ..before.clone()
                },
                None => new,
            })
        }
        Verdict::Nothing | Verdict::Ask => before.cloned(),
    };
    let gone = || {
        let none = || KnownInstallation::new(id, Default::default(), 0, Rank::Other);
        before.cloned().unwrap_or_else(none).gone(now)
    };
    let verdict = match &told.what {
        What::Gone => return Ok(Some(gone())),
        What::Ask => Verdict::Ask,
        What::News(news) => decide(before, news, now),
    };
    if verdict != Verdict::Ask {
        return Ok(become_known(verdict));
    }
    match service.github_app.installation(&service.github, id, budget).await {
        Ok(Some(answer)) => {
            let verdict = decide(before, &News::of(&answer, Source::Answer), now);
            Ok(become_known(verdict).map(|known| KnownInstallation { unsure: false, ..known }))
        }
        // Nothing was ever known of it, and GitHub does not know it: there is nothing to remember.
        Ok(None) if before.is_none() => Ok(None),
        Ok(None) => Ok(Some(gone())),
        Err(failure) => {
            let verdict = match &told.what {
                What::News(news) => news::without_github(before, news),
                What::Gone | What::Ask => Verdict::Nothing,
            };
            // Who runs to find out has to know that it was not found out.
            match become_known(verdict) {
                Some(known) if told.delivery.is_some() || matches!(told.what, What::News(_)) => {
                    tracing::warn!(installation_id = id, %failure, "GitHub could not be asked; reconciliation will");
                    Ok(Some(KnownInstallation { unsure: true, ..known }))
                }
                _ => Err(failure.into()),
            }
        }
    }
}

/// The rows that are to be there, of people whom we know.
async fn wanted(
    service: &Service,
    told: &Told,
    loaded: &Loaded,
    known: &KnownInstallation,
) -> Result<Vec<RowWanted>, Tried> {
    let table = &service.table;
    let owner = known.facts.account_id.filter(|_| known.facts.account_type.as_deref() == Some(USER));
    let accounts: Vec<(u64, Proof)> = match &told.rows {
        Rows::Shown(user, proof) => {
            let row = table.mapping_row(user, told.installation_id).await?;
            let says = |row: &crate::store::MappingRow| row.saying(&known.facts, *proof, 0).is_none();
            return Ok(if row.as_ref().is_some_and(says) && loaded.users.contains(user) {
                Vec::new()
            } else {
                vec![RowWanted { user: user.clone(), proof: *proof, row }]
            });
        }
        Rows::Owner if loaded.known.is_some() => Vec::new(),
        Rows::Owner => owner.map(|owner| (owner, Proof::Admin)).into_iter().collect(),
        Rows::Sender(sender) => {
            let sender = Some(*sender).filter(|sender| Some(*sender) != owner);
            let owner = owner.map(|owner| (owner, Proof::Admin));
            owner.into_iter().chain(sender.map(|sender| (sender, Proof::Member))).collect()
        }
    };
    let mut rows = Vec::new();
    for (account, proof) in accounts {
        if let Some(user) = table.user_of_identity(ProviderType::Github, &account.to_string()).await?
            && !loaded.users.contains(&user)
        {
            rows.push(RowWanted { user, proof, row: None });
        }
    }
    Ok(rows)
}

/// The list of repositories as it is now, if what is told changes it.
async fn repositories(
    service: &Service,
    told: &Told,
    before: Option<&KnownInstallation>,
    known: &KnownInstallation,
    now: i64,
    budget: &Budget,
) -> Result<Option<RepositoryList>, Tried> {
    if known.is_gone() || matches!(told.repositories, Repositories::Untold) {
        return Ok(None);
    }
    let older = match before {
        Some(before) => service.table.known_repositories(before).await?,
        None => None,
    };
    let at = match &told.what {
        What::News(news) => news.at.unwrap_or(known.changed_at),
        What::Gone | What::Ask => known.changed_at,
    };
    let mut list = older.clone().unwrap_or_default();
    match told.repositories.clone() {
        Repositories::Untold => {}
        Repositories::Whole(repositories) => list.note_whole(repositories, at),
        Repositories::Changed { added, removed } => {
            list.note(removed, false, at);
            list.note(added, true, at);
        }
        Repositories::Ask => match reach(service, told.installation_id, budget).await? {
            Some(repositories) => list = RepositoryList::answered(repositories, at),
            None => return Ok(None),
        },
    }
    if older.as_ref() == Some(&list) {
        return Ok(None);
    }
    list.forget_old_removals(now);
    Ok(Some(list))
}

/// All repositories of an installation, as GitHub answers to the App; none while it is suspended.
async fn reach(service: &Service, id: u64, budget: &Budget) -> Result<Option<Vec<NamedRepository>>, Failure> {
    let reach = service.github_app.installation_repositories(&service.github, id, budget).await?;
    Ok(match reach {
        InstallationReach::Repositories(reached) => Some(reached),
        InstallationReach::Suspended | InstallationReach::Gone => None,
    })
}

/// What was shown while GitHub is down must not show what was uninstalled.
async fn forget_answers(service: &Service, users: &[UserId], now: i64) -> Result<(), StoreError> {
    let owners: Vec<_> = users.iter().cloned().map(AnswerOwner::User).chain([AnswerOwner::App]).collect();
    let forgotten = owners
        .into_iter()
        .map(async |owner| service.table.forget_answers(&owner, ProviderType::Github, now).await);
    // One after the other, those of a few hundred users would take longer than GitHub waits.
    stream::iter(forgotten).buffer_unordered(FORGOTTEN_AT_ONCE).try_collect().await
}
