//! Provider tokens with their versions, the leases of those who renew them, and the answers that were read with them.

use futures::future::join_all;
use shared::clock::Clock;
use shared::provider::ProviderType;
use shared::store::{AnswerOwner, KeptAnswer, Lease, ProviderToken, StoreError, TokenSlot};

use crate::harness::{NOW, TestTable, user};

const SLOT: TokenSlot = TokenSlot::own(ProviderType::Github);

fn token(version: u64) -> ProviderToken {
    ProviderToken {
        provider: ProviderType::Github,
        version,
        key_id: "k1".to_owned(),
        sealed_access: (0..=255).collect(),
        access_expires_at: Some(NOW),
        sealed_refresh: None,
        refresh_expires_at: None,
        obtained_at: NOW,
        brokered: false,
        host: None,
        redirect_uri: None,
        ended: false,
    }
}

#[tokio::test]
async fn a_token_is_kept_byte_by_byte_beside_the_brokered_one() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let own = ProviderToken { sealed_refresh: Some(vec![0, 255]), ..token(1) };
    let brokered = ProviderToken { brokered: true, host: Some("ghe.example".to_owned()), ..token(1) };
    table.put_provider_token(&user, &own, None).await.unwrap();
    table.put_provider_token(&user, &brokered, None).await.unwrap();
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(Some(own.clone())));
    assert_eq!(table.provider_token(&user, brokered.slot()).await, Ok(Some(brokered.clone())));
    assert_eq!(table.provider_tokens(&user).await, Ok(vec![brokered, own]));
}

#[tokio::test]
async fn a_token_is_replaced_only_by_who_has_read_it() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let missing = table.put_provider_token(&user, &token(2), Some(1)).await;
    assert_eq!(missing, Err(StoreError::Conflict), "none is there");
    table.put_provider_token(&user, &token(1), None).await.unwrap();
    assert_eq!(table.put_provider_token(&user, &token(1), None).await, Err(StoreError::Conflict));

    let writers = join_all((0..8).map(|_| async {
        let token = token(2);
        table.put_provider_token(&user, &token, Some(1)).await
    }))
    .await;
    assert_eq!(writers.iter().filter(|written| written.is_ok()).count(), 1, "{writers:?}");
    let lost = writers.iter().filter(|written| **written == Err(StoreError::Conflict));
    assert_eq!(lost.count(), 7, "{writers:?}");
}

#[tokio::test]
async fn sealing_anew_changes_the_seal_alone_and_only_of_what_was_read() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let anew = |version| ProviderToken {
        key_id: "k2".to_owned(),
        sealed_access: vec![1],
        sealed_refresh: Some(vec![2]),
        ..token(version)
    };
    assert_eq!(table.reseal_provider_token(&user, &anew(1), "k1").await, Err(StoreError::Conflict), "gone");
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(None), "and it stays so");

    // Ended between its reading and its sealing.
    let ended = ProviderToken { sealed_refresh: Some(vec![0]), ended: true, ..token(1) };
    table.put_provider_token(&user, &ended, None).await.unwrap();
    table.reseal_provider_token(&user, &anew(1), "k1").await.unwrap();
    let sealed = ProviderToken { ended: true, ..anew(1) };
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(Some(sealed)));
    assert_eq!(
        table.reseal_provider_token(&user, &anew(1), "k1").await,
        Err(StoreError::Conflict),
        "somebody was faster"
    );

    // A renewal that has read the row before replaces it, and is not replaced.
    table.put_provider_token(&user, &token(2), Some(1)).await.unwrap();
    assert_eq!(table.reseal_provider_token(&user, &anew(1), "k1").await, Err(StoreError::Conflict));
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(Some(token(2))));
}

#[tokio::test]
async fn one_process_holds_a_lease_until_it_ends_or_is_given_back() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let lease = |held_until| {
        let made = Lease::new(&Clock::system(), 0, 1).unwrap();
        Lease { held_until, expires_at: NOW + 3600, ..made }
    };
    let leases: Vec<Lease> = (0..6).map(|_| lease(NOW + 10)).collect();
    let taken = join_all(leases.iter().map(|lease| table.take_lease(&user, SLOT, lease, NOW))).await;
    assert_eq!(taken.iter().filter(|taken| **taken == Ok(true)).count(), 1, "{taken:?}");
    assert_eq!(taken.iter().filter(|taken| **taken == Ok(false)).count(), 5, "{taken:?}");
    let holder = &leases[taken.iter().position(|taken| *taken == Ok(true)).unwrap()];
    assert_eq!(table.take_lease(&user, SLOT, holder, NOW).await, Ok(true), "its own, asked for again");

    let next = lease(NOW + 30);
    assert_eq!(table.take_lease(&user, SLOT, &next, NOW + 10).await, Ok(false), "to its very end");
    assert_eq!(table.take_lease(&user, SLOT, &next, NOW + 11).await, Ok(true), "its holder has died");
    table.give_back_lease(&user, SLOT, holder).await.expect("late");
    assert_eq!(table.take_lease(&user, SLOT, &lease(NOW + 40), NOW + 12).await, Ok(false), "not its own");
    table.give_back_lease(&user, SLOT, &next).await.unwrap();
    assert_eq!(table.take_lease(&user, SLOT, &lease(NOW + 40), NOW + 12).await, Ok(true));
    let other_host = TokenSlot::own(ProviderType::Gitlab);
    assert_eq!(table.take_lease(&user, other_host, &lease(NOW + 40), NOW + 12).await, Ok(true));
}

#[tokio::test]
async fn a_token_that_has_taken_the_place_of_the_deleted_one_stays() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    table.put_provider_token(&user, &token(2), None).await.unwrap();
    table.delete_provider_token(&user, &token(1), NOW).await.unwrap();
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(Some(token(2))));
    table.delete_provider_token(&user, &token(2), NOW).await.unwrap();
    table.delete_provider_token(&user, &token(2), NOW).await.expect("deleting twice is deleting");
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(None));
}

pub(crate) fn answer(request: &str, fetched_at: i64) -> KeptAnswer {
    KeptAnswer {
        request: request.to_owned(),
        headers: vec![("etag".to_owned(), "\"a\"".to_owned()), ("link".to_owned(), String::new())],
        body: vec![0x1f, 0x8b, 0, 255],
        fetched_at,
        expires_at: NOW + 600,
    }
}

#[tokio::test]
async fn an_older_answer_does_not_replace_a_newer_one() {
    let test = TestTable::new().await;
    let (owner, table) = (AnswerOwner::User(user()), &test.table);
    let github = ProviderType::Github;
    for fetched_at in [NOW, NOW + 2, NOW + 1] {
        table.keep_answer(&owner, github, &answer("r", fetched_at)).await.unwrap();
    }
    let kept = table.kept_answer(&owner, github, "r").await;
    assert_eq!(kept, Ok(Some(answer("r", NOW + 2))), "an empty header too");
    assert_eq!(table.kept_answer(&AnswerOwner::App, github, "r").await, Ok(None), "nobody else's");
    table.forget_answer(&owner, github, "r").await.unwrap();
    assert_eq!(table.kept_answer(&owner, github, "r").await, Ok(None));
}

#[tokio::test]
async fn answers_go_with_their_token_even_one_that_is_still_on_its_way() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let owner = AnswerOwner::User(user.clone());
    let github = ProviderType::Github;
    table.put_provider_token(&user, &token(1), None).await.unwrap();
    table.keep_answer(&owner, ProviderType::Gitlab, &answer("r", NOW)).await.unwrap();
    // More than one transaction deletes.
    for number in 0..103 {
        table.keep_answer(&owner, github, &answer(&number.to_string(), NOW)).await.unwrap();
    }
    table.delete_provider_token(&user, &token(1), NOW + 1).await.unwrap();
    assert_eq!(table.provider_token(&user, SLOT).await, Ok(None));
    let kept = test.items().await.into_iter().filter(|(key, _)| key.contains("ANSWER#github"));
    assert_eq!(kept.count(), 0);

    table.keep_answer(&owner, github, &answer("late", NOW + 1)).await.unwrap();
    assert_eq!(table.kept_answer(&owner, github, "late").await, Ok(None));
    table.keep_answer(&owner, github, &answer("late", NOW + 2)).await.unwrap();
    assert_eq!(table.kept_answer(&owner, github, "late").await, Ok(Some(answer("late", NOW + 2))));
    let gitlab = table.kept_answer(&owner, ProviderType::Gitlab, "r").await;
    assert_eq!(gitlab, Ok(Some(answer("r", NOW))));
}
