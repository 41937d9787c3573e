//! The mapping of users to GitHub App installations: `USER#<id>` / `MAPPING#<installation>`. Rows are made
//! and changed together with what is known of their installation, in `installations`.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::conflicts::Tries;
use super::identities::UserId;
use super::installations::pointer_key;
use super::kept_answers::AnswerOwner;
use super::table::{Changes, Key, Only, StoreError, Table, Write, number, text};
use crate::provider::ProviderType;

/// What a user's row repeats of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationFacts {
    /// GitHub's id of the account; none where GitHub gave no account.
    pub account_id: Option<u64>,
    /// Login or slug of the account.
    pub account_name: Option<String>,
    /// `User`, `Organization`, `Enterprise`.
    pub account_type: Option<String>,
    /// Picture of the account.
    pub account_avatar_url: Option<String>,
    /// `all` or `selected`.
    pub repository_selection: Option<String>,
    /// When it was suspended, in Unix seconds.
    pub suspended_at: Option<i64>,
}

impl InstallationFacts {
    /// These facts with what they do not tell taken from older ones: an account that GitHub does not show
    /// any more keeps its name. A suspension that is not told has ended.
    #[must_use]
    pub fn over(self, older: &Self) -> Self {
        Self {
            account_id: self.account_id.or(older.account_id),
            account_name: self.account_name.or_else(|| older.account_name.clone()),
            account_type: self.account_type.or_else(|| older.account_type.clone()),
            account_avatar_url: self.account_avatar_url.or_else(|| older.account_avatar_url.clone()),
            repository_selection: self.repository_selection.or_else(|| older.repository_selection.clone()),
            suspended_at: self.suspended_at,
        }
    }

    /// The facts as changes of an item that holds them.
    pub(super) fn changes(&self) -> Changes {
        let string = |value: &Option<String>| value.as_ref().map(text);
        let account_id = self.account_id.map(|id| AttributeValue::N(id.to_string()));
        vec![
            ("account_id", account_id),
            ("account_name", string(&self.account_name)),
            ("account_type", string(&self.account_type)),
            ("account_avatar_url", string(&self.account_avatar_url)),
            ("repository_selection", string(&self.repository_selection)),
            ("suspended_at", self.suspended_at.map(number)),
        ]
    }
}

/// How far a user's right to an installation is proved (reference: GitHub 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The user's own token shows the installation: association, not administration.
    Member,
    /// The account is the user's own, or the user is an active owner of the organisation.
    Admin,
}

/// A user's row for an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRow {
    /// Integer that never repeats.
    pub id: i64,
    /// The user.
    pub user_id: UserId,
    /// GitHub's id of the installation.
    pub installation_id: u64,
    /// What it says of the installation.
    #[serde(flatten)]
    pub facts: InstallationFacts,
    /// How far the user's right is proved.
    pub proof: Proof,
    /// When it was proved last, in Unix seconds.
    pub proved_at: i64,
    /// In Unix seconds.
    pub created_at: i64,
    /// Last change of what the row says, in Unix seconds.
    pub updated_at: i64,
}

pub(super) fn key(user: &UserId, installation: u64) -> Key {
    // Padded, so that rows come in the order of their numbers.
    Key::new(user.partition(), format!("MAPPING#{installation:020}"))
}

/// A row that is not there yet.
pub(super) fn create(row: &MappingRow) -> Result<Write, StoreError> {
    Write::put(&key(&row.user_id, row.installation_id), row, Only::IfAbsent)
}

/// A row in place of the one that was read.
pub(super) fn replace(row: &MappingRow, changed: &MappingRow) -> Result<Write, StoreError> {
    Write::put(&key(&row.user_id, row.installation_id), changed, unchanged(row))
}

/// The row is still what was read: a proof that was taken back meanwhile is not written again.
fn unchanged(row: &MappingRow) -> Only {
    Only::IfAllEqual(vec![
        ("id", Some(number(row.id))),
        ("proof", Some(text(row.proof.as_str()))),
        ("updated_at", Some(number(row.updated_at))),
    ])
}

impl Proof {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl MappingRow {
    /// A user's new row.
    pub(super) fn new(
        id: i64,
        user: &UserId,
        installation_id: u64,
        facts: &InstallationFacts,
        proof: Proof,
        now: i64,
    ) -> Self {
        let (user_id, facts) = (user.clone(), facts.clone());
        Self { id, user_id, installation_id, facts, proof, proved_at: now, created_at: now, updated_at: now }
    }

    /// The row as it says these facts and has this proof, if that is anything new; a better proof stays.
    #[must_use]
    pub fn saying(&self, facts: &InstallationFacts, proof: Proof, now: i64) -> Option<Self> {
        let changed = Self { facts: facts.clone(), proof: self.proof.max(proof), ..self.clone() };
        let proved_at = if proof > self.proof { now } else { self.proved_at };
        (changed != *self).then_some(Self { updated_at: now, proved_at, ..changed })
    }
}

impl Table {
    /// A user's rows, in the order of their installations.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mapping_of(&self, user: &UserId) -> Result<Vec<MappingRow>, StoreError> {
        self.query(&user.partition(), "MAPPING#").await
    }

    /// A user's row for an installation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mapping_row(
        &self,
        user: &UserId,
        installation: u64,
    ) -> Result<Option<MappingRow>, StoreError> {
        self.get(&key(user, installation)).await
    }

    /// Removes a user's row by its `id`, and the user's kept answers: an uninstall ends those of users who
    /// have a row. False when the user has no such row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_mapping_row(&self, user: &UserId, id: i64, now: i64) -> Result<bool, StoreError> {
        let mut forgotten = false;
        let mut tries = Tries::new();
        while tries.another().await {
            let rows = self.mapping_of(user).await?;
            // Gone after a try of ours: removed by it, whose answer was lost, or by another request.
            let Some(row) = rows.iter().find(|row| row.id == id) else { return Ok(forgotten) };
            if !forgotten {
                let owner = AnswerOwner::User(user.clone());
                self.forget_answers(&owner, ProviderType::Github, now).await?;
                forgotten = true;
            }
            let removal = vec![
                Write::Delete(key(user, row.installation_id), Only::IfEquals("id", number(id))),
                Write::Delete(pointer_key(row.installation_id, user), Only::Always),
            ];
            match self.transact(removal).await {
                Ok(()) => return Ok(true),
                // A webhook may be writing the same row at this very moment: then it is still there.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Takes back a proof of administration that no longer holds.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no such row.
    pub async fn set_proof(
        &self,
        user: &UserId,
        installation: u64,
        proof: Proof,
        now: i64,
    ) -> Result<(), StoreError> {
        let now = number(now);
        self.set(
            &key(user, installation),
            &[("proof", text(proof.as_str())), ("proved_at", now.clone()), ("updated_at", now)],
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::{InstallationFacts, MappingRow, Proof};

    fn row() -> MappingRow {
        MappingRow {
            id: 7,
            user_id: serde_json::from_str("\"usr_01ARZ3NDEKTSV4RRFFQ69G5FAV\"").unwrap(),
            installation_id: 5001,
            facts: InstallationFacts {
                account_id: Some(1001),
                account_name: Some("octo-org".to_owned()),
                account_type: Some("Organization".to_owned()),
                account_avatar_url: Some("https://avatars.example/u/1001".to_owned()),
                repository_selection: Some("all".to_owned()),
                suspended_at: None,
            },
            proof: Proof::Admin,
            proved_at: 100,
            created_at: 100,
            updated_at: 100,
        }
    }

    #[test]
    fn what_is_shown_again_changes_nothing_and_takes_no_better_proof_away() {
        assert_eq!(row().saying(&row().facts, Proof::Member, 200), None);
    }

    #[test]
    fn a_better_proof_is_noted() {
        let member = MappingRow { proof: Proof::Member, ..row() };
        let admin = member.saying(&row().facts, Proof::Admin, 200);
        assert_eq!(admin, Some(MappingRow { proved_at: 200, updated_at: 200, ..row() }));
    }

    #[test]
    fn a_change_is_dated_and_keeps_id_proof_and_beginning() {
        let facts = InstallationFacts { account_name: Some("octo-inc".to_owned()), ..row().facts };
        let changed = row().saying(&facts, Proof::Member, 200);
        assert_eq!(changed, Some(MappingRow { facts, updated_at: 200, ..row() }));
    }

    #[test]
    fn what_github_does_not_tell_any_more_stays_but_a_suspension_ends() {
        let older = InstallationFacts { suspended_at: Some(50), ..row().facts };
        assert_eq!(InstallationFacts::default().over(&older), row().facts);
    }
}
