//! Tokens that a user brings and takes away: each is verified at its own provider only, and nothing is stored
//! unless all are good. How the body looks is `contract::openhands::git_providers`'s business.

use std::sync::Arc;

use super::host_flow::{self, identity};
use super::sign_out::end_tokens;
use super::token_keeping::keep_given;
use crate::contract::openhands::GivenToken;
use crate::failure::Failure;
use crate::provider::token::FixedToken;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ProviderError, ProviderType};
use crate::service::Service;
use crate::store::{LinkOutcome, StoreError, Tries, UserId};

/// What became of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// All are stored.
    Stored,
    /// This provider does not accept its token; nothing is stored.
    NotAccepted(ProviderType),
    /// The operator does not allow the host that was named; nothing is stored.
    HostNotAllowed(ProviderType),
    /// The account belongs to another user here, or this user has another one linked; nothing is stored.
    OfAnotherUser(ProviderType),
}

/// Stores tokens that a user has brought. Providers that are not named stay as they are, as does one that is
/// named without a token.
///
/// # Errors
/// [`Failure`] when a host or the table fails.
pub async fn store(
    service: &Arc<Service>,
    user: &UserId,
    given: Vec<GivenToken>,
    budget: &Budget,
) -> Result<Given, Failure> {
    let mut verified = Vec::new();
    for GivenToken { provider, token, host } in given {
        let Some(token) = token else { continue };
        if provider == ProviderType::EnterpriseSso {
            // Nobody can bring one: it is a sign-in.
            return Ok(Given::NotAccepted(provider));
        }
        let host = host.filter(|host| !is_configured(service, provider, host));
        let source = FixedToken::forwarded(token.clone());
        let account = match host_flow::account(service, provider, host.as_deref(), &source, budget).await {
            Ok(Some(account)) => Some(account),
            Ok(None) => return Ok(Given::HostNotAllowed(provider)),
            // Tokens of a repository or a workspace belong to nobody, and work.
            Err(CallError::Host(ProviderError::Forbidden(_) | ProviderError::NotFound))
                if provider == ProviderType::Bitbucket =>
            {
                None
            }
            Err(CallError::Host(ProviderError::Unauthorized)) => return Ok(Given::NotAccepted(provider)),
            // A host that knows the token and refuses has not said that it is wrong.
            Err(error) => return Err(Failure::of_call(provider, error)),
        };
        verified.push((provider, token, host, account));
    }
    for (provider, _, host, account) in &verified {
        // Numbers of accounts mean something at the configured host only.
        if let (None, Some(account)) = (host, account)
            && !matches!(
                service.table.link_identity(&identity(service, user, *provider, account), false).await?,
                LinkOutcome::Linked(_)
            )
        {
            return Ok(Given::OfAnotherUser(*provider));
        }
    }
    for (provider, token, host, _) in verified {
        keep_given(service, user, provider, token, host.as_deref()).await?;
    }
    Ok(Given::Stored)
}

/// Whether a host that is named is the configured one, whose own addresses are used then.
fn is_configured(service: &Service, provider: ProviderType, host: &str) -> bool {
    let config = &service.config;
    let urls = match provider {
        ProviderType::Gitlab => vec![&config.gitlab.base],
        ProviderType::Bitbucket => vec![&config.bitbucket.api, &config.bitbucket.web],
        ProviderType::Github | ProviderType::EnterpriseSso => vec![&config.github.api, &config.github.web],
    };
    let host = host.trim_end_matches('/');
    urls.iter().any(|url| {
        let name = match (url.host_str(), url.port()) {
            (Some(name), Some(port)) => format!("{name}:{port}"),
            (Some(name), None) => name.to_owned(),
            (None, _) => return false,
        };
        host.eq_ignore_ascii_case(&name) || host.eq_ignore_ascii_case(url.as_str().trim_end_matches('/'))
    })
}

/// Takes away all tokens of a user; those that were granted to us end at their hosts too, as far as the hosts
/// answer. Who the user is at the hosts stays known: signing in finds the same user.
///
/// # Errors
/// [`Failure`] when the table fails.
pub async fn unset(service: &Service, user: &UserId, budget: &Budget) -> Result<(), Failure> {
    let mut tries = Tries::new();
    while tries.another().await {
        if end_tokens(service, user, budget).await? {
            return Ok(());
        }
    }
    Err(StoreError::Conflict.into())
}
