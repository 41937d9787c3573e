//! Last good answers of a host, per caller, served while the host is down (DESIGN 4) and never longer.
//! Never shared; gone with the token that fetched them.

use serde::{Deserialize, Serialize};

use super::identities::UserId;
use super::table::{Key, Only, StoreError, TRANSACTION, Table, Write};
use crate::provider::ProviderType;

/// Whom an answer was given to; nobody else is ever shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerOwner {
    /// A user, with the user's own token.
    User(UserId),
    /// The App itself.
    App,
}

impl AnswerOwner {
    fn partition(&self) -> String {
        match self {
            Self::User(user) => user.partition(),
            Self::App => "APP".to_owned(),
        }
    }
}

/// A host's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// What was asked: the hash of the route, its query and the headers that change the answer.
    pub request: String,
    /// Headers that are passed on with it.
    pub headers: Vec<(String, String)>,
    /// Body, gzip.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// When the host gave it, in Unix seconds.
    pub fetched_at: i64,
    /// TTL of the table, in Unix seconds.
    pub expires_at: i64,
}

fn key(owner: &AnswerOwner, provider: ProviderType, request: &str) -> Key {
    Key::new(owner.partition(), format!("ANSWER#{provider}#{request}"))
}

fn mark_key(owner: &AnswerOwner, provider: ProviderType) -> Key {
    Key::new(owner.partition(), format!("FORGOTTEN#{provider}"))
}

/// How long it is remembered that answers were forgotten: longer than any of them is kept.
const MARK_SECONDS: i64 = 2 * 24 * 3600;

/// When all answers were forgotten last.
#[derive(Serialize, Deserialize)]
pub(super) struct Forgotten {
    forgotten_at: i64,
    pub(super) expires_at: i64,
}

impl Table {
    /// The last good answer to a request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_answer(
        &self,
        owner: &AnswerOwner,
        provider: ProviderType,
        request: &str,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        let (kept_key, mark_key) = (key(owner, provider, request), mark_key(owner, provider));
        let (kept, mark) =
            futures::try_join!(self.get::<KeptAnswer>(&kept_key), self.get::<Forgotten>(&mark_key))?;
        Ok(kept.filter(|kept| mark.is_none_or(|mark| mark.forgotten_at < kept.fetched_at)))
    }

    /// Keeps an answer in place of an older one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_answer(
        &self,
        owner: &AnswerOwner,
        provider: ProviderType,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError> {
        let newer = Only::IfAbsentOrLess("fetched_at", answer.fetched_at);
        match self.write(Write::put(&key(owner, provider, &answer.request), answer, newer)?).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets one answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_answer(
        &self,
        owner: &AnswerOwner,
        provider: ProviderType,
        request: &str,
    ) -> Result<(), StoreError> {
        self.write(Write::Delete(key(owner, provider, request), Only::Always)).await
    }

    /// Forgets all answers of a host to somebody that were given until now; one that is on its way to the
    /// table while this happens is not served either.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_answers(
        &self,
        owner: &AnswerOwner,
        provider: ProviderType,
        now: i64,
    ) -> Result<(), StoreError> {
        let mark = Forgotten { forgotten_at: now, expires_at: now + MARK_SECONDS };
        self.write(Write::put(&mark_key(owner, provider), &mark, Only::Always)?).await?;
        let kept: Vec<Kept> = self.query(&owner.partition(), &format!("ANSWER#{provider}#")).await?;
        for kept in kept.chunks(TRANSACTION) {
            let writes =
                kept.iter().map(|kept| Write::Delete(key(owner, provider, &kept.request), Only::Always));
            self.transact(writes.collect()).await?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Kept {
    request: String,
}
