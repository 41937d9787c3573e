//! Answers of DynamoDB that are lost after it has written: the SDK sends the same again, and our caller is told the truth.
//! Only the embedded endpoint loses answers when it is asked to.

use local::aws::hook::Fault;
use serde_json::json;
use shared::provider::ProviderType;
use shared::store::{DeliveryRecord, Identity, Lease, LinkOutcome, ReconcileState, TokenSlot};

use crate::harness::{NOW, TestTable, user};
use crate::sessions::sign_in;

/// A table whose next answers are lost; none where the endpoint is not ours.
async fn that_loses(operation: &str) -> Option<TestTable> {
    let test = TestTable::new().await;
    test.embedded.as_ref()?.hook().fail_next(operation, 1, &Fault::lost_answer());
    Some(test)
}

#[tokio::test]
async fn a_transaction_that_is_sent_again_is_not_a_conflict_with_itself() {
    let Some(test) = that_loses("TransactWriteItems").await else { return };
    let identity = Identity {
        user_id: user(),
        provider: ProviderType::Github,
        subject: "1001".to_owned(),
        login: "octocat".to_owned(),
        avatar_url: None,
        linked_at: NOW,
        brokered: false,
    };
    assert_eq!(test.table.link_identity(&identity, true).await, Ok(LinkOutcome::Linked(identity.clone())));
    assert_eq!(test.embedded.unwrap().hook().calls("TransactWriteItems"), 2);
}

#[tokio::test]
async fn single_writes_that_are_sent_again_are_not_taken_for_another_callers() {
    let Some(test) = that_loses("PutItem").await else { return };
    let (table, hook) = (&test.table, test.embedded.as_ref().unwrap().hook());
    assert_eq!(table.start_sign_in(&sign_in()).await, Ok(()));
    hook.fail_next("PutItem", 1, &Fault::lost_answer());
    let (user, slot) = (user(), TokenSlot::own(ProviderType::Github));
    let lease = Lease::new(&shared::clock::Clock::system(), 10, 1).unwrap();
    assert_eq!(table.take_lease(&user, slot, &lease, NOW).await, Ok(true));
    hook.fail_next("PutItem", 1, &Fault::lost_answer());
    assert_eq!(table.note_delivery(&DeliveryRecord::new(1, "guid", "ping", NOW)).await, Ok(()));
    hook.fail_next("PutItem", 1, &Fault::lost_answer());
    let mut state = ReconcileState { since: Some(NOW), ..ReconcileState::default() };
    assert_eq!(table.keep_reconcile_state(&mut state).await, Ok(()));
    assert_eq!((state.version, table.reconcile_state().await), (1, Ok(state.clone())));
    assert_eq!(hook.calls("PutItem"), 8);
    let started = sign_in();
    table.start_sign_in(&started).await.unwrap();
    hook.fail_next("UpdateItem", 1, &Fault::lost_answer());
    assert_eq!(table.use_sign_in(&started.state_hash, "one").await, Ok(true));
    assert_eq!(table.use_sign_in(&started.state_hash, "two").await, Ok(false));
}

/// What the first test relies on: DynamoDB remembers the token of a transaction for ten minutes. moto 5.2 does not look
/// at it and applies a repetition again, so there this test holds nothing.
#[tokio::test]
async fn a_transaction_with_the_token_of_one_before_is_answered_and_not_applied() {
    let test = TestTable::new().await;
    if test.embedded.is_none() {
        return;
    }
    let key = json!({"pk": {"S": "COUNTER#x"}, "sk": {"S": "COUNTER"}});
    let update = json!({"Update": {
        "TableName": test.table.name(),
        "Key": key,
        "UpdateExpression": "ADD #n :one",
        "ExpressionAttributeNames": {"#n": "last"},
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }});
    for _ in 0..2 {
        let body = json!({"ClientRequestToken": "the-same", "TransactItems": [update]});
        test.raw("TransactWriteItems", body).await;
    }
    assert_eq!(test.raw("GetItem", json!({"Key": key})).await["Item"]["last"]["N"], "1");
}
