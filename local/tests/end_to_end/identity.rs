//! Who one is after a sign-in: one user for each GitHub account, whatever it is called today, and the rows
//! of the installations that the new token shows.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use local::aws::hook;
use local::sandbox_github::{Fault, FaultKind};
use serde_json::Value;
use shared::store::Proof;

use crate::behind::{assert_page, text};
use crate::harness::{Browser, start};

async fn session(browser: &Browser<'_>) -> Value {
    browser.get("/auth/session").await.json()
}

async fn user_id(browser: &Browser<'_>) -> String {
    session(browser).await["user_id"].as_str().expect("somebody is signed in").to_owned()
}

#[tokio::test]
async fn first_sign_ins_of_one_account_at_once_make_one_user() {
    let running = start().await;
    let browsers = [running.browser(), running.browser(), running.browser(), running.browser()];
    // Each has seen that nobody has the account before any of them writes.
    let together = hook::Fault::delay(Duration::from_millis(150));
    running.stack.dynamodb.hook().fail_next("TransactWriteItems", browsers.len(), &together);
    let mut callbacks = Vec::new();
    for browser in &browsers {
        let back = browser.approve(&browser.start_sign_in("/auth/github/login").await, "octocat");
        let path = back.replace(&running.stack.url, "");
        callbacks.push(tokio::spawn(running.get(&path).header("Cookie", &browser.cookie_header()).send()));
    }
    for callback in callbacks {
        let answer = callback.await.unwrap();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    }
    assert_eq!(running.items_of("USER").await.len(), 1);
    assert_eq!(running.items_of("IDENTITY").await.len(), 2, "the user's view and the way to the user");
    assert_eq!(running.items_of("TOKEN#").await.len(), 1);
}

#[tokio::test]
async fn one_account_is_one_user_in_every_browser_and_after_every_logout() {
    let running = start().await;
    let (first, second) = (running.browser(), running.browser());
    first.sign_in("octocat").await;
    second.sign_in("OCTOCAT").await;
    let id = user_id(&first).await;
    assert!(id.len() == 30 && id.starts_with("usr_"), "{id}");
    assert_eq!(user_id(&second).await, id);
    for browser in [&first, &second] {
        assert_eq!(browser.post("/auth/logout", None).await.status, StatusCode::NO_CONTENT);
    }
    first.sign_in("octocat").await;
    assert_eq!(user_id(&first).await, id);
    second.sign_in("reader").await;
    assert_ne!(user_id(&second).await, id);
}

#[tokio::test]
async fn another_account_is_not_linked_to_who_is_signed_in_and_nothing_changes() {
    let running = start().await;
    let browser = running.browser();
    browser.sign_in("octocat").await;
    // One that nobody has signed in with yet, and one that is another user's already.
    running.browser().sign_in("newcomer").await;
    for other in ["reader", "newcomer"] {
        let back = browser.approve(&browser.start_sign_in("/auth/github/login").await, other);
        let before = (running.items().await, browser.cookie("neptun-session"));
        let answer = browser.get(&back).await;
        assert_page(&answer, 403, "identity_of_another_user");
        let kept = |items: Vec<Value>| -> BTreeMap<(String, String), Value> {
            let lasting = items.into_iter().filter(|item| text(item, "sk") != "SIGN_IN");
            lasting.map(|item| ((text(&item, "pk").to_owned(), text(&item, "sk").to_owned()), item)).collect()
        };
        assert_eq!(kept(running.items().await), kept(before.0), "{other}");
        assert_eq!(browser.cookie("neptun-session"), before.1);
        assert_eq!(session(&browser).await["providers"][0]["login"], "octocat");
    }
}

#[tokio::test]
async fn a_login_that_was_renamed_at_github_is_followed_and_the_old_one_is_another_user() {
    let running = start().await;
    let browser = running.browser();
    browser.sign_in("octocat").await;
    let before = session(&browser).await;
    running.github().world(|world| {
        let id = world.user("octocat").unwrap().id;
        world.rename(id, "Octocat-Renamed");
        world.add_user("octocat", "Took the login that became free");
    });
    browser.sign_in("octocat-renamed").await;
    let after = session(&browser).await;
    assert_eq!(after["user_id"], before["user_id"]);
    assert_eq!(after["providers"][0]["login"], "Octocat-Renamed");
    assert_eq!(after["providers"][0]["id"], before["providers"][0]["id"]);
    assert_eq!(after["providers"][0]["linked_at"], before["providers"][0]["linked_at"]);

    let other = running.browser();
    other.sign_in("octocat").await;
    assert_ne!(session(&other).await["user_id"], before["user_id"]);
}

#[tokio::test]
async fn a_sign_in_writes_a_row_for_each_installation_that_the_token_shows() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let rows = running.rows(&user.user_id).await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let suspended = row.facts.suspended_at.is_some();
            (
                row.facts.account_name.as_deref().unwrap(),
                row.facts.account_type.as_deref().unwrap(),
                suspended,
                row.proof,
            )
        })
        .collect();
    // The listing proves association: octocat owns octo-org, and that is for the setup page to prove.
    assert_eq!(
        found,
        [
            ("octocat", "User", false, Proof::Admin),
            ("octo-org", "Organization", false, Proof::Member),
            ("octo-labs", "Organization", true, Proof::Member),
            ("octo-business", "Enterprise", false, Proof::Member),
        ]
    );
    assert!(rows.iter().all(|row| row.proved_at == row.created_at));

    let reader = running.sign_in("reader").await;
    let rows = running.rows(&reader.user_id).await;
    // One repository of octocat's is enough to be shown octocat's own installation, and is no administration.
    let found: Vec<_> =
        rows.iter().map(|row| (row.facts.account_name.as_deref().unwrap(), row.proof)).collect();
    assert_eq!(found, [("octocat", Proof::Member), ("octo-org", Proof::Member)]);
}

#[tokio::test]
async fn every_page_of_a_long_list_becomes_rows() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    assert_eq!(running.rows(&user.user_id).await.len(), 40);
    let gone = running.sign_in("account-gone").await;
    let rows = running.rows(&gone.user_id).await;
    assert_eq!((rows.len(), rows[0].facts.account_name.as_deref()), (1, None), "{rows:?}");
}

#[tokio::test]
async fn a_listing_that_fails_keeps_nobody_out() {
    let running = start().await;
    for kind in [
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FaultKind::Status(StatusCode::FORBIDDEN),
        FaultKind::PrimaryRateLimit { reset_in: 600 },
        FaultKind::Html,
        FaultKind::TruncatedJson,
    ] {
        running.github().fail(Fault::get("/user/installations", kind.clone()));
        let browser = running.browser();
        let finished = browser.sign_in("octocat").await;
        assert_eq!(finished.status, StatusCode::SEE_OTHER, "{kind:?}: {finished:?}");
        let id = user_id(&browser).await;
        assert!(running.rows(&id).await.is_empty(), "{kind:?}");
        running.github().clear_faults();
    }
    // The next complete listing writes them.
    let browser = running.browser();
    browser.sign_in("octocat").await;
    assert_eq!(running.rows(&user_id(&browser).await).await.len(), 4);
}
