use std::time::{Duration, Instant};

use axum::body::Body;
use http::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use shared::clock::Clock;

use super::dynamodb::DynamoDb;
use super::hook::Fault;
use super::secrets_manager::{Secrets, SecretsManager};
use super::*;
use crate::template::Template;

const TABLE: &str = "git-installations";

/// What an AWS SDK sends as far as the endpoints look at it, and what it gets.
async fn call(url: &str, target: &str, body: &Value) -> (StatusCode, Value) {
    let request = http::Request::post(url)
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20261121T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20261121/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
        )
        .body(Body::from(body.to_string()))
        .unwrap();
    send(request).await
}

async fn send(request: http::Request<Body>) -> (StatusCode, Value) {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.unwrap();
    let status = answer.status();
    let bytes = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn dynamodb() -> DynamoDb {
    let dynamodb = DynamoDb::start(listener().await, None, Access::default()).await.unwrap();
    dynamodb.create_table(TABLE, &Template::embedded().unwrap().table).unwrap();
    dynamodb
}

async fn dynamo(dynamodb: &DynamoDb, operation: &str, body: Value) -> (StatusCode, Value) {
    call(dynamodb.url(), &format!("DynamoDB_20120810.{operation}"), &body).await
}

fn item(pk: &str) -> Value {
    json!({"TableName": TABLE, "Item": {"pk": {"S": pk}, "sk": {"S": "a"}, "gsi1pk": {"S": "g"}, "gsi1sk": {"S": pk}}})
}

fn key(pk: &str) -> Value {
    json!({"TableName": TABLE, "Key": {"pk": {"S": pk}, "sk": {"S": "a"}}})
}

#[tokio::test]
async fn the_table_is_the_templates_with_its_index_and_time_to_live() {
    let dynamodb = dynamodb().await;
    let (_, table) = dynamo(&dynamodb, "DescribeTable", json!({"TableName": TABLE})).await;
    assert_eq!(table["Table"]["GlobalSecondaryIndexes"][0]["Projection"]["ProjectionType"], "ALL");
    let (_, ttl) = dynamo(&dynamodb, "DescribeTimeToLive", json!({"TableName": TABLE})).await;
    assert_eq!(ttl["TimeToLiveDescription"]["AttributeName"], "expires_at");
    assert_eq!(dynamo(&dynamodb, "PutItem", item("one")).await.0, StatusCode::OK);
    let query = json!({
        "TableName": TABLE,
        "IndexName": "gsi1",
        "KeyConditionExpression": "gsi1pk = :g",
        "ExpressionAttributeValues": {":g": {"S": "g"}},
    });
    assert_eq!(dynamo(&dynamodb, "Query", query).await.1["Count"], 1);
}

#[tokio::test]
async fn a_restart_on_the_same_file_keeps_every_item() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.db");
    std::fs::write(&file, "").unwrap();
    let table = Template::embedded().unwrap().table;
    let first = DynamoDb::start(listener().await, Some(&file), Access::default()).await.unwrap();
    first.create_table(TABLE, &table).unwrap();
    dynamo(&first, "PutItem", item("kept")).await;
    first.stop().await;
    let second = DynamoDb::start(listener().await, Some(&file), Access::default()).await.unwrap();
    second.create_table(TABLE, &table).unwrap();
    assert_eq!(dynamo(&second, "GetItem", key("kept")).await.1["Item"]["pk"], json!({"S": "kept"}));
}

#[tokio::test]
async fn a_table_with_other_keys_is_not_taken_for_ours() {
    let dynamodb = DynamoDb::start(listener().await, None, Access::default()).await.unwrap();
    let mut other = Template::embedded().unwrap().table;
    other.indexes.clear();
    other.attributes.retain(|(name, _)| !name.starts_with("gsi1"));
    dynamodb.create_table(TABLE, &other).unwrap();
    let error = dynamodb.create_table(TABLE, &Template::embedded().unwrap().table).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the table git-installations: it has other keys than template.yaml says; start with --fresh to make it anew"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.db");
    std::fs::write(&file, "not a database, but long enough to be taken for one by its name").unwrap();
    let error = DynamoDb::start(listener().await, Some(&file), Access::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("the database cannot be opened: "), "{error}");
}

#[tokio::test]
async fn the_next_calls_of_one_operation_fail_and_all_are_counted() {
    let dynamodb = dynamodb().await;
    let hook = dynamodb.hook();
    let fault = Fault::error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException");
    hook.fail_next("PutItem", 2, &fault);
    for expected in [StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST, StatusCode::OK] {
        assert_eq!(dynamo(&dynamodb, "GetItem", key("x")).await.0, StatusCode::OK);
        let (status, body) = dynamo(&dynamodb, "PutItem", item("x")).await;
        assert_eq!(status, expected);
        let kind = (expected != StatusCode::OK).then_some("ProvisionedThroughputExceededException");
        assert_eq!(body["__type"].as_str(), kind);
    }
    assert_eq!((hook.calls("PutItem"), hook.calls("GetItem"), hook.calls("Query")), (3, 3, 0));
    hook.fail_next("PutItem", 1, &fault);
    hook.reset();
    assert_eq!(dynamo(&dynamodb, "PutItem", item("x")).await.0, StatusCode::OK);
    assert_eq!(hook.all_calls().into_iter().collect::<Vec<_>>(), [("PutItem".to_owned(), 1)]);
}

#[tokio::test]
async fn a_lost_answer_hides_a_call_that_was_made_and_a_delay_only_holds_it_up() {
    let dynamodb = dynamodb().await;
    dynamodb.hook().fail_next("PutItem", 1, &Fault::lost_answer());
    let (status, body) = dynamo(&dynamodb, "PutItem", item("written")).await;
    assert_eq!((status, &body["__type"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("InternalServerError")));
    dynamodb.hook().fail_next("GetItem", 1, &Fault::delay(Duration::from_millis(100)));
    let started = Instant::now();
    assert!(dynamo(&dynamodb, "GetItem", key("written")).await.1["Item"].is_object());
    assert!(started.elapsed() >= Duration::from_millis(100));
}

async fn secrets_manager() -> (SecretsManager, Secrets) {
    let secrets = Secrets::new(Clock::system());
    secrets.set("github-app", r#"{"app_id":1}"#);
    (SecretsManager::start(listener().await, secrets.clone(), Access::default()).unwrap(), secrets)
}

async fn read(secrets_manager: &SecretsManager, body: Value) -> (StatusCode, Value) {
    call(secrets_manager.url(), "secretsmanager.GetSecretValue", &body).await
}

#[tokio::test]
async fn a_secret_is_found_by_name_and_by_arn() {
    let (secrets_manager, _) = secrets_manager().await;
    let (status, by_name) = read(&secrets_manager, json!({"SecretId": "github-app"})).await;
    assert_eq!((status, &by_name["SecretString"]), (StatusCode::OK, &json!(r#"{"app_id":1}"#)));
    assert_eq!((&by_name["Name"], &by_name["VersionStages"]), (&json!("github-app"), &json!(["AWSCURRENT"])));
    assert!(by_name["CreatedDate"].is_number() && by_name["VersionId"].as_str().unwrap().len() >= 32);
    assert_eq!(read(&secrets_manager, json!({"SecretId": by_name["ARN"]})).await.1, by_name);
}

#[tokio::test]
async fn a_replaced_secret_is_a_new_version_and_a_removed_one_is_gone() {
    let (secrets_manager, secrets) = secrets_manager().await;
    let (_, before) = read(&secrets_manager, json!({"SecretId": "github-app"})).await;
    secrets.set("github-app", "rotated");
    let (_, after) = read(&secrets_manager, json!({"SecretId": "github-app"})).await;
    assert_eq!(after["SecretString"], "rotated");
    assert_ne!(before["VersionId"], after["VersionId"]);
    let old = json!({"SecretId": "github-app", "VersionId": before["VersionId"]});
    assert_eq!(read(&secrets_manager, old).await.1["__type"], "ResourceNotFoundException");
    secrets.remove("github-app");
    assert_eq!(
        read(&secrets_manager, json!({"SecretId": "github-app"})).await.1["__type"],
        "ResourceNotFoundException"
    );
    assert_eq!(secrets_manager.hook().calls("GetSecretValue"), 4);
}

#[tokio::test]
async fn errors_have_the_form_of_aws() {
    let (secrets_manager, _) = secrets_manager().await;
    let (status, body) = read(&secrets_manager, json!({"SecretId": "absent"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        body,
        json!({"__type": "ResourceNotFoundException", "message": "Secrets Manager can't find the specified secret."})
    );
    assert_eq!(read(&secrets_manager, json!({"Name": 1})).await.1["__type"], "ValidationException");
    let (status, body) = call(secrets_manager.url(), "secretsmanager.PutSecretValue", &json!({})).await;
    assert_eq!((status, &body["__type"]), (StatusCode::BAD_REQUEST, &json!("UnknownOperationException")));
    let unsigned = http::Request::post(secrets_manager.url())
        .header("x-amz-target", "secretsmanager.GetSecretValue")
        .body(Body::from(r#"{"SecretId":"github-app"}"#))
        .unwrap();
    assert_eq!(send(unsigned).await.1["__type"], "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn secrets_never_show_their_values() {
    let (secrets_manager, secrets) = secrets_manager().await;
    let shown = format!("{secrets:?} {secrets_manager:?}");
    assert!(shown.contains("github-app") && !shown.contains("app_id"), "{shown}");
}

#[tokio::test]
async fn a_call_fails_by_its_name_and_its_number_while_somebody_watches() {
    let dynamodb = dynamodb().await;
    dynamo(&dynamodb, "PutItem", item("USER#usr_1")).await;
    let hook = dynamodb.hook();
    hook.watch();
    hook.fail_named("GetItem USER/a", 1, 2, &Fault::conflict());
    hook.fail_named("TransactWriteItems USER/a", 0, 1, &Fault::conflict());
    let get = || dynamo(&dynamodb, "GetItem", key("USER#usr_1"));
    assert_eq!(get().await.0, StatusCode::OK, "the first one passes");
    assert_eq!(dynamo(&dynamodb, "GetItem", key("OTHER")).await.0, StatusCode::OK, "another name");
    for _ in 0..2 {
        let (status, body) = get().await;
        assert_eq!(
            (status, &body["__type"]),
            (StatusCode::BAD_REQUEST, &json!("ConditionalCheckFailedException"))
        );
    }
    assert_eq!(get().await.0, StatusCode::OK, "and the next one too");
    let transaction = json!({"TransactItems": [{"Put": item("USER#usr_1")}]});
    let (_, body) = dynamo(&dynamodb, "TransactWriteItems", transaction).await;
    assert_eq!(body["CancellationReasons"][0]["Code"], "TransactionConflict", "{body}");
    let watched: Vec<String> = hook.watched().into_iter().map(|call| call.name).collect();
    let gets = |name: &'static str| watched.iter().filter(|one| *one == name).count();
    assert_eq!((watched.len(), gets("GetItem USER/a"), gets("GetItem OTHER/a")), (6, 4, 1), "{watched:?}");
    hook.reset();
    assert_eq!((get().await.0, hook.watched().len(), hook.under_way()), (StatusCode::OK, 0, 0));
}

#[tokio::test]
async fn of_a_batch_of_reads_the_rest_is_told_as_unprocessed() {
    let dynamodb = dynamodb().await;
    for name in ["a", "b"] {
        dynamo(&dynamodb, "PutItem", item(name)).await;
    }
    let keys: Vec<Value> = ["a", "b"].map(|name| key(name)["Key"].clone()).into();
    let batch = || json!({"RequestItems": {TABLE: {"Keys": keys, "ConsistentRead": true}}});
    for done in [0, 1] {
        dynamodb.hook().fail_next("BatchGetItem", 1, &Fault::partly_done(done));
        let (status, body) = dynamo(&dynamodb, "BatchGetItem", batch()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let items = body["Responses"][TABLE].as_array().map_or(0, Vec::len);
        let rest = &body["UnprocessedKeys"][TABLE];
        assert_eq!((items, rest["Keys"].as_array().unwrap().len()), (done, 2 - done), "{body}");
        assert_eq!(rest["ConsistentRead"], true, "{body}");
    }
}
