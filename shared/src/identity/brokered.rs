//! What a user's enterprise SSO brokers: the tokens that it holds for the hosts, linked at each sign-in (DESIGN 6).
//! Renewing them is `token_renewal`'s business, asking the broker `provider::enterprise_sso`'s.

use futures::future::join_all;

use super::host_flow;
use super::sign_in::write_mapping;
use super::token_keeping::keep_brokered;
use crate::failure::Failure;
use crate::provider::enterprise_sso::SsoClient;
use crate::provider::token::FixedToken;
use crate::provider::upstream::Budget;
use crate::provider::{HostUser, ProviderType};
use crate::service::Service;
use crate::store::{Identity, LinkOutcome, TokenSlot, UserId};

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
    match held {
        Ok(Some(token)) => {
            let source = FixedToken::forwarded(token.access.clone());
            keep_brokered(service, user, host, Some(token)).await?;
            note_account(service, user, host, &source, budget).await;
            Ok(())
        }
        Ok(None) => {
            let slot = TokenSlot::brokered(host);
            if service.table.provider_token(user, slot).await?.is_some() {
                service.table.delete_provider_token(user, slot, service.clock.unix()).await?;
            }
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, %host, "the broker gave no token at sign-in; it is asked again when it is needed");
            keep_brokered(service, user, host, None).await
        }
    }
}

/// Whose the token is becomes the user's identity at that host, where nobody has it and the user has no other:
/// the token serves listings in any case. The mapping follows, as after a sign-in at GitHub itself.
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
    match link_identity(service, user, host, &account).await {
        Ok(true) if host == ProviderType::Github => {
            write_mapping(service, user, &account, source, budget).await;
        }
        Ok(true) => {}
        Ok(false) => {
            tracing::info!(%host, "a brokered account is another user's, or the user has another one");
        }
        Err(failure) => tracing::warn!(%failure, %host, "a brokered account was not linked"),
    }
}

async fn link_identity(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    account: &HostUser,
) -> Result<bool, Failure> {
    let identity = Identity {
        user_id: user.clone(),
        provider,
        subject: account.id.clone(),
        login: account.login.clone(),
        avatar_url: account.avatar_url.clone(),
        linked_at: service.clock.unix(),
    };
    Ok(matches!(service.table.link_identity(&identity, false).await?, LinkOutcome::Linked(_)))
}
