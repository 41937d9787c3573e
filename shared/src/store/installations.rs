//! What is known of each installation: `INSTALLATION#<id>` / `INSTALLATION`, beside it one pointer for each
//! user who has a row. Which news is newer is `github_app::mapping`'s business; here it is written whole.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::deliveries::DeliveryRecord;
use super::identities::UserId;
use super::installation_repositories::{self as repositories, RepositoriesAt, RepositoryList};
use super::mapping::{self, InstallationFacts, MappingRow, Proof};
use super::table::{Key, Only, StoreError, TRANSACTION, Table, Write, from_item, number};

/// The index's partition that holds every installation that is not gone.
const ALL: &str = "INSTALLATIONS";
/// The partition that marks installations about which GitHub has to be asked.
const UNSURE: &str = "UNSURE";
const ITEM: &str = "INSTALLATION";
const POINTER: &str = "INSTALLATION#USER#";
/// How long an installation that is gone is remembered as gone: longer than any delivery can be late
/// (GitHub redelivers for three days, an enterprise server for seven; reference: GitHub 2.2).
const TOMBSTONE_SECONDS: i64 = 90 * 24 * 3600;

/// How much the kind of news weighs among news of the same second (reference: GitHub 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// Anything else.
    Other,
    /// Suspended or not any more, and what GitHub answered when it was asked.
    Suspension,
}

/// What is known of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInstallation {
    /// GitHub's id.
    pub installation_id: u64,
    /// What the users' rows repeat.
    #[serde(flatten)]
    pub facts: InstallationFacts,
    /// GitHub's `updated_at` of what is known, in Unix seconds.
    pub changed_at: i64,
    /// What told it last.
    pub rank: Rank,
    /// Counts every change of this item; all that is written beside it is written under it.
    pub version: i64,
    /// The version that all users' rows say; less than `version` while they are being written.
    pub rows_at: i64,
    /// What was told contradicts itself, and GitHub could not be asked yet: reconciliation asks.
    #[serde(default)]
    pub unsure: bool,
    /// The `id` of the row that was added last while nothing else changed: adding a row does not count as a
    /// change, but a change that has not seen the row is not written.
    #[serde(default)]
    pub joined: Option<i64>,
    /// Where its repositories are listed; none before any were told.
    pub repositories: Option<RepositoriesAt>,
    /// When it was found to be gone, in Unix seconds: final, because ids are never used again.
    pub deleted_at: Option<i64>,
    /// TTL of the table, for one that is gone.
    pub expires_at: Option<i64>,
}

impl KnownInstallation {
    /// One of which nothing was known.
    #[must_use]
    pub const fn new(installation_id: u64, facts: InstallationFacts, changed_at: i64, rank: Rank) -> Self {
        Self {
            installation_id,
            facts,
            changed_at,
            rank,
            version: 0,
            rows_at: 0,
            unsure: false,
            joined: None,
            repositories: None,
            deleted_at: None,
            expires_at: None,
        }
    }

    /// The same, gone. Only that it was there is kept.
    #[must_use]
    pub fn gone(self, now: i64) -> Self {
        Self {
            facts: InstallationFacts::default(),
            unsure: false,
            repositories: None,
            deleted_at: Some(now),
            expires_at: Some(now + TOMBSTONE_SECONDS),
            ..self
        }
    }

    /// Whether GitHub has to be asked about it or about its repositories.
    #[must_use]
    pub fn is_to_be_asked_for(&self) -> bool {
        self.unsure || self.repositories.as_ref().is_some_and(|at| at.unsure)
    }

    /// Whether it is gone.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.deleted_at.is_some()
    }
}

/// An installation and the users who have a row for it, as read at one moment.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What is known; none if nothing is.
    pub known: Option<KnownInstallation>,
    /// Whose rows there are.
    pub users: Vec<UserId>,
}

impl Loaded {
    fn version(&self) -> i64 {
        self.known.as_ref().map_or(0, |known| known.version)
    }

    /// Neither the installation nor the users who have a row have changed since this was read.
    fn unchanged(&self) -> Only {
        let Some(known) = &self.known else { return Only::IfAbsent };
        Only::IfAllEqual(vec![("version", Some(number(known.version))), ("joined", known.joined.map(number))])
    }

    /// Whether an earlier change did not reach all rows: its process ended in the middle.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.rows_at < known.version)
            // Of one that is gone no pointer is left when all is done.
            || self.known.as_ref().is_some_and(KnownInstallation::is_gone) && !self.users.is_empty()
    }
}

/// A row that a user gets, or that is proved better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWanted {
    /// The user.
    pub user: UserId,
    /// What is proved.
    pub proof: Proof,
    /// The row, if the user has one.
    pub row: Option<MappingRow>,
}

/// All that becomes of an installation at once.
#[derive(Clone, Debug)]
pub struct InstallationChange {
    /// What it was; if it is not that any more when this is written, nothing is.
    pub loaded: Loaded,
    /// What it is now.
    pub known: KnownInstallation,
    /// Rows that are to be there.
    pub rows: Vec<RowWanted>,
    /// Its repositories, if they have changed.
    pub repositories: Option<RepositoryList>,
    /// The delivery that told it.
    pub delivery: Option<DeliveryRecord>,
}

#[derive(Serialize)]
struct Stored<'a> {
    #[serde(flatten)]
    known: &'a KnownInstallation,
    gsi1pk: Option<&'static str>,
    gsi1sk: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) user_id: UserId,
}

pub(super) fn partition(id: u64) -> String {
    format!("INSTALLATION#{id}")
}

fn key(id: u64) -> Key {
    Key::new(partition(id), ITEM)
}

pub(super) fn pointer_key(id: u64, user: &UserId) -> Key {
    Key::new(partition(id), format!("{POINTER}{user}"))
}

/// Notes that a user has a row.
fn point(id: u64, user: &UserId) -> Result<Write, StoreError> {
    Write::put(&pointer_key(id, user), &Pointer { user_id: user.clone() }, Only::Always)
}

fn put(known: &KnownInstallation, only: Only) -> Result<Write, StoreError> {
    // One that is gone leaves the index, when no row is left of it: what the index holds is what GitHub
    // should have, and what is still to be done.
    let listed = !known.is_gone() || known.rows_at < known.version;
    let stored = Stored {
        known,
        gsi1pk: listed.then_some(ALL),
        gsi1sk: listed.then(|| format!("{:020}", known.installation_id)),
    };
    Write::put(&key(known.installation_id), &stored, only)
}

#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) installation_id: u64,
}

/// What has to be written so that the mark of an installation tells whether GitHub has to be asked about it.
fn mark(before: Option<&KnownInstallation>, known: &KnownInstallation) -> Result<Option<Write>, StoreError> {
    let key = || Key::new(UNSURE, format!("{:020}", known.installation_id));
    match (before.is_some_and(KnownInstallation::is_to_be_asked_for), known.is_to_be_asked_for()) {
        (false, true) => {
            Write::put(&key(), &Mark { installation_id: known.installation_id }, Only::Always).map(Some)
        }
        (true, false) => Ok(Some(Write::Delete(key(), Only::Always))),
        _ => Ok(None),
    }
}

fn still(version: i64) -> Only {
    Only::IfEquals("version", number(version))
}

/// Adds as many writes as a transaction still holds, and gives the others.
fn fill(transaction: &mut Vec<Write>, mut writes: Vec<Write>) -> Vec<Write> {
    let others = writes.split_off(writes.len().min(TRANSACTION - transaction.len()));
    transaction.extend(writes);
    others
}

/// Tells those who are about to change the installation that there is a row more.
fn join(id: u64, version: i64, row: i64) -> Write {
    Write::Update(key(id), vec![("joined", Some(number(row)))], still(version))
}

impl Table {
    /// What is known of an installation, and who has a row for it (strongly consistent).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn installation(&self, id: u64) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for item in self.query_items(&partition(id), ITEM).await? {
            if item.get("sk").and_then(|sk| sk.as_s().ok()).is_some_and(|sk| sk == ITEM) {
                loaded.known = Some(from_item(item)?);
            } else {
                loaded.users.push(from_item::<Pointer>(item)?.user_id);
            }
        }
        Ok(loaded)
    }

    /// What is known of several installations; those of which nothing is known are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_installations(&self, ids: &[u64]) -> Result<Vec<KnownInstallation>, StoreError> {
        let distinct: HashSet<u64> = ids.iter().copied().collect();
        self.get_many(&distinct.into_iter().map(key).collect::<Vec<_>>()).await
    }

    /// All installations that are not gone, by the index, which follows within moments.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn all_installations(&self) -> Result<Vec<KnownInstallation>, StoreError> {
        self.query_index(ALL).await
    }

    /// The installations about which, or about whose repositories, GitHub has to be asked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsure_installations(&self) -> Result<Vec<u64>, StoreError> {
        let marks: Vec<Mark> = self.query(UNSURE, "").await?;
        Ok(marks.into_iter().map(|mark| mark.installation_id).collect())
    }

    /// How many installations are not gone, by the index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_installations(&self) -> Result<u64, StoreError> {
        self.count_index(ALL).await
    }

    /// The repositories of an installation as far as they were told; none before any were.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if they were replaced while they were read.
    pub async fn known_repositories(
        &self,
        known: &KnownInstallation,
    ) -> Result<Option<RepositoryList>, StoreError> {
        match &known.repositories {
            None => Ok(None),
            Some(at) => repositories::read(self, known.installation_id, at).await.map(Some),
        }
    }

    /// Writes a change: the installation, all users' rows, its repositories and the delivery's record in one
    /// transaction. Where that is too much for one, the installation comes first, then the rows in
    /// batches that the same call does again without harm, and the record last. Gives the rows written.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the installation has changed since it was loaded, or a user has removed
    /// a row: load again and decide again.
    pub async fn change_installation(
        &self,
        change: InstallationChange,
        now: i64,
    ) -> Result<usize, StoreError> {
        let InstallationChange { loaded, mut known, rows, repositories, delivery } = change;
        let id = known.installation_id;
        let before = loaded.version();
        known.version = before + 1;
        let older = loaded.known.as_ref();
        let rows_say_it = !loaded.is_unfinished() && older.is_some_and(|older| older.facts == known.facts);

        let (mut row_writes, added) = self.row_writes(&loaded, &known, rows, rows_say_it, now).await?;
        let written = row_writes.len();
        let mut head = Vec::new();
        if let Some(list) = repositories {
            let (at, chunks) = repositories::chunks(&known, &list)?;
            known.repositories = Some(at);
            if repositories::fit_a_transaction(&chunks) {
                head.extend(chunks);
            } else {
                // Under a number that nothing points to yet: seen by nobody until the change is.
                for chunk in chunks {
                    self.write(chunk).await?;
                }
            }
        }
        head.extend(mark(older, &known)?);
        let replaced = older
            .and_then(|older| older.repositories.as_ref())
            .filter(|at| known.repositories.as_ref() != Some(*at));
        let leftovers = replaced.map(|at| repositories::deletions(id, at)).unwrap_or_default();
        let nothing_new = older.is_some_and(|older| {
            KnownInstallation { version: older.version, rows_at: older.rows_at, ..known.clone() } == *older
        });
        let record = delivery.map(|delivery| delivery.write()).transpose()?;
        let rows_and_record = row_writes.iter().map(Vec::len).sum::<usize>() + usize::from(record.is_some());

        let guard = |version| match added {
            Some(row) => join(id, version, row),
            None => Write::Check(key(id), still(version)),
        };

        if head.len() + 1 + rows_and_record <= TRANSACTION {
            known.rows_at = known.version;
            // An installation about which nothing is new is only guarded, not written.
            let guarded = nothing_new && !loaded.is_unfinished();
            head.push(if guarded { guard(before) } else { put(&known, loaded.unchanged())? });
            head.extend(row_writes.into_iter().flatten());
            head.extend(record);
            let later = fill(&mut head, leftovers);
            self.transact(head).await?;
            return self.delete_all(&later).await.map(|()| written);
        }

        let mut later = Vec::new();
        if nothing_new && head.is_empty() && added.is_none() {
            // Where another one ended, or is still at it: both write the same, and neither starts the other anew.
            known.version = before;
        } else {
            known.rows_at = older.map_or(0, |older| older.rows_at);
            head.push(put(&known, loaded.unchanged())?);
            later = fill(&mut head, leftovers);
            self.transact(head).await?;
        }
        while !row_writes.is_empty() {
            let mut batch = vec![guard(known.version)];
            while let Some(next) = row_writes.last()
                && batch.len() + next.len() <= TRANSACTION
            {
                batch.extend(row_writes.pop().unwrap_or_default());
            }
            self.transact(batch).await?;
        }
        let mut done = vec![("rows_at", Some(number(known.version)))];
        if known.is_gone() {
            done.extend([("gsi1pk", None), ("gsi1sk", None)]);
        }
        let mut tail = vec![Write::Update(key(id), done, still(known.version))];
        tail.extend(record);
        self.transact(tail).await?;
        self.delete_all(&later).await.map(|()| written)
    }

    /// What each row takes: all its writes belong into one transaction. And the `id` of the last new row.
    async fn row_writes(
        &self,
        loaded: &Loaded,
        known: &KnownInstallation,
        wanted: Vec<RowWanted>,
        rows_say_it: bool,
        now: i64,
    ) -> Result<(Vec<Vec<Write>>, Option<i64>), StoreError> {
        let id = known.installation_id;
        if known.is_gone() {
            let gone = |user| {
                vec![
                    Write::Delete(mapping::key(user, id), Only::Always),
                    Write::Delete(pointer_key(id, user), Only::Always),
                ]
            };
            return Ok((loaded.users.iter().map(gone).collect(), None));
        }
        let mut writes = Vec::new();
        let mut wanted_users = HashSet::new();
        let pointed: HashSet<&UserId> = loaded.users.iter().collect();
        let wanted: Vec<RowWanted> = wanted
            .into_iter()
            // Without the row at hand an existing one is only told what all are told.
            .filter(|wanted| wanted.row.is_some() || !pointed.contains(&wanted.user))
            .filter(|wanted| wanted_users.insert(wanted.user.clone()))
            .collect();
        let fresh = wanted.iter().filter(|wanted| wanted.row.is_none()).count();
        let mut next_id = if fresh == 0 { 0 } else { self.next_integers("MAPPING", fresh).await? };
        for RowWanted { user, proof, row } in wanted {
            let write = match &row {
                Some(row) => {
                    row.saying(&known.facts, proof, now).map(|changed| mapping::replace(row, &changed))
                }
                None => {
                    next_id += 1;
                    Some(mapping::create(&MappingRow::new(next_id - 1, &user, id, &known.facts, proof, now)))
                }
            };
            let Some(write) = write.transpose()? else { continue };
            writes.push(vec![write, point(id, &user)?]);
        }
        if !rows_say_it {
            let others = loaded.users.iter().filter(|user| !wanted_users.contains(user));
            writes.extend(others.map(|user| {
                let mut changes = known.facts.changes();
                changes.push(("updated_at", Some(number(now))));
                // A row that its user has removed meanwhile is not made again.
                vec![Write::Update(mapping::key(user, id), changes, Only::IfPresent)]
            }));
        }
        Ok((writes, (fresh > 0).then(|| next_id - 1)))
    }

    /// New rows of one user for several installations that nobody else is concerned by: either nothing was
    /// known of them, or what is known is what the row will say. All in as few transactions as they take.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of them is not so any more: each is then tried by itself.
    pub async fn add_rows(
        &self,
        user: &UserId,
        rows: &[(KnownInstallation, Proof)],
        now: i64,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut next_id = self.next_integers("MAPPING", rows.len()).await?;
        for some in rows.chunks(TRANSACTION / 3) {
            let mut writes = Vec::with_capacity(some.len() * 3);
            for (known, proof) in some {
                let id = known.installation_id;
                writes.push(if known.version == 0 {
                    put(&KnownInstallation { version: 1, rows_at: 1, ..known.clone() }, Only::IfAbsent)?
                } else {
                    join(id, known.version, next_id)
                });
                let row = MappingRow::new(next_id, user, id, &known.facts, *proof, now);
                writes.extend([mapping::create(&row)?, point(id, user)?]);
                next_id += 1;
            }
            self.transact(writes).await?;
        }
        Ok(())
    }

    async fn delete_all(&self, writes: &[Write]) -> Result<(), StoreError> {
        for some in writes.chunks(TRANSACTION) {
            self.transact(some.to_vec()).await?;
        }
        Ok(())
    }
}
