//! API keys: found by the SHA-256 of the key, listed and ended by user. The key itself is nowhere.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::identities::UserId;
use super::table::{Key, Only, StoreError, Table, Write, number};
use crate::clock::{Clock, NoEntropy, random};

/// The public id of a key: `key_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyId(String);

impl ApiKeyId {
    /// A new key's id.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn generate(clock: &Clock) -> Result<Self, NoEntropy> {
        let random = u128::from_be_bytes(random()?);
        Ok(Self(format!("key_{}", Ulid::from_parts(clock.unix_millis(), random))))
    }

    /// The id of that text, if it has the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ulid = text.strip_prefix("key_")?;
        Ulid::from_string(ulid).is_ok().then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An API key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public id.
    pub id: ApiKeyId,
    /// SHA-256 of the key, in base64url.
    pub hash: String,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's name for it.
    pub name: String,
    /// Its first characters, to recognise it by.
    pub prefix: String,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
    /// Last use that was noted, in Unix seconds.
    pub last_used_at: Option<i64>,
}

fn hash_key(hash: &str) -> Key {
    Key::new(format!("API_KEY#{hash}"), "API_KEY")
}

fn user_key(user: &UserId, id: &ApiKeyId) -> Key {
    Key::new(user.partition(), format!("API_KEY#{}", id.as_str()))
}

impl Table {
    /// The key of that hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        self.get(&hash_key(hash)).await
    }

    /// A user's keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_keys_of(&self, user: &UserId) -> Result<Vec<ApiKey>, StoreError> {
        self.query(&user.partition(), "API_KEY#").await
    }

    /// Keeps a new key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.transact(vec![
            Write::put(&hash_key(&key.hash), key, Only::IfAbsent)?,
            Write::put(&user_key(&key.user_id, &key.id), key, Only::IfAbsent)?,
        ])
        .await
    }

    /// Ends a user's key; false when the user has no such key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_api_key(&self, user: &UserId, id: &ApiKeyId) -> Result<bool, StoreError> {
        let Some(key) = self.get::<ApiKey>(&user_key(user, id)).await? else { return Ok(false) };
        self.transact(vec![
            Write::Delete(hash_key(&key.hash), Only::Always),
            Write::Delete(user_key(user, id), Only::Always),
        ])
        .await?;
        Ok(true)
    }

    /// Notes a key's use where users see it and where the next use is compared with it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it has ended.
    pub async fn touch_api_key(&self, key: &ApiKey, at: i64) -> Result<(), StoreError> {
        self.set(&user_key(&key.user_id, &key.id), &[("last_used_at", number(at))]).await?;
        self.set(&hash_key(&key.hash), &[("last_used_at", number(at))]).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_that_was_made_is_read_and_any_other_text_is_none() {
        let id = ApiKeyId::generate(&Clock::system()).unwrap();
        assert_eq!(ApiKeyId::parse(id.as_str()), Some(id));
        for text in [
            "",
            "key_",
            "key_01J",
            "01M7ZC4GF7WMZADPWVZFVS8F0X",
            "key_01M7ZC4GF7WMZADPWVZFVS8F0X#",
            "usr_01M7ZC4GF7WMZADPWVZFVS8F0X",
        ] {
            assert_eq!(ApiKeyId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_never_holds_what_separates_the_parts_of_a_key(text in "key_[0-9A-Za-z#]{26}|.*") {
            if let Some(id) = ApiKeyId::parse(&text) {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert!(text.len() == 30 && text[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
            }
        }
    }
}
