//! What a program that started the sandbox can do with it: look, sign in, end sessions, and make things go wrong.
//! What happens then lives in the module of each rule.

use http::StatusCode;
use serde_json::{Map, Value};

use super::backchannel::LogoutError;
use super::sessions::Session;
use super::state::lock;
use super::{
    Algorithm, AuthorizeError, AuthorizeRequest, Call, Fault, IdTokenChange, KeyError, OldKeys,
    SandboxOpenid, World, auth_page, broker,
};

/// What stands as `iss` in the answers that a browser carries (RFC 9207).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerIss {
    /// The issuer, as the discovery document promises.
    #[default]
    Ours,
    /// Another issuer: a mix-up.
    Other(String),
    /// Nothing.
    Missing,
}

/// Who gets tokens that outlive a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfflineAccess {
    /// Everybody who asks.
    #[default]
    Allowed,
    /// The client was not given the scope: whoever asks is sent back at once.
    NotForClient,
    /// Users have not the role: whoever asks gets no tokens for the code.
    NotForUsers,
}

/// What tests have changed.
#[derive(Debug)]
pub(super) struct Switches {
    /// What is wrong with the next ID token.
    pub(super) id_token: Option<IdTokenChange>,
    /// The issuer that the discovery document claims.
    pub(super) discovery_issuer: Option<String>,
    pub(super) answer_iss: AnswerIss,
    /// Whether the broker renews tokens that have expired.
    pub(super) refresh_brokered: bool,
    pub(super) offline_access: OfflineAccess,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            id_token: None,
            discovery_issuer: None,
            answer_iss: AnswerIss::Ours,
            refresh_brokered: true,
            offline_access: OfflineAccess::Allowed,
        }
    }
}

impl SandboxOpenid {
    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.openid.issuer.clone()
    }

    /// The console's address.
    #[must_use]
    pub fn console_url(&self) -> String {
        self.openid.issuer.trim_end_matches(super::REALM).to_owned()
    }

    /// Looks at the world or changes it; subjects and sessions are not in it.
    pub fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.openid.store.lock().world)
    }

    /// What the page does when a user is chosen: the address to go back to, with `code`, `state` and `iss`.
    ///
    /// # Errors
    /// [`AuthorizeError`] for what the page would refuse.
    pub fn authorize(&self, username: &str, request: &AuthorizeRequest) -> Result<String, AuthorizeError> {
        auth_page::authorize(&self.openid, username, request).map(|(location, _)| location)
    }

    /// The calls that came in, in the order in which they were answered.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.openid.calls).iter().cloned().collect()
    }

    /// Forgets the calls.
    pub fn clear_calls(&self) {
        lock(&self.openid.calls).clear();
    }

    /// Makes something go wrong. Of several faults that match, the oldest is taken.
    pub fn fail(&self, fault: Fault) {
        lock(&self.openid.faults).push(fault);
    }

    /// Lets everything go right again, the switches of this handle included.
    pub fn clear_faults(&self) {
        lock(&self.openid.faults).clear();
        *self.openid.switches() = Switches::default();
    }

    /// Spoils the next ID token, of a sign-in or of a refresh.
    pub fn id_token_change(&self, change: IdTokenChange) {
        self.openid.switches().id_token = Some(change);
    }

    /// Lets the discovery document name another issuer, or again its own.
    pub fn discovery_issuer(&self, issuer: Option<&str>) {
        self.openid.switches().discovery_issuer = issuer.map(str::to_owned);
    }

    /// What the answers that a browser carries say as `iss`.
    pub fn answer_iss(&self, iss: AnswerIss) {
        self.openid.switches().answer_iss = iss;
    }

    /// Whether the broker renews tokens that have expired; else it hands the expired ones out for ever.
    pub fn refresh_brokered(&self, renews: bool) {
        self.openid.switches().refresh_brokered = renews;
    }

    /// Who gets tokens that outlive a session.
    pub fn offline_access(&self, offline: OfflineAccess) {
        self.openid.switches().offline_access = offline;
    }

    /// Lets the broker forget the token of one account: the next one that is asked for is new.
    pub fn forget_brokered(&self, username: &str, alias: &str) {
        let mut state = self.openid.store.lock();
        if let Some(sub) = state.world.user(username).map(|user| user.sub.clone()) {
            broker::forget(&mut state.brokered, Some(&sub), alias);
        }
    }

    /// Lets the broker forget everybody's tokens of one identity provider.
    pub fn forget_all_brokered(&self, alias: &str) {
        broker::forget(&mut self.openid.store.lock().brokered, None, alias);
    }

    /// Lets another key sign from now on; answers its kid.
    ///
    /// # Errors
    /// [`KeyError`] if no key could be made.
    pub fn rotate_keys(&self, algorithm: Algorithm, old: OldKeys) -> Result<String, KeyError> {
        self.openid.store.lock().keys.rotate(algorithm, old)
    }

    /// How many sessions a user has.
    #[must_use]
    pub fn sessions(&self, username: &str) -> usize {
        self.sids(username).map_or(0, |(_, sids)| sids.len())
    }

    /// Ends all sessions of a user with their tokens, and tells nobody; answers how many there were.
    pub fn end_sessions(&self, username: &str) -> usize {
        let Ok((_, sids)) = self.sids(username) else { return 0 };
        let mut state = self.openid.store.lock();
        sids.iter().filter(|sid| state.sessions.end(sid).is_some()).count()
    }

    /// Ends a user's newest session, and tells its client by back-channel logout; answers what the client answered.
    ///
    /// # Errors
    /// [`LogoutError`] if there is no such session, or the client was not reached.
    pub async fn backchannel_logout(&self, username: &str) -> Result<StatusCode, LogoutError> {
        let (sid, session) = self.newest(username)?;
        self.openid.store.lock().sessions.end(&sid);
        self.openid.store.save().await;
        self.openid.notify(&sid, &session).await
    }

    /// A logout token for a user's newest session, which goes on; `change` may edit its header and claims before
    /// they are signed.
    ///
    /// # Errors
    /// [`LogoutError`] if there is no such session.
    pub fn logout_token(
        &self,
        username: &str,
        change: impl FnOnce(&mut Map<String, Value>, &mut Map<String, Value>),
    ) -> Result<String, LogoutError> {
        let (sid, session) = self.newest(username)?;
        self.openid.logout_token(&sid, &session, change)
    }

    fn sids(&self, username: &str) -> Result<(String, Vec<String>), LogoutError> {
        let state = self.openid.store.lock();
        let user = state.world.user(username).ok_or_else(|| LogoutError::UnknownUser(username.to_owned()))?;
        Ok((user.sub.clone(), state.sessions.of_user(&user.sub, self.openid.clock.unix())))
    }

    fn newest(&self, username: &str) -> Result<(String, Session), LogoutError> {
        let (_, sids) = self.sids(username)?;
        let none = || LogoutError::NoSession(username.to_owned());
        let sid = sids.last().cloned().ok_or_else(none)?;
        let state = self.openid.store.lock();
        let session = state.sessions.session(&sid, self.openid.clock.unix()).cloned().ok_or_else(none)?;
        Ok((sid, session))
    }
}
