//! A user's own token at a host: opened, renewed before and after it ends, by one process at a time.
//! The host's part of renewing is in `provider`; the rows are `store`'s.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::host_flow::HostFlow;
use super::sealing::{Aad, Sealed};
use crate::failure::Failure;
use crate::provider::bitbucket::Bitbucket;
use crate::provider::github::Github;
use crate::provider::gitlab::Gitlab;
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::token::{AccessToken, TokenError, TokenSource};
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ForbiddenReason, ProviderError, ProviderType};
use crate::service::Service;
use crate::store::{AnswerOwner, Lease, ProviderToken, StoreError, UserId};

/// A token that ends within a minute is renewed before it is used.
const RENEW_AHEAD_SECONDS: i64 = 60;
/// Longer than a refresh may take, so that a holder that lives is never overtaken.
const LEASE_SECONDS: i64 = 20;
/// The longest that renewing works on its own, whatever the request that asked for it does.
const RENEWAL: Duration = Duration::from_secs(15);
/// How often who waits for another's renewal looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A token younger than this may not be known everywhere at the host (reference: GitHub 1.9).
const FRESH_SECONDS: i64 = 5;
/// Tries to keep a new pair of tokens: if it is lost, the user must sign in again.
const KEEP_TRIES: u32 = 5;

/// A token as it was read, and the host it is for.
#[derive(Clone, Debug)]
struct Usable {
    token: AccessToken,
    host: Option<String>,
}

/// The token of a user at a host, for the time of one request.
#[derive(Debug)]
pub struct LinkedToken {
    service: Arc<Service>,
    user: UserId,
    provider: ProviderType,
    any_host: bool,
    deadline: Instant,
    current: Mutex<Option<Usable>>,
}

impl LinkedToken {
    /// The token of `user` at the configured host of `provider`; nothing is read yet. One that its user
    /// brought for another host is none here: the App, its installations and accounts are the configured host's.
    #[must_use]
    pub fn new(service: Arc<Service>, user: UserId, provider: ProviderType, budget: &Budget) -> Self {
        let deadline = budget.deadline();
        Self { service, user, provider, any_host: false, deadline, current: Mutex::new(None) }
    }

    /// The token of `user` at whatever host it is for. It must be sent to that host only, which
    /// [`LinkedToken::github`] and its likes give.
    #[must_use]
    pub fn at_any_host(service: Arc<Service>, user: UserId, provider: ProviderType, budget: &Budget) -> Self {
        Self { any_host: true, ..Self::new(service, user, provider, budget) }
    }

    /// A usable token; not the version that the host has rejected, nor an older one.
    async fn usable(&self, rejected: Option<u64>) -> Result<Option<Usable>, TokenError> {
        loop {
            let row = self
                .service
                .table
                .provider_token(&self.user, self.provider)
                .await?
                .ok_or(TokenError::NotLinked)?;
            if row.host.is_some() && !self.any_host {
                return Err(TokenError::NotLinked);
            }
            if row.ended {
                return Err(TokenError::Expired);
            }
            let now = self.service.clock.unix();
            let refused = rejected.is_some_and(|version| row.version <= version);
            let left = row.access_expires_at.map(|at| at - now);
            if !refused && left.is_none_or(|left| left > RENEW_AHEAD_SECONDS) {
                return self.open(&row).await.map(Some);
            }
            if row.sealed_refresh.is_none() {
                return match left {
                    Some(left) if left <= 0 => Err(TokenError::Expired),
                    // Refused, and nothing to renew it with: the answer of the host stands.
                    _ if refused => Ok(None),
                    _ => self.open(&row).await.map(Some),
                };
            }
            // On a task of its own: between the host's answer and our write nothing may be dropped.
            let renewal = tokio::spawn(renew(self.service.clone(), self.user.clone(), row.clone()));
            let outcome = tokio::time::timeout_at(self.deadline, renewal)
                .await
                .map_err(|_| ProviderError::Timeout)?
                .map_err(|error| TokenError::Unavailable(error.to_string()))?;
            match outcome {
                Ok(Renewal::Look) => {}
                Ok(Renewal::Wait) => {
                    let jitter = crate::clock::random::<1>().map_or(0, |[byte]| u64::from(byte) / 4);
                    let wait = LOOK_AGAIN + Duration::from_millis(jitter);
                    if Instant::now() + wait >= self.deadline {
                        return Err(ProviderError::Timeout.into());
                    }
                    tokio::time::sleep(wait).await;
                }
                // It could not be renewed ahead of its end, and has not ended yet.
                Err(TokenError::Host(error)) if !refused && left.is_some_and(|left| left > 0) => {
                    tracing::warn!(%error, "a token was not renewed ahead of its end");
                    return self.open(&row).await.map(Some);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The host that the token is for, where its user named one.
    ///
    /// # Errors
    /// [`TokenError`] where there is no usable token.
    pub async fn host(&self) -> Result<Option<String>, TokenError> {
        let mut current = self.current.lock().await;
        if let Some(usable) = &*current {
            return Ok(usable.host.clone());
        }
        let usable = self.usable(None).await?.ok_or(TokenError::Expired)?;
        Ok(current.insert(usable).host.clone())
    }

    /// GitHub at the host that the token is for: it is sent nowhere else.
    ///
    /// # Errors
    /// [`CallError`]: no usable token, or one for a host that the operator does not allow any more.
    pub async fn github(&self) -> Result<Github, CallError> {
        let host = self.host().await?;
        self.service.github_at(host.as_deref()).ok_or_else(not_allowed)
    }

    /// The same for GitLab.
    ///
    /// # Errors
    /// [`CallError`], as for GitHub.
    pub async fn gitlab(&self) -> Result<Gitlab, CallError> {
        let host = self.host().await?;
        self.service.gitlab_at(host.as_deref()).ok_or_else(not_allowed)
    }

    /// The same for Bitbucket.
    ///
    /// # Errors
    /// [`CallError`], as for GitHub.
    pub async fn bitbucket(&self) -> Result<Bitbucket, CallError> {
        let host = self.host().await?;
        self.service.bitbucket_at(host.as_deref()).ok_or_else(not_allowed)
    }

    async fn open(&self, row: &ProviderToken) -> Result<Usable, TokenError> {
        let sealed = Sealed { key_id: row.key_id.clone(), bytes: row.sealed_access.clone() };
        let secret = open(&self.service, &self.user, row, "access", &sealed).await?;
        let fresh = self.service.clock.unix() - row.obtained_at < FRESH_SECONDS;
        let token = AccessToken { secret, version: row.version, fresh };
        Ok(Usable { token, host: row.host.clone() })
    }
}

fn not_allowed() -> CallError {
    ProviderError::Forbidden(ForbiddenReason::Plain).into()
}

impl TokenSource for LinkedToken {
    async fn token(&self) -> Result<AccessToken, TokenError> {
        let mut current = self.current.lock().await;
        if let Some(usable) = &*current {
            return Ok(usable.token.clone());
        }
        let usable = self.usable(None).await?.ok_or(TokenError::Expired)?;
        Ok(current.insert(usable).token.clone())
    }

    async fn renew(&self, rejected: &AccessToken) -> Result<Option<AccessToken>, TokenError> {
        let mut current = self.current.lock().await;
        if let Some(usable) = current.as_ref().filter(|usable| usable.token.version > rejected.version) {
            return Ok(Some(usable.token.clone()));
        }
        let usable = self.usable(Some(rejected.version)).await?;
        if let Some(usable) = &usable {
            *current = Some(usable.clone());
        }
        Ok(usable.map(|usable| usable.token))
    }
}

/// What who wanted to renew does next.
enum Renewal {
    /// Somebody else is at it.
    Wait,
    /// The row has changed.
    Look,
}

/// Renews a token if nobody else does. The refresh token is single use, so: lease, read again, ask the
/// host, write in place of the version that was read, give the lease back.
async fn renew(service: Arc<Service>, user: UserId, seen: ProviderToken) -> Result<Renewal, TokenError> {
    let provider = seen.provider;
    let lease = Lease::new(&service.clock, LEASE_SECONDS, seen.version)
        .map_err(|error| TokenError::Unavailable(error.to_string()))?;
    if !service.table.take_lease(&user, provider, &lease, service.clock.unix()).await? {
        return Ok(Renewal::Wait);
    }
    let outcome = renew_as_holder(&service, &user, &seen).await;
    if let Err(error) = service.table.give_back_lease(&user, provider, &lease).await {
        tracing::warn!(%error, "a lease was not given back; it ends by itself");
    }
    outcome.map(|()| Renewal::Look)
}

async fn renew_as_holder(service: &Service, user: &UserId, seen: &ProviderToken) -> Result<(), TokenError> {
    let provider = seen.provider;
    let row = service.table.provider_token(user, provider).await?.ok_or(TokenError::NotLinked)?;
    if row.version != seen.version {
        return Ok(());
    }
    let now = service.clock.unix();
    let Some(sealed) = row.sealed_refresh.clone() else { return Err(TokenError::Expired) };
    if row.refresh_expires_at.is_some_and(|at| at <= now) {
        return end(service, user, &row).await;
    }
    let sealed = Sealed { key_id: row.key_id.clone(), bytes: sealed };
    let refresh = open(service, user, &row, "refresh", &sealed).await?;
    let unavailable = |failure: Failure| TokenError::Unavailable(failure.to_string());
    let Some(flow) = HostFlow::at(service, provider).await.map_err(unavailable)? else {
        return Err(TokenError::Unavailable(format!("no OAuth client at {provider} is configured")));
    };
    let budget = Budget::new(Instant::now() + RENEWAL, 1);
    match flow.refresh(&refresh, row.redirect_uri.as_deref().unwrap_or_default(), &budget).await {
        Ok(grant) => keep_renewed(service, user, &row, &grant).await,
        Err(OauthError::BadRefreshToken) => {
            // Whoever overtook us has written by now (reference: GitHub 1.9).
            match service.table.provider_token(user, provider).await? {
                Some(other) if other.version != row.version => Ok(()),
                _ => end(service, user, &row).await,
            }
        }
        Err(OauthError::Host(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(%provider, %error, "a host refuses to refresh a token");
            Err(TokenError::Unavailable(error.to_string()))
        }
    }
}

/// Notes that only a new sign-in helps, so that the host is not asked again and again.
async fn end(service: &Service, user: &UserId, row: &ProviderToken) -> Result<(), TokenError> {
    let ended = ProviderToken { ended: true, ..row.clone() };
    match service.table.put_provider_token(user, &ended, Some(row.version)).await {
        Ok(()) | Err(StoreError::Conflict) => {}
        Err(error) => return Err(error.into()),
    }
    service
        .table
        .forget_answers(&AnswerOwner::User(user.clone()), row.provider, service.clock.unix())
        .await?;
    Ok(())
}

async fn keep_renewed(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
    grant: &TokenGrant,
) -> Result<(), TokenError> {
    let redirect_uri = row.redirect_uri.clone();
    let token = seal(service, user, row.provider, row.version + 1, grant, redirect_uri)
        .await
        .map_err(|failure| TokenError::Unavailable(failure.to_string()))?;
    let mut tries = 1;
    loop {
        match service.table.put_provider_token(user, &token, Some(row.version)).await {
            // A conflict is a new sign-in at this very moment, whose token is as good as ours; or our own
            // write, whose answer was lost.
            Ok(()) | Err(StoreError::Conflict) => return Ok(()),
            Err(error) if tries == KEEP_TRIES => {
                tracing::error!(%error, "a renewed token could not be kept: its user must sign in again");
                return Err(error.into());
            }
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                tries += 1;
            }
        }
    }
}

/// Keeps the tokens of a sign-in in place of whatever was there.
///
/// # Errors
/// [`Failure`].
pub async fn keep_granted(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    grant: &TokenGrant,
    redirect_uri: &str,
) -> Result<(), Failure> {
    for _ in 0..5 {
        let before = service.table.provider_token(user, provider).await?.map(|token| token.version);
        let token =
            seal(service, user, provider, before.unwrap_or(0) + 1, grant, Some(redirect_uri.to_owned()))
                .await?;
        match service.table.put_provider_token(user, &token, before).await {
            // A refresh came between: ours is from the sign-in, and newer.
            Err(StoreError::Conflict) => {}
            other => return Ok(other?),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Keeps a token that the user has brought, in place of whatever was there.
///
/// # Errors
/// [`Failure`].
pub async fn keep_given(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    access: SecretString,
    host: Option<String>,
) -> Result<(), Failure> {
    let grant = TokenGrant { access, access_expires_at: None, refresh: None, refresh_expires_at: None };
    for _ in 0..5 {
        let before = service.table.provider_token(user, provider).await?.map(|token| token.version);
        let token = seal(service, user, provider, before.unwrap_or(0) + 1, &grant, None).await?;
        let token = ProviderToken { host: host.clone(), ..token };
        match service.table.put_provider_token(user, &token, before).await {
            Err(StoreError::Conflict) => {}
            other => {
                other?;
                // What was read with another token is none of this one's.
                let owner = AnswerOwner::User(user.clone());
                return Ok(service.table.forget_answers(&owner, provider, service.clock.unix()).await?);
            }
        }
    }
    Err(StoreError::Conflict.into())
}

async fn seal(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    version: u64,
    grant: &TokenGrant,
    redirect_uri: Option<String>,
) -> Result<ProviderToken, Failure> {
    let keys = service.token_keys.get().await?;
    let table = service.table.name();
    let aad = |kind| Aad { table, user: user.as_str(), provider, kind, version };
    let access = keys.seal(&aad("access"), &grant.access)?;
    let refresh = grant.refresh.as_ref().map(|refresh| keys.seal(&aad("refresh"), refresh)).transpose()?;
    Ok(ProviderToken {
        provider,
        version,
        key_id: access.key_id,
        sealed_access: access.bytes,
        access_expires_at: grant.access_expires_at,
        sealed_refresh: refresh.map(|sealed| sealed.bytes),
        refresh_expires_at: grant.refresh_expires_at,
        obtained_at: service.clock.unix(),
        host: None,
        redirect_uri,
        ended: false,
    })
}

/// The access token of a row, to end it at the host.
///
/// # Errors
/// [`TokenError`].
pub async fn open_access(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
) -> Result<SecretString, TokenError> {
    let sealed = Sealed { key_id: row.key_id.clone(), bytes: row.sealed_access.clone() };
    open(service, user, row, "access", &sealed).await
}

async fn open(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
    kind: &str,
    sealed: &Sealed,
) -> Result<SecretString, TokenError> {
    let aad = Aad {
        table: service.table.name(),
        user: user.as_str(),
        provider: row.provider,
        kind,
        version: row.version,
    };
    super::sealing::open(&service.token_keys, &aad, sealed)
        .await
        .map_err(|error| TokenError::Unavailable(error.to_string()))
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
