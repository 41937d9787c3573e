//! Secrets Manager, cached in the process: five minutes, and re-read early when a key fails.
//! What a secret means is beside its type; here it is only text.

pub(crate) mod fields;
mod source;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

pub use source::SecretSource;

use crate::clock::Clock;
use crate::constant_time::same;

/// How long a value is used before it is read again (DESIGN 7).
const FRESH_SECONDS: i64 = 300;
/// How often a secret is read at most, whoever asks for it (DESIGN 7).
const PAUSE_SECONDS: i64 = 10;

/// Why a secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// No secret has this name.
    #[error("the secret {0} does not exist")]
    NotFound(String),
    /// Secrets Manager did not answer or refused; trying again later may help.
    #[error("the secret {secret} cannot be read: {reason}")]
    Unavailable {
        /// Its name.
        secret: String,
        /// The error's code or kind, without anything secret.
        reason: String,
    },
    /// The secret holds what the stack was made with; the operator's part is to come.
    #[error("the secret {0} is not filled in yet")]
    NotFilledIn(String),
    /// The secret is there and is not what it has to be.
    #[error("the secret {secret} is malformed: {what}")]
    Malformed {
        /// Its name.
        secret: String,
        /// Which field, what is wrong with it and what was expected; never a part of the value.
        what: String,
    },
}

/// The process's cache of secrets; clones share it.
#[derive(Clone, Debug)]
pub struct Secrets {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Box<dyn SecretSource>,
    clock: Clock,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
}

/// One secret. Who holds `state` is the one that reads it, all others wait for its result.
#[derive(Debug, Default)]
struct Entry {
    reads: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    value: Option<Arc<SecretString>>,
    valid_until: i64,
    last_read: Option<i64>,
    last_error: Option<SecretsError>,
}

impl Secrets {
    /// A cache over `source` (an `aws_sdk_secretsmanager::Client`) that tells time by `clock`.
    pub fn new(source: impl SecretSource + 'static, clock: Clock) -> Self {
        let entries = Mutex::default();
        Self { shared: Arc::new(Shared { source: Box::new(source), clock, entries }) }
    }

    /// The secret's text, at most five minutes old as long as Secrets Manager answers.
    ///
    /// When it does not, the last value that it gave goes on being used.
    ///
    /// # Errors
    /// Why the secret cannot be read, if it never could.
    pub async fn get(&self, id: &str) -> Result<Arc<SecretString>, SecretsError> {
        self.value(id, false).await
    }

    /// The secret's text, read at once because a signature or key failed, but not more than
    /// every ten seconds: in between, the same as [`Secrets::get`].
    ///
    /// # Errors
    /// Why the secret cannot be read, if it never could.
    pub async fn refresh(&self, id: &str) -> Result<Arc<SecretString>, SecretsError> {
        self.value(id, true).await
    }

    async fn value(&self, id: &str, at_once: bool) -> Result<Arc<SecretString>, SecretsError> {
        let entry = self.entry(id);
        let reads_before = entry.reads.load(Ordering::Acquire);
        let mut state = entry.state.lock().await;
        let now = self.shared.clock.unix();
        if let Some(value) = &state.value {
            let paused = state.last_read.is_some_and(|last| now - last < PAUSE_SECONDS);
            if paused || (!at_once && now < state.valid_until) {
                return Ok(value.clone());
            }
        } else if entry.reads.load(Ordering::Acquire) != reads_before
            && let Some(error) = &state.last_error
        {
            return Err(error.clone());
        }
        let answer = self.shared.source.read(id).await;
        entry.reads.fetch_add(1, Ordering::Release);
        state.settle(id, now, answer)
    }

    fn entry(&self, id: &str) -> Arc<Entry> {
        let mut entries = self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(id) {
            return entry.clone();
        }
        entries.entry(id.to_owned()).or_default().clone()
    }
}

impl State {
    /// Takes over what the source answered and gives what the reader gets.
    fn settle(
        &mut self,
        id: &str,
        now: i64,
        answer: Result<SecretString, SecretsError>,
    ) -> Result<Arc<SecretString>, SecretsError> {
        self.last_read = Some(now);
        match answer {
            Ok(text) => {
                self.last_error = None;
                self.valid_until = now + FRESH_SECONDS;
                // An unchanged value keeps its identity, so that what was parsed from it stays valid.
                let unchanged =
                    self.value.take().filter(|value| same(value.expose_secret(), text.expose_secret()));
                Ok(self.value.insert(unchanged.unwrap_or_else(|| Arc::new(text))).clone())
            }
            Err(error) => {
                let first = self.last_error.replace(error.clone()).is_none();
                let Some(value) = &self.value else { return Err(error) };
                if first {
                    tracing::warn!(secret = id, %error, "going on with the value read before");
                }
                Ok(value.clone())
            }
        }
    }
}

/// A type that a secret's text is parsed into.
pub trait FromSecret: Sized {
    /// Parses the text.
    ///
    /// # Errors
    /// Which field, what is wrong with it and what was expected; never a part of the value.
    fn from_secret(text: &str) -> Result<Self, String>;
}

/// One secret as a value of its type, parsed again only when its text has changed.
#[derive(Debug)]
pub struct Secret<T> {
    secrets: Secrets,
    id: String,
    parsed: Mutex<Option<Parsed<T>>>,
}

#[derive(Debug)]
struct Parsed<T> {
    text: Arc<SecretString>,
    value: Arc<T>,
}

impl<T: FromSecret> Secret<T> {
    /// The secret of this name; nothing is read yet.
    pub fn new(secrets: Secrets, id: impl Into<String>) -> Self {
        Self { secrets, id: id.into(), parsed: Mutex::new(None) }
    }

    /// The value, by the rules of [`Secrets::get`].
    ///
    /// # Errors
    /// Why the secret cannot be read or parsed, if it never could.
    pub async fn get(&self) -> Result<Arc<T>, SecretsError> {
        let text = self.secrets.get(&self.id).await?;
        self.parse(text)
    }

    /// The value, by the rules of [`Secrets::refresh`].
    ///
    /// # Errors
    /// Why the secret cannot be read or parsed, if it never could.
    pub async fn refresh(&self) -> Result<Arc<T>, SecretsError> {
        let text = self.secrets.refresh(&self.id).await?;
        self.parse(text)
    }

    /// A text that does not parse leaves the value before it in use: a slip in a rotation must not
    /// stop a service that runs.
    fn parse(&self, text: Arc<SecretString>) -> Result<Arc<T>, SecretsError> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = parsed.as_ref().filter(|before| Arc::ptr_eq(&before.text, &text)) {
            return Ok(before.value.clone());
        }
        match T::from_secret(text.expose_secret()) {
            Ok(value) => {
                let value = Arc::new(value);
                *parsed = Some(Parsed { text, value: value.clone() });
                Ok(value)
            }
            Err(what) => {
                let error = if fields::is_placeholder(text.expose_secret()) {
                    SecretsError::NotFilledIn(self.id.clone())
                } else {
                    SecretsError::Malformed { secret: self.id.clone(), what }
                };
                let Some(before) = parsed.as_mut() else { return Err(error) };
                tracing::error!(%error, "going on with the value read before");
                before.text = text;
                Ok(before.value.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests;
