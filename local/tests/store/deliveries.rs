//! Webhook deliveries that were dealt with: noted once, and found in batches of any size.

use shared::store::DeliveryRecord;

use crate::harness::{NOW, TestTable};

#[tokio::test]
async fn a_delivery_is_noted_once_and_is_its_apps_own() {
    let test = TestTable::new().await;
    let record = DeliveryRecord::new(1001, "guid", "ping", NOW);
    assert_eq!(test.table.has_delivery(1001, "guid").await, Ok(false));
    test.table.note_delivery(&record).await.unwrap();
    let later = DeliveryRecord::new(1001, "guid", "ping", NOW + 5);
    test.table.note_delivery(&later).await.expect("the same delivery again");
    assert_eq!(test.table.has_delivery(1001, "guid").await, Ok(true));
    assert_eq!(test.table.has_delivery(1002, "guid").await, Ok(false));
    let items = test.items().await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].1["received_at"]["N"], NOW.to_string(), "as it came first");
}

#[tokio::test]
async fn more_deliveries_than_one_batch_holds_are_found_and_those_that_are_not_there_left_out() {
    let test = TestTable::new().await;
    let guids: Vec<String> = (0..230).map(|number| format!("guid-{number:03}")).collect();
    for guid in guids.iter().step_by(2) {
        test.table.note_delivery(&DeliveryRecord::new(1001, guid, "push", NOW)).await.unwrap();
    }
    let mut found = test.table.deliveries_of(1001, &guids).await.unwrap();
    found.sort();
    assert_eq!(found, guids.iter().step_by(2).cloned().collect::<Vec<_>>());
    assert_eq!(test.table.deliveries_of(1001, &[]).await, Ok(vec![]));
    assert_eq!(test.table.deliveries_of(1001, &guids[1..2]).await, Ok(vec![]));
}
