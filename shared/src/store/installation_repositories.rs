//! The repositories of an installation as webhooks told them: one compressed list, cut into chunks that
//! stand under the version of the installation that points to them. Never shown without being proved.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Deserializer, Serialize};

use super::installations::{KnownInstallation, partition};
use super::table::{Key, Only, StoreError, Table, Write};
use crate::clock::{NoEntropy, random};

/// An item holds 400 KB; the rest is room for its names.
const CHUNK: usize = 350_000;
/// A transaction holds 4 MB, and the installation's own rows are in it too.
const IN_A_TRANSACTION: usize = 2_000_000 / CHUNK;
/// How long it is remembered that a repository was removed: no delivery comes later (reference: GitHub 2.2).
const REMOVAL_REMEMBERED_SECONDS: i64 = 30 * 24 * 3600;

/// Where a list stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoriesAt {
    /// What its chunks were written under: the version of the installation, or for a list that does not fit
    /// into its transaction a number of its own, so that no other writer's chunks are ever among them.
    pub version: i64,
    /// How many there are.
    pub chunks: u32,
    /// Whether the list is unsure.
    pub unsure: bool,
}

/// A repository as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRepository {
    /// `owner/name`.
    #[serde(rename = "n")]
    pub full_name: String,
    /// Not visible to everybody.
    #[serde(rename = "p")]
    pub private: bool,
    /// GitHub's `updated_at` of the installation in what told it, in Unix seconds.
    #[serde(rename = "a")]
    pub at: i64,
    /// It is reached; else it was removed, which is remembered for a while because what added it may be late.
    #[serde(rename = "r")]
    pub reached: bool,
}

/// The repositories of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryList {
    /// By number.
    pub by_id: BTreeMap<u64, KnownRepository>,
    /// Whether a whole list was ever told; else these are only those that were added or removed since.
    pub whole: bool,
    /// Two events of the same second contradicted each other: only GitHub knows, and is asked when
    /// the mapping is reconciled.
    pub unsure: bool,
}

/// A repository as GitHub's events and answers name it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NamedRepository {
    /// Number.
    pub id: u64,
    /// `owner/name`.
    pub full_name: String,
    /// Not visible to everybody. Unknown is private: never shown as open to everybody by mistake.
    #[serde(default = "unknown", deserialize_with = "unless_open")]
    pub private: bool,
}

const fn unknown() -> bool {
    true
}

fn unless_open<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(deserializer).map(|private| private != Some(false))
}

impl RepositoryList {
    /// Notes repositories as reached or not, as of `at`. Older news changes nothing; of the same second the
    /// one that comes last is believed, and the list is unsure if it contradicts.
    pub fn note(&mut self, repositories: impl IntoIterator<Item = NamedRepository>, reached: bool, at: i64) {
        for repository in repositories {
            let known =
                KnownRepository { full_name: repository.full_name, private: repository.private, at, reached };
            match self.by_id.get(&repository.id) {
                Some(older) if older.at > at => continue,
                Some(same) if same.at == at && same.reached != reached => self.unsure = true,
                _ => {}
            }
            self.by_id.insert(repository.id, known);
        }
    }

    /// Notes a whole list as of `at`: what it does not name and nothing newer told is not reached.
    pub fn note_whole(&mut self, repositories: Vec<NamedRepository>, at: i64) {
        let named: std::collections::HashSet<u64> = repositories.iter().map(|one| one.id).collect();
        for (id, known) in &mut self.by_id {
            if !named.contains(id) && known.reached && known.at < at {
                (known.reached, known.at) = (false, at);
            }
        }
        // A list says what is there; what was removed in the same second is told apart by nothing.
        let contradicted = |one: &NamedRepository| {
            self.by_id.get(&one.id).is_some_and(|known| known.at == at && !known.reached)
        };
        let (unclear, clear): (Vec<_>, Vec<_>) = repositories.into_iter().partition(contradicted);
        self.unsure |= !unclear.is_empty();
        self.note(clear, true, at);
        self.whole = true;
    }

    /// What GitHub answered when it was asked for all of them: nothing is unsure any more.
    #[must_use]
    pub fn answered(repositories: Vec<NamedRepository>, at: i64) -> Self {
        let mut list = Self { whole: true, ..Self::default() };
        list.note(repositories, true, at);
        list
    }

    /// The list whose chunks, one after another, are these bytes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when they are no list.
    pub fn unpacked(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut text = Vec::new();
        ZlibDecoder::new(bytes).read_to_end(&mut text).map_err(|error| damaged(&error))?;
        serde_json::from_slice(&text).map_err(|error| damaged(&error.into()))
    }

    /// Those that are reached, by number.
    pub fn reached(&self) -> impl Iterator<Item = (u64, &KnownRepository)> {
        self.by_id.iter().filter(|(_, known)| known.reached).map(|(id, known)| (*id, known))
    }

    /// Forgets removals that nothing late can contradict any more.
    pub fn forget_old_removals(&mut self, now: i64) {
        self.by_id.retain(|_, known| known.reached || known.at > now - REMOVAL_REMEMBERED_SECONDS);
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Chunk {
    #[serde(with = "serde_bytes")]
    pub(super) bytes: Vec<u8>,
}

fn prefix(version: i64) -> String {
    format!("REPOSITORIES#{version}#")
}

fn key(installation: u64, version: i64, number: u32) -> Key {
    Key::new(partition(installation), format!("{}{number:04}", prefix(version)))
}

/// The list as chunks under the version of `known`, and where that is.
pub(super) fn chunks(
    known: &KnownInstallation,
    list: &RepositoryList,
) -> Result<(RepositoriesAt, Vec<Write>), StoreError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Token by token the encoder would take most of the time.
    let encoded = serde_json::to_vec(list)
        .map_err(std::io::Error::from)
        .and_then(|text| encoder.write_all(&text))
        .and_then(|()| encoder.finish())
        .map_err(|error| damaged(&error))?;
    let version = if encoded.len() > IN_A_TRANSACTION * CHUNK { number_of_its_own()? } else { known.version };
    let mut writes = Vec::new();
    let mut count = 0;
    for bytes in encoded.chunks(CHUNK) {
        let chunk = Chunk { bytes: bytes.to_vec() };
        writes.push(Write::put(&key(known.installation_id, version, count), &chunk, Only::Always)?);
        count += 1;
    }
    Ok((RepositoriesAt { version, chunks: count, unsure: list.unsure }, writes))
}

fn number_of_its_own() -> Result<i64, StoreError> {
    let unavailable =
        |error: NoEntropy| StoreError::Unavailable { operation: "PutItem", reason: error.to_string() };
    random().map(|bytes| i64::from_le_bytes(bytes) & i64::MAX).map_err(unavailable)
}

/// Whether the chunks can be written together with everything else.
pub(super) const fn fit_a_transaction(chunks: &[Write]) -> bool {
    chunks.len() <= IN_A_TRANSACTION
}

/// What removes a list that nothing points to any more.
pub(super) fn deletions(installation: u64, at: &RepositoriesAt) -> Vec<Write> {
    (0..at.chunks).map(|number| Write::Delete(key(installation, at.version, number), Only::Always)).collect()
}

pub(super) async fn read(
    table: &Table,
    installation: u64,
    at: &RepositoriesAt,
) -> Result<RepositoryList, StoreError> {
    let chunks: Vec<Chunk> = table.query(&partition(installation), &prefix(at.version)).await?;
    // Replaced since the installation was read: it points elsewhere now.
    if chunks.len() != at.chunks as usize {
        return Err(StoreError::Conflict);
    }
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.bytes).collect();
    RepositoryList::unpacked(&bytes)
}

fn damaged(error: &std::io::Error) -> StoreError {
    StoreError::Damaged { kind: "REPOSITORIES".to_owned(), reason: error.kind().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: u64) -> NamedRepository {
        NamedRepository { id, full_name: format!("octo/{id}"), private: false }
    }

    fn reached(list: &RepositoryList) -> Vec<u64> {
        list.reached().map(|(id, _)| id).collect()
    }

    #[test]
    fn what_comes_late_does_not_undo_what_is_newer() {
        let mut list = RepositoryList::default();
        list.note([named(1)], false, 20);
        list.note([named(1), named(2)], true, 10);
        assert_eq!((reached(&list), list.unsure, list.whole), (vec![2], false, false));
        list.note_whole(vec![named(1), named(3)], 15);
        assert_eq!((reached(&list), list.unsure, list.whole), (vec![3], false, true));
        list.note_whole(vec![named(1)], 30);
        assert_eq!((reached(&list), list.unsure), (vec![1], false));
    }

    #[test]
    fn a_contradiction_within_a_second_is_remembered_until_github_was_asked() {
        let mut list = RepositoryList::default();
        list.note([named(1)], true, 10);
        list.note([named(1)], false, 10);
        assert_eq!((reached(&list), list.unsure), (vec![], true));
        let mut whole = RepositoryList::default();
        whole.note([named(1)], false, 10);
        whole.note_whole(vec![named(1), named(2)], 10);
        assert_eq!((reached(&whole), whole.unsure), (vec![2], true));
        assert_eq!(reached(&RepositoryList::answered(vec![named(1)], 10)), [1]);
    }

    #[test]
    fn removals_are_forgotten_when_nothing_late_can_come() {
        let mut list = RepositoryList::default();
        list.note([named(1)], false, 10);
        list.note([named(2)], true, 10);
        list.forget_old_removals(10 + REMOVAL_REMEMBERED_SECONDS - 1);
        assert_eq!(list.by_id.len(), 2);
        list.forget_old_removals(10 + REMOVAL_REMEMBERED_SECONDS);
        assert_eq!(list.by_id.keys().copied().collect::<Vec<_>>(), [2]);
    }
}
