//! What reconciliation goes on with, its lease, the pages that it has seen, and the deliveries it has asked for again.

use shared::store::{ReconcileState, Redelivery, StoreError, Sweep};

use crate::harness::{NOW, TestTable};

#[tokio::test]
async fn of_two_runs_that_read_the_same_state_one_keeps_its_own() {
    let test = TestTable::new().await;
    let (mut one, mut other) =
        (test.table.reconcile_state().await.unwrap(), test.table.reconcile_state().await.unwrap());
    assert_eq!(one, ReconcileState::default());
    one.since = Some(NOW);
    one.sweep = Some(Sweep { started_at: NOW, next_page: None, difference: Some(-3) });
    test.table.keep_reconcile_state(&mut one).await.unwrap();
    assert_eq!(test.table.keep_reconcile_state(&mut other).await, Err(StoreError::Conflict));
    assert_eq!(other.version, 0, "and knows that it did not");
    assert_eq!(test.table.reconcile_state().await, Ok(one.clone()));

    one.sweep = None;
    test.table.keep_reconcile_state(&mut one).await.unwrap();
    assert_eq!(test.table.reconcile_state().await, Ok(one.clone()));
    assert_eq!((one.version, one.sweep), (2, None));
}

#[tokio::test]
async fn one_run_holds_the_lease_until_it_ends_or_is_given_back() {
    let test = TestTable::new().await;
    let table = &test.table;
    assert_eq!(table.take_reconcile_lease("one", NOW + 10, NOW).await, Ok(true));
    assert_eq!(table.take_reconcile_lease("one", NOW + 10, NOW).await, Ok(true), "asked for again");
    assert_eq!(table.take_reconcile_lease("two", NOW + 10, NOW + 10).await, Ok(false));
    assert_eq!(table.take_reconcile_lease("two", NOW + 30, NOW + 11).await, Ok(true));
    table.give_back_reconcile_lease("one").await.expect("late");
    assert_eq!(table.take_reconcile_lease("three", NOW + 30, NOW + 12).await, Ok(false));
    table.give_back_reconcile_lease("two").await.unwrap();
    assert_eq!(table.take_reconcile_lease("three", NOW + 30, NOW + 12).await, Ok(true));
}

#[tokio::test]
async fn the_pages_of_one_full_run_are_its_own_and_come_in_order() {
    let test = TestTable::new().await;
    let sweep = |started_at| Sweep { started_at, next_page: Some(1), difference: None };
    for page in [2, 10, 1] {
        test.table.note_swept_page(&sweep(NOW), page, vec![u64::from(page)], NOW).await.unwrap();
    }
    test.table.note_swept_page(&sweep(NOW), 2, vec![20, 21], NOW).await.expect("the page again");
    test.table.note_swept_page(&sweep(NOW + 1), 1, vec![99], NOW).await.unwrap();
    assert_eq!(test.table.swept(&sweep(NOW)).await, Ok(vec![1, 20, 21, 10]));
    test.table.note_swept_page(&sweep(NOW), 11, vec![], NOW).await.expect("an empty page");
    assert_eq!(test.table.swept(&sweep(NOW)).await, Ok(vec![1, 20, 21, 10]));
}

#[tokio::test]
async fn a_delivery_is_asked_for_by_one_run_at_a_time() {
    let test = TestTable::new().await;
    let before = Redelivery::new("guid", NOW);
    let first = Redelivery { attempts: 1, asked_at: NOW, ..before.clone() };
    assert_eq!(test.table.keep_redelivery(&before, &first).await, Ok(true));
    assert_eq!(test.table.keep_redelivery(&before, &first).await, Ok(false), "by another run");
    let second = Redelivery { attempts: 2, given_up: true, ..first.clone() };
    assert_eq!(test.table.keep_redelivery(&first, &second).await, Ok(true));
    assert_eq!(test.table.keep_redelivery(&first, &second).await, Ok(false));
    let guids = ["guid".to_owned(), "never".to_owned()];
    assert_eq!(test.table.redeliveries(&guids).await, Ok(vec![second]));
}
