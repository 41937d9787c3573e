//! DynamoDB on this machine: an embedded database behind a front that counts calls and can make them fail.
//! The table comes from `template.yaml`; what is in it is the store's business.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use dynoxide::{Database, DynoxideError};
use http::StatusCode;
use http::uri::{Authority, Scheme, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Server;
use super::access::Access;
use super::hook::{self, Hook};
use crate::template::TableDefinition;

/// The embedded DynamoDB; it ends when this is dropped.
pub struct DynamoDb {
    database: Database,
    front: Server,
    back: Back,
    hook: Hook,
}

struct Back {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// Why the embedded DynamoDB does not start.
#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    /// The database's file cannot be used.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// Its endpoint cannot be served.
    #[error("the DynamoDB endpoint cannot be served: {0}")]
    Serve(#[from] std::io::Error),
    /// The table cannot be created or read.
    #[error("the table {table}: {problem}")]
    Table {
        /// Its name.
        table: String,
        /// What is wrong.
        problem: String,
    },
}

impl DynamoDb {
    /// Serves the database of this file, or one in memory, on the listener, to those whom `access` lets.
    ///
    /// # Errors
    /// [`DynamoDbError`], when the file is not a database or no port is left for the part behind the front.
    pub async fn start(
        listener: TcpListener,
        file: Option<&Path>,
        access: Access,
    ) -> Result<Self, DynamoDbError> {
        let database = open(file)?;
        let inner = TcpListener::bind("127.0.0.1:0").await?;
        let authority = Authority::try_from(inner.local_addr()?.to_string())
            .map_err(|error| DynamoDbError::Serve(std::io::Error::other(error)))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = database.clone();
        let ended = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            if let Err(error) = dynoxide::server::serve_with_shutdown(inner, served, shutdown).await {
                tracing::error!(error, "the embedded DynamoDB ended");
            }
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let hook = Hook::default();
        let app = Router::new().fallback(forward).with_state(Upstream { authority, client });
        let front = Server::start(listener, app, hook.clone(), access)?;
        Ok(Self { database, front, back: Back { stop, ended }, hook })
    }

    /// Creates the table unless it is there, and drops what has outlived its time.
    ///
    /// # Errors
    /// [`DynamoDbError::Table`] when the database refuses it, or holds a table of that name with other keys.
    pub fn create_table(&self, name: &str, definition: &TableDefinition) -> Result<(), DynamoDbError> {
        let in_table = |problem: String| DynamoDbError::Table { table: name.to_owned(), problem };
        let existing = self.database.describe_table(request(json!({"TableName": name})).map_err(in_table)?);
        match existing {
            Ok(found) => {
                let found = serde_json::to_value(&found).map_err(|error| in_table(error.to_string()))?;
                if !has_keys_of(&found["Table"], &definition.create_request(name)) {
                    let advice =
                        "it has other keys than template.yaml says; start with --fresh to make it anew";
                    return Err(in_table(advice.to_owned()));
                }
            }
            Err(DynoxideError::ResourceNotFoundException(_)) => {
                self.make(name, definition).map_err(in_table)?;
            }
            Err(error) => return Err(in_table(error.to_string())),
        }
        self.database.sweep_ttl().map(drop).map_err(|error| in_table(error.to_string()))
    }

    /// Makes the table anew, without the items that it holds.
    ///
    /// # Errors
    /// [`DynamoDbError::Table`] when the database refuses it.
    pub fn empty_table(&self, name: &str, definition: &TableDefinition) -> Result<(), DynamoDbError> {
        let in_table = |problem: String| DynamoDbError::Table { table: name.to_owned(), problem };
        let delete = request(json!({"TableName": name})).map_err(in_table)?;
        self.database.delete_table(delete).map_err(|error| in_table(error.to_string()))?;
        self.make(name, definition).map_err(in_table)
    }

    /// All items that the table holds, to be put back some time.
    ///
    /// # Errors
    /// [`DynamoDbError::Table`] when the database refuses it.
    pub fn items(&self, name: &str) -> Result<Vec<Value>, DynamoDbError> {
        let in_table = |problem: String| DynamoDbError::Table { table: name.to_owned(), problem };
        let (mut items, mut start) = (Vec::new(), Value::Null);
        loop {
            let mut scan = json!({"TableName": name});
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let page = self.database.scan(request(scan).map_err(in_table)?);
            let page = page.map_err(|error| in_table(error.to_string()))?;
            let mut page = serde_json::to_value(&page).map_err(|error| in_table(error.to_string()))?;
            items.append(page["Items"].as_array_mut().unwrap_or(&mut Vec::new()));
            start = page["LastEvaluatedKey"].take();
            if start.is_null() {
                return Ok(items);
            }
        }
    }

    /// Makes the table anew, with these items.
    ///
    /// # Errors
    /// [`DynamoDbError::Table`] when the database refuses it.
    pub fn restore(
        &self,
        name: &str,
        definition: &TableDefinition,
        items: &[Value],
    ) -> Result<(), DynamoDbError> {
        let in_table = |problem: String| DynamoDbError::Table { table: name.to_owned(), problem };
        self.empty_table(name, definition)?;
        for item in items {
            let put = request(json!({"TableName": name, "Item": item})).map_err(in_table)?;
            self.database.put_item(put).map_err(|error| in_table(error.to_string()))?;
        }
        Ok(())
    }

    fn make(&self, name: &str, definition: &TableDefinition) -> Result<(), String> {
        let create = request(definition.create_request(name))?;
        self.database.create_table(create).map_err(|error| error.to_string())?;
        let Some(attribute) = &definition.ttl_attribute else { return Ok(()) };
        let time_to_live = request(json!({
            "TableName": name,
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
        }))?;
        self.database.update_time_to_live(time_to_live).map(drop).map_err(|error| error.to_string())
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.front.url
    }

    /// Its calls: counted, and to be made to fail.
    #[must_use]
    pub const fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Lets running calls finish and closes the database.
    pub async fn stop(self) {
        self.front.stop().await;
        drop(self.back.stop);
        // It can only have panicked, and then it has ended as well.
        let _ = self.back.ended.await;
    }
}

impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoDb")
            .field("front", &self.front)
            .field("hook", &self.hook)
            .finish_non_exhaustive()
    }
}

fn open(file: Option<&Path>) -> Result<Database, DynamoDbError> {
    let opened = match file {
        None => Database::memory(),
        Some(path) => {
            let name = path.to_str().ok_or_else(|| DynamoDbError::Open(format!("{path:?} is not UTF-8")))?;
            Database::new(name)
        }
    };
    opened.map_err(|error| DynamoDbError::Open(error.to_string()))
}

fn request<T: DeserializeOwned>(body: Value) -> Result<T, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

/// Whether a table has the keys and indexes of a CreateTable request.
fn has_keys_of(table: &Value, wanted: &Value) -> bool {
    let indexes = |of: &Value| {
        let list = of["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<String> =
            list.iter().map(|index| format!("{} {}", index["IndexName"], index["KeySchema"])).collect();
        keys.sort();
        keys
    };
    table["KeySchema"] == wanted["KeySchema"] && indexes(table) == indexes(wanted)
}

#[derive(Clone)]
struct Upstream {
    authority: Authority,
    client: Client<HttpConnector, Body>,
}

async fn forward(State(upstream): State<Upstream>, mut request: Request) -> Response {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(upstream.authority);
    let answer = match Uri::from_parts(parts) {
        Ok(uri) => {
            *request.uri_mut() = uri;
            upstream.client.request(request).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok(answer) => answer.map(Body::new).into_response(),
        Err(problem) => hook::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", &problem),
    }
}
