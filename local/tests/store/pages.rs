//! Queries whose answers are larger than a page of DynamoDB's, which is 1 MB: all of it comes, in order.

use shared::store::{InstallationFacts, KnownInstallation, Proof};

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
}
