//! AWS in memory, the same for every input: one user with a session, a key and a token, and the secrets.
//! Nothing that is written is kept, so that no input is another one's past.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "it-is-a-secret";

/// Items of a released version, as the table has them.
const ITEMS: [&str; 9] = [
    include_str!("../../shared/fixtures/items/0.1.0/session.json"),
    include_str!("../../shared/fixtures/items/0.1.0/api-key.json"),
    include_str!("../../shared/fixtures/items/0.1.0/user.json"),
    include_str!("../../shared/fixtures/items/0.1.0/identity.json"),
    include_str!("../../shared/fixtures/items/0.1.0/token.json"),
    include_str!("../../shared/fixtures/items/0.1.0/mapping.json"),
    include_str!("../../shared/fixtures/items/0.1.0/installation.json"),
    include_str!("../../shared/fixtures/items/0.1.0/answer.json"),
    include_str!("../../shared/fixtures/items/0.1.0/sign-in.json"),
];
/// The ring that they were sealed with.
const TOKEN_KEYS: &str = r#"{"current":"k1","keys":{"k1":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}"#;
const PRIVATE_KEY: &str = include_str!("../../shared/fixtures/pem/rsa-pkcs1.pem");
/// Later than any run.
const LATE: &str = "4000000000";

/// The clients of an AWS that has these items and secrets.
pub(crate) fn clients() -> (aws_sdk_dynamodb::Client, aws_sdk_secretsmanager::Client) {
    let http = SharedHttpClient::new(Canned { items: items() });
    let credentials = Credentials::new("id", "secret", None, None, "canned");
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .retry_config(RetryConfig::disabled())
        .http_client(http.clone())
        .build();
    let secrets = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    (aws_sdk_dynamodb::Client::from_conf(dynamodb), aws_sdk_secretsmanager::Client::from_conf(secrets))
}

/// All are the one user's, and nothing has ended.
fn items() -> Vec<Value> {
    let mut items: Vec<Value> = ITEMS.map(|item| serde_json::from_str(item).expect("an item")).into();
    let user = items[2]["user_id"].clone();
    for item in &mut items {
        for ends in ["expires_at", "ends_at", "access_expires_at", "refresh_expires_at"] {
            if item.get(ends).is_some() {
                item[ends]["N"] = LATE.into();
            }
        }
        for (name, value) in [("user_id", &user), ("seen_at", &json!({ "N": LATE }))] {
            if item.get(name).is_some() {
                item[name] = value.clone();
            }
        }
    }
    items
}

#[derive(Clone, Debug)]
struct Canned {
    items: Vec<Value>,
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let asked = request.body().bytes().and_then(|body| serde_json::from_slice(body).ok());
        let answer = self.answer(operation, &asked.unwrap_or_default());
        HttpConnectorFuture::ready(
            HttpResponse::try_from(http::Response::new(SdkBody::from(answer.to_string())))
                .map_err(|error| ConnectorError::user(error.into())),
        )
    }
}

impl Canned {
    fn answer(&self, operation: &str, asked: &Value) -> Value {
        match operation {
            "GetSecretValue" => {
                let name = asked["SecretId"].as_str().unwrap_or_default();
                json!({ "ARN": "arn", "Name": name, "SecretString": secret(name), "VersionId": "1" })
            }
            // Any session is the one user's, and so is any key.
            "GetItem" => self.like(&asked["Key"]).map_or_else(|| json!({}), |item| json!({ "Item": item })),
            "Query" => {
                let values = asked["ExpressionAttributeValues"].as_object();
                let texts: Vec<&str> =
                    values.into_iter().flatten().filter_map(|(_, value)| value["S"].as_str()).collect();
                let matches = |item: &&Value| {
                    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
                    texts.contains(&pk) && texts.iter().all(|text| *text == pk || sk.starts_with(text))
                };
                let items: Vec<&Value> = self.items.iter().filter(matches).collect();
                json!({ "Count": items.len(), "Items": items })
            }
            "UpdateItem" => json!({ "Attributes": { "last": { "N": "7" } } }),
            _ => json!({}),
        }
    }

    /// The item of that kind: its own, or for want of it the first whose keys begin alike.
    fn like(&self, key: &Value) -> Option<&Value> {
        let kind = |text: &str| text.split('#').next().unwrap_or_default().to_owned();
        let same = |item: &&Value| ["pk", "sk"].iter().all(|name| text(item, name) == text(key, name));
        let alike = |item: &&Value| {
            kind(text(item, "pk")) == kind(text(key, "pk"))
                && text(item, "sk") == text(key, "sk")
                && matches!(text(key, "sk"), "SESSION" | "API_KEY")
        };
        self.items.iter().find(same).or_else(|| self.items.iter().find(alike))
    }
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

fn secret(name: &str) -> String {
    match name {
        "keys" => TOKEN_KEYS.to_owned(),
        "clients" => {
            let client = json!({ "client_id": "client", "client_secret": "secret" });
            json!({ "gitlab": client, "bitbucket": client }).to_string()
        }
        _ => json!({
            "app_id": 1001,
            "client_id": "Iv23liABCDEF",
            "client_secret": "client-secret",
            "private_key": PRIVATE_KEY,
            "webhook_secret": WEBHOOK_SECRET,
        })
        .to_string(),
    }
}
