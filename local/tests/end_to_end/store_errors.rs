//! DynamoDB and Secrets Manager failing: 503 that says when to ask again, and an end to it by itself.

use std::time::Duration;

use http::{Method, StatusCode};
use local::aws::hook::Fault;
use serde_json::json;

use crate::harness::{Answer, start};
use crate::openhands::{INSTALLATIONS, REPOSITORIES};

/// The AWS SDK's tries of one call.
const TRIES: usize = 3;

fn throttled() -> Fault {
    Fault::error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException")
}

fn broken() -> Fault {
    Fault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.json()["code"], "unavailable");
    for inner in ["DynamoDB", "Secrets", "GetItem", "Exception", "localhost"] {
        assert!(!answer.body.contains(inner), "{answer:?}");
    }
}

#[tokio::test]
async fn a_table_that_fails_is_503_with_the_time_to_ask_again() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.stack.dynamodb.hook().fail_next("GetItem", TRIES, &throttled());
    insta::assert_snapshot!(running.get(INSTALLATIONS).api_key(&user).send().await.wire(), @r#"
    503 Service Unavailable
    cache-control: no-store
    content-type: application/json
    retry-after: 5
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"error":"Temporarily unavailable","message":"The service cannot reach a part of itself. Try again in a few seconds.","code":"unavailable","provider":null}
    "#);
}

#[tokio::test]
async fn every_read_of_the_table_that_fails_is_503_and_the_next_request_works() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let hook = running.stack.dynamodb.hook();
    for (path, operation) in [
        (INSTALLATIONS, "GetItem"),
        (REPOSITORIES, "GetItem"),
        (REPOSITORIES, "Query"),
        ("/api/keys", "GetItem"),
        ("/api/keys", "Query"),
    ] {
        for fault in [throttled(), broken()] {
            hook.fail_next(operation, TRIES, &fault);
            assert_unavailable(&running.get(path).api_key(&user).send().await);
            let next = running.get(path).api_key(&user).send().await;
            assert_eq!(next.status, StatusCode::OK, "{path} {operation}: {next:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_that_passes_within_the_sdks_tries_is_not_seen() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let hook = running.stack.dynamodb.hook();
    for operation in ["GetItem", "Query"] {
        hook.fail_next(operation, TRIES - 1, &throttled());
        let answer = running.get(REPOSITORIES).api_key(&user).send().await;
        assert_eq!(answer.names().len(), 9, "{operation}");
    }
}

#[tokio::test]
async fn a_key_that_could_not_be_written_is_not_given_out() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let hook = running.stack.dynamodb.hook();
    let create = || running.post("/api/keys").api_key(&user).json(&json!({"name": "laptop"})).send();
    for fault in [throttled(), broken()] {
        hook.fail_next("TransactWriteItems", TRIES, &fault);
        assert_unavailable(&create().await);
    }
    let keys = running.get("/api/keys").api_key(&user).send().await;
    assert_eq!(keys.column("name"), ["cargo run"]);
    // Written, and the answer lost on its way: the SDK's second try is the same transaction.
    hook.fail_next("TransactWriteItems", 1, &Fault::lost_answer());
    let made = create().await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let key = made.json()["key"].as_str().expect("a key").to_owned();
    assert_eq!(running.get("/api/keys").bearer(&key).send().await.column("name").len(), 2);
}

#[tokio::test]
async fn a_key_is_not_ended_by_a_table_that_fails() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let made = running.post("/api/keys").api_key(&user).json(&json!({"name": "laptop"})).send().await.json();
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    running.stack.dynamodb.hook().fail_next("TransactWriteItems", TRIES, &broken());
    assert_unavailable(&running.delete(&format!("/api/keys/{id}")).api_key(&user).send().await);
    assert_eq!(running.get("/api/keys").bearer(key).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn secrets_that_cannot_be_read_are_503_and_the_same_process_recovers() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let process = running.another_process(Duration::from_secs(20)).await;
    let ask = |path: &str| running.request_at(Method::GET, &format!("{process}{path}")).api_key(&user).send();
    let hook = running.stack.secrets_manager.hook();
    for fault in [throttled(), broken()] {
        for path in [INSTALLATIONS, REPOSITORIES] {
            hook.fail_next("GetSecretValue", TRIES, &fault);
            assert_unavailable(&ask(path).await);
        }
    }
    assert!(running.github().calls().is_empty());
    let answer = ask(REPOSITORIES).await;
    assert_eq!(answer.names().len(), 9, "without a restart");
}

#[tokio::test]
async fn secrets_that_were_read_once_go_on_while_secrets_manager_is_down() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    assert_eq!(running.get(REPOSITORIES).api_key(&user).send().await.names().len(), 9);
    running.clock.advance(Duration::from_secs(301));
    running.stack.secrets_manager.hook().fail_next("GetSecretValue", 20, &broken());
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!(answer.names().len(), 9);
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_503_too() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    // Lost answers end as failures after the SDK's tries, whatever was read.
    running.stack.dynamodb.hook().fail_next("GetItem", TRIES, &Fault::lost_answer());
    assert_unavailable(&running.get(INSTALLATIONS).api_key(&user).send().await);
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_use_that_cannot_be_noted_does_not_cost_the_answer() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(11 * 60));
    running.stack.dynamodb.hook().fail_next("UpdateItem", 100, &throttled());
    let path = format!("/api/users/{}/installations", user.user_id);
    for request in [running.get(&path).api_key(&user), running.get(&path).session(&user)] {
        let answer = request.send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert!(running.stack.dynamodb.hook().calls("UpdateItem") > 0, "the notes were tried");
}
