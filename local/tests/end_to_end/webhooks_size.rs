//! Large deliveries and large installations: whole lists of repositories, and changes of more rows than one
//! transaction holds, with a crash between the transactions.

use std::time::Instant;

use http::StatusCode;
use local::aws::hook::Fault;
use local::sandbox_github::{InstallationId, SignedDelivery};
use local::stack::SANDBOX_APP_ID;
use serde_json::{Value, json};
use shared::store::Proof;

use crate::behind::user;
use crate::github_lab::{ATTEMPTS, unavailable};
use crate::harness::{Running, start};
use crate::webhooks::{described, message};

const MANY: usize = 40_000;
/// GitHub's largest delivery may have 25 MB; a Lambda is given six.
const LARGEST: usize = 6_000_000;
/// More than fit into one transaction, whose rows take one or two writes each.
const USERS: usize = 150;

fn repository(id: usize) -> Value {
    let full_name = format!("big-org/service-{id:05}-{:08x}", (id as u64).wrapping_mul(0x9E37_79B9) as u32);
    json!({ "id": 900_000 + id, "full_name": full_name, "private": !id.is_multiple_of(3) })
}

fn created(repositories: &[Value], at: i64) -> Value {
    let installation = described(77, (5, "big-org", "Organization"), at);
    json!({ "action": "created", "installation": installation, "repositories": repositories, "sender": {"id": 9} })
}

fn changed(added: &[Value], removed: &[Value], at: i64) -> SignedDelivery {
    let body = json!({
        "action": if removed.is_empty() { "added" } else { "removed" },
        "installation": described(77, (5, "big-org", "Organization"), at),
        "repository_selection": "selected",
        "repositories_added": added,
        "repositories_removed": removed,
    });
    message("installation_repositories", body.to_string())
}

/// Delivers, and prints how long that took.
async fn timed(running: &Running, what: &str, delivery: &SignedDelivery) {
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    let begun = Instant::now();
    assert_eq!(running.dealt(delivery).await, "applied", "{what}");
    let (bytes, elapsed) = (delivery.body.len(), begun.elapsed().as_millis());
    println!("{what}: {bytes} bytes, {elapsed} ms, {:?}", hook.all_calls());
}

#[tokio::test]
async fn forty_thousand_repositories_and_one_more_are_kept_whole() {
    let running = start().await;
    let all: Vec<Value> = (1..=MANY).map(repository).collect();
    let begun = message("installation", created(&all, 1_700_000_000).to_string());
    timed(&running, "created with 40,000 repositories", &begun).await;
    assert_eq!(running.reached(77).await.len(), MANY);
    timed(&running, "one added", &changed(&[repository(MANY + 1)], &[], 1_700_000_060)).await;
    timed(&running, "one removed", &changed(&[], &[repository(1)], 1_700_000_120)).await;
    let reached = running.reached(77).await;
    assert_eq!(reached.len(), MANY);
    for (id, there) in [(1, false), (2, true), (MANY, true), (MANY + 1, true)] {
        let expected = repository(id);
        let name = reached.get(&expected["id"].as_u64().unwrap()).map(String::as_str);
        assert_eq!(name, expected["full_name"].as_str().filter(|_| there));
    }
    let version = running.known(77).await.unwrap().repositories.unwrap().version;
    let chunks = running.items_of("REPOSITORIES#").await;
    let current = format!("REPOSITORIES#{version}#");
    assert!(
        chunks.iter().all(|chunk| chunk["sk"]["S"].as_str().unwrap().starts_with(&current)),
        "no leftovers"
    );
    let deleted = json!({"action": "deleted", "installation": {"id": 77, "app_id": SANDBOX_APP_ID}});
    timed(&running, "deleted", &message("installation", deleted.to_string())).await;
    assert_eq!(running.items_of("REPOSITORIES#").await.len(), 0);
}

#[tokio::test]
async fn a_body_of_almost_six_megabytes_is_read() {
    let running = start().await;
    let mut all = Vec::new();
    let mut size = 2_000;
    for id in 1.. {
        let one = repository(id);
        size += one.to_string().len() + 1;
        if size > LARGEST {
            break;
        }
        all.push(one);
    }
    let delivery = message("installation", created(&all, 1_700_000_000).to_string());
    assert!((LARGEST - 3_000..LARGEST).contains(&delivery.body.len()), "{}", delivery.body.len());
    timed(&running, "almost 6 MB", &delivery).await;
    assert_eq!(running.reached(77).await.len(), all.len());
    let forged = SignedDelivery { body: vec![b' '; LARGEST], ..delivery };
    assert_eq!(running.deliver(&forged).await.status, StatusCode::UNAUTHORIZED);
}

/// Names that no compression makes small, so that the list takes more chunks than one transaction holds.
fn incompressible(count: usize) -> Vec<Value> {
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[(state >> 58) as usize],
        )
    };
    (1..=count)
        .map(|id| {
            let name: String = std::iter::repeat_with(&mut letter).take(95).collect();
            json!({ "id": id, "full_name": format!("big-org/{name}"), "private": true })
        })
        .collect()
}

#[tokio::test]
async fn chunks_that_a_crash_has_left_do_not_spoil_the_next_list() {
    let running = start().await;
    let delivery = message("installation", created(&incompressible(30_000), 1_700_000_000).to_string());
    // The chunks are written, then the process ends.
    running.stack.dynamodb.hook().fail_next("TransactWriteItems", ATTEMPTS, &unavailable());
    assert_eq!(running.deliver(&delivery).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(running.items_of("REPOSITORIES#").await.len() > 5);
    assert_eq!(running.known(77).await, None);
    running.stack.dynamodb.hook().reset();
    assert_eq!(running.dealt(&changed(&[repository(1)], &[], 1_700_000_060)).await, "applied");
    assert_eq!(running.reached(77).await.len(), 1);
    assert_eq!(running.dealt(&delivery).await, "applied");
    assert_eq!(running.reached(77).await.len(), 30_001);
}

/// So many users with a row of octo-org beside those who have signed in.
pub(crate) async fn crowd(running: &Running, installation: InstallationId) -> Vec<String> {
    let known = running.known(installation.0).await.expect("octo-org is known");
    let mut users = Vec::new();
    for number in 0..USERS {
        let id = format!("usr_{number:026}");
        let rows = [(known.clone(), Proof::Member)];
        running.stack.service.table.add_rows(&user(&id), &rows, 1_700_000_000).await.expect("a row");
        users.push(id);
    }
    users
}

/// How many of these users have a row, and how many different names and suspensions stand in them.
async fn said(
    running: &Running,
    users: &[String],
    installation: InstallationId,
) -> (usize, Vec<(String, bool)>) {
    let mut said = Vec::new();
    for user in users {
        let rows = running.rows(user).await;
        said.extend(
            rows.into_iter()
                .filter(|row| row.installation_id == installation.0)
                .map(|row| (row.facts.account_name.unwrap_or_default(), row.facts.suspended_at.is_some())),
        );
    }
    let count = said.len();
    said.sort();
    said.dedup();
    (count, said)
}

/// What can become of octo-org.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    Renamed,
    Suspended,
    Gone,
}

fn becomes(running: &Running, what: Becomes, id: InstallationId) -> SignedDelivery {
    let organization = running.account("octo-org");
    running.wait(60);
    running.github().world(|world| match what {
        Becomes::Renamed => world.rename(organization, "octo-inc"),
        Becomes::Suspended => world.suspend_by_owner(id),
        Becomes::Gone => world.uninstall(id),
    });
    running.taken()
}

#[tokio::test]
async fn a_crash_between_the_transactions_of_a_large_change_is_made_good_by_the_same_delivery() {
    for (what, rows, name, suspended) in [
        (Becomes::Renamed, USERS, "octo-inc", false),
        (Becomes::Suspended, USERS, "octo-org", true),
        (Becomes::Gone, 0, "", false),
    ] {
        let mut calls = None;
        for passing in 0.. {
            let running = start().await;
            running.sign_in("octocat").await;
            let id = running.installation("octo-org");
            let users = crowd(&running, id).await;
            let delivery = becomes(&running, what, id);
            let hook = running.stack.dynamodb.hook();
            hook.reset();
            if calls.is_none() {
                assert_eq!(running.dealt(&delivery).await, "applied");
                println!("{what:?} for {USERS} users: {:?}", hook.all_calls());
                calls = Some(hook.calls("TransactWriteItems"));
            }
            if calls.is_some_and(|calls| passing >= calls) {
                break;
            }
            hook.reset();
            hook.fail_next("TransactWriteItems", passing, &Fault::default());
            hook.fail_next("TransactWriteItems", ATTEMPTS, &unavailable());
            if passing > 0 {
                let answer = running.deliver(&delivery).await;
                assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what:?} {passing}: {answer:?}");
                hook.reset();
                assert_eq!(running.dealt(&delivery).await, "applied", "{what:?} {passing}");
            }
            let (count, said) = said(&running, &users, id).await;
            assert_eq!(count, rows, "{what:?} {passing}");
            let expected = [(name.to_owned(), suspended)];
            assert_eq!(said, if rows == 0 { &[][..] } else { &expected[..] }, "{what:?} {passing}");
            let loaded = running.stack.service.table.installation(id.0).await.unwrap();
            assert!(!loaded.is_unfinished(), "{what:?} {passing}");
            assert_eq!(running.dealt(&delivery).await, "repeated");
        }
    }
}

#[tokio::test]
async fn a_newer_event_between_a_crash_and_the_redelivery_wins() {
    for passing in 1..4 {
        let running = start().await;
        running.sign_in("octocat").await;
        let id = running.installation("octo-org");
        let users = crowd(&running, id).await;
        let suspended = becomes(&running, Becomes::Suspended, id);
        let hook = running.stack.dynamodb.hook();
        hook.reset();
        hook.fail_next("TransactWriteItems", passing, &Fault::default());
        hook.fail_next("TransactWriteItems", ATTEMPTS, &unavailable());
        assert_eq!(running.deliver(&suspended).await.status, StatusCode::SERVICE_UNAVAILABLE);
        hook.reset();
        running.wait(60);
        running.github().world(|world| world.unsuspend(id));
        assert_eq!(running.dealt(&running.taken()).await, "applied");
        let expected = (USERS, vec![("octo-org".to_owned(), false)]);
        assert_eq!(said(&running, &users, id).await, expected, "{passing}");
        assert_eq!(running.dealt(&suspended).await, "unchanged", "{passing}");
        assert_eq!(said(&running, &users, id).await, expected, "{passing}");
    }
}

#[tokio::test]
async fn a_large_change_that_is_delivered_several_times_at_once_succeeds_each_time() {
    let running = start().await;
    running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    let users = crowd(&running, id).await;
    let suspended = becomes(&running, Becomes::Suspended, id);
    let answers = futures::future::join_all((0..10).map(|_| running.deliver(&suspended))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(said(&running, &users, id).await, (USERS, vec![("octo-org".to_owned(), true)]));
}
