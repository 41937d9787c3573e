//! Sign-ins under way: what must be known again when the browser comes back from the host.
//! Found by the SHA-256 of `state`, given out once, ended by the table after ten minutes.

use serde::{Deserialize, Serialize};

use super::table::{Key, Only, StoreError, Table, Write};
use crate::provider::ProviderType;

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// SHA-256 of `state`, in hexadecimal.
    pub state_hash: String,
    /// SHA-256 of the browser's cookie, in hexadecimal.
    pub browser_hash: String,
    /// The host it was started for.
    pub provider: ProviderType,
    /// The PKCE verifier, sealed: whoever reads the table cannot finish the sign-in.
    #[serde(with = "serde_bytes")]
    pub sealed_verifier: Vec<u8>,
    /// Key that sealed it.
    pub key_id: String,
    /// Where the browser goes afterwards: a relative path.
    pub return_to: String,
    /// End, also the table's TTL; in Unix seconds.
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
        self.write(Write::put(&key(&sign_in.state_hash), sign_in, Only::IfAbsent)?).await
    }

    /// Looks at a sign-in without using it up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_in(&self, state_hash: &str) -> Result<Option<SignIn>, StoreError> {
        self.get(&key(state_hash)).await
    }

    /// Uses a sign-in up: of any number of callers exactly one is given it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_sign_in(&self, state_hash: &str) -> Result<Option<SignIn>, StoreError> {
        self.take(&key(state_hash)).await
    }
}
