//! Browser sessions: found by the SHA-256 of the cookie's value, listed and ended by user, and by the session at
//! the enterprise SSO that they came from. A dump of the table holds nothing that can be sent as a cookie.

use serde::{Deserialize, Serialize};

use super::conflicts::Tries;
use super::identities::UserId;
use super::table::{Key, Only, StoreError, TRANSACTION, Table, Write, number};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the cookie's value.
    pub hash: String,
    /// Whose it is.
    pub user_id: UserId,
    /// Start, in Unix seconds.
    pub created_at: i64,
    /// Last use that was noted, in Unix seconds.
    pub seen_at: i64,
    /// End without use, also the table's TTL; in Unix seconds.
    pub expires_at: i64,
    /// End whatever its use, in Unix seconds.
    pub ends_at: i64,
    /// The session at the enterprise SSO that it came from ([`SsoLogin::session`]); none for other sign-ins.
    #[serde(default)]
    pub sso_session: Option<String>,
}

/// What a session that came from the enterprise SSO needs to end there too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsoLogin {
    /// Which session at the issuer: a hash, so that it may stand in a key.
    pub session: String,
    /// SHA-256 of our cookie's value.
    pub hash: String,
    /// Whose it is.
    pub user_id: UserId,
    /// The issuer.
    pub issuer: String,
    /// The ID token, sealed: the issuer wants it as a hint of whom to sign out.
    #[serde(with = "serde_bytes")]
    pub sealed_id_token: Vec<u8>,
    /// Key that sealed it.
    pub key_id: String,
    /// The table's TTL, in Unix seconds.
    pub expires_at: i64,
}

fn key(hash: &str) -> Key {
    Key::new(format!("SESSION#{hash}"), "SESSION")
}

fn user_key(user: &UserId, hash: &str) -> Key {
    Key::new(user.partition(), format!("SESSION#{hash}"))
}

fn sso_partition(session: &str) -> String {
    format!("SSO_SESSION#{session}")
}

fn sso_key(session: &str, hash: &str) -> Key {
    Key::new(sso_partition(session), format!("SESSION#{hash}"))
}

impl Table {
    /// A session by its cookie's hash. Expired ones may still be there: the caller looks at the times.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, hash: &str) -> Result<Option<Session>, StoreError> {
        self.get(&key(hash)).await
    }

    /// Starts a session and ends the one that the browser had, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn start_session(
        &self,
        session: &Session,
        sso: Option<&SsoLogin>,
        previous: Option<&Session>,
    ) -> Result<(), StoreError> {
        let mut writes = vec![
            Write::put(&key(&session.hash), session, Only::IfAbsent)?,
            Write::put(&user_key(&session.user_id, &session.hash), session, Only::IfAbsent)?,
        ];
        if let Some(sso) = sso {
            writes.push(Write::put(&sso_key(&sso.session, &sso.hash), sso, Only::IfAbsent)?);
        }
        if let Some(previous) = previous {
            writes.extend(ending(previous));
        }
        self.transact_again(writes).await
    }

    /// A transaction on items that others may be writing at the same moment, such as a note of their use.
    async fn transact_again(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut tries = Tries::new();
        while tries.another().await {
            match self.transact(writes.clone()).await {
                Err(StoreError::Conflict) => {}
                other => return other,
            }
        }
        Err(StoreError::Conflict)
    }

    /// Notes that a session is in use. A session that ended in the meantime stays ended.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it has ended.
    pub async fn touch_session(
        &self,
        session: &Session,
        seen_at: i64,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        let times = [("seen_at", number(seen_at)), ("expires_at", number(expires_at))];
        // Listed first: were only the second write lost, the session would still be ended with the others.
        self.set(&user_key(&session.user_id, &session.hash), &times).await?;
        self.set(&key(&session.hash), &times).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, session: &Session) -> Result<(), StoreError> {
        self.transact_again(ending(session)).await
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// [`StoreError`]; the same call again ends the rest.
    pub async fn end_sessions_of(&self, user: &UserId) -> Result<(), StoreError> {
        for sessions in self.sessions_of(user).await?.chunks(TRANSACTION / 3) {
            self.transact_again(sessions.iter().flat_map(ending).collect()).await?;
        }
        Ok(())
    }

    /// All sessions of a user, expired ones among them until the table drops them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions_of(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        self.query(&user.partition(), "SESSION#").await
    }

    /// What a session that came from the enterprise SSO needs to end there; none for other sessions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sso_login(&self, session: &Session) -> Result<Option<SsoLogin>, StoreError> {
        match &session.sso_session {
            Some(sso) => self.get(&sso_key(sso, &session.hash)).await,
            None => Ok(None),
        }
    }

    /// The sessions here that came from one session at the enterprise SSO.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sso_logins(&self, sso_session: &str) -> Result<Vec<SsoLogin>, StoreError> {
        self.query(&sso_partition(sso_session), "SESSION#").await
    }

    /// Whether a logout token of the enterprise SSO has been dealt with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_logout_token(&self, hash: &str) -> Result<bool, StoreError> {
        Ok(self.get::<LogoutTokenUsed>(&logout_token_key(hash)).await?.is_some())
    }

    /// Notes that a logout token has been dealt with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_logout_token(&self, hash: &str, expires_at: i64) -> Result<(), StoreError> {
        let used = LogoutTokenUsed { expires_at };
        self.write(Write::put(&logout_token_key(hash), &used, Only::Always)?).await
    }
}

fn logout_token_key(hash: &str) -> Key {
    Key::new(format!("LOGOUT_TOKEN#{hash}"), "LOGOUT_TOKEN")
}

#[derive(Serialize, Deserialize)]
pub(super) struct LogoutTokenUsed {
    pub(super) expires_at: i64,
}

fn ending(session: &Session) -> Vec<Write> {
    let mut writes = vec![
        Write::Delete(key(&session.hash), Only::Always),
        Write::Delete(user_key(&session.user_id, &session.hash), Only::Always),
    ];
    writes.extend(
        session.sso_session.as_ref().map(|sso| Write::Delete(sso_key(sso, &session.hash), Only::Always)),
    );
    writes
}
