//! A user's token at a host for the time of one request: opened, and renewed before and after it ends.
//! How it is renewed is `token_renewal`'s business, how it is kept `token_keeping`'s; the rows are `store`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::brokered;
use super::token_keeping::{open_access, seal_anew};
use super::token_renewal::{Renewal, renew};
use crate::failure::Failure;
use crate::provider::bitbucket::Bitbucket;
use crate::provider::github::Github;
use crate::provider::gitlab::Gitlab;
use crate::provider::token::{AccessToken, TokenError, TokenSource};
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ForbiddenReason, ProviderError, ProviderType};
use crate::record::Record;
use crate::service::Service;
use crate::store::{ProviderToken, StoreError, TokenSlot, UserId};

/// A token that ends within a minute is renewed before it is used.
const RENEW_AHEAD_SECONDS: i64 = 60;
/// How often who waits for another's renewal looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A token younger than this may not be known everywhere at the host (reference: GitHub 1.9).
const FRESH_SECONDS: i64 = 5;

/// A token as it was read, and the host it is for.
#[derive(Clone, Debug)]
struct Usable {
    token: AccessToken,
    slot: TokenSlot,
    host: Option<String>,
}

/// Which of a user's tokens is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// The user's own; where that is of no use, the one that the user's enterprise SSO holds.
    Usable(ProviderType),
    /// This one.
    Only(TokenSlot),
}

/// The token of a user at a host, for the time of one request.
#[derive(Debug)]
pub struct LinkedToken {
    service: Arc<Service>,
    user: UserId,
    wanted: Wanted,
    any_host: bool,
    deadline: Instant,
    record: Arc<Record>,
    current: Mutex<Option<Usable>>,
    /// Whether the key that has sealed the token was looked at: once per request is enough.
    looked_at_key: AtomicBool,
}

impl LinkedToken {
    /// The token of `user` at the configured host of `provider`; nothing is read yet. One that its user
    /// brought for another host is none here: the App, its installations and accounts are the configured host's.
    #[must_use]
    pub fn new(service: Arc<Service>, user: UserId, provider: ProviderType, budget: &Budget) -> Self {
        Self {
            service,
            user,
            wanted: Wanted::Usable(provider),
            any_host: false,
            deadline: budget.deadline(),
            record: budget.record().clone(),
            current: Mutex::new(None),
            looked_at_key: AtomicBool::new(false),
        }
    }

    /// The token of `user` at whatever host it is for. It must be sent to that host only, which
    /// [`LinkedToken::github`] and its likes give.
    #[must_use]
    pub fn at_any_host(service: Arc<Service>, user: UserId, provider: ProviderType, budget: &Budget) -> Self {
        Self { any_host: true, ..Self::new(service, user, provider, budget) }
    }

    /// This one of the user's tokens, at whatever host it is for.
    #[must_use]
    pub fn of(service: Arc<Service>, user: UserId, slot: TokenSlot, budget: &Budget) -> Self {
        let wanted = Wanted::Only(slot);
        Self { wanted, ..Self::at_any_host(service, user, slot.provider, budget) }
    }

    /// The row of the token that is wanted.
    async fn row(&self, rejected: Option<Rejected>) -> Result<ProviderToken, TokenError> {
        let provider = match self.wanted {
            Wanted::Only(slot) => return self.read(slot).await?.ok_or(TokenError::NotLinked),
            Wanted::Usable(provider) => provider,
        };
        let own = self.read(TokenSlot::own(provider)).await?;
        let now = self.service.clock.unix();
        let is_of_use = |own: &ProviderToken| {
            own.is_usable(now) && (own.sealed_refresh.is_some() || !is_rejected(own, rejected))
        };
        // Nobody brokers the broker's own token.
        if own.as_ref().is_some_and(is_of_use) || provider == ProviderType::EnterpriseSso {
            return own.ok_or(TokenError::NotLinked);
        }
        let brokered = self.read(TokenSlot::brokered(provider)).await?;
        brokered.or(own).ok_or(TokenError::NotLinked)
    }

    async fn read(&self, slot: TokenSlot) -> Result<Option<ProviderToken>, TokenError> {
        let row = self.service.table.provider_token(&self.user, slot).await?;
        let Some(row) = row.filter(|row| self.any_host || row.host.is_none()) else { return Ok(None) };
        if row.slot() != slot {
            // It would open as what it says that it is, and be sent to the host of this row.
            return Err(TokenError::Internal("a token stands in the row of another".to_owned()));
        }
        if row.brokered {
            let brokers = brokered::brokers(&self.service, slot.provider).await;
            return Ok(brokers?.then_some(row));
        }
        Ok(Some(row))
    }

    /// A usable token; not the version that the host has rejected, nor an older one.
    async fn usable(&self, rejected: Option<Rejected>) -> Result<Option<Usable>, TokenError> {
        loop {
            let row = self.row(rejected).await?;
            if row.ended {
                return Err(TokenError::Expired);
            }
            let now = self.service.clock.unix();
            let refused = is_rejected(&row, rejected);
            let left = row.access_expires_at.map(|at| at - now);
            if !refused && left.is_none_or(|left| left > RENEW_AHEAD_SECONDS) {
                return self.open(&row).await.map(Some);
            }
            if row.sealed_refresh.is_none() && !row.brokered {
                return match left {
                    Some(left) if left <= 0 => Err(TokenError::Expired),
                    // Refused, and nothing to renew it with: the answer of the host stands.
                    _ if refused => Ok(None),
                    _ => self.open(&row).await.map(Some),
                };
            }
            // On a task of its own: between the host's answer and our write nothing may be dropped.
            let renewal = tokio::spawn(renew(
                self.service.clone(),
                self.user.clone(),
                row.clone(),
                self.record.clone(),
            ));
            let outcome = tokio::time::timeout_at(self.deadline, renewal)
                .await
                .map_err(|_| ProviderError::Timeout)?
                .map_err(|_| TokenError::Internal("a renewal panicked".to_owned()))?;
            match outcome {
                Ok(Renewal::Look) => {}
                Ok(Renewal::Same) if !refused && left.is_none_or(|left| left > 0) => {
                    return self.open(&row).await.map(Some);
                }
                Ok(Renewal::Same) => return Err(TokenError::BrokerExpired),
                Ok(Renewal::Wait) => {
                    let jitter = crate::clock::random::<1>().map_or(0, |[byte]| u64::from(byte) / 4);
                    let wait = LOOK_AGAIN + Duration::from_millis(jitter);
                    if Instant::now() + wait >= self.deadline {
                        return Err(ProviderError::Timeout.into());
                    }
                    tokio::time::sleep(wait).await;
                }
                // It could not be renewed ahead of its end, and has not ended yet.
                Err(TokenError::Host(error) | TokenError::Broker(error))
                    if !refused && left.is_some_and(|left| left > 0) =>
                {
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
        Ok(self.slot_and_host().await?.1)
    }

    /// Which of the user's tokens this turned out to be, and its host.
    ///
    /// # Errors
    /// [`TokenError`] where there is no usable token.
    pub async fn slot_and_host(&self) -> Result<(TokenSlot, Option<String>), TokenError> {
        let mut current = self.current.lock().await;
        if let Some(usable) = &*current {
            return Ok((usable.slot, usable.host.clone()));
        }
        let usable = current.insert(self.usable(None).await?.ok_or(TokenError::Expired)?);
        Ok((usable.slot, usable.host.clone()))
    }

    pub(super) const fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Which of the user's tokens it is, as far as can be told before it is read.
    pub(super) const fn likely_slot(&self) -> TokenSlot {
        match self.wanted {
            Wanted::Usable(provider) => TokenSlot::own(provider),
            Wanted::Only(slot) => slot,
        }
    }

    pub(super) const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    pub(super) const fn user(&self) -> &UserId {
        &self.user
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
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
        let secret = open_access(&self.service, &self.user, row).await?;
        if !self.looked_at_key.swap(true, Ordering::Relaxed) {
            seal_anew(&self.service, &self.user, row).await;
        }
        let fresh = self.service.clock.unix() - row.obtained_at < FRESH_SECONDS;
        let token = AccessToken { secret, version: row.version, fresh };
        Ok(Usable { token, slot: row.slot(), host: row.host.clone() })
    }
}

/// A token that a host did not accept.
#[derive(Clone, Copy, Debug)]
struct Rejected {
    slot: TokenSlot,
    version: u64,
}

/// Whether a row is what was rejected, or older.
fn is_rejected(row: &ProviderToken, rejected: Option<Rejected>) -> bool {
    rejected.is_some_and(|rejected| row.slot() == rejected.slot && row.version <= rejected.version)
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
        if let Some(usable) = current.as_ref().filter(|usable| usable.token.version != rejected.version) {
            return Ok(Some(usable.token.clone()));
        }
        let Some(before) = &*current else { return Ok(None) };
        let rejected = Rejected { slot: before.slot, version: rejected.version };
        let Some(usable) = self.usable(Some(rejected)).await? else { return Ok(None) };
        // The call under way goes to the host of the token that it began with.
        if usable.host != before.host {
            return Err(TokenError::Expired);
        }
        Ok(Some(current.insert(usable).token.clone()))
    }
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}
