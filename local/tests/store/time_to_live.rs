//! Items that end are ended by the table: each kind has the attribute that template.yaml names, as a number of seconds.

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::provider::ProviderType;
use shared::store::{AnswerOwner, DeliveryRecord, Lease, Loaded, Redelivery, Sweep, TokenSlot};

use crate::harness::{NOW, TestTable, user};
use crate::installations::{change, known};
use crate::sessions::{session, sign_in, sso_login};
use crate::tokens::answer;

#[tokio::test]
async fn every_kind_of_item_that_ends_says_when() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let github = ProviderType::Github;
    let owner = AnswerOwner::User(user.clone());
    let session = session(&user, Some("sso"));
    table.start_session(&session, Some(&sso_login(&session)), None).await.unwrap();
    table.start_sign_in(&sign_in()).await.unwrap();
    table.note_logout_token("hash", NOW).await.unwrap();
    let lease = Lease::new(&Clock::system(), 10, 1).unwrap();
    table.take_lease(&user, TokenSlot::own(github), &lease, NOW).await.unwrap();
    table.keep_answer(&owner, github, &answer("r", NOW)).await.unwrap();
    table.forget_answers(&owner, ProviderType::Gitlab, NOW).await.unwrap();
    table.note_delivery(&DeliveryRecord::new(1, "guid", "ping", NOW)).await.unwrap();
    let asked = Redelivery::new("guid", NOW);
    table.keep_redelivery(&asked, &Redelivery { attempts: 1, ..asked.clone() }).await.unwrap();
    let sweep = Sweep { started_at: NOW, next_page: None, difference: None };
    table.note_swept_page(&sweep, 1, vec![1], NOW).await.unwrap();
    let gone = known(1, "octo-org").gone(NOW);
    table.change_installation(change(Loaded::default(), gone), NOW).await.unwrap();

    let attribute = test.definition.ttl_attribute.as_deref().unwrap();
    let items = test.items().await;
    assert_eq!(items.len(), 12, "{items:?}");
    for (key, item) in items {
        let seconds = item[attribute]["N"].as_str().and_then(|text| text.parse::<i64>().ok());
        // Milliseconds would be taken for a time in fifty thousand years, and more than five years in the past is kept.
        assert!(
            seconds.is_some_and(|seconds| (1_700_000_000..4_000_000_000).contains(&seconds)),
            "{key}: {item}"
        );
    }
}

#[tokio::test]
async fn the_table_drops_items_by_that_attribute() {
    let test = TestTable::new().await;
    let described: Value = test.raw("DescribeTimeToLive", json!({})).await;
    let description = &described["TimeToLiveDescription"];
    assert_eq!(description["TimeToLiveStatus"], "ENABLED");
    assert_eq!(description["AttributeName"].as_str(), test.definition.ttl_attribute.as_deref());
}
