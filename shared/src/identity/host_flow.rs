//! Signing in at a host and the life of its tokens, whichever host it is: our client there, where the browser
//! goes, what its code and its refresh token are worth. What is kept of it is `sign_in`'s and `linked_token`'s.

use secrecy::SecretString;
use url::Url;

use crate::failure::Failure;
use crate::provider::oauth::{OauthClient, OauthError, TokenGrant};
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, HostUser, ProviderError, ProviderType};
use crate::service::Service;

/// A host, with our OAuth client there.
#[derive(Debug)]
pub(super) struct HostFlow<'a> {
    service: &'a Service,
    provider: ProviderType,
    client: OauthClient,
}

impl<'a> HostFlow<'a> {
    /// The flow at a host; none where the operator has registered no client.
    pub(super) async fn at(service: &'a Service, provider: ProviderType) -> Result<Option<Self>, Failure> {
        let client = service.oauth_client(provider).await?;
        Ok(client.map(|client| Self { service, provider, client }))
    }

    /// Where the browser is sent.
    pub(super) fn authorize_url(&self, redirect_uri: &str, state: &str, code_challenge: &str) -> Url {
        let id = &self.client.client_id;
        match self.provider {
            ProviderType::Gitlab => {
                self.service.gitlab.authorize_url(id, redirect_uri, state, code_challenge)
            }
            // Bitbucket documents no PKCE: the state is the guard.
            ProviderType::Bitbucket => self.service.bitbucket.authorize_url(id, redirect_uri, state),
            ProviderType::Github | ProviderType::EnterpriseSso => {
                self.service.github.authorize_url(id, redirect_uri, state, code_challenge)
            }
        }
    }

    /// Exchanges the code that the browser came back with.
    pub(super) async fn exchange_code(
        &self,
        code: &str,
        redirect_uri: &str,
        code_verifier: &str,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let Self { service, client, .. } = self;
        match self.provider {
            ProviderType::Gitlab => {
                service.gitlab.exchange_code(client, code, redirect_uri, code_verifier, budget).await
            }
            ProviderType::Bitbucket => {
                service.bitbucket.exchange_code(client, code, redirect_uri, budget).await
            }
            ProviderType::Github | ProviderType::EnterpriseSso => {
                service.github.exchange_code(client, code, redirect_uri, code_verifier, budget).await
            }
        }
    }

    /// Exchanges a refresh token. GitLab wants the redirect address again that the sign-in had.
    pub(super) async fn refresh(
        &self,
        refresh_token: &SecretString,
        redirect_uri: &str,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let Self { service, client, .. } = self;
        match self.provider {
            ProviderType::Gitlab => service.gitlab.refresh(client, refresh_token, redirect_uri, budget).await,
            ProviderType::Bitbucket => service.bitbucket.refresh(client, refresh_token, budget).await,
            ProviderType::Github | ProviderType::EnterpriseSso => {
                service.github.refresh(client, refresh_token, budget).await
            }
        }
    }

    /// Ends an access token at the host, where the host can do that.
    pub(super) async fn revoke(
        &self,
        access_token: &SecretString,
        budget: &Budget,
    ) -> Result<(), ProviderError> {
        let Self { service, client, .. } = self;
        match self.provider {
            ProviderType::Gitlab => service.gitlab.revoke(client, access_token, budget).await,
            // Bitbucket documents no revocation; its tokens end after two hours.
            ProviderType::Bitbucket => Ok(()),
            ProviderType::Github | ProviderType::EnterpriseSso => {
                service.github.revoke(client, access_token, budget).await
            }
        }
    }
}

/// Whose a token is, at the configured host or another; none where that host is not allowed.
///
/// # Errors
/// [`CallError`].
pub(super) async fn account<T: TokenSource>(
    service: &Service,
    provider: ProviderType,
    host: Option<&str>,
    source: &T,
    budget: &Budget,
) -> Result<Option<HostUser>, CallError> {
    Ok(match provider {
        ProviderType::Gitlab => match service.gitlab_at(host) {
            Some(gitlab) => Some(gitlab.user(source, budget).await?),
            None => None,
        },
        ProviderType::Bitbucket => match service.bitbucket_at(host) {
            Some(bitbucket) => Some(bitbucket.user(source, budget).await?),
            None => None,
        },
        ProviderType::Github | ProviderType::EnterpriseSso => match service.github_at(host) {
            Some(github) => {
                let user = github.user(source, budget).await?;
                Some(HostUser { id: user.id.to_string(), login: user.login, avatar_url: user.avatar_url })
            }
            None => None,
        },
    })
}
