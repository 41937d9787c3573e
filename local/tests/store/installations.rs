//! What is known of installations, the users' rows and the deliveries that tell of them: all of a change or nothing,
//! in one transaction or in many, and never over what has not been read.

use std::collections::{BTreeMap, HashSet};

use futures::future::join_all;
use shared::store::{
    DeliveryRecord, InstallationChange, InstallationFacts, KnownInstallation, KnownRepository, Loaded, Proof,
    Rank, RepositoryList, RowWanted, StoreError, Table, UserId,
};

use crate::harness::{NOW, TestTable, unique, user};

const ID: u64 = 9001;

pub(crate) fn facts(name: &str) -> InstallationFacts {
    InstallationFacts {
        account_id: Some(2100),
        account_name: Some(name.to_owned()),
        account_type: Some("Organization".to_owned()),
        account_avatar_url: None,
        repository_selection: Some("all".to_owned()),
        suspended_at: None,
    }
}

pub(crate) fn known(id: u64, name: &str) -> KnownInstallation {
    KnownInstallation::new(id, facts(name), NOW, Rank::Other)
}

fn wanted(user: &UserId) -> RowWanted {
    RowWanted { user: user.clone(), proof: Proof::Member, row: None }
}

pub(crate) fn change(loaded: Loaded, known: KnownInstallation) -> InstallationChange {
    InstallationChange { loaded, known, rows: Vec::new(), repositories: None, delivery: None }
}

/// The installation with a row for each of these users.
async fn with_rows(table: &Table, users: &[UserId]) -> Loaded {
    let rows = users.iter().map(wanted).collect();
    let first = InstallationChange { rows, ..change(Loaded::default(), known(ID, "octo-org")) };
    table.change_installation(first, NOW).await.unwrap();
    table.installation(ID).await.unwrap()
}

/// The same under another name.
fn renamed(loaded: &Loaded, name: &str) -> KnownInstallation {
    KnownInstallation { facts: facts(name), ..loaded.known.clone().unwrap() }
}

#[tokio::test]
async fn a_change_its_rows_and_its_delivery_are_written_together() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let delivery = Some(DeliveryRecord::new(1, "guid", "installation", NOW));
    let first = InstallationChange {
        rows: vec![wanted(&user)],
        delivery: delivery.clone(),
        ..change(Loaded::default(), known(ID, "octo-org"))
    };
    assert_eq!(table.change_installation(first.clone(), NOW).await, Ok(1));
    let loaded = table.installation(ID).await.unwrap();
    assert_eq!(loaded.known.as_ref().unwrap().facts, facts("octo-org"));
    assert_eq!((loaded.users.as_slice(), loaded.is_unfinished()), ([user.clone()].as_slice(), false));
    let row = table.mapping_row(&user, ID).await.unwrap().unwrap();
    assert_eq!((row.id, row.facts.clone(), row.proof), (1, facts("octo-org"), Proof::Member));
    assert_eq!(table.has_delivery(1, "guid").await, Ok(true));

    let stale = table.change_installation(first, NOW).await;
    assert_eq!(stale, Err(StoreError::Conflict), "it is there now");
    let repeated = InstallationChange { delivery, ..change(loaded.clone(), renamed(&loaded, "octo-inc")) };
    assert_eq!(table.change_installation(repeated, NOW).await, Err(StoreError::Conflict), "dealt with");
    assert_eq!(table.mapping_of(&user).await, Ok(vec![row]), "nothing of either was written");
}

#[tokio::test]
async fn of_writers_that_have_read_the_same_one_writes() {
    let test = TestTable::new().await;
    let users = [user(), user()];
    let loaded = with_rows(&test.table, &users).await;
    let names: Vec<String> = (0..6).map(|number| format!("name-{number}")).collect();
    let written = join_all(names.iter().map(|name| {
        let delivery = Some(DeliveryRecord::new(1, name, "installation_target", NOW));
        let change = InstallationChange { delivery, ..change(loaded.clone(), renamed(&loaded, name)) };
        test.table.change_installation(change, NOW + 1)
    }))
    .await;
    let winners: Vec<_> = names.iter().zip(&written).filter(|(_, written)| written.is_ok()).collect();
    assert_eq!(winners.len(), 1, "{written:?}");
    assert!(written.iter().all(|one| one.is_ok() || *one == Err(StoreError::Conflict)), "{written:?}");
    for user in &users {
        let row = test.table.mapping_row(user, ID).await.unwrap().unwrap();
        assert_eq!(row.facts.account_name.as_ref(), Some(winners[0].0));
    }
    let noted = test.table.deliveries_of(1, &names).await.unwrap();
    assert_eq!(noted, [winners[0].0.clone()], "the losers' deliveries come again");
}

#[tokio::test]
async fn a_change_that_has_not_seen_a_new_row_is_not_written() {
    let test = TestTable::new().await;
    let loaded = with_rows(&test.table, &[user()]).await;
    let joining = user();
    let same = (loaded.known.clone().unwrap(), Proof::Admin);
    test.table.add_rows(&joining, &[same], NOW).await.unwrap();
    let unseen = change(loaded.clone(), renamed(&loaded, "octo-inc"));
    assert_eq!(test.table.change_installation(unseen, NOW).await, Err(StoreError::Conflict));
    let seen = test.table.installation(ID).await.unwrap();
    assert_eq!(
        test.table.change_installation(change(seen.clone(), renamed(&seen, "octo-inc")), NOW).await,
        Ok(2)
    );
    let row = test.table.mapping_row(&joining, ID).await.unwrap().unwrap();
    assert_eq!((row.facts.account_name.as_deref(), row.proof), (Some("octo-inc"), Proof::Admin));
}

#[tokio::test]
async fn a_row_that_its_user_removes_meanwhile_is_not_made_again() {
    let test = TestTable::new().await;
    let (stays, goes) = (user(), user());
    let loaded = with_rows(&test.table, &[stays.clone(), goes.clone()]).await;
    let id = test.table.mapping_row(&goes, ID).await.unwrap().unwrap().id;
    assert_eq!(test.table.remove_mapping_row(&goes, id + 100, NOW).await, Ok(false));
    assert_eq!(test.table.remove_mapping_row(&goes, id, NOW).await, Ok(true));
    assert_eq!(test.table.remove_mapping_row(&goes, id, NOW).await, Ok(false));
    let late = test.table.change_installation(change(loaded.clone(), renamed(&loaded, "late")), NOW).await;
    assert_eq!(late, Err(StoreError::Conflict));
    assert_eq!(test.table.mapping_of(&goes).await, Ok(vec![]));
    let proof = test.table.set_proof(&goes, ID, Proof::Admin, NOW).await;
    assert_eq!(proof, Err(StoreError::Conflict), "nor by a proof");
    let row = test.table.mapping_row(&stays, ID).await.unwrap().unwrap();
    assert_eq!(row.facts.account_name.as_deref(), Some("octo-org"), "the whole transaction was refused");
    test.table.set_proof(&stays, ID, Proof::Admin, NOW + 1).await.unwrap();
    let row = test.table.mapping_row(&stays, ID).await.unwrap().unwrap();
    assert_eq!((row.proof, row.proved_at, row.updated_at), (Proof::Admin, NOW + 1, NOW + 1));
}

#[tokio::test]
async fn what_a_fact_no_longer_says_is_gone_from_the_rows() {
    let test = TestTable::new().await;
    let user = user();
    let loaded = with_rows(&test.table, std::slice::from_ref(&user)).await;
    let suspended = InstallationFacts { suspended_at: Some(NOW), ..facts("octo-org") };
    let suspend = KnownInstallation { facts: suspended.clone(), ..loaded.known.clone().unwrap() };
    test.table.change_installation(change(loaded, suspend), NOW).await.unwrap();
    assert_eq!(test.table.mapping_row(&user, ID).await.unwrap().unwrap().facts, suspended);
    let loaded = test.table.installation(ID).await.unwrap();
    let bare = KnownInstallation { facts: InstallationFacts::default(), ..loaded.known.clone().unwrap() };
    test.table.change_installation(change(loaded, bare), NOW).await.unwrap();
    let row = test.table.mapping_row(&user, ID).await.unwrap().unwrap();
    assert_eq!(row.facts, InstallationFacts::default());
}

#[tokio::test]
async fn rows_for_more_than_a_transaction_holds_all_say_the_change_and_all_go() {
    let test = TestTable::new().await;
    let users: Vec<UserId> = (0..60).map(|_| user()).collect();
    let loaded = with_rows(&test.table, &users).await;
    assert_eq!(loaded.users.len(), users.len());
    assert!(!loaded.is_unfinished());
    let mut ids = HashSet::new();
    test.table.change_installation(change(loaded.clone(), renamed(&loaded, "octo-inc")), NOW).await.unwrap();
    for user in &users {
        let row = test.table.mapping_row(user, ID).await.unwrap().unwrap();
        assert_eq!(row.facts.account_name.as_deref(), Some("octo-inc"));
        ids.insert(row.id);
    }
    assert_eq!(ids.len(), users.len(), "no two rows have one id");

    let loaded = test.table.installation(ID).await.unwrap();
    let gone = loaded.known.clone().unwrap().gone(NOW);
    test.table.change_installation(change(loaded, gone), NOW).await.unwrap();
    let after = test.table.installation(ID).await.unwrap();
    assert!(after.known.as_ref().unwrap().is_gone() && after.users.is_empty() && !after.is_unfinished());
    let left: Vec<String> = test.items().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, ["COUNTER#MAPPING COUNTER", "INSTALLATION#9001 INSTALLATION"]);
}

#[tokio::test]
async fn integers_are_given_out_once_whoever_asks_at_the_same_time() {
    let test = TestTable::new().await;
    let users: Vec<UserId> = (0..8).map(|_| user()).collect();
    let added = join_all(users.iter().zip(1_u64..).map(|(user, number)| {
        let table = test.table.clone();
        let rows: Vec<_> =
            (0..5).map(|other| (known(number * 100 + other, "octo-org"), Proof::Member)).collect();
        async move { table.add_rows(user, &rows, NOW).await }
    }))
    .await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    let mut ids = Vec::new();
    for user in &users {
        ids.extend(test.table.mapping_of(user).await.unwrap().into_iter().map(|row| row.id));
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn installations_that_are_gone_leave_the_index_and_unsure_ones_are_marked() {
    let test = TestTable::new().await;
    let table = &test.table;
    for id in [20, 3, 100] {
        let unsure = KnownInstallation { unsure: id != 3, ..known(id, "octo-org") };
        table.change_installation(change(Loaded::default(), unsure), NOW).await.unwrap();
    }
    let ids = |all: Vec<KnownInstallation>| all.iter().map(|one| one.installation_id).collect::<Vec<_>>();
    assert_eq!(table.all_installations().await.map(ids), Ok(vec![3, 20, 100]), "in the order of numbers");
    assert_eq!(table.unsure_installations().await, Ok(vec![20, 100]));
    let mut some = table.known_installations(&[100, 20, 20, 7]).await.map(ids).unwrap();
    some.sort_unstable();
    assert_eq!(some, [20, 100]);

    let loaded = table.installation(20).await.unwrap();
    let gone = loaded.known.clone().unwrap().gone(NOW);
    table.change_installation(change(loaded, gone), NOW).await.unwrap();
    assert_eq!(table.all_installations().await.map(ids), Ok(vec![3, 100]));
    assert_eq!(table.count_installations().await, Ok(2));
    assert_eq!(table.unsure_installations().await, Ok(vec![100]));
    assert!(table.installation(20).await.unwrap().known.unwrap().is_gone(), "it is remembered as gone");
}

/// A list that does not compress to less than about 20 bytes a repository.
fn repositories(count: u64) -> RepositoryList {
    let by_id: BTreeMap<u64, KnownRepository> = (0..count)
        .map(|id| {
            (id, KnownRepository { full_name: unique("octo/r"), private: true, at: NOW, reached: true })
        })
        .collect();
    RepositoryList { by_id, whole: true, unsure: false }
}

#[tokio::test]
async fn a_list_of_repositories_is_read_as_it_was_written_in_one_item_many_or_more_than_a_transaction_holds()
{
    let test = TestTable::new().await;
    for count in [0, 3, 40_000, 120_000, 5] {
        let list = repositories(count);
        let loaded = test.table.installation(ID).await.unwrap();
        let next = loaded.known.clone().unwrap_or_else(|| known(ID, "octo-org"));
        let told = InstallationChange { repositories: Some(list.clone()), ..change(loaded, next) };
        test.table.change_installation(told, NOW).await.unwrap();
        let written = test.table.installation(ID).await.unwrap().known.unwrap();
        let read = test.table.known_repositories(&written).await.unwrap().unwrap();
        assert!(read == list, "{count} repositories are not read as they were written");
        let chunks = written.repositories.unwrap().chunks;
        assert_eq!(chunks > 5, count == 120_000, "{chunks} chunks of {count} repositories");
        assert_eq!(chunks > 1, count >= 40_000, "{chunks} chunks of {count} repositories");
        let kept = test.items().await.into_iter().filter(|(key, _)| key.contains("REPOSITORIES")).count();
        assert_eq!(kept, usize::try_from(chunks).unwrap(), "no chunk of an older list is left");
    }
}
