//! Sessions, sign-ins under way and logout tokens: what is used once is used once, and what has ended stays ended.

use futures::future::join_all;
use shared::provider::ProviderType;
use shared::store::{Session, SignIn, SsoLogin, StoreError, UserId};

use crate::harness::{NOW, TestTable, unique, user};

pub(crate) fn session(user: &UserId, sso: Option<&str>) -> Session {
    Session {
        hash: unique("hash"),
        user_id: user.clone(),
        created_at: NOW,
        seen_at: NOW,
        expires_at: NOW + 100,
        ends_at: NOW + 1000,
        sso_session: sso.map(str::to_owned),
    }
}

pub(crate) fn sso_login(session: &Session) -> SsoLogin {
    SsoLogin {
        session: session.sso_session.clone().unwrap(),
        hash: session.hash.clone(),
        issuer: "https://sso.example".to_owned(),
        user_id: session.user_id.clone(),
        sealed_id_token: vec![0, 159, 255],
        key_id: "k1".to_owned(),
        expires_at: NOW + 1000,
    }
}

pub(crate) fn sign_in() -> SignIn {
    SignIn {
        state_hash: unique("state"),
        browser_hash: unique("browser"),
        provider: ProviderType::Gitlab,
        sealed_verifier: vec![0, 1, 254, 255],
        key_id: "k1".to_owned(),
        offline: false,
        user_id: None,
        return_to: "/".to_owned(),
        ends_at: NOW + 600,
        used: false,
        used_by: None,
        expires_at: NOW + 1200,
    }
}

#[tokio::test]
async fn a_new_session_ends_the_one_before_it() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let (first, second) = (session(&user, Some("sso")), session(&user, None));
    let login = sso_login(&first);
    table.start_session(&first, Some(&login), None).await.unwrap();
    assert_eq!(table.session(&first.hash).await, Ok(Some(first.clone())));
    assert_eq!(table.sso_login(&first).await, Ok(Some(login.clone())));
    assert_eq!(table.sso_logins("sso").await, Ok(vec![login]));

    table.start_session(&second, None, Some(&first)).await.unwrap();
    assert_eq!(table.session(&first.hash).await, Ok(None));
    assert_eq!(table.sso_logins("sso").await, Ok(vec![]));
    assert_eq!(table.sessions_of(&user).await, Ok(vec![second]));
}

#[tokio::test]
async fn a_use_moves_the_end_of_a_session_but_brings_no_ended_one_back() {
    let test = TestTable::new().await;
    let (user, table) = (user(), &test.table);
    let session = session(&user, None);
    table.start_session(&session, None, None).await.unwrap();
    table.touch_session(&session, NOW + 5, NOW + 105).await.unwrap();
    let touched = Session { seen_at: NOW + 5, expires_at: NOW + 105, ..session.clone() };
    assert_eq!(table.session(&session.hash).await, Ok(Some(touched.clone())));
    assert_eq!(table.sessions_of(&user).await, Ok(vec![touched]));

    table.end_session(&session).await.unwrap();
    table.end_session(&session).await.expect("ending twice is ending");
    let late = table.touch_session(&session, NOW + 6, NOW + 106).await;
    assert_eq!(late, Err(StoreError::Conflict));
    assert!(test.items().await.is_empty());
}

#[tokio::test]
async fn more_sessions_than_a_transaction_holds_end_together_and_nobody_elses() {
    let test = TestTable::new().await;
    let (one, other) = (user(), user());
    let others = session(&other, None);
    test.table.start_session(&others, None, None).await.unwrap();
    for _ in 0..40 {
        let session = session(&one, Some("sso"));
        test.table.start_session(&session, Some(&sso_login(&session)), None).await.unwrap();
    }
    assert_eq!(test.table.sessions_of(&one).await.unwrap().len(), 40);
    test.table.end_sessions_of(&one).await.unwrap();
    assert_eq!(test.table.sessions_of(&one).await, Ok(vec![]));
    assert_eq!(test.table.sessions_of(&other).await, Ok(vec![others]));
    assert_eq!(test.items().await.len(), 2);
}

#[tokio::test]
async fn of_any_number_of_callers_one_uses_a_sign_in_up() {
    let test = TestTable::new().await;
    let (table, sign_in) = (&test.table, sign_in());
    assert_eq!(table.use_sign_in(&sign_in.state_hash, "0").await, Ok(false), "a state that nobody made");
    table.start_sign_in(&sign_in).await.unwrap();
    assert_eq!(table.sign_in(&sign_in.state_hash).await, Ok(Some(sign_in.clone())));

    let users: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    let uses = join_all(users.iter().map(|user| table.use_sign_in(&sign_in.state_hash, user))).await;
    assert_eq!(uses.iter().filter(|used| **used == Ok(true)).count(), 1, "{uses:?}");
    assert_eq!(uses.iter().filter(|used| **used == Ok(false)).count(), 7, "{uses:?}");

    table.start_sign_in(&sign_in).await.expect("the same start again");
    let known = table.sign_in(&sign_in.state_hash).await.unwrap().unwrap();
    assert!(known.used, "and it stays used");
}

#[tokio::test]
async fn a_logout_token_is_known_once_it_is_dealt_with() {
    let test = TestTable::new().await;
    assert_eq!(test.table.has_logout_token("hash").await, Ok(false));
    test.table.note_logout_token("hash", NOW).await.unwrap();
    test.table.note_logout_token("hash", NOW).await.expect("by another process at the same time");
    assert_eq!(test.table.has_logout_token("hash").await, Ok(true));
    assert_eq!(test.table.has_logout_token("other").await, Ok(false));
}
