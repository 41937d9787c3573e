//! What a user's own token shows becomes that user's rows: added and updated, never removed, because lists
//! shrink for other reasons than uninstalling too (reference: GitHub 1.1).

use std::collections::{HashMap, HashSet};

use super::{News, Outcome, Repositories, Rows, Source, Told, USER, Verdict, What, decide, tell};
use crate::failure::Failure;
use crate::provider::ProviderType;
use crate::provider::github::Installation;
use crate::provider::upstream::Budget;
use crate::service::Service;
use crate::store::{AnswerOwner, KnownInstallation, MappingRow, Proof, StoreError, UserId};

/// An installation that a user's token has shown, and what that proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// How it is.
    pub news: News,
    /// What it proves; a better proof that the row has already stays.
    pub proof: Proof,
}

impl Shown {
    /// The account being the user's own proves administration; anything else proves association only, which
    /// read-only members have too (reference: GitHub 5.2).
    #[must_use]
    pub fn new(installation: &Installation, own_account: Option<u64>) -> Self {
        let news = News::of(installation, Source::Listing);
        let own = own_account.is_some()
            && news.facts.account_id == own_account
            && installation.account_type() == Some(USER);
        Self { news, proof: if own { Proof::Admin } else { Proof::Member } }
    }

    /// Those of a list that are our App's: a token that an enterprise SSO holds may be another App's, and shows its.
    #[must_use]
    pub fn of_our_app(installations: &[Installation], app_id: u64, own_account: Option<u64>) -> Vec<Self> {
        let ours = |shown: &&Installation| shown.app_id.is_none_or(|id| id == app_id);
        installations.iter().filter(ours).map(|shown| Self::new(shown, own_account)).collect()
    }
}

/// Adds and updates a user's rows so that they say what the user's token has shown. What is shown unchanged
/// costs one read of the table and no write. Gives the number of rows written, the other users' of an
/// installation that has changed among them.
///
/// # Errors
/// [`Failure`] when the table fails; what was written before it stays written, and the same call again goes on.
pub async fn note_shown(
    service: &Service,
    user: &UserId,
    shown: &[Shown],
    budget: &Budget,
) -> Result<usize, Failure> {
    let table = &service.table;
    let now = service.clock.unix();
    let rows = table.mapping_of(user).await?;
    let rows: HashMap<u64, &MappingRow> = rows.iter().map(|row| (row.installation_id, row)).collect();
    let mut seen = HashSet::new();
    let different: Vec<&Shown> = shown
        .iter()
        .filter(|shown| seen.insert(shown.news.installation_id))
        .filter(|shown| {
            let row = rows.get(&shown.news.installation_id);
            row.is_none_or(|row| {
                row.saying(&shown.news.facts.clone().over(&row.facts), shown.proof, now).is_some()
            })
        })
        .collect();
    if different.is_empty() {
        return Ok(0);
    }
    let ids: Vec<u64> = different.iter().map(|shown| shown.news.installation_id).collect();
    let known: HashMap<u64, KnownInstallation> = table
        .known_installations(&ids)
        .await?
        .into_iter()
        .map(|known| (known.installation_id, known))
        .collect();

    if known.values().any(KnownInstallation::is_gone) {
        // GitHub's replica lags: this very answer must not be served again either.
        table.forget_answers(&AnswerOwner::User(user.clone()), ProviderType::Github, now).await?;
    }

    // Most often everything is new or known just so: then it takes few transactions.
    let (mut simple, mut others) = (Vec::new(), Vec::new());
    for shown in different {
        let id = shown.news.installation_id;
        match simple_row(rows.contains_key(&id), known.get(&id), shown, now) {
            Some(known) => simple.push((shown, (known, shown.proof))),
            None => others.push(shown),
        }
    }
    let new_rows: Vec<_> = simple.iter().map(|(_, row)| row.clone()).collect();
    let mut written = match table.add_rows(user, &new_rows, now).await {
        Ok(()) => new_rows.len(),
        Err(StoreError::Conflict) => {
            others.extend(simple.iter().map(|(shown, _)| *shown));
            0
        }
        Err(error) => return Err(error.into()),
    };
    for shown in others {
        let told = Told {
            installation_id: shown.news.installation_id,
            what: What::News(shown.news.clone()),
            rows: Rows::Shown(user.clone(), shown.proof),
            repositories: Repositories::Untold,
            delivery: None,
        };
        if let Outcome::Changed { rows, .. } = tell(service, &told, budget).await? {
            written += rows;
        }
    }
    Ok(written)
}

/// What the user's new row will say, if nobody else's row is concerned.
fn simple_row(
    has_row: bool,
    known: Option<&KnownInstallation>,
    shown: &Shown,
    now: i64,
) -> Option<KnownInstallation> {
    if has_row {
        return None;
    }
    match (known, decide(known, &shown.news, now)) {
        (None, Verdict::Become { facts, at, rank }) => {
            Some(KnownInstallation::new(shown.news.installation_id, facts, at, rank))
        }
        (Some(known), Verdict::Nothing) if !known.is_gone() => Some(known.clone()),
        _ => None,
    }
}
