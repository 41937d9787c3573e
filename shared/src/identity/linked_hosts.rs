//! The hosts that a user reaches, each with the token for it: one of them, all that the enterprise SSO brokers, or
//! all that are linked. What a host answers is `provider`'s business, how lists are merged `provider::listing`'s.

use std::sync::Arc;

use super::brokered;
use super::linked_token::{LinkedToken, Wanted};
use super::page_memory::TokenPages;
use crate::failure::Failure;
use crate::flights::{Flights, TooLate};
use crate::provider::listing::{self, Listing};
use crate::provider::remembered::Extent;
use crate::provider::token::TokenError;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ProviderError, ProviderType, Repository, Sort};
use crate::service::Service;
use crate::store::{ProviderToken, TokenSlot, UserId};

/// The listings that are being fetched in this process, by whose and with which token.
#[derive(Debug, Default)]
pub struct Listings {
    installations: Flights<(UserId, Wanted), Result<Vec<String>, CallError>>,
    repositories: Flights<(UserId, Wanted), Result<Listing, CallError>>,
}

/// Whose time was too short has said nothing about the host.
fn shareable<T>(outcome: &Result<T, CallError>) -> bool {
    let in_time = |error: &CallError| !matches!(listing::host_error(error), Some(ProviderError::Timeout));
    outcome.as_ref().err().is_none_or(in_time)
}

impl From<TooLate> for CallError {
    fn from(_: TooLate) -> Self {
        ProviderError::Timeout.into()
    }
}

/// A host and a user's token for it.
#[derive(Debug)]
pub struct LinkedHost {
    provider: ProviderType,
    brokered: bool,
    token: LinkedToken,
}

/// A page of an installation that is asked for; numbers count from 1.
#[derive(Clone, Copy, Debug)]
pub struct InstallationPage<'a> {
    /// The installation's id, in a form that this host has.
    pub installation: &'a str,
    /// The order that is asked for.
    pub sort: Sort,
    /// The page.
    pub page: u32,
    /// Its size.
    pub per_page: u32,
}

/// The hosts that a user reaches as `provider`: that host, or all that the user's enterprise SSO brokers, which may
/// be none.
///
/// # Errors
/// [`Failure::NotLinked`] where the enterprise SSO is not linked; [`Failure`] when the table fails.
pub async fn of_provider(
    service: &Arc<Service>,
    user: &UserId,
    provider: ProviderType,
    budget: &Budget,
) -> Result<Vec<LinkedHost>, Failure> {
    if provider != ProviderType::EnterpriseSso {
        let token = LinkedToken::at_any_host(service.clone(), user.clone(), provider, budget);
        return Ok(vec![LinkedHost { provider, brokered: false, token }]);
    }
    let slots = slots(service, user).await?;
    if !slots.contains(&TokenSlot::own(provider)) {
        return Err(Failure::NotLinked(Some(provider)));
    }
    let brokered = brokered::HOSTS.into_iter().map(TokenSlot::brokered).filter(|slot| slots.contains(slot));
    Ok(brokered.map(|slot| LinkedHost::of(service, user, slot, budget)).collect())
}

/// All hosts that a user reaches; one twice where the user has a token of their own and the enterprise SSO brokers
/// another, which may be another account's.
///
/// # Errors
/// [`Failure::NotLinked`] where nothing is linked; [`Failure`] when the table fails.
pub async fn all(service: &Arc<Service>, user: &UserId, budget: &Budget) -> Result<Vec<LinkedHost>, Failure> {
    let slots = slots(service, user).await?;
    if slots.is_empty() {
        return Err(Failure::NotLinked(None));
    }
    let hosts = slots.into_iter().filter(|slot| slot.provider != ProviderType::EnterpriseSso);
    Ok(hosts.map(|slot| LinkedHost::of(service, user, slot, budget)).collect())
}

async fn slots(service: &Service, user: &UserId) -> Result<Vec<TokenSlot>, Failure> {
    let tokens = service.table.provider_tokens(user).await?;
    let mut slots = Vec::with_capacity(tokens.len());
    for slot in tokens.iter().map(ProviderToken::slot) {
        if !slot.brokered || brokered::brokers(service, slot.provider).await? {
            slots.push(slot);
        }
    }
    Ok(slots)
}

impl LinkedHost {
    fn of(service: &Arc<Service>, user: &UserId, slot: TokenSlot, budget: &Budget) -> Self {
        let token = LinkedToken::of(service.clone(), user.clone(), slot, budget);
        Self { provider: slot.provider, brokered: slot.brokered, token }
    }

    /// The host.
    #[must_use]
    pub const fn provider(&self) -> ProviderType {
        self.provider
    }

    /// What became of a question to this host. A brokered token that turned out to be none (its row was kept because
    /// the broker could not be asked before) is nothing that failed: the host is not linked.
    pub fn found<T>(&self, result: Result<T, CallError>) -> Option<(ProviderType, Result<T, CallError>)> {
        let nothing_held = self.brokered && matches!(result, Err(CallError::Token(TokenError::NotLinked)));
        (!nothing_held).then_some((self.provider, result))
    }

    /// The ids of all installations, in the host's order. Of several requests at once one asks the host.
    ///
    /// # Errors
    /// [`CallError`] if any page fails: a list that is cut would look like a whole one.
    pub async fn installations(&self, budget: &Budget) -> Result<Vec<String>, CallError> {
        let flights = &self.token.service().listings.installations;
        flights.join(self.flight(), budget.deadline(), shareable, self.ask_installations(budget)).await?
    }

    async fn ask_installations(&self, budget: &Budget) -> Result<Vec<String>, CallError> {
        let token = &self.token;
        match self.provider {
            ProviderType::Github => {
                let (github, memory) = TokenPages::of_github(token, Extent::Installations).await?;
                let installations = github.installations(token, &memory, budget).await?;
                Ok(installations.iter().map(|installation| installation.id.to_string()).collect())
            }
            ProviderType::Gitlab => token.gitlab().await?.installations(token, budget).await,
            ProviderType::Bitbucket => token.bitbucket().await?.installations(token, budget).await,
            ProviderType::EnterpriseSso => Err(no_host()),
        }
    }

    /// All repositories that are reached through installations. Of several requests at once one asks the host.
    ///
    /// # Errors
    /// [`CallError`] when nothing succeeded.
    pub async fn repositories(&self, budget: &Budget) -> Result<Listing, CallError> {
        let flights = &self.token.service().listings.repositories;
        flights.join(self.flight(), budget.deadline(), shareable, self.ask_repositories(budget)).await?
    }

    fn flight(&self) -> (UserId, Wanted) {
        (self.token.user().clone(), self.token.wanted())
    }

    async fn ask_repositories(&self, budget: &Budget) -> Result<Listing, CallError> {
        let token = &self.token;
        match self.provider {
            ProviderType::Github => {
                let (github, memory) = TokenPages::of_github(token, Extent::Everything).await?;
                github.repositories(token, &memory, budget).await
            }
            ProviderType::Gitlab => {
                let repositories = token.gitlab().await?.repositories(token, budget).await?;
                Ok(Listing { repositories, missing: Vec::new() })
            }
            ProviderType::Bitbucket => token.bitbucket().await?.repositories(token, budget).await,
            ProviderType::EnterpriseSso => Err(no_host()),
        }
    }

    /// One page of an installation as the host has it, and whether another follows.
    ///
    /// # Errors
    /// [`CallError`]; an id that this host cannot have is one that it does not know.
    pub async fn installation_page(
        &self,
        asked: InstallationPage<'_>,
        budget: &Budget,
    ) -> Result<(Vec<Repository>, bool), CallError> {
        let InstallationPage { installation, sort, page, per_page } = asked;
        let token = &self.token;
        match self.provider {
            ProviderType::Github => {
                let installation = installation.parse().map_err(|_| ProviderError::NotFound)?;
                let github = token.github().await?;
                let found =
                    github.installation_repositories(installation, page, per_page, token, budget).await?;
                let more =
                    found.last_page > page || u64::from(page) * u64::from(per_page) < found.total_count;
                Ok((found.repositories, more))
            }
            ProviderType::Gitlab => {
                token
                    .gitlab()
                    .await?
                    .installation_page(installation, sort, page, per_page, token, budget)
                    .await
            }
            ProviderType::Bitbucket => {
                let bitbucket = token.bitbucket().await?;
                bitbucket.installation_page(installation, sort, page, per_page, token, budget).await
            }
            ProviderType::EnterpriseSso => Err(no_host()),
        }
    }
}

/// The enterprise SSO is no host of repositories; it stands for those that it brokers.
const fn no_host() -> CallError {
    CallError::Host(ProviderError::NotFound)
}
