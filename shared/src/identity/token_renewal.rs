//! Renewing a token, by one process at a time: at its host with the refresh token, or at the enterprise SSO that
//! brokers it. Who needs the token meanwhile waits in `linked_token`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::brokered;
use super::host_flow::HostFlow;
use super::linked_token::LinkedToken;
use super::token_keeping::{granted, open_access, open_refresh, renewed};
use crate::constant_time::same;
use crate::failure::Failure;
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::token::TokenError;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ProviderError, ProviderType};
use crate::record::Record;
use crate::service::Service;
use crate::store::{Lease, ProviderToken, StoreError, TokenSlot, UserId};

/// As long as a refresh takes in all but the worst case. A holder whose writes are held up for longer is overtaken:
/// the overtaker learns that the refresh token is used, and the holder's write, late as it is, still wins.
const LEASE_SECONDS: i64 = 20;
/// The longest that renewing works on its own, whatever the request that asked for it does.
const RENEWAL: Duration = Duration::from_secs(15);
/// Tries to keep a new pair of tokens: if it is lost, the user must sign in again.
const KEEP_TRIES: u32 = 5;

/// What who wanted to renew does next.
pub(super) enum Renewal {
    /// Somebody else is at it.
    Wait,
    /// The row has changed.
    Look,
    /// The broker has no other token than the one that is known.
    Same,
}

/// Renews a token if nobody else does. A refresh token is single use, so: lease, read again, ask the host, write
/// in place of the version that was read, give the lease back. Boxed: a brokered token needs the broker's own,
/// which is renewed in the same way.
pub(super) fn renew(
    service: Arc<Service>,
    user: UserId,
    seen: ProviderToken,
    record: Arc<Record>,
) -> BoxFuture<'static, Result<Renewal, TokenError>> {
    Box::pin(async move {
        let slot = seen.slot();
        let lease = Lease::new(&service.clock, LEASE_SECONDS, seen.version).map_err(Failure::from)?;
        if !service.table.take_lease(&user, slot, &lease, service.clock.unix()).await? {
            return Ok(Renewal::Wait);
        }
        let outcome = renew_as_holder(&service, &user, &seen, record).await;
        if let Err(error) = service.table.give_back_lease(&user, slot, &lease).await {
            tracing::warn!(%error, "a lease was not given back; it ends by itself");
        }
        outcome
    })
}

async fn renew_as_holder(
    service: &Arc<Service>,
    user: &UserId,
    seen: &ProviderToken,
    record: Arc<Record>,
) -> Result<Renewal, TokenError> {
    let row = service.table.provider_token(user, seen.slot()).await?.ok_or(TokenError::NotLinked)?;
    if row.version != seen.version {
        return Ok(Renewal::Look);
    }
    let budget = Budget::new(Instant::now() + RENEWAL, 1).noted_in(record);
    if row.brokered {
        renew_at_broker(service, user, &row, &budget).await
    } else {
        renew_at_host(service, user, &row, &budget).await.map(|()| Renewal::Look)
    }
}

async fn renew_at_host(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
    budget: &Budget,
) -> Result<(), TokenError> {
    let (provider, now) = (row.provider, service.clock.unix());
    let Some(refresh) = open_refresh(service, user, row).await? else { return Err(TokenError::Expired) };
    if row.refresh_expires_at.is_some_and(|at| at <= now) {
        return end(service, user, row).await;
    }
    let Some(flow) = HostFlow::at(service, provider).await? else {
        return Err(TokenError::Unavailable(format!("no OAuth client at {provider} is configured")));
    };
    let redirect_uri = row.redirect_uri.as_deref().unwrap_or_default();
    let identity = match provider {
        // Whose the new tokens must be: an OpenID provider tells (OpenID Connect Core, 12.2).
        ProviderType::EnterpriseSso => service.table.identity(user, provider).await?,
        _ => None,
    };
    match flow.refresh(&refresh, redirect_uri, identity.as_ref().map(|of| &*of.subject), budget).await {
        Ok(grant) => {
            if !keep_renewed(service, user, row, &grant).await? {
                // Signed out or unlinked meanwhile: what was ended then was the pair before this one.
                let ended = flow.revoke(&grant.access, grant.refresh.as_ref(), budget).await;
                if let Err(error) = ended {
                    tracing::warn!(%error, "a token that nobody needs any more was not ended; it ends by itself");
                }
            }
            Ok(())
        }
        Err(OauthError::BadRefreshToken) => {
            // Whoever overtook us has written by now (reference: GitHub 1.9).
            match service.table.provider_token(user, row.slot()).await? {
                Some(other) if other.version != row.version => Ok(()),
                _ => end(service, user, row).await,
            }
        }
        Err(OauthError::Host(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(%provider, %error, "a host refuses to refresh a token");
            Err(TokenError::Unavailable(error.to_string()))
        }
    }
}

/// Asks the broker for the host's token as it is now (DESIGN 6).
async fn renew_at_broker(
    service: &Arc<Service>,
    user: &UserId,
    row: &ProviderToken,
    budget: &Budget,
) -> Result<Renewal, TokenError> {
    let provider = row.provider;
    let client = service.sso_client().await?;
    // Switched off, or this host is: what it held is nothing any more until somebody signs in again.
    let Some(client) = client.filter(|client| client.broker.contains_key(&provider)) else {
        return Err(TokenError::BrokerExpired);
    };
    if !brokered::is_of_issuer(service, user, &client).await? {
        return Err(TokenError::BrokerExpired);
    }
    let sso = TokenSlot::own(ProviderType::EnterpriseSso);
    let source = LinkedToken::of(service.clone(), user.clone(), sso, budget);
    match service.enterprise_sso.brokered_token(&client, provider, &source, budget).await {
        Ok(Some(token)) => {
            let known = open_access(service, user, row).await?;
            if same(known.expose_secret(), token.access.expose_secret()) {
                return Ok(Renewal::Same);
            }
            keep_renewed(service, user, row, &granted(token)).await?;
            Ok(Renewal::Look)
        }
        Ok(None) => {
            service.table.delete_provider_token(user, row, service.clock.unix()).await?;
            Err(TokenError::NotLinked)
        }
        Err(
            CallError::Token(TokenError::NotLinked | TokenError::Expired)
            | CallError::Host(ProviderError::Unauthorized),
        ) => Err(TokenError::BrokerExpired),
        // Not the host's failure that the token is for.
        Err(CallError::Host(error) | CallError::Token(TokenError::Host(error))) => {
            Err(TokenError::Broker(error))
        }
        Err(CallError::Token(error)) => Err(error),
    }
}

/// Notes that only a new sign-in helps, so that the host is not asked again and again.
async fn end(service: &Service, user: &UserId, row: &ProviderToken) -> Result<(), TokenError> {
    let ended = ProviderToken { ended: true, ..row.clone() };
    match service.table.put_provider_token(user, &ended, Some(row.version)).await {
        Ok(()) | Err(StoreError::Conflict) => {}
        Err(error) => return Err(error.into()),
    }
    service.table.forget_what_was_read(user, row.provider, service.clock.unix()).await?;
    Ok(())
}

/// Writes what was granted in place of the row that was renewed; false where that row is gone.
async fn keep_renewed(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
    grant: &TokenGrant,
) -> Result<bool, TokenError> {
    let token = renewed(service, user, row, grant).await?;
    let mut tries = 1;
    loop {
        match service.table.put_provider_token(user, &token, Some(row.version)).await {
            Ok(()) => return Ok(true),
            // A conflict is a new sign-in at this very moment, whose token is as good as ours; or our own
            // write, whose answer was lost; or nothing is there any more.
            Err(StoreError::Conflict) => {
                return Ok(service.table.provider_token(user, row.slot()).await?.is_some());
            }
            Err(error) if tries == KEEP_TRIES => {
                // Every answer may have been lost, and not one write.
                let now = service.table.provider_token(user, row.slot()).await;
                if now.is_ok_and(|now| now.is_some_and(|now| now.version > row.version)) {
                    return Ok(true);
                }
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
