//! What lies behind the routes, for tests that have to see it: the table's items, a second process, the
//! calls that GitHub got, and what stands in a URL.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use local::data_folder::FunctionSettings;
use local::gateway::Gateway;
use local::handlers;
use local::sandbox_github::{Fault, FaultKind, Target, UserTokens};
use local::stack::{TABLE, service_of};
use local::template::Template;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::store::{MappingRow, Proof, UserId};
use tokio::net::TcpListener;
use url::Url;

use crate::harness::{Answer, Running};

/// Where GitHub exchanges codes and refresh tokens.
pub(crate) const TOKEN_ENDPOINT: &str = "/login/oauth/access_token";

impl Running {
    /// How often GitHub was asked for tokens.
    pub(crate) fn token_calls(&self) -> usize {
        self.github().calls().iter().filter(|call| call.path == TOKEN_ENDPOINT).count()
    }

    /// Makes GitHub's token endpoint answer this, with 200 as for everything (reference: GitHub 1.9).
    pub(crate) fn token_endpoint_answers(&self, body: &Value) {
        let kind =
            FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_string() };
        self.github().fail(Fault::post(TOKEN_ENDPOINT, kind));
    }

    /// The installation on that user's or organisation's account.
    pub(crate) fn installation_on(&self, login: &str) -> u64 {
        self.github().world(|world| {
            let user = world.user(login).map(|user| user.id);
            let account = user.or_else(|| world.organization(login).map(|organization| organization.id));
            let target = Target::Account(account.expect("the world has this account"));
            world.installation_on(target).expect("the App is installed there").id.0
        })
    }

    /// The mapping's rows of a user.
    pub(crate) async fn rows(&self, user_id: &str) -> Vec<MappingRow> {
        self.stack.service.table.mapping_of(&user(user_id)).await.expect("the table answers")
    }

    /// How far a user's right to an installation is proved; `None` without a row.
    pub(crate) async fn proof(&self, user_id: &str, installation: u64) -> Option<Proof> {
        let rows = self.rows(user_id).await;
        rows.iter().find(|row| row.installation_id == installation).map(|row| row.proof)
    }

    /// Every item of the table, as DynamoDB writes it.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut request = json!({ "TableName": TABLE });
        loop {
            let page = self.dynamodb("Scan", &request).await;
            items.extend(page["Items"].as_array().expect("a scan gives items").iter().cloned());
            match page.get("LastEvaluatedKey") {
                Some(key) if !key.is_null() => request["ExclusiveStartKey"] = key.clone(),
                _ => return items,
            }
        }
    }

    /// The items whose sort keys begin so.
    pub(crate) async fn items_of(&self, kind: &str) -> Vec<Value> {
        let mut items = self.items().await;
        items.retain(|item| text(item, "sk").starts_with(kind));
        items
    }

    /// Writes an item past the service.
    pub(crate) async fn put_item(&self, item: &Value) {
        self.dynamodb("PutItem", &json!({ "TableName": TABLE, "Item": item })).await;
    }

    /// Takes an item away past the service.
    pub(crate) async fn delete_item(&self, item: &Value) {
        let key = json!({ "pk": item["pk"], "sk": item["sk"] });
        self.dynamodb("DeleteItem", &json!({ "TableName": TABLE, "Key": key })).await;
    }

    async fn dynamodb(&self, operation: &str, request: &Value) -> Value {
        let answer = self
            .http
            .post(self.stack.dynamodb.url())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            // The embedded DynamoDB wants a signature and does not look at it.
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-target, Signature=0",
            )
            .body(request.to_string())
            .send()
            .await
            .expect("the table answers");
        let status = answer.status();
        let body = answer.bytes().await.expect("a whole body");
        assert_eq!(status, StatusCode::OK, "{operation}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Another process of the same service: nothing cached, every function with this time limit.
    /// Its requests end a second before that, to leave time for the answer.
    pub(crate) async fn another_process(&self, function_timeout: Duration) -> String {
        self.process_with(self.stack.settings.clone(), function_timeout).await
    }

    /// The same with other settings.
    pub(crate) async fn process_with(
        &self,
        settings: FunctionSettings,
        function_timeout: Duration,
    ) -> String {
        process(settings, self.clock.clone(), function_timeout).await
    }

    /// The same on a runtime of its own, so that it can die in the middle of anything.
    pub(crate) async fn mortal_process(&self) -> Mortal {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let serving = process(self.stack.settings.clone(), self.clock.clone(), Duration::from_secs(29));
        let url = runtime.spawn(serving).await.expect("the process starts");
        Mortal { url, runtime }
    }
}

/// A process of the service that can be killed.
pub(crate) struct Mortal {
    pub(crate) url: String,
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    /// Ends it where it stands: nothing that is under way there goes on.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

/// Serves what these settings say, until the runtime ends.
async fn process(settings: FunctionSettings, clock: Clock, function_timeout: Duration) -> String {
    let mut template = Template::embedded().expect("a valid template");
    for function in template.functions.values_mut() {
        function.timeout = function_timeout;
    }
    let own = |name: &str| service_of(name, &settings, &clock).expect("valid settings");
    let gateway = Gateway::new(&template.routes, handlers::each_over(own))
        .expect("a handler for every route")
        .with_functions(&template.functions);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(gateway.run(listener, std::future::pending()));
    url
}

/// A user's id as the store takes it.
pub(crate) fn user(id: &str) -> UserId {
    serde_json::from_value(json!(id)).expect("an id is text")
}

/// A text attribute of an item, empty if it is not there.
pub(crate) fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// What GitHub's token endpoint says when it grants these.
pub(crate) fn granted(tokens: &UserTokens) -> Value {
    let mut body = serde_json::to_value(tokens).expect("tokens are JSON");
    body["token_type"] = json!("bearer");
    body["scope"] = json!("");
    body
}

/// A parameter of a URL's query.
pub(crate) fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap_or_else(|_| panic!("no URL: {url}"));
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// Text as a value of a query.
pub(crate) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Every text and every binary value of an item, the binary ones decoded, as far as they are text.
pub(crate) fn readable(item: &Value) -> String {
    fn collect(value: &Value, into: &mut String) {
        match value {
            Value::Object(fields) => {
                for (kind, value) in fields {
                    match value.as_str().filter(|_| kind == "B").map(|text| STANDARD.decode(text)) {
                        Some(Ok(bytes)) => into.push_str(&String::from_utf8_lossy(&bytes)),
                        _ => collect(value, into),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            Value::String(text) => into.push_str(text),
            _ => {}
        }
        into.push('\n');
    }
    let mut text = String::new();
    collect(item, &mut text);
    text
}

/// A page for a person with that status and word for programs, kept by nobody, telling nothing of GitHub's.
pub(crate) fn assert_page(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("x-error-code")), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert!(answer.header("set-cookie").is_none(), "{answer:?}");
    for secret in ["ghu_", "ghr_", "sandbox-client-secret", "http://", "https://", "access_token"] {
        assert!(!answer.body.contains(secret), "{secret}: {answer:?}");
    }
}

/// An answer for a snapshot, its random values replaced by their lengths.
pub(crate) fn redacted(answer: &Answer) -> String {
    let mut result = String::new();
    let mut word = String::new();
    for character in answer.wire().chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '_') {
            word.push(character);
            continue;
        }
        match word.strip_prefix("sign-in-").or_else(|| word.strip_prefix("__Host-sign-in-")) {
            Some(hash) => result.push_str(&word.replace(hash, &format!("[{} of a hash]", hash.len()))),
            None if word.len() == 43 => result.push_str("[43 random]"),
            None => result.push_str(&word),
        }
        word.clear();
        result.push(character);
    }
    // In a parameter the colon is encoded; `wire` has replaced the other ports already.
    let mut parts = result.trim_end().split("localhost%3A");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        text + "localhost%3APORT" + rest.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}
