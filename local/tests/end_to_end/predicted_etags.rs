//! ETags that survive a token change (DESIGN 5; reference: GitHub 1.6): what was kept is asked about with the tag
//! that it has under today's token, and shown only to a 304. What clients' own conditions come to is in
//! `predicted_etags_clients`; copies in place of failures are in `last_good_answers`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use local::aws::hook;
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind, Selection, Target, USER_TOKEN_LIFE};
use serde_json::json;
use shared::metrics::Metric;

use crate::github_lab::{LIST, app_jwt, claims};
use crate::harness::{Answer, Running, Setup, start};

const OWN: &str = "/users/octocat/installation";
/// Longer than a JWT of ours is used, and shorter than a copy stays young.
const NEXT_JWT: u64 = 500;

pub(crate) async fn ask(running: &Running, path: &str, user: &DemoUser) -> Answer {
    running.get(path).api_key(user).send().await
}

/// What GitHub has answered to the calls of this path, and whether they were conditional.
pub(crate) fn answered(running: &Running, path: &str) -> Vec<(u16, bool)> {
    let calls = running.github().calls().into_iter().filter(|call| call.path == path);
    let told =
        calls.map(|call| (call.status.map_or(0, |status| status.as_u16()), call.conditional)).collect();
    running.github().clear_calls();
    told
}

/// Hits and misses of all functions.
pub(crate) fn counted(running: &Running) -> (u64, u64) {
    let total = |metric| running.stack.functions.values().map(|one| one.metrics.total(metric)).sum();
    (total(Metric::PredictedEtagHit), total(Metric::PredictedEtagMiss))
}

/// The user's token ends, so that the next request has another one.
pub(crate) fn next_token(running: &Running) {
    running.wait(u64::try_from(USER_TOKEN_LIFE).unwrap() + 1);
}

fn used(answer: &Answer) -> u64 {
    answer.header("x-ratelimit-used").expect("a number").parse().expect("a number")
}

#[tokio::test]
async fn an_unchanged_list_costs_nothing_at_github_under_any_later_token() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    let path = "/user/installations?per_page=30";
    let first = ask(&running, path, &user).await;
    assert_eq!(answered(&running, LIST), [(200, false)]);
    for round in 1..3 {
        next_token(&running);
        let again = ask(&running, path, &user).await;
        assert_eq!(answered(&running, LIST), [(304, true)], "{round}");
        assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
        assert_ne!(again.header("etag"), first.header("etag"), "it is today's");
        assert_ne!(again.header("x-github-request-id"), first.header("x-github-request-id"));
        assert_eq!((again.header("age"), again.header("cache-status")), (None, None), "it is of now");
        assert_eq!(of_any_call(&again), of_any_call(&first), "else it is the same");
        assert_eq!(counted(&running), (round, 0));
    }
    let same = ask(&running, path, &user).await;
    assert_eq!((used(&same), counted(&running)), (0, (3, 0)), "only a 200 counts");
}

/// What is true of the answer whatever call brought it.
fn of_any_call(answer: &Answer) -> String {
    let wire = answer.wire();
    let lines: Vec<_> = wire.lines().filter(|line| !line.starts_with("x-ratelimit-")).collect();
    lines.join("\n")
}

#[tokio::test]
async fn an_unchanged_installation_costs_nothing_under_any_later_jwt_of_any_process() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let jwt = app_jwt(&claims(&running.clock));
    let (mine, theirs) = (ask(&running, OWN, &user).await, running.get(OWN).bearer(&jwt).send().await);
    assert_eq!(answered(&running, OWN), [(200, false); 2], "a copy is its caller's own");
    running.wait(NEXT_JWT);
    let jwt = app_jwt(&claims(&running.clock));
    let again = (ask(&running, OWN, &user).await, running.get(OWN).bearer(&jwt).send().await);
    assert_eq!((&again.0.body, &again.1.body), (&mine.body, &theirs.body));
    let process = running.new_process(Duration::from_secs(5)).await;
    let bearer = format!("Bearer {jwt}");
    for header in [("X-Session-API-Key", user.api_key.as_str()), ("Authorization", &bearer)] {
        assert_eq!(process.get(OWN, header).await.body, mine.body);
    }
    assert_eq!(answered(&running, OWN), [(304, true); 4]);
    assert_eq!(counted(&running), (2, 0), "those of this process");
}

#[tokio::test]
async fn what_has_changed_is_githubs_200_and_what_is_kept_from_then_on() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    next_token(&running);
    let account = running.account("octo-org");
    running.github().world(|world| world.rename(account, "octo-renamed"));
    answered(&running, LIST);
    let changed = ask(&running, LIST, &user).await;
    assert!(changed.body.contains("octo-renamed"), "{changed:?}");
    assert_eq!((answered(&running, LIST), counted(&running)), (vec![(200, true)], (0, 1)));
    next_token(&running);
    assert_eq!(ask(&running, LIST, &user).await.body, changed.body);
    assert_eq!((answered(&running, LIST), counted(&running)), (vec![(304, true)], (1, 1)));
}

#[tokio::test]
async fn the_rows_of_the_mapping_are_repaired_by_what_is_shown_from_the_copy_too() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let listed = ask(&running, LIST, &user).await;
    let rows = running.shown_rows(&user).await;
    for item in running.items_of("MAPPING#").await {
        running.delete_item(&item).await;
    }
    for item in running.items_of("INSTALLATION#USER#").await {
        running.delete_item(&item).await;
    }
    assert_eq!(running.shown_rows(&user).await.len(), 0);
    answered(&running, LIST);
    assert_eq!(ask(&running, LIST, &user).await.body, listed.body);
    assert_eq!(answered(&running, LIST), [(304, true)]);
    assert_eq!(running.shown_rows(&user).await.len(), rows.len());
}

#[tokio::test]
async fn an_unchanged_answer_is_written_again_only_when_its_copy_is_a_quarter_of_its_life_old() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let dated = async || running.items_of("ANSWER#").await[0]["fetched_at"]["N"].clone();
    ask(&running, LIST, &user).await;
    let first = dated().await;
    running.wait(140);
    ask(&running, LIST, &user).await;
    assert_eq!(dated().await, first, "140 seconds old, of 600");
    running.wait(15);
    ask(&running, LIST, &user).await;
    let second = dated().await;
    assert_ne!(second, first, "155 seconds old");
    running.wait(590);
    running.github().fail(Fault::under("/", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    let copy = ask(&running, LIST, &user).await;
    assert_eq!(
        (copy.status, copy.header("age").is_some()),
        (StatusCode::OK, true),
        "confirmed 590 seconds ago"
    );
}

#[tokio::test]
async fn a_copy_too_old_to_be_served_is_good_for_a_guess_for_a_day() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, LIST, &user).await;
    running.wait(5 * 3600);
    running.github().fail(Fault::under("/", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)).times(3));
    let down = ask(&running, LIST, &user).await;
    assert_eq!(down.status, StatusCode::BAD_GATEWAY, "{down:?}");
    running.github().clear_faults();
    answered(&running, LIST);
    assert_eq!(ask(&running, LIST, &user).await.body, first.body);
    assert_eq!(answered(&running, LIST), [(304, true)]);
}

#[tokio::test]
async fn the_copy_is_read_while_the_token_is_and_costs_no_time_of_its_own() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let pause = Duration::from_secs(1);
    for (path, rounds) in [(LIST, 2), (OWN, 2)] {
        let etag = ask(&running, path, &user).await.header("etag").unwrap().to_owned();
        running.stack.dynamodb.hook().fail_next("GetItem", 20, &hook::Fault::delay(pause));
        let started = Instant::now();
        let same = running.get(path).api_key(&user).header("If-None-Match", &etag).send().await;
        let took = started.elapsed();
        running.stack.dynamodb.hook().reset();
        assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{path}");
        // Who asks, then the token (or the account) together with the copy.
        assert!(took >= pause * rounds && took < pause * (rounds + 1), "{path}: {took:?}");
    }
}

#[tokio::test]
async fn a_table_that_does_not_give_the_copy_costs_the_guess_and_nothing_else() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, OWN, &user).await;
    answered(&running, OWN);
    for item in running.items_of("ANSWER#").await {
        // Of a schema that this version does not know.
        let mut item = item;
        item["v"] = json!({"N": "99"});
        running.put_item(&item).await;
    }
    assert_eq!(ask(&running, OWN, &user).await.body, first.body);
    assert_eq!(answered(&running, OWN), [(200, false)]);
}

#[tokio::test]
async fn the_operator_may_switch_it_off() {
    let running = Setup::default().setting("PREDICT_ETAGS", "false").start().await;
    let user = running.sign_in("octocat").await;
    for path in [LIST, OWN] {
        let first = ask(&running, path, &user).await;
        next_token(&running);
        answered(&running, path);
        assert_eq!(ask(&running, path, &user).await.body, first.body);
        assert_eq!(answered(&running, path), [(200, false)], "{path}");
    }
    assert_eq!(counted(&running), (0, 0));
}

#[tokio::test]
async fn no_copy_of_one_user_is_a_guess_for_another_nor_for_a_forwarded_token() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    ask(&running, LIST, &octocat).await;
    let reader = running.sign_in("reader").await;
    let token = running.github().mint_user_token("octocat").access_token;
    ask(&running, LIST, &reader).await;
    running.get(LIST).bearer(&token).send().await;
    running.get(LIST).bearer(&token).send().await;
    assert_eq!(answered(&running, LIST), [(200, false); 3]);
    assert_eq!(counted(&running), (0, 0));
}

#[tokio::test]
async fn after_a_refusal_nothing_kept_is_asked_about_or_shown() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let running = start().await;
        let user = running.sign_in("octocat").await;
        let first = ask(&running, LIST, &user).await;
        running.wait(10);
        running.break_github(LIST, FaultKind::Status(status));
        let refused = ask(&running, LIST, &user).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert_ne!(refused.body, first.body);
        running.github().clear_faults();
        running.wait(10);
        answered(&running, LIST);
        let again = ask(&running, LIST, &user).await;
        // A token that was refused by its host may have been taken from the user altogether.
        let known = answered(&running, LIST);
        assert!(known.iter().all(|call| *call == (200, false)), "{status}: {known:?}");
        assert!(again.status == StatusCode::OK || status == StatusCode::UNAUTHORIZED, "{again:?}");
    }
}

#[tokio::test]
async fn after_a_revocation_an_uninstall_or_a_logout_nothing_is_left_to_ask_about() {
    let running = Setup { webhooks: true, ..Setup::default() }.start().await;
    let copies = async |running: &Running| running.items_of("ANSWER#").await.len();
    let user = running.sign_in("octocat").await;
    for path in [LIST, OWN] {
        ask(&running, path, &user).await;
    }
    assert_eq!(copies(&running).await, 2);
    let installation = running.installation("octocat");
    running.github().world(|world| world.uninstall(installation));
    running.github().drain().await;
    assert_eq!(copies(&running).await, 0, "uninstalled");
    running.wait(10);
    answered(&running, OWN);
    assert_eq!(ask(&running, OWN, &user).await.status, StatusCode::NOT_FOUND);
    assert!(answered(&running, OWN).iter().all(|(_, conditional)| !conditional));

    ask(&running, LIST, &user).await;
    assert_eq!(copies(&running).await, 1);
    running.wait(10);
    running.post("/auth/logout").session(&user).header("Origin", &running.stack.url).send().await;
    assert_eq!(copies(&running).await, 0, "signed out");

    running.wait(10);
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    assert_eq!(
        answered(&running, LIST).last(),
        Some(&(200, false)),
        "what was before the logout is forgotten"
    );
    running.wait(10);
    running.github().revoke_grant("octocat");
    running.github().drain().await;
    assert_eq!(copies(&running).await, 0, "revoked");
    let refused = ask(&running, LIST, &user).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
}

#[tokio::test]
async fn a_copy_that_is_about_somebody_else_is_not_shown_though_github_confirms_it() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, OWN, &user).await;
    let account = running.account("octocat");
    running.github().world(|world| {
        world.rename(account, "tentacle");
        let squatter = world.add_user("octocat", "Registered the login that became free");
        world.install(Target::Account(squatter), Selection::All)
    });
    // Whatever brought it there: GitHub's answer about the other account stands in the user's copy.
    let theirs = running.directly(OWN, &format!("Bearer {}", app_jwt(&claims(&running.clock)))).await;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(theirs.body.as_bytes()).unwrap();
    let mut item = running.items_of("ANSWER#").await.remove(0);
    item["body"] = json!({"B": STANDARD.encode(packed.finish().unwrap())});
    running.put_item(&item).await;
    answered(&running, OWN);
    for tag in [None, theirs.header("etag"), kept_tag(&item)] {
        for forgotten in running.items_of("FORGOTTEN#").await {
            running.delete_item(&forgotten).await;
        }
        running.put_item(&item).await;
        let request = running.get(OWN).api_key(&user);
        let answer = match tag {
            Some(tag) => request.header("If-None-Match", tag).send().await,
            None => request.send().await,
        };
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{tag:?}: {answer:?}");
        assert!(answered(&running, OWN).contains(&(304, true)), "{tag:?}: GitHub has confirmed it");
        assert_eq!(running.items_of("ANSWER#").await.len(), 0, "{tag:?}: and it is gone");
    }
}

fn kept_tag(item: &serde_json::Value) -> Option<&str> {
    let headers = item["headers"]["L"].as_array()?;
    let pair = headers.iter().find(|pair| pair["L"][0]["S"] == "etag")?;
    pair["L"][1]["S"].as_str()
}
