//! What a user's enterprise SSO brokers: the tokens that it holds for the hosts, linked at each sign-in (DESIGN 6).
//! Renewing them is `token_renewal`'s business, asking the broker `provider::enterprise_sso`'s.

use futures::future::join_all;

use super::host_flow;
use super::sign_in::write_mapping;
use super::token_keeping::keep_brokered;
use crate::failure::Failure;
use crate::provider::ProviderType;
use crate::provider::enterprise_sso::SsoClient;
use crate::provider::token::FixedToken;
use crate::provider::upstream::Budget;
use crate::service::Service;
use crate::store::{StoreError, TokenSlot, UserId};

/// The hosts that can be brokered, in the order in which their parts of a list stand.
pub const HOSTS: [ProviderType; 3] = [ProviderType::Github, ProviderType::Gitlab, ProviderType::Bitbucket];

/// Links what the issuer holds for a user who has just signed in there; what it holds no more is unlinked. A
/// broker that fails keeps nobody out: its token is asked for again when it is needed.
///
/// # Errors
/// [`Failure`] when the table or the secrets fail.
pub(super) async fn link(
    service: &Service,
    user: &UserId,
    source: &FixedToken,
    budget: &Budget,
) -> Result<(), Failure> {
    let Some(client) = service.sso_client().await? else { return Ok(()) };
    let linked = join_all(HOSTS.map(|host| link_host(service, user, &client, host, source, budget))).await;
    linked.into_iter().collect()
}

async fn link_host(
    service: &Service,
    user: &UserId,
    client: &SsoClient,
    host: ProviderType,
    source: &FixedToken,
    budget: &Budget,
) -> Result<(), Failure> {
    let held = if client.broker.contains_key(&host) {
        service.enterprise_sso.brokered_token(client, host, source, budget).await
    } else {
        Ok(None)
    };
    let slot = TokenSlot::brokered(host);
    let known = service.table.provider_token(user, slot).await?;
    match (held, known) {
        (Ok(Some(token)), _) => {
            let source = FixedToken::forwarded(token.access.clone());
            keep_brokered(service, user, host, Some(token)).await?;
            note_account(service, user, host, &source, budget).await;
            Ok(())
        }
        (Ok(None), known) => {
            if let Some(known) = known {
                service.table.delete_provider_token(user, &known, service.clock.unix()).await?;
            }
            Ok(service.table.forget_brokered_identity(user, host).await?)
        }
        (Err(error), known) => {
            tracing::warn!(%error, %host, "the broker gave no token at sign-in; it is asked again when one is needed");
            match known {
                // What it gave before may be good still.
                Some(_) => Ok(()),
                None => keep_brokered(service, user, host, None).await,
            }
        }
    }
}

/// Whose the token is, as far as the host tells: for the user's own view, and for the mapping, which follows as after
/// a sign-in at GitHub itself. Nobody signs in as this user by it: that is the enterprise SSO's to decide.
async fn note_account(
    service: &Service,
    user: &UserId,
    host: ProviderType,
    source: &FixedToken,
    budget: &Budget,
) {
    let account = match host_flow::account(service, host, None, source, budget).await {
        Ok(Some(account)) => account,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, %host, "a host did not tell whose a brokered token is");
            return;
        }
    };
    let identity = host_flow::identity(service, user, host, &account);
    if let Err(error) = service.table.note_brokered_identity(&identity).await {
        tracing::warn!(%error, %host, "whose a brokered token is was not noted");
    }
    if host == ProviderType::Github {
        write_mapping(service, user, &account, source, budget).await;
    }
}

/// Whether the operator lets the enterprise SSO broker a host (still).
///
/// # Errors
/// [`Failure`] when the secret cannot be read.
pub(super) async fn brokers(service: &Service, host: ProviderType) -> Result<bool, Failure> {
    Ok(service.sso_client().await?.is_some_and(|client| client.broker.contains_key(&host)))
}

/// Whether a user has signed in at the issuer of now: what another one gave is none of its business.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn is_of_issuer(
    service: &Service,
    user: &UserId,
    client: &SsoClient,
) -> Result<bool, StoreError> {
    let identity = service.table.identity(user, ProviderType::EnterpriseSso).await?;
    let issuer = client.issuer.as_str();
    Ok(identity.is_some_and(|identity| host_flow::subject_of(issuer, &identity.subject).is_some()))
}
