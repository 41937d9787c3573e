//! Secrets Manager on this machine: the one call that the functions make, over values that can be replaced.
//! Who may read a secret is `access`' business.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use shared::clock::Clock;
use tokio::net::TcpListener;

use super::Server;
use super::access::Access;
use super::hook::{Hook, error};

const ARN_PREFIX: &str = "arn:aws:secretsmanager:local:000000000000:secret:";
const CURRENT: &str = "AWSCURRENT";

/// Secrets by name; clones are the same secrets, so a test can rotate one while functions read it.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Arc<Mutex<BTreeMap<String, Secret>>>,
    clock: Clock,
}

#[derive(Clone)]
struct Secret {
    value: String,
    version: u64,
    created: i64,
}

impl Secrets {
    /// No secrets yet; versions are stamped with this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { values: Arc::default(), clock }
    }

    /// Stores a secret, as a new version if there is one.
    pub fn set(&self, name: &str, value: &str) {
        let mut values = self.lock();
        let version = values.get(name).map_or(1, |before| before.version + 1);
        let secret = Secret { value: value.to_owned(), version, created: self.clock.unix() };
        values.insert(name.to_owned(), secret);
    }

    /// Forgets a secret.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The secret of this name or ARN.
    fn find(&self, id: &str) -> Option<(String, Secret)> {
        let values = self.lock();
        let name =
            id.strip_prefix(ARN_PREFIX).and_then(|rest| rest.rsplit_once('-')).map_or(id, |(name, _)| name);
        values.get(name).map(|secret| (name.to_owned(), secret.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        // Every change under the lock is complete, whatever a test's thread did with it.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

/// The embedded Secrets Manager; it ends when this is dropped.
#[derive(Debug)]
pub struct SecretsManager {
    server: Server,
    hook: Hook,
}

impl SecretsManager {
    /// Serves these secrets on the listener, to those whom `access` lets.
    ///
    /// # Errors
    /// The listener's error, when it has no address.
    pub fn start(listener: TcpListener, secrets: Secrets, access: Access) -> std::io::Result<Self> {
        let hook = Hook::default();
        let app = Router::new().fallback(answer).with_state(secrets);
        let server = Server::start(listener, app, hook.clone(), access)?;
        Ok(Self { server, hook })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Its calls: counted, and to be made to fail.
    #[must_use]
    pub const fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Lets running calls finish.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_stage: Option<String>,
    version_id: Option<String>,
}

async fn answer(State(secrets): State<Secrets>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = |kind, message: &str| error(StatusCode::BAD_REQUEST, kind, message);
    if header("x-amz-target") != "secretsmanager.GetSecretValue" {
        return refuse("UnknownOperationException", "Only GetSecretValue is answered here.");
    }
    if !header(AUTHORIZATION.as_str()).starts_with("AWS4-HMAC-SHA256 ") {
        return refuse("MissingAuthenticationTokenException", "Request is missing Authentication Token");
    }
    let Ok(request) = serde_json::from_slice::<GetSecretValue>(&body) else {
        return refuse("ValidationException", "The request has no SecretId, or it is not a string.");
    };
    let Some((name, secret)) = secrets.find(&request.secret_id) else {
        return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    };
    let version_id = format!("00000000-0000-4000-8000-{:012}", secret.version);
    let stage = request.version_stage.as_deref().unwrap_or(CURRENT);
    if stage != CURRENT || request.version_id.is_some_and(|asked| asked != version_id) {
        let message =
            format!("Secrets Manager can't find the specified secret value for staging label: {stage}");
        return refuse("ResourceNotFoundException", &message);
    }
    let answer = json!({
        "ARN": format!("{ARN_PREFIX}{name}-LocaLx"),
        "Name": name,
        "SecretString": secret.value,
        "VersionId": version_id,
        "VersionStages": [CURRENT],
        "CreatedDate": secret.created,
    });
    ([(CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}
