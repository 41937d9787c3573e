//! API keys: shown once, stored as a hash, told from GitHub's tokens by their prefix (DESIGN 3).

use super::secret_token::SecretToken;
use crate::failure::Failure;
use crate::service::Service;
use crate::store::{ApiKey, ApiKeyId, StoreError, UserId};

/// What every key begins with.
pub const PREFIX: &str = "gik_";
/// How much of a key is shown to recognise it by: the prefix and four characters, 24 of 256 bits.
const SHOWN: usize = PREFIX.len() + 4;
/// A user has at most this many keys.
pub const MOST: usize = 50;
/// Use is noted at most every ten minutes: a read should not cost a write.
const NOTE_SECONDS: i64 = 600;

/// Makes a key; the token is shown to its user now and never again.
///
/// # Errors
/// [`Failure`]; [`Failure::Forbidden`] when the user has [`MOST`] keys.
pub async fn create(service: &Service, user: &UserId, name: &str) -> Result<(ApiKey, SecretToken), Failure> {
    if service.table.api_keys_of(user).await?.len() >= MOST {
        return Err(Failure::Forbidden("there are 50 API keys, the most a user may have; end one first"));
    }
    let token = SecretToken::generate(PREFIX)?;
    let key = ApiKey {
        id: ApiKeyId::generate(&service.clock)?,
        hash: token.hash().as_str().to_owned(),
        user_id: user.clone(),
        name: name.to_owned(),
        prefix: token.expose().chars().take(SHOWN).collect(),
        created_at: service.clock.unix(),
        last_used_at: None,
    };
    service.table.add_api_key(&key).await?;
    Ok((key, token))
}

/// The key that somebody sent, if it is one and has not been ended.
///
/// # Errors
/// [`Failure`] when the table fails.
pub async fn find(service: &Service, text: &str) -> Result<Option<ApiKey>, Failure> {
    let Some(token) = SecretToken::parse(PREFIX, text) else { return Ok(None) };
    let Some(key) = service.table.api_key(token.hash().as_str()).await? else { return Ok(None) };
    let now = service.clock.unix();
    if key.last_used_at.is_none_or(|last| now - last >= NOTE_SECONDS) {
        match service.table.touch_api_key(&key, now).await {
            Ok(()) => {}
            // Ended at this very moment.
            Err(StoreError::Conflict) => return Ok(None),
            // The note can wait for the next use; the caller need not.
            Err(error) => tracing::warn!(%error, "the use of a key was not noted"),
        }
    }
    Ok(Some(key))
}
