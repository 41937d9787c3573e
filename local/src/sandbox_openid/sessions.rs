//! Sessions at the provider and what was handed out for them: codes, access tokens, refresh tokens.
//! Only SHA-256s of them are kept. What the endpoints say is in `auth_page`, `token` and `logout`.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use shared::clock::{NoEntropy, random};

use super::jwt::base64url;
use super::world::uuid;

/// Seconds that a code lives.
const CODE_LIFE: i64 = 60;

/// The SHA-256 of a code or token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
struct Key(String);

impl Key {
    fn of(token: &str) -> Self {
        Self(sha256(token))
    }
}

/// A SHA-256 in base64url.
pub(super) fn sha256(text: &str) -> String {
    base64url(digest(&SHA256, text.as_bytes()))
}

/// A random UUID.
pub(super) fn new_uuid() -> Result<String, NoEntropy> {
    Ok(uuid(random::<16>()?))
}

/// One sign-in of one user for one client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) sub: String,
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) auth_time: i64,
    /// Grows from session to session; given when it begins.
    pub(super) number: u64,
    /// When it ends unless it is used before; `None` with `offline_access`.
    pub(super) idle_until: Option<i64>,
    /// When it ends in any case; `None` with `offline_access`.
    pub(super) ends_at: Option<i64>,
}

impl Session {
    fn lives(&self, now: i64) -> bool {
        self.idle_until.is_none_or(|end| end > now) && self.ends_at.is_none_or(|end| end > now)
    }
}

/// A code, and what its exchange must prove.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) sid: String,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    expires_at: i64,
    used: bool,
}

/// What a code is good for.
#[derive(Debug)]
pub(super) enum Redeemed {
    Good(Box<Code>),
    /// Unknown, too old or used before.
    Bad,
    /// The session is over.
    NoSession,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Access {
    sid: String,
    expires_at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Refresh {
    sid: String,
    used: bool,
}

/// Everything that was handed out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    begun: u64,
    sessions: BTreeMap<String, Session>,
    codes: BTreeMap<Key, Code>,
    access: BTreeMap<Key, Access>,
    refresh: BTreeMap<Key, Refresh>,
}

impl Sessions {
    /// Begins a session; answers its id.
    pub(super) fn begin(&mut self, session: Session) -> Result<String, NoEntropy> {
        self.forget(session.auth_time);
        self.begun += 1;
        let session = Session { number: self.begun, ..session };
        let sid = new_uuid()?;
        self.sessions.insert(sid.clone(), session);
        Ok(sid)
    }

    /// Drops what cannot make a difference any more. Used codes stay with their session, to be known again.
    fn forget(&mut self, now: i64) {
        let Self { sessions, codes, access, refresh, .. } = self;
        sessions.retain(|_, session| session.lives(now));
        codes.retain(|_, code| sessions.contains_key(&code.sid));
        access.retain(|_, one| sessions.contains_key(&one.sid) && one.expires_at > now);
        refresh.retain(|_, one| sessions.contains_key(&one.sid));
    }

    /// A code for a session: single use, one minute.
    pub(super) fn issue_code(
        &mut self,
        sid: &str,
        redirect_uri: &str,
        challenge: &str,
        nonce: Option<&str>,
        now: i64,
    ) -> Result<String, NoEntropy> {
        let client_id = self.sessions.get(sid).map(|one| one.client_id.clone()).unwrap_or_default();
        // As Keycloak writes them: something of its own, the session, something of the client.
        let code = format!("{}.{sid}.{}", new_uuid()?, new_uuid()?);
        let kept = Code {
            sid: sid.to_owned(),
            client_id,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            nonce: nonce.map(str::to_owned),
            expires_at: now + CODE_LIFE,
            used: false,
        };
        self.codes.insert(Key::of(&code), kept);
        Ok(code)
    }

    /// Uses a code up. One that comes again has been stolen, by the first or the second: its session ends.
    pub(super) fn redeem_code(&mut self, code: &str, now: i64) -> Redeemed {
        let Some(code) = self.codes.get_mut(&Key::of(code)) else { return Redeemed::Bad };
        if code.used {
            let sid = code.sid.clone();
            self.end(&sid);
            return Redeemed::Bad;
        }
        code.used = true;
        if code.expires_at <= now {
            return Redeemed::Bad;
        }
        let code = code.clone();
        match self.session(&code.sid, now) {
            Some(_) => Redeemed::Good(Box::new(code)),
            None => Redeemed::NoSession,
        }
    }

    /// Remembers an access token.
    pub(super) fn keep_access(&mut self, token: &str, sid: &str, expires_at: i64) {
        self.access.insert(Key::of(token), Access { sid: sid.to_owned(), expires_at });
    }

    /// Remembers a refresh token.
    pub(super) fn keep_refresh(&mut self, token: &str, sid: &str) {
        self.refresh.insert(Key::of(token), Refresh { sid: sid.to_owned(), used: false });
    }

    /// Uses a refresh token up; answers its session's id. One that comes again ends its session.
    pub(super) fn redeem_refresh(&mut self, token: &str, client_id: &str, now: i64) -> Option<String> {
        let refresh = self.refresh.get_mut(&Key::of(token))?;
        let sid = refresh.sid.clone();
        if refresh.used {
            self.end(&sid);
            return None;
        }
        if self.sessions.get(&sid).is_none_or(|one| one.client_id != client_id || !one.lives(now)) {
            return None;
        }
        refresh.used = true;
        Some(sid)
    }

    /// A session that has not ended.
    pub(super) fn session(&self, sid: &str, now: i64) -> Option<&Session> {
        self.sessions.get(sid).filter(|session| session.lives(now))
    }

    /// Moves the end of a session that was used; answers when it ends now.
    pub(super) fn touch(&mut self, sid: &str, idle_until: i64) -> Option<i64> {
        let session = self.sessions.get_mut(sid)?;
        let end = session.ends_at.map_or(idle_until, |end| end.min(idle_until));
        session.idle_until = session.idle_until.map(|_| end);
        session.idle_until
    }

    /// The session that a good access token is of.
    pub(super) fn of_access(&self, token: &str, now: i64) -> Option<&Session> {
        let access = self.access.get(&Key::of(token)).filter(|one| one.expires_at > now)?;
        self.session(&access.sid, now)
    }

    /// The id of the session that a refresh token was given for.
    pub(super) fn sid_of_refresh(&self, token: &str) -> Option<String> {
        self.refresh.get(&Key::of(token)).map(|one| one.sid.clone())
    }

    /// Ends one access token.
    pub(super) fn forget_access(&mut self, token: &str) {
        self.access.remove(&Key::of(token));
    }

    /// Ends a session and all its tokens.
    pub(super) fn end(&mut self, sid: &str) -> Option<Session> {
        let ended = self.sessions.remove(sid);
        let Self { sessions, codes, access, refresh, .. } = self;
        codes.retain(|_, one| sessions.contains_key(&one.sid));
        access.retain(|_, one| sessions.contains_key(&one.sid));
        refresh.retain(|_, one| sessions.contains_key(&one.sid));
        ended
    }

    /// The sessions that have not ended, with their ids, oldest first.
    pub(super) fn all(&self, now: i64) -> Vec<(String, Session)> {
        let mut all: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.lives(now))
            .map(|(sid, session)| (sid.clone(), session.clone()))
            .collect();
        all.sort_by_key(|(_, session)| session.number);
        all
    }

    /// The ids of a user's sessions, oldest first.
    pub(super) fn of_user(&self, sub: &str, now: i64) -> Vec<String> {
        self.all(now).into_iter().filter(|(_, session)| session.sub == sub).map(|(sid, _)| sid).collect()
    }
}
