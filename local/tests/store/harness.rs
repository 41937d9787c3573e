//! A table of its own for every test, and secrets: at the embedded endpoints, or at those of an independent
//! DynamoDB and Secrets Manager where STORE_TEST_DYNAMODB_URL and STORE_TEST_SECRETS_MANAGER_URL name them.

use std::env;

use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use local::aws::access::Access;
use local::aws::dynamodb::DynamoDb;
use local::aws::secrets_manager;
use local::template::{TableDefinition, Template};
use serde_json::{Value, json};
use shared::clock::{Clock, random};
use shared::config::Aws;
use shared::provider::upstream::http_client;
use shared::secrets::Secrets;
use shared::store::{Table, UserId};
use tokio::net::TcpListener;

/// The time of what is written; far from the system's, because no item may depend on that.
pub(crate) const NOW: i64 = 1_900_000_000;

/// A table that is like the deployed one.
pub(crate) struct TestTable {
    /// What is tested.
    pub(crate) table: Table,
    /// Where it is, if it is the embedded one.
    pub(crate) embedded: Option<DynamoDb>,
    pub(crate) definition: TableDefinition,
    url: String,
}

impl TestTable {
    /// A new one.
    pub(crate) async fn new() -> Self {
        let definition = Template::embedded().unwrap().table;
        let name = unique("store");
        let (embedded, url) = match env::var("STORE_TEST_DYNAMODB_URL") {
            Ok(url) => {
                create(&url, &name, &definition).await;
                (None, url)
            }
            Err(_) => {
                let embedded = DynamoDb::start(listener().await, None, Access::default()).await.unwrap();
                embedded.create_table(&name, &definition).unwrap();
                let url = embedded.url().to_owned();
                (Some(embedded), url)
            }
        };
        let client = shared::aws::dynamodb(&aws(&url), http_client(&[]).unwrap());
        let dynamodb = match embedded {
            Some(_) => client,
            None => patient(&client).into(),
        };
        Self { table: Table::new(dynamodb, &name), embedded, definition, url }
    }

    /// An operation of DynamoDB on this table, without our code.
    pub(crate) async fn raw(&self, operation: &str, mut body: Value) -> Value {
        body["TableName"] = json!(self.table.name());
        dynamodb(&self.url, operation, &body).await
    }

    /// All items as they are stored, each under its two keys.
    pub(crate) async fn items(&self) -> Vec<(String, Value)> {
        let key = |item: &Value| format!("{} {}", item["pk"]["S"], item["sk"]["S"]).replace('"', "");
        let mut items = Vec::new();
        let mut page = json!({});
        loop {
            let scanned = self.raw("Scan", page).await;
            items.extend(scanned["Items"].as_array().unwrap().iter().map(|item| (key(item), item.clone())));
            if scanned["LastEvaluatedKey"].is_null() {
                break;
            }
            page = json!({"ExclusiveStartKey": scanned["LastEvaluatedKey"]});
        }
        items.sort_by(|(one, _), (other, _)| one.cmp(other));
        items
    }
}

/// Secrets that can be replaced, and a cache over them.
pub(crate) struct TestSecrets {
    /// What is tested.
    pub(crate) secrets: Secrets,
    /// The time that it is told.
    pub(crate) clock: Clock,
    embedded: Option<(secrets_manager::Secrets, secrets_manager::SecretsManager)>,
    url: String,
}

impl TestSecrets {
    /// None of them is there yet.
    pub(crate) async fn new() -> Self {
        let clock = Clock::system();
        let (embedded, url) = match env::var("STORE_TEST_SECRETS_MANAGER_URL") {
            Ok(url) => (None, url),
            Err(_) => {
                let values = secrets_manager::Secrets::new(clock.clone());
                let server = secrets_manager::SecretsManager::start(
                    listener().await,
                    values.clone(),
                    Access::default(),
                )
                .unwrap();
                let url = server.url().to_owned();
                (Some((values, server)), url)
            }
        };
        let client = shared::aws::secrets_manager(&aws(&url), http_client(&[]).unwrap());
        Self { secrets: Secrets::new(client, clock.clone()), clock, embedded, url }
    }

    /// Stores a secret that is not there yet.
    pub(crate) async fn create(&self, name: &str, value: &str) {
        match &self.embedded {
            Some((values, _)) => values.set(name, value),
            None => drop(self.raw("CreateSecret", json!({"Name": name, "SecretString": value})).await),
        }
    }

    /// Replaces it, as `aws secretsmanager put-secret-value` does.
    pub(crate) async fn rotate(&self, name: &str, value: &str) {
        match &self.embedded {
            Some((values, _)) => values.set(name, value),
            None => drop(self.raw("PutSecretValue", json!({"SecretId": name, "SecretString": value})).await),
        }
    }

    /// An operation of Secrets Manager, without our code.
    pub(crate) async fn raw(&self, operation: &str, mut body: Value) -> Value {
        if matches!(operation, "CreateSecret" | "PutSecretValue") {
            body["ClientRequestToken"] = json!(unique("token-that-is-long-enough"));
        }
        call(&self.url, "secretsmanager", &format!("secretsmanager.{operation}"), &body).await
    }
}

/// A name that nothing else has: an endpoint outlives the tests that use it.
pub(crate) fn unique(what: &str) -> String {
    format!("{what}-{:032x}", u128::from_be_bytes(random().unwrap()))
}

/// A user's id.
pub(crate) fn user() -> UserId {
    UserId::generate(&Clock::system()).unwrap()
}

/// The same client without its limits, because moto copies the table once for each write of a transaction, and without
/// repetitions, because moto does not know them again.
fn patient(client: &aws_sdk_dynamodb::Client) -> aws_sdk_dynamodb::Client {
    let config = client
        .config()
        .to_builder()
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn aws(url: &str) -> Aws {
    Aws {
        region: "us-east-1".to_owned(),
        access_key_id: "local".to_owned(),
        secret_access_key: "local".to_owned().into(),
        session_token: None,
        dynamodb_endpoint: Some(url.parse().unwrap()),
        secrets_manager_endpoint: Some(url.parse().unwrap()),
    }
}

async fn create(url: &str, name: &str, definition: &TableDefinition) {
    dynamodb(url, "CreateTable", &definition.create_request(name)).await;
    if let Some(attribute) = &definition.ttl_attribute {
        let specification = json!({"AttributeName": attribute, "Enabled": true});
        let body = json!({"TableName": name, "TimeToLiveSpecification": specification});
        dynamodb(url, "UpdateTimeToLive", &body).await;
    }
}

async fn dynamodb(url: &str, operation: &str, body: &Value) -> Value {
    call(url, "dynamodb", &format!("DynamoDB_20120810.{operation}"), body).await
}

async fn call(url: &str, service: &str, target: &str, body: &Value) -> Value {
    let scope = format!("local/20261121/us-east-1/{service}/aws4_request");
    let answer = http_client(&[])
        .unwrap()
        .post(url)
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20261121T000000Z")
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
    assert!(status.is_success(), "{target}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}
