//! Signing in at a host and the life of its tokens, whichever host it is: our client there, where the browser
//! goes, what its code and its refresh token are worth. What is kept of it is `sign_in`'s and `linked_token`'s.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::session::SsoSignIn;
use crate::constant_time::same;
use crate::failure::Failure;
use crate::provider::enterprise_sso::{AuthorizeRequest, SsoClient};
use crate::provider::oauth::{OauthClient, OauthError, TokenGrant};
use crate::provider::token::{FixedToken, TokenSource};
use crate::provider::upstream::Budget;
use crate::provider::{CallError, HostUser, ProviderError, ProviderType};
use crate::service::Service;
use crate::store::{Identity, UserId};

/// A host, with our client there.
#[derive(Debug)]
pub(super) struct HostFlow<'a> {
    service: &'a Service,
    provider: ProviderType,
    client: Client,
}

#[derive(Debug)]
enum Client {
    Oauth(OauthClient),
    Sso(SsoClient),
}

impl Client {
    /// Whether it is the same client as another, but for its secret: what was granted to one is not shown to another,
    /// nor to another issuer.
    fn is_with_other_secret(&self, before: &Self) -> bool {
        let changed = |now: &OauthClient, before: &OauthClient| {
            now.client_id == before.client_id
                && !same(now.client_secret.expose_secret(), before.client_secret.expose_secret())
        };
        match (self, before) {
            (Self::Oauth(now), Self::Oauth(before)) => changed(now, before),
            (Self::Sso(now), Self::Sso(before)) => {
                now.issuer == before.issuer && changed(&now.client, &before.client)
            }
            _ => false,
        }
    }
}

/// What the browser is sent to a host with.
#[derive(Clone, Copy)]
pub(super) struct Authorization<'a> {
    pub(super) redirect_uri: &'a str,
    pub(super) state: &'a str,
    pub(super) code_verifier: &'a str,
    /// Whether tokens are wanted that outlive the session at an OpenID provider.
    pub(super) offline: bool,
}

/// What the browser came back with, and what its sign-in was started with.
#[derive(Clone, Copy)]
pub(super) struct Returned<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) code_verifier: &'a str,
}

/// What a code was worth: who it is, and the tokens.
pub(super) struct Granted {
    pub(super) account: HostUser,
    pub(super) tokens: TokenGrant,
    /// Set where the sign-in was at the enterprise SSO.
    pub(super) sso: Option<SsoSignIn>,
}

/// PKCE's challenge (RFC 7636, 4.2).
fn code_challenge(code_verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, code_verifier.as_bytes()))
}

/// OpenID Connect's nonce: bound to the sign-in as its verifier is, and telling nothing about it (OpenID Connect
/// Core, 15.5.2).
fn nonce(code_verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("nonce {code_verifier}").as_bytes()))
}

impl<'a> HostFlow<'a> {
    /// The flow at a host; none where the operator has registered no client.
    pub(super) async fn at(service: &'a Service, provider: ProviderType) -> Result<Option<Self>, Failure> {
        let client = match provider {
            ProviderType::EnterpriseSso => service.sso_client().await?.map(Client::Sso),
            _ => service.oauth_client(provider).await?.map(Client::Oauth),
        };
        Ok(client.map(|client| Self { service, provider, client }))
    }

    /// The same flow with another client secret, if the operator has put in another one since ours was read. To be
    /// asked for once the host does not accept the client: it authenticates the client before it looks at the grant
    /// (RFC 6749, 4.1.3 and 6), so a code or a refresh token that it refuses with `invalid_client` (5.2) has not
    /// been used up, and is worth another try.
    async fn with_other_secret(&self) -> Option<Self> {
        let (service, provider) = (self.service, self.provider);
        let client = match provider {
            ProviderType::EnterpriseSso => service.refreshed_sso_client().await.map(|it| it.map(Client::Sso)),
            _ => service.refreshed_oauth_client(provider).await.map(|it| it.map(Client::Oauth)),
        };
        match client {
            Ok(client) => client
                .filter(|client| client.is_with_other_secret(&self.client))
                .map(|client| Self { service, provider, client }),
            Err(failure) => {
                tracing::warn!(%failure, %provider, "a refused client secret was not read again");
                None
            }
        }
    }

    /// Where the browser is sent.
    pub(super) async fn authorize_url(
        &self,
        authorization: Authorization<'_>,
        budget: &Budget,
    ) -> Result<Url, OauthError> {
        let Authorization { redirect_uri, state, code_verifier, offline } = authorization;
        let challenge = code_challenge(code_verifier);
        let client = match &self.client {
            Client::Oauth(client) => client,
            Client::Sso(client) => {
                let nonce = nonce(code_verifier);
                let code_challenge = &challenge;
                let request =
                    AuthorizeRequest { redirect_uri, state, code_challenge, nonce: &nonce, offline };
                return Ok(self.service.enterprise_sso.authorize_url(client, &request, budget).await?);
            }
        };
        let id = &client.client_id;
        Ok(match self.provider {
            ProviderType::Gitlab => self.service.gitlab.authorize_url(id, redirect_uri, state, &challenge),
            // Bitbucket documents no PKCE: the state is the guard.
            ProviderType::Bitbucket => self.service.bitbucket.authorize_url(id, redirect_uri, state),
            ProviderType::Github | ProviderType::EnterpriseSso => {
                self.service.github.authorize_url(id, redirect_uri, state, &challenge)
            }
        })
    }

    /// Whether the browser comes from where it was sent (RFC 9207); only an OpenID provider tells.
    pub(super) async fn check_issuer(&self, issuer: Option<&str>, budget: &Budget) -> Result<(), OauthError> {
        match &self.client {
            Client::Sso(client) => {
                Ok(self.service.enterprise_sso.check_answer_issuer(client, issuer, budget).await?)
            }
            Client::Oauth(_) => Ok(()),
        }
    }

    /// Exchanges the code that the browser came back with, and asks whose it is. A client that the host does not
    /// accept is tried once more with its secret of now.
    pub(super) async fn complete(
        &self,
        returned: Returned<'_>,
        budget: &Budget,
    ) -> Result<Granted, CompleteError> {
        let completed = self.complete_once(returned, budget).await;
        if let Err(CompleteError::Oauth(OauthError::BadClient)) = completed
            && let Some(flow) = self.with_other_secret().await
        {
            return flow.complete_once(returned, budget).await;
        }
        completed
    }

    async fn complete_once(&self, returned: Returned<'_>, budget: &Budget) -> Result<Granted, CompleteError> {
        let Returned { code, redirect_uri, code_verifier } = returned;
        let service = self.service;
        let client = match &self.client {
            Client::Oauth(client) => client,
            Client::Sso(client) => {
                let nonce = nonce(code_verifier);
                let grant = service
                    .enterprise_sso
                    .exchange_code(client, code, redirect_uri, code_verifier, &nonce, budget)
                    .await
                    .map_err(OauthError::from)?;
                let issuer = client.issuer.as_str().to_owned();
                return Ok(Granted {
                    account: HostUser {
                        id: subject(&issuer, &grant.claims.subject),
                        login: grant.claims.login,
                        avatar_url: grant.claims.avatar_url,
                    },
                    tokens: grant.tokens,
                    sso: Some(SsoSignIn {
                        session_id: grant.claims.session_id,
                        id_token: grant.id_token,
                        issuer,
                    }),
                });
            }
        };
        let tokens = match self.provider {
            ProviderType::Gitlab => {
                service.gitlab.exchange_code(client, code, redirect_uri, code_verifier, budget).await
            }
            ProviderType::Bitbucket => {
                service.bitbucket.exchange_code(client, code, redirect_uri, budget).await
            }
            ProviderType::Github | ProviderType::EnterpriseSso => {
                service.github.exchange_code(client, code, redirect_uri, code_verifier, budget).await
            }
        }?;
        let source = FixedToken::fresh(tokens.access.clone());
        let account = account(service, self.provider, None, &source, budget).await?;
        let account = account.ok_or_else(|| OauthError::refused("host_not_allowed"))?;
        Ok(Granted { account, tokens, sso: None })
    }

    /// Exchanges a refresh token. GitLab wants the redirect address again that the sign-in had. A client that the
    /// host does not accept is tried once more with its secret of now.
    pub(super) async fn refresh(
        &self,
        refresh_token: &SecretString,
        redirect_uri: &str,
        identity: Option<&str>,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let refreshed = self.refresh_once(refresh_token, redirect_uri, identity, budget).await;
        if let Err(OauthError::BadClient) = refreshed
            && let Some(flow) = self.with_other_secret().await
        {
            return flow.refresh_once(refresh_token, redirect_uri, identity, budget).await;
        }
        refreshed
    }

    async fn refresh_once(
        &self,
        refresh_token: &SecretString,
        redirect_uri: &str,
        identity: Option<&str>,
        budget: &Budget,
    ) -> Result<TokenGrant, OauthError> {
        let service = self.service;
        let client = match &self.client {
            Client::Oauth(client) => client,
            Client::Sso(client) => {
                // Another issuer's token is not shown to this one.
                let subject = identity.and_then(|identity| subject_of(client.issuer.as_str(), identity));
                let subject = Some(subject.ok_or(OauthError::BadRefreshToken)?);
                return service.enterprise_sso.refresh(client, refresh_token, subject, budget).await;
            }
        };
        match self.provider {
            ProviderType::Gitlab => service.gitlab.refresh(client, refresh_token, redirect_uri, budget).await,
            ProviderType::Bitbucket => service.bitbucket.refresh(client, refresh_token, budget).await,
            ProviderType::Github | ProviderType::EnterpriseSso => {
                service.github.refresh(client, refresh_token, budget).await
            }
        }
    }

    /// Ends tokens at the host, where the host can do that: with the access token, or, at the enterprise SSO, with
    /// the refresh token, which ends both.
    pub(super) async fn revoke(
        &self,
        access_token: &SecretString,
        refresh_token: Option<&SecretString>,
        budget: &Budget,
    ) -> Result<(), ProviderError> {
        let service = self.service;
        let client = match &self.client {
            Client::Oauth(client) => client,
            Client::Sso(client) => {
                let token = refresh_token.unwrap_or(access_token);
                return service.enterprise_sso.revoke(client, token, budget).await;
            }
        };
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

/// Why a code was worth nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompleteError {
    /// The host did not grant anything.
    #[error(transparent)]
    Oauth(#[from] OauthError),
    /// It did not say whose the tokens are.
    #[error(transparent)]
    Account(#[from] CallError),
}

/// The key of an identity at an OpenID provider: issuer and subject, and nothing that could change or be taken
/// over, such as an address (OpenID Connect Core, 5.7). An issuer contains no blank.
pub(super) fn subject(issuer: &str, subject: &str) -> String {
    format!("{issuer} {subject}")
}

/// The subject in an identity's key, if it is of that issuer.
pub(super) fn subject_of<'a>(issuer: &str, identity: &'a str) -> Option<&'a str> {
    identity.strip_prefix(issuer)?.strip_prefix(' ')
}

/// An account at a host as an identity of a user.
pub(super) fn identity(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    account: &HostUser,
) -> Identity {
    Identity {
        user_id: user.clone(),
        provider,
        subject: account.id.clone(),
        login: account.login.clone(),
        avatar_url: account.avatar_url.clone(),
        linked_at: service.clock.unix(),
        brokered: false,
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
