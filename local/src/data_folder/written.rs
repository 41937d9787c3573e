//! The forms of the files that other programs read: `ready.json`, `functions.env`, `functions.json`, `secrets.json`.
//! Where and how safely they are written is not known here.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::clock::{NoEntropy, random};

/// The functions' settings: variable and value.
pub type FunctionSettings = BTreeMap<String, String>;

/// A user of the sandbox who has signed in to the service.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct DemoUser {
    /// The service's id of the user.
    pub user_id: String,
    /// An API key.
    pub api_key: String,
    /// The value of a session cookie.
    pub session_cookie: String,
}

// By hand: the key and the cookie are the user.
impl fmt::Debug for DemoUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoUser").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// What a client needs to talk to a run: the content of `ready.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Ready {
    /// Where the service answers.
    pub url: String,
    /// The demo user: who it is, an API key and the value of a session cookie that work. With the real GitHub
    /// there is none; whoever runs the service signs in.
    #[serde(flatten)]
    pub demo_user: Option<DemoUser>,
    /// The addresses of the sandbox hosts and the AWS endpoints, each under a name of its own, e.g. `dynamodb_url`.
    #[serde(flatten)]
    pub endpoints: BTreeMap<String, String>,
}

impl Ready {
    pub(super) fn to_json(&self) -> String {
        format!("{:#}\n", json!(self))
    }
}

/// Lines for `--env-file`; a value that is more than a plain word is quoted.
pub(super) fn environment_file(settings: &FunctionSettings) -> String {
    settings.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// The form of `--env-vars` that holds for every function.
pub(super) fn environment_json(settings: &FunctionSettings) -> String {
    format!("{:#}\n", json!({"Parameters": settings}))
}

/// The settings of such a text.
pub(super) fn functions(text: &str) -> Option<FunctionSettings> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        parameters: FunctionSettings,
    }
    serde_json::from_str(text).ok().map(|File { parameters }| parameters)
}

fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// The text of a new `secrets.json`, and of the key ring in it.
pub(super) fn new_secrets() -> Result<(String, String), NoEntropy> {
    let ring = json!({"current": "k1", "keys": {"k1": BASE64.encode(random::<32>()?)}});
    Ok((format!("{:#}\n", json!({"token_keys": ring})), ring.to_string()))
}

/// The text of the key ring in `secrets.json`.
pub(super) fn token_key_ring(text: &str) -> Result<String, &'static str> {
    let secrets: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
    let ring = &secrets["token_keys"];
    let current = ring["current"].as_str().ok_or("it has no token_keys.current")?;
    let key = ring["keys"][current].as_str().ok_or("the current one of token_keys is missing")?;
    match BASE64.decode(key) {
        Ok(bytes) if bytes.len() == 32 => Ok(ring.to_string()),
        _ => Err("the current one of token_keys is not 32 bytes in base64"),
    }
}
