//! The mapping of users to GitHub App installations: `USER#<id>` / `MAPPING#<installation>`, and by
//! installation through `gsi1`. What an installation is at GitHub is `provider::github`'s business.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::identities::UserId;
use super::table::{Key, Only, StoreError, TRANSACTION, Table, Write, number, text};

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
    /// How far the user's right is proved.
    pub proof: Proof,
    /// When it was proved last, in Unix seconds.
    pub proved_at: i64,
    /// In Unix seconds.
    pub created_at: i64,
    /// Last change of what the row says, in Unix seconds.
    pub updated_at: i64,
}

#[derive(Serialize)]
struct Stored<'a> {
    #[serde(flatten)]
    row: &'a MappingRow,
    gsi1pk: String,
    gsi1sk: String,
}

/// An installation as a user's token has shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// GitHub's id of the installation.
    pub installation_id: u64,
    /// GitHub's id of the account.
    pub account_id: Option<u64>,
    /// Login or slug of the account.
    pub account_name: Option<String>,
    /// Kind of account.
    pub account_type: Option<String>,
    /// Picture of the account.
    pub account_avatar_url: Option<String>,
    /// `all` or `selected`.
    pub repository_selection: Option<String>,
    /// When it was suspended, in Unix seconds.
    pub suspended_at: Option<i64>,
    /// What this observation proves; a better proof that the row has already stays.
    pub proof: Proof,
}

fn key(user: &UserId, installation: u64) -> Key {
    // Padded, so that rows come in the order of their numbers.
    Key::new(user.partition(), format!("MAPPING#{installation:020}"))
}

fn put(row: &MappingRow, only: Only) -> Result<Write, StoreError> {
    let stored = Stored {
        row,
        gsi1pk: format!("INSTALLATION#{}", row.installation_id),
        gsi1sk: row.user_id.partition(),
    };
    Write::put(&key(&row.user_id, row.installation_id), &stored, only)
}

/// The row is still what was read: a proof that was taken back meanwhile is not written again.
fn unchanged(row: &MappingRow) -> Only {
    Only::IfAllEqual(vec![
        ("id", number(row.id)),
        ("proof", text(row.proof.as_str())),
        ("updated_at", number(row.updated_at)),
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
    fn observed(&self, observed: &Observed, now: i64) -> Self {
        let changed = Self {
            account_id: observed.account_id.or(self.account_id),
            account_name: observed.account_name.clone().or_else(|| self.account_name.clone()),
            account_type: observed.account_type.clone().or_else(|| self.account_type.clone()),
            account_avatar_url: observed
                .account_avatar_url
                .clone()
                .or_else(|| self.account_avatar_url.clone()),
            repository_selection: observed
                .repository_selection
                .clone()
                .or_else(|| self.repository_selection.clone()),
            suspended_at: observed.suspended_at,
            proof: self.proof.max(observed.proof),
            ..self.clone()
        };
        if changed == *self { changed } else { Self { updated_at: now, proved_at: now, ..changed } }
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

    /// Adds and updates rows so that they say what the user's token has shown; a row that was not shown
    /// stays: single sign-on that lapsed hides installations too (reference: GitHub 1.1). An unchanged
    /// row costs no write. Gives the number of rows written.
    ///
    /// # Errors
    /// [`StoreError`]; what was written before it stays written, and the same call again goes on.
    pub async fn repair_mapping(
        &self,
        user: &UserId,
        observed: &[Observed],
        now: i64,
    ) -> Result<usize, StoreError> {
        let mut written = 0;
        // Two requests of the same user may repair at once: who comes second reads again.
        for _ in 0..3 {
            match self.repair_once(user, observed, now).await {
                Ok(count) => return Ok(written + count),
                Err((count, StoreError::Conflict)) => written += count,
                Err((_, error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn repair_once(
        &self,
        user: &UserId,
        observed: &[Observed],
        now: i64,
    ) -> Result<usize, (usize, StoreError)> {
        let rows = self.mapping_of(user).await.map_err(|error| (0, error))?;
        let known: HashMap<u64, &MappingRow> = rows.iter().map(|row| (row.installation_id, row)).collect();
        let mut seen = HashSet::new();
        let observed: Vec<&Observed> =
            observed.iter().filter(|observed| seen.insert(observed.installation_id)).collect();
        let fresh = observed.iter().filter(|observed| !known.contains_key(&observed.installation_id)).count();
        let mut next_id = if fresh == 0 {
            0
        } else {
            self.next_integers("MAPPING", fresh).await.map_err(|error| (0, error))?
        };
        let mut writes = Vec::new();
        for observed in observed {
            let write = if let Some(row) = known.get(&observed.installation_id) {
                let changed = row.observed(observed, now);
                if changed == **row {
                    continue;
                }
                put(&changed, unchanged(row))
            } else {
                let row = MappingRow {
                    id: next_id,
                    user_id: user.clone(),
                    installation_id: observed.installation_id,
                    account_id: observed.account_id,
                    account_name: observed.account_name.clone(),
                    account_type: observed.account_type.clone(),
                    account_avatar_url: observed.account_avatar_url.clone(),
                    repository_selection: observed.repository_selection.clone(),
                    suspended_at: observed.suspended_at,
                    proof: observed.proof,
                    proved_at: now,
                    created_at: now,
                    updated_at: now,
                };
                next_id += 1;
                put(&row, Only::IfAbsent)
            };
            writes.push(write.map_err(|error| (0, error))?);
        }
        let mut written = 0;
        for batch in writes.chunks(TRANSACTION) {
            self.transact(batch.to_vec()).await.map_err(|error| (written, error))?;
            written += batch.len();
        }
        Ok(written)
    }

    /// Removes a user's row by its `id`; false when the user has no such row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_mapping_row(&self, user: &UserId, id: i64) -> Result<bool, StoreError> {
        let rows = self.mapping_of(user).await?;
        let Some(row) = rows.iter().find(|row| row.id == id) else { return Ok(false) };
        let same_row = Only::IfEquals("id", number(id));
        match self.write(Write::Delete(key(user, row.installation_id), same_row)).await {
            // Removed by another request at this very moment, or by this one, whose answer was lost.
            Ok(()) | Err(StoreError::Conflict) => Ok(true),
            Err(error) => Err(error),
        }
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
    use super::{MappingRow, Observed, Proof};

    fn row() -> MappingRow {
        MappingRow {
            id: 7,
            user_id: serde_json::from_str("\"usr_01ARZ3NDEKTSV4RRFFQ69G5FAV\"").unwrap(),
            installation_id: 5001,
            account_id: Some(1001),
            account_name: Some("octo-org".to_owned()),
            account_type: Some("Organization".to_owned()),
            account_avatar_url: Some("https://avatars.example/u/1001".to_owned()),
            repository_selection: Some("all".to_owned()),
            suspended_at: None,
            proof: Proof::Admin,
            proved_at: 100,
            created_at: 100,
            updated_at: 100,
        }
    }

    fn shown() -> Observed {
        let row = row();
        Observed {
            installation_id: row.installation_id,
            account_id: row.account_id,
            account_name: row.account_name,
            account_type: row.account_type,
            account_avatar_url: row.account_avatar_url,
            repository_selection: row.repository_selection,
            suspended_at: row.suspended_at,
            proof: Proof::Member,
        }
    }

    #[test]
    fn what_is_shown_again_changes_nothing_and_takes_no_better_proof_away() {
        assert_eq!(row().observed(&shown(), 200), row());
    }

    #[test]
    fn a_better_proof_is_noted() {
        let member = MappingRow { proof: Proof::Member, ..row() };
        let admin = member.observed(&Observed { proof: Proof::Admin, ..shown() }, 200);
        assert_eq!(admin, MappingRow { proved_at: 200, updated_at: 200, ..row() });
    }

    #[test]
    fn a_change_is_dated_and_keeps_id_and_beginning() {
        let renamed = Observed { account_name: Some("octo-inc".to_owned()), ..shown() };
        let row = row().observed(&renamed, 200);
        assert_eq!(row.account_name.as_deref(), Some("octo-inc"));
        assert_eq!((row.id, row.created_at, row.updated_at), (7, 100, 200));
    }

    #[test]
    fn what_github_does_not_tell_any_more_stays_but_a_suspension_ends() {
        let bare = Observed {
            account_id: None,
            account_name: None,
            account_type: None,
            account_avatar_url: None,
            repository_selection: None,
            ..shown()
        };
        let suspended = MappingRow { suspended_at: Some(50), ..row() };
        let row = suspended.observed(&bare, 200);
        assert_eq!(row.account_name.as_deref(), Some("octo-org"));
        assert_eq!(row.repository_selection.as_deref(), Some("all"));
        assert_eq!((row.suspended_at, row.updated_at), (None, 200));
    }
}
