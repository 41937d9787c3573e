//! Sign-ins under way: what must be known again when the browser comes back from the host.
//! Found by the SHA-256 of `state`, used once, ended after ten minutes.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::identities::UserId;
use super::table::{Key, Only, StoreError, Table, Write, text};
use crate::provider::ProviderType;

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// SHA-256 of `state`, in base64url.
    pub state_hash: String,
    /// SHA-256 of the browser's cookie, in base64url.
    pub browser_hash: String,
    /// The host it was started for.
    pub provider: ProviderType,
    /// The PKCE verifier, sealed: whoever reads the table cannot finish the sign-in.
    #[serde(with = "serde_bytes")]
    pub sealed_verifier: Vec<u8>,
    /// Key that sealed it.
    pub key_id: String,
    /// Whether tokens were wanted that outlive the session at an OpenID provider.
    #[serde(default)]
    pub offline: bool,
    /// Who was signed in when it was started: it links to that user only.
    #[serde(default)]
    pub user_id: Option<UserId>,
    /// Where the browser goes afterwards: a relative path.
    pub return_to: String,
    /// When the browser is too late, in Unix seconds.
    pub ends_at: i64,
    /// It has been used; remembered so that a second use is told from a state nobody made.
    pub used: bool,
    /// Who has used it: random, and another at each try.
    #[serde(default)]
    pub used_by: Option<String>,
    /// The table's TTL, in Unix seconds.
    pub expires_at: i64,
}

fn key(state_hash: &str) -> Key {
    Key::new(format!("SIGN_IN#{state_hash}"), "SIGN_IN")
}

impl Table {
    /// Keeps a sign-in that starts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn start_sign_in(&self, sign_in: &SignIn) -> Result<(), StoreError> {
        match self.write(Write::put(&key(&sign_in.state_hash), sign_in, Only::IfAbsent)?).await {
            // Nobody else has this state: the answer was lost, and the SDK tried again.
            Err(StoreError::Conflict) => Ok(()),
            other => other,
        }
    }

    /// Looks at a sign-in without using it up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_in(&self, state_hash: &str) -> Result<Option<SignIn>, StoreError> {
        self.get(&key(state_hash)).await
    }

    /// Uses a sign-in up: of any number of callers, told apart by `user`, exactly one is told `true`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn use_sign_in(&self, state_hash: &str, user: &str) -> Result<bool, StoreError> {
        let unused = Only::IfEquals("used", AttributeValue::Bool(false));
        let changes = [("used", AttributeValue::Bool(true)), ("used_by", text(user))];
        match self.set_only(&key(state_hash), &changes, unused).await {
            Ok(()) => Ok(true),
            // Ourselves, if the answer was lost and the SDK tried again.
            Err(StoreError::Conflict) => {
                let used = self.sign_in(state_hash).await?;
                Ok(used.is_some_and(|used| used.used_by.as_deref() == Some(user)))
            }
            Err(error) => Err(error),
        }
    }
}
