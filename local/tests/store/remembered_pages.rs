//! Remembered pages: kept, replaced, forgotten, and written whole though DynamoDB does it in parts.

use local::aws::hook::Fault;
use shared::provider::ProviderType;
use shared::provider::remembered::{Extent, ListOf, PageId, RememberedPage, TokenFingerprint, Validator};
use shared::store::{KeptPage, StoreError, TokenSlot, UserId};

use crate::harness::{NOW, TestTable, user};

const SLOT: TokenSlot = TokenSlot::own(ProviderType::Github);
const LIST: PageId = PageId { list: ListOf::Installations, page: 1 };

const fn of(installation: u64, page: u32) -> PageId {
    PageId { list: ListOf::Repositories(installation), page }
}

fn page(id: PageId, etag: &str) -> KeptPage {
    let token = TokenFingerprint::of(&http::HeaderValue::from_static("Bearer ghu_1"));
    KeptPage {
        page: RememberedPage {
            id,
            validator: Validator { etag: etag.to_owned(), token, vary: Some("Accept".to_owned()) },
            total: u64::MAX,
            last_page: 7,
            count: 100,
            content: vec![0, 159, 255],
        },
        host: Some("github.example.com".to_owned()),
        expires_at: NOW,
    }
}

async fn pages(test: &TestTable, user: &UserId, extent: Extent) -> Vec<KeptPage> {
    let mut pages = test.table.pages(user, SLOT, extent).await.unwrap();
    pages.sort_by_key(|kept| kept.page.id);
    pages
}

#[tokio::test]
async fn pages_come_back_as_they_were_kept_and_the_newest_stays() {
    let (test, user) = (TestTable::new().await, user());
    let kept = [page(LIST, "a"), page(of(1, 1), "b"), page(of(1, 2), "c"), page(of(12, 1), "d")];
    test.table.write_pages(&user, SLOT, &kept, &[]).await.unwrap();
    assert_eq!(pages(&test, &user, Extent::Everything).await, kept);
    assert_eq!(pages(&test, &user, Extent::Installations).await, kept[..1]);
    let newer = page(of(1, 2), "e");
    test.table.write_pages(&user, SLOT, std::slice::from_ref(&newer), &[of(1, 1), of(5, 5)]).await.unwrap();
    let left = [kept[0].clone(), newer, kept[3].clone()];
    assert_eq!(pages(&test, &user, Extent::Everything).await, left);
}

#[tokio::test]
async fn pages_of_other_users_slots_and_hosts_stay_when_a_users_are_forgotten() {
    let (test, user, other) = (TestTable::new().await, user(), user());
    let gitlab = TokenSlot::own(ProviderType::Gitlab);
    let brokered = TokenSlot::brokered(ProviderType::Github);
    let many: Vec<_> = (1..=120).map(|number| page(of(1, number), "a")).collect();
    test.table.write_pages(&user, SLOT, &many, &[]).await.unwrap();
    for (user, slot) in [(&user, gitlab), (&user, brokered), (&other, SLOT)] {
        test.table.write_pages(user, slot, &[page(LIST, "a")], &[]).await.unwrap();
    }
    assert_eq!(pages(&test, &user, Extent::Everything).await.len(), 120);
    test.table.forget_pages(&user, ProviderType::Github).await.unwrap();
    let left: Vec<String> = test.items().await.into_iter().map(|(key, _)| key).collect();
    let mut expected = [
        format!("USER#{user} PAGE#gitlab#INSTALLATIONS#1"),
        format!("USER#{other} PAGE#github#INSTALLATIONS#1"),
    ];
    expected.sort();
    assert_eq!(left, expected);
    test.table.forget_pages(&user, ProviderType::Github).await.unwrap();
}

#[tokio::test]
async fn what_dynamodb_does_not_get_to_is_sent_again() {
    let (test, user) = (TestTable::new().await, user());
    let Some(embedded) = &test.embedded else { return };
    let many: Vec<_> = (1..=60).map(|number| page(of(1, number), "a")).collect();
    for done in [3, 24, 0, 0, 1] {
        embedded.hook().fail_next("BatchWriteItem", 1, &Fault::partly_done(done));
    }
    test.table.write_pages(&user, SLOT, &many, &[]).await.unwrap();
    assert_eq!(pages(&test, &user, Extent::Everything).await, many);
    // Three batches, and one more for each that was done in part.
    assert_eq!(embedded.hook().calls("BatchWriteItem"), 3 + 4);

    embedded.hook().fail_next("BatchWriteItem", 100, &Fault::partly_done(0));
    let error = test.table.write_pages(&user, SLOT, &many, &[]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { operation: "BatchWriteItem", .. }), "{error}");
}
