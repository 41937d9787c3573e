//! Renewing a user's token (DESIGN 6; reference: GitHub 1.9): the refresh token is single use, so of any
//! number of requests and processes one renews, and whatever happens on the way, the pair is not lost.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::aws::hook;
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};
use shared::identity::token_keeping::keep_granted;
use shared::provider::ProviderType;
use shared::provider::oauth::TokenGrant;
use shared::store::{Lease, TokenSlot};

use crate::behind::{TOKEN_ENDPOINT, user};
use crate::harness::{Answer, Running, Setup, start};

const INSTALLATIONS: &str = "/api/user/installations?provider=github";
/// GitHub's user tokens live eight hours.
const LIFE: u64 = 8 * 3600;

/// octocat, whose token has ended.
async fn expired(running: &Running) -> DemoUser {
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(LIFE + 1));
    user
}

async fn asked(running: &Running, user: &DemoUser) -> Answer {
    running.get(INSTALLATIONS).api_key(user).send().await
}

async fn asked_without_trouble(running: &Running, user: &DemoUser) {
    let answer = asked(running, user).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// So many requests at once, spread over these processes; all must be answered.
async fn asked_at_once(running: &Running, user: &DemoUser, urls: &[&str], count: usize) {
    let requests: Vec<_> = (0..count)
        .map(|number| {
            let url = format!("{}{INSTALLATIONS}", urls[number % urls.len()]);
            let request = running.http.get(url).header("X-Session-API-Key", &user.api_key);
            tokio::spawn(async move { request.send().await.expect("an answer").status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
}

/// How many versions a stored token had; a row's first one is the time of its sign-in and 001.
pub(crate) fn count(version: &serde_json::Value) -> String {
    let version: u64 = version.as_str().and_then(|text| text.parse().ok()).expect("a version");
    (version % 1_000).to_string()
}

/// How many versions of the stored token there were.
async fn version(running: &Running) -> String {
    let tokens = running.items_of("TOKEN#").await;
    count(&tokens[0]["version"]["N"])
}

fn throttled() -> hook::Fault {
    hook::Fault::error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException")
}

/// Leaves the first write alone, which takes the lease, and does this to those after it.
fn after_the_lease(running: &Running, times: usize, fault: &hook::Fault) {
    let hook = running.stack.dynamodb.hook();
    hook.fail_next("PutItem", 1, &hook::Fault::delay(Duration::ZERO));
    hook.fail_next("PutItem", times, fault);
}

#[tokio::test]
async fn fifty_requests_at_once_renew_an_expired_token_once() {
    let running = start().await;
    let user = expired(&running).await;
    asked_at_once(&running, &user, &[&running.stack.url], 50).await;
    assert_eq!(running.token_calls(), 1);
    assert_eq!(version(&running).await, "2");
}

#[tokio::test]
async fn two_processes_over_one_table_renew_an_expired_token_once() {
    let running = Setup { latency: Duration::from_millis(30), ..Setup::default() }.start().await;
    let user = expired(&running).await;
    let other = running.another_process(Duration::from_secs(29)).await;
    asked_at_once(&running, &user, &[&running.stack.url, &other], 50).await;
    assert_eq!(running.token_calls(), 1);
}

#[tokio::test]
async fn each_time_it_ends_a_token_is_renewed_with_the_refresh_token_of_last_time() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for round in 1..=3 {
        running.clock.advance(Duration::from_secs(LIFE + 1));
        asked_without_trouble(&running, &user).await;
        asked_without_trouble(&running, &user).await;
        assert_eq!(running.token_calls(), round);
    }
    let granted = running
        .github()
        .calls()
        .iter()
        .filter(|call| call.path == TOKEN_ENDPOINT)
        .all(|call| call.status == Some(StatusCode::OK));
    assert!(granted);
    assert_eq!(version(&running).await, "4");
}

#[tokio::test]
async fn a_token_is_renewed_a_minute_before_its_end_and_not_earlier() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(LIFE - 90));
    asked_without_trouble(&running, &user).await;
    assert_eq!(running.token_calls(), 0);
    running.clock.advance(Duration::from_secs(45));
    asked_without_trouble(&running, &user).await;
    assert_eq!(running.token_calls(), 1);
}

#[tokio::test]
async fn a_holder_that_died_keeps_the_others_waiting_until_its_lease_ends() {
    let running = start().await;
    let demo = expired(&running).await;
    let table = &running.stack.service.table;
    let lease = Lease::new(&running.clock, 20, 1).unwrap();
    let github = ProviderType::Github;
    assert!(
        table
            .take_lease(&user(&demo.user_id), TokenSlot::own(github), &lease, running.clock.unix())
            .await
            .unwrap()
    );

    let waiting = tokio::spawn(running.get(INSTALLATIONS).api_key(&demo).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "the lease was not respected");
    assert_eq!(running.token_calls(), 0);
    running.clock.advance(Duration::from_secs(21));
    assert_eq!(waiting.await.unwrap().status, StatusCode::OK);
    assert_eq!(running.token_calls(), 1);
    // The dead holder comes back to life, too late: what is another's by now stays.
    let [next, third] = [2, 2].map(|version| Lease::new(&running.clock, 20, version).unwrap());
    let (id, now) = (user(&demo.user_id), running.clock.unix());
    assert!(table.take_lease(&id, TokenSlot::own(github), &next, now).await.unwrap());
    table.give_back_lease(&id, TokenSlot::own(github), &lease).await.unwrap();
    assert!(!table.take_lease(&id, TokenSlot::own(github), &third, now).await.unwrap());
}

#[tokio::test]
async fn a_refresh_token_that_was_used_by_another_is_no_loss_if_the_row_has_changed() {
    // So slow that the row changes while GitHub is being asked.
    let running = Setup { latency: Duration::from_millis(250), ..Setup::default() }.start().await;
    let demo = expired(&running).await;
    running.token_endpoint_answers(&serde_json::json!({ "error": "bad_refresh_token" }));
    let request = tokio::spawn(running.get(INSTALLATIONS).api_key(&demo).send());
    while running.items_of("LEASE#").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;

    let tokens = running.github().mint_user_token("octocat");
    let now = running.clock.unix();
    let grant = TokenGrant {
        access: tokens.access_token.into(),
        access_expires_at: Some(now + tokens.expires_in),
        refresh: Some(tokens.refresh_token.into()),
        refresh_expires_at: Some(now + tokens.refresh_token_expires_in),
    };
    keep_granted(&running.stack.service, &user(&demo.user_id), ProviderType::Github, &grant, "")
        .await
        .unwrap();
    let answer = request.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(running.token_calls(), 1);
    let session = running.get("/auth/session").session(&demo).send().await.json();
    assert_eq!(session["providers"][0]["status"], "linked");
}

#[tokio::test]
async fn a_revoked_sign_in_is_told_once_by_github_and_repaired_by_the_next_sign_in() {
    let running = start().await;
    let user = expired(&running).await;
    running.github().revoke_grant("octocat");
    let refused = asked(&running, &user).await;
    assert_eq!((refused.status.as_u16(), refused.body.as_str()), (401, "\"Invalid github token\""));
    assert_eq!(running.token_calls(), 1);
    let session = running.get("/auth/session").session(&user).send().await.json();
    assert_eq!(
        (&session["signed_in"], &session["providers"][0]["status"]),
        (&true.into(), &"expired".into())
    );

    running.github().clear_calls();
    for _ in 0..3 {
        assert_eq!(asked(&running, &user).await.status, StatusCode::UNAUTHORIZED);
    }
    assert!(running.github().calls().is_empty(), "the host was asked again: {:?}", running.github().calls());

    running.browser().sign_in("octocat").await;
    asked_without_trouble(&running, &user).await;
    let session = running.get("/auth/session").session(&user).send().await.json();
    assert_eq!(session["providers"][0]["status"], "linked");
}

#[tokio::test]
async fn many_requests_of_a_revoked_sign_in_ask_github_once() {
    let running = start().await;
    let user = expired(&running).await;
    running.github().revoke_grant("octocat");
    let requests: Vec<_> =
        (0..20).map(|_| tokio::spawn(running.get(INSTALLATIONS).api_key(&user).send())).collect();
    for request in requests {
        let answer = request.await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, "\"Invalid github token\""));
    }
    assert_eq!(running.token_calls(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_has_ended_is_not_sent() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(15_897_601));
    assert_eq!(asked(&running, &user).await.body, "\"Invalid github token\"");
    assert!(running.github().calls().is_empty());
}

#[tokio::test]
async fn while_the_token_lives_a_refresh_that_fails_is_no_trouble() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(LIFE - 30));
    for kind in [
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FaultKind::Html,
        FaultKind::TooManyRequests { retry_after: 60 },
    ] {
        running.github().fail(Fault::post(TOKEN_ENDPOINT, kind));
        asked_without_trouble(&running, &user).await;
        running.github().clear_faults();
    }
    assert_eq!(running.token_calls(), 3);
    asked_without_trouble(&running, &user).await;
    assert_eq!((running.token_calls(), version(&running).await.as_str()), (4, "2"));
}

#[tokio::test]
async fn when_the_token_has_ended_a_refresh_that_fails_is_the_hosts_error_and_passes() {
    let running = start().await;
    let user = expired(&running).await;
    for (kind, status) in [
        (FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), 502),
        (FaultKind::Html, 502),
        (FaultKind::Status(StatusCode::GATEWAY_TIMEOUT), 504),
        (FaultKind::TooManyRequests { retry_after: 60 }, 429),
    ] {
        running.github().fail(Fault::post(TOKEN_ENDPOINT, kind.clone()));
        let answer = asked(&running, &user).await;
        assert_eq!(answer.status.as_u16(), status, "{kind:?}: {answer:?}");
        running.github().clear_faults();
    }
    // Nobody was signed out for it, and no lease is left behind that had to be waited for.
    asked_without_trouble(&running, &user).await;
    assert_eq!(running.token_calls(), 5);
}

#[tokio::test]
async fn a_pair_whose_answer_was_cut_off_is_gone_and_honestly_said_so() {
    let running = start().await;
    let user = expired(&running).await;
    running.github().fail(Fault::post(TOKEN_ENDPOINT, FaultKind::CutOff { after: 20 }).times(1));
    assert_eq!(asked(&running, &user).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(running.token_calls(), 1, "whether it was used nobody knows, so it is not sent again at once");
    // GitHub had rotated: what is left is no longer accepted.
    assert_eq!(asked(&running, &user).await.body, "\"Invalid github token\"");
    running.browser().sign_in("octocat").await;
    asked_without_trouble(&running, &user).await;
}

#[tokio::test]
async fn a_table_that_fails_just_after_the_grant_does_not_lose_the_pair() {
    let running = start().await;
    let user = expired(&running).await;
    // More often than the SDK itself tries.
    after_the_lease(&running, 4, &throttled());
    asked_without_trouble(&running, &user).await;
    asked_without_trouble(&running, &user).await;
    assert_eq!((running.token_calls(), version(&running).await.as_str()), (1, "2"));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_taken_for_somebody_elses() {
    let running = start().await;
    let user = expired(&running).await;
    after_the_lease(&running, 1, &hook::Fault::lost_answer());
    asked_without_trouble(&running, &user).await;
    assert_eq!((running.token_calls(), version(&running).await.as_str()), (1, "2"));
}

#[tokio::test]
async fn a_lease_whose_answer_is_lost_is_held_all_the_same() {
    let running = start().await;
    let user = expired(&running).await;
    running.stack.dynamodb.hook().fail_next("PutItem", 1, &hook::Fault::lost_answer());
    // Otherwise it would wait for itself until the lease ends.
    let answer = tokio::time::timeout(Duration::from_secs(5), asked(&running, &user)).await;
    assert_eq!(answer.expect("nobody else holds the lease").status, StatusCode::OK);
    assert_eq!(running.token_calls(), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_does_not_lose_the_pair() {
    let running = Setup { latency: Duration::from_millis(250), ..Setup::default() }.start().await;
    let user = expired(&running).await;
    let url = format!("{}{INSTALLATIONS}", running.stack.url);
    let request = running.http.get(url).header("X-Session-API-Key", &user.api_key);
    let gone = request.timeout(Duration::from_millis(120)).send().await;
    assert!(gone.is_err_and(|error| error.is_timeout()));
    assert_eq!(running.token_calls(), 0, "GitHub has not answered yet");
    asked_without_trouble(&running, &user).await;
    assert_eq!((running.token_calls(), version(&running).await.as_str()), (1, "2"));
}

#[tokio::test]
async fn a_token_refused_before_its_end_is_renewed_once_and_the_call_repeated() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(60));
    let refused = FaultKind::Status(StatusCode::UNAUTHORIZED);
    running.github().fail(Fault::get("/user/installations", refused).times(1));
    asked_without_trouble(&running, &user).await;
    assert_eq!(running.token_calls(), 1);
    let calls = running.github().calls();
    let listed: Vec<_> = calls.iter().filter(|call| call.path == "/user/installations").collect();
    let statuses: Vec<_> = listed.iter().map(|call| call.status.unwrap().as_u16()).collect();
    assert_eq!(statuses, [401, 200]);
}

#[tokio::test]
async fn a_renewed_token_that_is_refused_at_once_is_tried_once_more() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(60));
    let refused =
        |times| Fault::get("/user/installations", FaultKind::Status(StatusCode::UNAUTHORIZED)).times(times);
    running.github().fail(refused(2));
    asked_without_trouble(&running, &user).await;
    assert_eq!(running.token_calls(), 1, "the lag of GitHub's copies is no reason to renew again");
}

#[tokio::test]
async fn a_new_token_that_stays_refused_is_renewed_after_the_lag_was_waited_for() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let refused = FaultKind::Status(StatusCode::UNAUTHORIZED);
    running.github().fail(Fault::get("/user/installations", refused).times(2));
    asked_without_trouble(&running, &user).await;
    assert_eq!(running.token_calls(), 1);
    let listed = running.github().calls();
    let statuses: Vec<_> = listed
        .iter()
        .filter(|call| call.path == "/user/installations")
        .map(|call| call.status.unwrap().as_u16())
        .collect();
    assert_eq!(statuses, [401, 401, 200], "refused, refused a second later, renewed");
}

#[tokio::test]
async fn a_token_that_stays_refused_is_not_renewed_for_ever() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(60));
    let kind = FaultKind::Answer {
        status: StatusCode::UNAUTHORIZED,
        headers: HeaderMap::new(),
        body: r#"{"message":"Bad credentials"}"#.to_owned(),
    };
    running.github().fail(Fault::get("/user/installations", kind));
    let answer = asked(&running, &user).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, "\"Invalid github token\""));
    assert_eq!(running.token_calls(), 1);
    assert_eq!(running.github().calls().len(), 4, "refused, renewed, refused, refused");
}
