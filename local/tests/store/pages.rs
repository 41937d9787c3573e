//! Queries whose answers are larger than a page of DynamoDB's, which is 1 MB: all of it comes, in order.

use local::aws::hook::Fault;
use shared::store::{InstallationFacts, KnownInstallation, Proof, StoreError};

use crate::harness::{NOW, TestTable, user};
use crate::installations::{facts, known};

/// What makes 150 of them 1.2 MB.
const AVATAR: usize = 8_000;
const COUNT: u64 = 150;

#[tokio::test]
async fn rows_and_installations_of_several_pages_come_whole_and_in_order() {
    let test = TestTable::new().await;
    let user = user();
    let large = |id| KnownInstallation {
        facts: InstallationFacts { account_avatar_url: Some("a".repeat(AVATAR)), ..facts("octo-org") },
        ..known(id, "octo-org")
    };
    // Backwards, so that the order is the keys' and not that of writing.
    let rows: Vec<_> = (1..=COUNT).rev().map(|id| (large(id), Proof::Member)).collect();
    test.table.add_rows(&user, &rows, NOW).await.unwrap();

    let first = test.raw(
        "Query",
        serde_json::json!({
            "IndexName": "gsi1",
            "KeyConditionExpression": "gsi1pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "INSTALLATIONS"}},
        }),
    );
    assert!(first.await["LastEvaluatedKey"].is_object(), "the endpoint does page");

    let expected: Vec<u64> = (1..=COUNT).collect();
    let rows = test.table.mapping_of(&user).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.installation_id).collect::<Vec<_>>(), expected);
    assert!(rows.iter().all(|row| row.facts.account_avatar_url.as_ref().unwrap().len() == AVATAR));
    let all = test.table.all_installations().await.unwrap();
    assert_eq!(all.iter().map(|one| one.installation_id).collect::<Vec<_>>(), expected);
    assert_eq!(test.table.count_installations().await, Ok(COUNT));

    // Two batches of what has 8 KB each.
    let some = test.table.known_installations(&expected).await.unwrap();
    assert_eq!(some.len(), expected.len());

    // A row, its pointer and its installation for each, and the counter.
    let all = test.table.everything().await.unwrap();
    assert_eq!(all.len(), 3 * expected.len() + 1);
    assert!(all.iter().all(|item| item.content.is_ok()));
}

#[tokio::test]
async fn keys_that_dynamodb_does_not_get_to_are_asked_for_again_and_given_up_some_time() {
    let (test, user) = (TestTable::new().await, user());
    let Some(embedded) = &test.embedded else { return };
    let ids: Vec<u64> = (1..=150).collect();
    let rows: Vec<_> = ids.iter().map(|id| (known(*id, "octo-org"), Proof::Member)).collect();
    test.table.add_rows(&user, &rows, NOW).await.unwrap();
    for done in [30, 0, 0, 99] {
        embedded.hook().fail_next("BatchGetItem", 1, &Fault::partly_done(done));
    }
    let mut some = test.table.known_installations(&ids).await.unwrap();
    some.sort_by_key(|one| one.installation_id);
    assert_eq!(some.iter().map(|one| one.installation_id).collect::<Vec<_>>(), ids);

    embedded.hook().fail_next("BatchGetItem", 1_000, &Fault::partly_done(0));
    let error = test.table.known_installations(&ids).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { operation: "BatchGetItem", .. }), "{error}");
}
