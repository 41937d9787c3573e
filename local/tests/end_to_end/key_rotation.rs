//! The keys that seal tokens are rotated: what is used is sealed anew, so that no row needs the old key and the operator
//! can take it out. What is brought and never renewed is so too.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use local::aws::hook::Fault;
use local::stack::TOKEN_KEYS_SECRET;
use serde_json::{Value, json};

use crate::behind::text;
use crate::harness::{Running, Setup, TOKEN_KEYS};
use crate::other_hosts::{get, hosts, linked, start};

const ALL: &str = "/api/user/repositories";
const GITHUB: &str = "/api/user/installations?provider=github";
const A_RING_IS_READ_AGAIN: Duration = Duration::from_secs(301);

/// A ring of these keys of which `current` seals.
fn ring(current: &str, names: &[&str]) -> String {
    let usual: Value = serde_json::from_str(TOKEN_KEYS).unwrap();
    let key = |name: &str| match name {
        "k1" => usual["keys"]["k1"].clone(),
        _ => STANDARD.encode([7; 32]).into(),
    };
    let keys: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), key(name))).collect();
    json!({ "current": current, "keys": keys }).to_string()
}

/// The keys of all sealed tokens, with the rows' versions.
async fn sealed(running: &Running) -> Vec<(String, String, String)> {
    let rows = running.items_of("TOKEN#").await;
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let version = row["version"]["N"].as_str().unwrap().to_owned();
            (format!("{} {}", text(row, "pk"), text(row, "sk")), version, text(row, "key_id").to_owned())
        })
        .collect();
    rows.sort();
    rows
}

async fn keys(running: &Running) -> Vec<String> {
    sealed(running).await.into_iter().map(|(.., key)| key).collect()
}

#[tokio::test]
async fn what_is_used_after_a_rotation_is_sealed_anew_and_the_old_key_can_go() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let other = running.sign_in("reader").await;
    let brought = hosts(&running).personal_token("gitlab", "three-groups").unwrap();
    let tokens = json!({ "provider_tokens": { "gitlab": { "token": brought } } });
    let added = running.post("/api/add-git-providers").api_key(&other).json(&tokens).send().await;
    assert_eq!(added.status, StatusCode::OK, "{added:?}");
    let before = sealed(&running).await;
    assert_eq!(keys(&running).await, ["k1"; 5]);

    running.stack.secrets.set(TOKEN_KEYS_SECRET, &ring("k2", &["k1", "k2"]));
    running.clock.advance(A_RING_IS_READ_AGAIN);
    let listed = [get(&running, &user, ALL).await, get(&running, &other, ALL).await];
    assert_eq!(keys(&running).await, ["k2"; 5]);
    let versions = |rows: &[(String, String, String)]| {
        rows.iter().map(|(row, version, _)| (row.clone(), version.clone())).collect::<Vec<_>>()
    };
    assert_eq!(versions(&sealed(&running).await), versions(&before), "a renewal under way is not disturbed");

    running.stack.secrets.set(TOKEN_KEYS_SECRET, &ring("k2", &["k2"]));
    running.clock.advance(A_RING_IS_READ_AGAIN);
    for (user, before) in [&user, &other].into_iter().zip(listed) {
        let answer = get(&running, user, ALL).await;
        assert_eq!((answer.status, answer.header("x-partial-result")), (StatusCode::OK, None), "{answer:?}");
        assert_eq!(answer.body, before.body);
    }
    // The refresh tokens were sealed anew with the others.
    running.clock.advance(Duration::from_secs(9 * 3600));
    let answer = get(&running, &user, ALL).await;
    assert_eq!((answer.status, answer.header("x-partial-result")), (StatusCode::OK, None), "{answer:?}");
}

#[tokio::test]
async fn a_row_is_sealed_anew_once_and_not_again_by_every_request() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    running.stack.secrets.set(TOKEN_KEYS_SECRET, &ring("k2", &["k1", "k2"]));
    running.clock.advance(A_RING_IS_READ_AGAIN);
    assert_eq!(get(&running, &user, ALL).await.status, StatusCode::OK);
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    for _ in 0..3 {
        assert_eq!(get(&running, &user, ALL).await.status, StatusCode::OK);
    }
    assert_eq!(hook.calls("UpdateItem"), 0);
}

#[tokio::test]
async fn a_table_that_does_not_take_it_costs_nobody_anything_and_the_next_request_tries_again() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    // The use of the key is noted, and not again for ten minutes.
    assert_eq!(get(&running, &user, GITHUB).await.status, StatusCode::OK);
    running.stack.secrets.set(TOKEN_KEYS_SECRET, &ring("k2", &["k1", "k2"]));
    running.clock.advance(A_RING_IS_READ_AGAIN);
    let hook = running.stack.dynamodb.hook();
    for fault in [
        Fault::error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
        Fault::delay(Duration::from_secs(3)),
    ] {
        hook.fail_next("UpdateItem", 3, &fault);
        let started = std::time::Instant::now();
        assert_eq!(get(&running, &user, GITHUB).await.status, StatusCode::OK);
        assert!(started.elapsed() < Duration::from_secs(2), "{fault:?}: {:?}", started.elapsed());
        assert_eq!(keys(&running).await, ["k1"; 3], "{fault:?}");
        hook.reset();
    }
    assert_eq!(get(&running, &user, ALL).await.status, StatusCode::OK);
    assert_eq!(keys(&running).await, ["k2"; 3]);
}

#[tokio::test]
async fn a_process_that_has_read_the_ring_before_does_not_seal_back() {
    let running = Setup { token_keys: ring("k1", &["k1", "k2"]), ..Setup::default() }.start().await;
    let user = running.sign_in("octocat").await;
    // This function knows both keys, and that the first one seals.
    assert_eq!(get(&running, &user, ALL).await.status, StatusCode::OK);
    running.stack.secrets.set(TOKEN_KEYS_SECRET, &ring("k2", &["k1", "k2"]));
    running.clock.advance(Duration::from_secs(11));
    assert_eq!(get(&running, &user, GITHUB).await.status, StatusCode::OK);
    assert_eq!(keys(&running).await, ["k2"], "sealed anew by the other function");
    assert_eq!(get(&running, &user, ALL).await.status, StatusCode::OK);
    assert_eq!(keys(&running).await, ["k2"]);
}
