//! Installations, the rows of their users and the ways to these rows, their repositories and the numbers that rows are
//! given: all say what the installation says, unless a change is still under way.

use std::collections::BTreeMap;

use shared::store::{InstallationFacts, KnownInstallation, MappingRow, RepositoryList, Stored, StoredItem};

use super::findings::Report;
use super::items::Items;

pub(super) fn check(items: &Items<'_>, report: &mut Report) {
    let counted = match items.get("COUNTER#MAPPING", "COUNTER") {
        Some(Stored::Counter(last)) => *last,
        _ => 0,
    };
    let mut ids: BTreeMap<i64, &StoredItem> = BTreeMap::new();
    for (item, stored) in items.read() {
        match stored {
            Stored::Installation(known) => {
                check_installation(report, item, known, counted);
                check_repositories(items, report, item, known);
                let marked = items.has("UNSURE", &format!("{:020}", known.installation_id));
                if known.is_to_be_asked_for() && !marked {
                    report.violation(item, "GitHub has to be asked about it, and nothing says so");
                }
            }
            Stored::Pointer(user) => {
                let installation = item.pk.strip_prefix("INSTALLATION#").unwrap_or_default();
                if known(items, &item.pk).is_none() {
                    report.violation(item, "nothing is known of the installation");
                }
                if !items.has(&format!("USER#{user}"), &format!("MAPPING#{installation:0>20}")) {
                    report.violation(item, format!("{user} has no row"));
                }
            }
            Stored::Mapping(row) => {
                check_row(items, report, item, row);
                if row.id > counted || row.id <= 0 {
                    report.violation(item, format!("its id {} was never given: {counted} were", row.id));
                }
                if let Some(other) = ids.insert(row.id, item) {
                    let what = format!("its id {} is also that of {} {}", row.id, other.pk, other.sk);
                    report.violation(item, what);
                }
            }
            Stored::Unsure(id) => {
                let known = known(items, &format!("INSTALLATION#{id}"));
                if !known.is_some_and(KnownInstallation::is_to_be_asked_for) {
                    report.violation(item, "GitHub need not be asked about it");
                }
            }
            Stored::Repositories(_) if known(items, &item.pk).is_none() => {
                report.violation(item, "nothing is known of the installation");
            }
            _ => {}
        }
    }
}

fn known<'a>(items: &Items<'a>, pk: &str) -> Option<&'a KnownInstallation> {
    match items.get(pk, "INSTALLATION") {
        Some(Stored::Installation(known)) => Some(known),
        _ => None,
    }
}

fn check_installation(report: &mut Report, item: &StoredItem, known: &KnownInstallation, counted: i64) {
    if known.version < 1 || known.rows_at > known.version || known.rows_at < 0 {
        report.violation(item, format!("rows at {} of version {}", known.rows_at, known.version));
    }
    let unfinished = known.rows_at < known.version;
    if unfinished {
        report.under_way(item, format!("its rows say version {} of {}", known.rows_at, known.version));
    }
    if known.joined.is_some_and(|row| row > counted) {
        report.violation(item, "the row that was added last has an id that was never given");
    }
    let listed = !known.is_gone() || unfinished;
    let number = format!("{:020}", known.installation_id);
    let expected = if listed { (Some("INSTALLATIONS"), Some(&*number)) } else { (None, None) };
    if (item.gsi1.0.as_deref(), item.gsi1.1.as_deref()) != expected {
        let what =
            if listed { "it is not in the index under its number" } else { "it is gone, and in the index" };
        report.violation(item, what);
    }
    let nothing_left = known.facts == InstallationFacts::default() && known.repositories.is_none();
    if known.is_gone() && (!nothing_left || known.unsure) {
        report.violation(item, "it is gone, and more is known of it than that it was there");
    }
    if known.is_gone() != known.expires_at.is_some() {
        report.violation(item, "only what is gone is forgotten some day, and that always");
    }
}

fn check_row(items: &Items<'_>, report: &mut Report, item: &StoredItem, row: &MappingRow) {
    let installation = format!("INSTALLATION#{}", row.installation_id);
    if !items.has(&installation, &format!("INSTALLATION#USER#{}", row.user_id)) {
        report.violation(item, "news of the installation does not find the row");
    }
    let Some(known) = known(items, &installation) else {
        return report.violation(item, "nothing is known of its installation");
    };
    // A change that has not reached every row yet is told at the installation.
    if known.rows_at < known.version {
        return;
    }
    if known.is_gone() {
        report.violation(item, "its installation is gone");
    } else if row.facts != known.facts {
        report.violation(item, "it says something else than its installation");
    }
    if row.created_at > row.updated_at || row.created_at > row.proved_at {
        report.violation(item, "its times do not follow one another");
    }
}

/// A part of a list of repositories: its number, its item, and what is in it.
type Part<'a> = (u32, &'a StoredItem, &'a [u8]);

/// The list that the installation points to is whole; beside it stands only what is being written.
fn check_repositories(items: &Items<'_>, report: &mut Report, item: &StoredItem, known: &KnownInstallation) {
    let mut lists: BTreeMap<i64, Vec<Part<'_>>> = BTreeMap::new();
    for (chunk, stored) in items.partition(&item.pk) {
        let Stored::Repositories(bytes) = stored else { continue };
        match numbers(&chunk.sk) {
            Some((version, number)) => lists.entry(version).or_default().push((number, chunk, bytes)),
            None => report.violation(chunk, "its key names no part of a list"),
        }
    }
    let pointed = known.repositories.as_ref().map(|at| lists.remove(&at.version).unwrap_or_default());
    for (version, chunks) in lists {
        for (_, chunk, _) in chunks {
            // A list that does not fit into its transaction has a number of its own, greater than any version.
            if version > known.version {
                report.under_way(chunk, "a list of repositories to which nothing points yet");
            } else {
                report.violation(chunk, "a list of repositories to which nothing points any more");
            }
        }
    }
    let (Some(at), Some(chunks)) = (&known.repositories, pointed) else { return };
    if chunks.len() != at.chunks as usize || chunks.iter().zip(0..).any(|(chunk, number)| chunk.0 != number) {
        let what = format!("its list of repositories has {} parts of {}", chunks.len(), at.chunks);
        return report.violation(item, what);
    }
    let bytes: Vec<u8> = chunks.iter().flat_map(|(_, _, bytes)| *bytes).copied().collect();
    match RepositoryList::unpacked(&bytes) {
        Ok(list) if list.unsure == at.unsure => {}
        Ok(_) => report.violation(item, "its list of repositories is unsure, or it says so, and not both"),
        Err(error) => report.violation(item, error.to_string()),
    }
}

/// The version and the number in the key of a part of a list.
fn numbers(sk: &str) -> Option<(i64, u32)> {
    let (version, number) = sk.strip_prefix("REPOSITORIES#")?.split_once('#')?;
    (number.len() == 4).then_some(())?;
    Some((version.parse().ok()?, number.parse().ok()?))
}
