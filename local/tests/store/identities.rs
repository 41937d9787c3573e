//! Users, the identities that are theirs, and API keys: what belongs together is written together, or not at all.

use shared::clock::Clock;
use shared::provider::ProviderType;
use shared::store::{ApiKey, ApiKeyId, Identity, LinkOutcome, StoreError, UserId};

use crate::harness::{NOW, TestTable, unique, user};

fn identity(user: &UserId, provider: ProviderType, subject: &str) -> Identity {
    Identity {
        user_id: user.clone(),
        provider,
        subject: subject.to_owned(),
        login: "octocat".to_owned(),
        avatar_url: None,
        linked_at: NOW,
        brokered: false,
    }
}

#[tokio::test]
async fn a_new_user_is_found_by_identity_and_the_identity_by_user() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    assert_eq!(table.user_of_identity(ProviderType::Github, "1001").await, Ok(None));
    let github = identity(&user, ProviderType::Github, "1001");
    assert_eq!(table.link_identity(&github, true).await, Ok(LinkOutcome::Linked(github.clone())));
    let gitlab = identity(&user, ProviderType::Gitlab, "7");
    assert_eq!(table.link_identity(&gitlab, false).await, Ok(LinkOutcome::Linked(gitlab.clone())));
    assert_eq!(table.user_of_identity(ProviderType::Github, "1001").await, Ok(Some(user.clone())));
    assert_eq!(table.identity(&user, ProviderType::Gitlab).await, Ok(Some(gitlab.clone())));
    assert_eq!(table.identities(&user).await, Ok(vec![github, gitlab]));
}

#[tokio::test]
async fn what_is_not_told_is_not_stored_and_not_a_null() {
    let test = TestTable::new().await;
    let user = user();
    test.table.link_identity(&identity(&user, ProviderType::Github, "1001"), true).await.unwrap();
    let items = test.items().await;
    assert_eq!(items.len(), 3, "finder, identity, user: {items:?}");
    for (_, item) in items {
        assert!(item.as_object().unwrap().values().all(|value| value.get("NULL").is_none()), "{item}");
    }
}

#[tokio::test]
async fn an_identity_is_refreshed_and_never_taken_from_another_user() {
    let test = TestTable::new().await;
    let (one, other) = (user(), user());
    let first = identity(&one, ProviderType::Github, "1001");
    test.table.link_identity(&first, true).await.unwrap();

    let renamed = Identity { login: "octo-renamed".to_owned(), linked_at: NOW + 5, ..first.clone() };
    let refreshed = Identity { linked_at: NOW, ..renamed.clone() };
    assert_eq!(test.table.link_identity(&renamed, false).await, Ok(LinkOutcome::Linked(refreshed.clone())));
    assert_eq!(test.table.identity(&one, ProviderType::Github).await, Ok(Some(refreshed.clone())));

    let taken = identity(&other, ProviderType::Github, "1001");
    assert_eq!(test.table.link_identity(&taken, false).await, Ok(LinkOutcome::OtherUsers));
    let second = identity(&one, ProviderType::Github, "2002");
    assert_eq!(test.table.link_identity(&second, false).await, Ok(LinkOutcome::OtherIdentity(refreshed)));
    assert_eq!(test.table.user_of_identity(ProviderType::Github, "2002").await, Ok(None));
}

#[tokio::test]
async fn of_sign_ins_that_make_the_same_user_at_once_one_does_and_the_others_leave_nothing() {
    let test = TestTable::new().await;
    let users: Vec<UserId> = (0..6).map(|_| user()).collect();
    let linked = users.iter().map(|user| {
        let (table, identity) = (test.table.clone(), identity(user, ProviderType::Github, "1001"));
        async move { table.link_identity(&identity, true).await }
    });
    let outcomes = futures::future::join_all(linked).await;
    let made: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_ok()).collect();
    assert_eq!(made.len(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|one| one.is_ok() || *one == Err(StoreError::Conflict)), "{outcomes:?}");
    assert_eq!(test.items().await.len(), 3, "of the others neither the identity nor the user is there");
}

#[tokio::test]
async fn a_brokered_account_gives_way_to_a_linked_one_and_never_takes_its_place() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let linked = identity(&user, ProviderType::Github, "1001");
    let brokered = Identity { subject: "2002".to_owned(), brokered: true, ..linked.clone() };
    table.note_brokered_identity(&brokered).await.unwrap();
    assert_eq!(table.identity(&user, ProviderType::Github).await, Ok(Some(brokered.clone())));
    assert_eq!(table.user_of_identity(ProviderType::Github, "2002").await, Ok(None), "nobody is found by it");
    assert_eq!(table.link_identity(&linked, false).await, Ok(LinkOutcome::Linked(linked.clone())));
    table.note_brokered_identity(&brokered).await.unwrap();
    table.forget_brokered_identity(&user, ProviderType::Github).await.unwrap();
    assert_eq!(table.identity(&user, ProviderType::Github).await, Ok(Some(linked)));

    let gitlab = Identity { provider: ProviderType::Gitlab, ..brokered };
    table.note_brokered_identity(&gitlab).await.unwrap();
    table.forget_brokered_identity(&user, ProviderType::Gitlab).await.unwrap();
    assert_eq!(table.identity(&user, ProviderType::Gitlab).await, Ok(None));
}

#[tokio::test]
async fn an_account_is_renamed_only_where_it_is_linked() {
    let test = TestTable::new().await;
    let user = user();
    let rename = || test.table.rename_identity(&user, ProviderType::Github, "renamed");
    assert_eq!(rename().await, Err(StoreError::Conflict));
    assert!(test.items().await.is_empty(), "an update makes no item");
    test.table.link_identity(&identity(&user, ProviderType::Github, "1001"), true).await.unwrap();
    assert_eq!(rename().await, Ok(()));
    let known = test.table.identity(&user, ProviderType::Github).await.unwrap();
    assert_eq!(known.unwrap().login, "renamed");
}

fn key(user: &UserId) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate(&Clock::system()).unwrap(),
        hash: unique("hash"),
        user_id: user.clone(),
        name: "laptop".to_owned(),
        prefix: "gik_abcd".to_owned(),
        created_at: NOW,
        last_used_at: None,
    }
}

#[tokio::test]
async fn an_api_key_is_found_by_its_hash_and_in_its_users_list_until_it_ends() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let key = key(&user);
    table.add_api_key(&key).await.unwrap();
    assert_eq!(table.add_api_key(&key).await, Err(StoreError::Conflict), "never in place of another");
    table.touch_api_key(&key, NOW + 9).await.unwrap();
    let used = ApiKey { last_used_at: Some(NOW + 9), ..key.clone() };
    assert_eq!(table.api_key(&key.hash).await, Ok(Some(used.clone())));
    assert_eq!(table.api_keys_of(&user).await, Ok(vec![used]));

    assert_eq!(table.end_api_key(&user, &key.id).await, Ok(true));
    assert_eq!(table.end_api_key(&user, &key.id).await, Ok(false));
    assert_eq!(table.touch_api_key(&key, NOW + 10).await, Err(StoreError::Conflict));
    assert!(test.items().await.is_empty(), "a use that was noted late brings no key back");
}
