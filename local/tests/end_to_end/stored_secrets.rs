//! What the table holds opens nothing (DESIGN 3 and 6): credentials of ours as hashes, GitHub's tokens
//! sealed with a key that is not in the table, each bound to the row that it is in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use local::stack::TOKEN_KEYS_SECRET;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::behind::{parameter, readable, text};
use crate::harness::{Running, TOKEN_KEYS, start};

const INSTALLATIONS: &str = "/api/user/installations?provider=github";

/// A ring of the tests' usual key and another one, which seals.
fn rotated() -> String {
    let before: Value = serde_json::from_str(TOKEN_KEYS).unwrap();
    json!({ "current": "k2", "keys": { "k1": before["keys"]["k1"], "k2": STANDARD.encode([7; 32]) } })
        .to_string()
}

async fn token_row(running: &Running, user_id: &str) -> Value {
    let rows = running.items_of("TOKEN#").await;
    let partition = format!("USER#{user_id}");
    rows.into_iter().find(|row| text(row, "pk") == partition).expect("the user has a token")
}

#[tokio::test]
async fn after_everything_has_happened_no_credential_stands_in_the_table() {
    let running = start().await;
    let browser = running.browser();
    let authorize = browser.start_sign_in("/auth/github/login").await;
    let binding = browser.cookie_header();
    let back = browser.approve(&authorize, "octocat");
    let under_way = running.items().await;
    browser.get(&back).await;
    let user = running.sign_in("octocat").await;
    for path in [INSTALLATIONS, "/api/user/repositories", "/user/installations"] {
        assert_eq!(running.get(path).api_key(&user).send().await.status, StatusCode::OK, "{path}");
    }
    running.clock.advance(Duration::from_secs(9 * 3600));
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
    // One that is never finished.
    let unfinished = parameter(&browser.start_sign_in("/auth/github/login").await, "state");

    let items = running.items().await;
    for kind in ["USER", "IDENTITY", "TOKEN#", "SESSION", "SIGN_IN", "MAPPING#", "ANSWER", "API_KEY"] {
        let found = items.iter().any(|item| text(item, "sk").starts_with(kind));
        assert!(
            found,
            "no item of kind {kind}: {:?}",
            items.iter().map(|i| text(i, "sk")).collect::<Vec<_>>()
        );
    }
    let dump: String = under_way.iter().chain(&items).map(readable).collect();
    for (name, secret) in [
        ("session cookie", browser.cookie("neptun-session").unwrap()),
        ("another's session cookie", user.session_cookie.clone()),
        ("API key", user.api_key.clone()),
        ("API key without its prefix", user.api_key.trim_start_matches("gik_").to_owned()),
        ("state", parameter(&authorize, "state")),
        ("unfinished state", unfinished),
        ("binding cookie", binding.split_once('=').unwrap().1.to_owned()),
        ("code", parameter(&back, "code")),
        ("access token", "ghu_".to_owned()),
        ("refresh token", "ghr_".to_owned()),
        ("client secret", "sandbox-client-secret".to_owned()),
        ("private key", "PRIVATE KEY".to_owned()),
    ] {
        assert!(!dump.contains(&secret), "the {name} stands in the table");
    }
    // The PKCE verifier is known by its hash only.
    let challenge = parameter(&authorize, "code_challenge");
    let is_base64url = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    for word in dump.split(|character| !is_base64url(character)).filter(|word| word.len() == 43) {
        assert_ne!(URL_SAFE_NO_PAD.encode(digest(&SHA256, word.as_bytes())), challenge, "the verifier");
    }
}

#[tokio::test]
async fn a_dump_of_the_table_signs_nobody_in() {
    let running = start().await;
    running.sign_in("octocat").await;
    let items = running.items().await;
    let texts = items.iter().flat_map(|item| item.as_object().unwrap().values());
    let mut words: Vec<String> = texts
        .filter_map(|value| value["S"].as_str())
        .flat_map(|text| text.split('#').chain([text]).map(ToOwned::to_owned))
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_graphic()) && !word.is_empty())
        .collect();
    words.sort();
    words.dedup();
    assert!(words.iter().any(|word| word.len() == 43), "hashes are in the dump: {words:?}");
    for word in words {
        let cookie = format!("neptun-session={word}");
        let session = running.get("/auth/session").header("Cookie", &cookie).send().await;
        assert_eq!(session.json()["signed_in"], false, "{word}");
        for key in [word.clone(), format!("gik_{word}")] {
            let answer = running.get("/api/keys").header("X-Session-API-Key", &key).send().await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key}");
        }
    }
}

#[tokio::test]
async fn a_sealed_token_copied_to_another_user_does_not_open() {
    let running = start().await;
    let (victim, attacker) = (running.sign_in("octocat").await, running.sign_in("newcomer").await);
    let mut stolen = token_row(&running, &victim.user_id).await;
    stolen["pk"] = token_row(&running, &attacker.user_id).await["pk"].clone();
    running.put_item(&stolen).await;
    let answer = running.get(INSTALLATIONS).api_key(&attacker).send().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    // The same for the refresh token, which alone is asked for when the other has ended.
    running.clock.advance(Duration::from_secs(9 * 3600));
    let answer = running.get(INSTALLATIONS).api_key(&attacker).send().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    assert!(running.github().calls().is_empty(), "the victim's token was used");
    // A new sign-in puts it right, and the victim was never concerned.
    running.browser().sign_in("newcomer").await;
    for user in [&victim, &attacker] {
        assert_eq!(running.get(INSTALLATIONS).api_key(user).send().await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_sealed_token_in_another_place_or_of_another_version_does_not_open() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let row = token_row(&running, &user.user_id).await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut row = row.clone();
        change(&mut row);
        row
    };
    for (what, row) in [
        ("version", changed(&|row| row["version"] = json!({ "N": "2" }))),
        ("key", changed(&|row| row["key_id"] = json!({ "S": "k9" }))),
        ("refresh as access", changed(&|row| row["sealed_access"] = row["sealed_refresh"].clone())),
        ("cut", changed(&|row| row["sealed_access"] = json!({ "B": STANDARD.encode([0; 12]) }))),
        ("empty", changed(&|row| row["sealed_access"] = json!({ "B": "" }))),
    ] {
        running.put_item(&row).await;
        let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{what}: {answer:?}");
        assert!(running.github().calls().is_empty(), "{what}");
    }
    running.put_item(&row).await;
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_ring_rotates_while_the_service_runs() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    assert_eq!(text(&token_row(&running, &user.user_id).await, "key_id"), "k1");
    running.stack.secrets.set(TOKEN_KEYS_SECRET, &rotated());
    running.clock.advance(Duration::from_secs(301));
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);

    running.clock.advance(Duration::from_secs(9 * 3600));
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
    assert_eq!(text(&token_row(&running, &user.user_id).await, "key_id"), "k2", "a renewed token");
    let other = running.sign_in("reader").await;
    assert_eq!(text(&token_row(&running, &other.user_id).await, "key_id"), "k2", "a new token");
}

#[tokio::test]
async fn what_a_process_sealed_with_the_new_key_opens_in_one_that_has_not_heard_of_it() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.stack.secrets.set(TOKEN_KEYS_SECRET, &rotated());
    // A process that starts now knows the new ring; the first one has read the old one 11 seconds ago.
    let other = running.another_process(Duration::from_secs(29)).await;
    running.clock.advance(Duration::from_secs(11));
    let browser = running.browser();
    let authorize = browser.start_sign_in(&format!("{other}/auth/github/login")).await;
    let finished = browser.get(&browser.approve(&authorize, "octocat")).await;
    assert_eq!(finished.status, StatusCode::SEE_OTHER, "the sealed verifier: {finished:?}");

    let browser = running.browser();
    let authorize = browser.start_sign_in("/auth/github/login").await;
    let back = browser.approve(&authorize, "octocat").replace(&running.stack.url, &other);
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    assert_eq!(text(&token_row(&running, &user.user_id).await, "key_id"), "k2");
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_that_is_gone_is_an_error_and_a_new_sign_in_repairs_it() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let only_new = json!({ "current": "k2", "keys": { "k2": STANDARD.encode([7; 32]) } }).to_string();
    running.stack.secrets.set(TOKEN_KEYS_SECRET, &only_new);
    running.clock.advance(Duration::from_secs(301));
    let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    assert!(!answer.body.contains("k1"), "{answer:?}");
    assert_eq!(running.browser().sign_in("octocat").await.status, StatusCode::SEE_OTHER);
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
}
