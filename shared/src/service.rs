//! All that a handler needs, built once per process: settings, secrets, table, hosts, clock.
//! Nothing here knows a route.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use lambda_http::RequestExt;
use tokio::time::Instant;
use url::Url;

use crate::aws::{self, Deferred};
use crate::clock::{Clock, NoEntropy};
use crate::config::{BitbucketHost, Config, GithubHost, GitlabHost};
use crate::contract::Request;
use crate::failure::Failure;
use crate::github_app::{GithubApp, GithubAppError};
use crate::identity::linked_hosts::Listings;
use crate::identity::oauth_clients::OauthClients;
use crate::identity::sealing::{KeyRing, OpenError, SealError};
use crate::metrics::Metrics;
use crate::provider::bitbucket::Bitbucket;
use crate::provider::enterprise_sso::{EnterpriseSso, SsoClient};
use crate::provider::github::Github;
use crate::provider::gitlab::Gitlab;
use crate::provider::oauth::OauthClient;
use crate::provider::token::TokenError;
use crate::provider::upstream::{Budget, ClientError, Upstream, http_client};
use crate::provider::{CallError, ProviderType};
use crate::record::Record;
use crate::secrets::{Secret, Secrets, SecretsError};
use crate::store::{StoreError, Table};

/// The longest that a request is worked on: API Gateway gives up after 30 s.
pub(crate) const LONGEST: Duration = Duration::from_secs(25);
/// What is kept back of a function's own time limit, for writing the answer.
const RESERVE: Duration = Duration::from_secs(1);
/// The longest that starting waits for connections that can as well be made later.
const WARM_UP: Duration = Duration::from_millis(500);

/// What an endpoint always needs, and so is made ready before its first event (DESIGN 9).
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// The table.
    pub table: bool,
    /// The keys that seal provider tokens.
    pub token_keys: bool,
    /// The App's secret.
    pub github_app: bool,
    /// A connection to GitHub.
    pub github: bool,
}

/// Whether a secret may be as it was read up to five minutes ago.
#[derive(Clone, Copy)]
enum Reading {
    Cached,
    Anew,
}

/// All that a handler needs.
#[derive(Debug)]
pub struct Service {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// The table.
    pub table: Table,
    /// The keys that seal provider tokens.
    pub token_keys: Secret<KeyRing>,
    /// The GitHub App that we are.
    pub github_app: GithubApp,
    /// Our OAuth clients at the other hosts; none where the operator has named no secret.
    pub oauth_clients: Option<Secret<OauthClients>>,
    /// GitHub's API with users' tokens.
    pub github: Github,
    /// GitLab's API with users' tokens.
    pub gitlab: Gitlab,
    /// Bitbucket's API with users' tokens.
    pub bitbucket: Bitbucket,
    /// The issuer of the enterprise SSO, and what it brokers.
    pub enterprise_sso: EnterpriseSso,
    /// The listings that are being fetched.
    pub listings: Listings,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether there was a request before.
    warm: AtomicBool,
}

impl Service {
    /// A service of these settings, which keeps its metrics to itself. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError`] when the HTTP client cannot be built.
    pub fn new(config: Config, clock: Clock) -> Result<Arc<Self>, ClientError> {
        let metrics = Metrics::silent(clock.clone());
        Self::with_metrics(config, clock, metrics)
    }

    /// The same with metrics that somebody sees.
    ///
    /// # Errors
    /// [`ClientError`] when the HTTP client cannot be built.
    pub fn with_metrics(config: Config, clock: Clock, metrics: Metrics) -> Result<Arc<Self>, ClientError> {
        let http = http_client(&config.upstream.extra_ca)?;
        let dynamodb = aws::dynamodb(&config.aws, http.clone());
        let secrets_manager = aws::secrets_manager(&config.aws, http.clone());
        Ok(Self::of(config, clock, metrics, http, dynamodb, secrets_manager))
    }

    /// A service that keeps its things where these clients say.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn over(
        config: Config,
        clock: Clock,
        dynamodb: aws_sdk_dynamodb::Client,
        secrets_manager: aws_sdk_secretsmanager::Client,
    ) -> Result<Arc<Self>, ClientError> {
        let http = http_client(&config.upstream.extra_ca)?;
        let metrics = Metrics::silent(clock.clone());
        Ok(Self::of(config, clock, metrics, http, dynamodb.into(), secrets_manager.into()))
    }

    fn of(
        config: Config,
        clock: Clock,
        metrics: Metrics,
        http: reqwest::Client,
        dynamodb: Deferred<aws_sdk_dynamodb::Client>,
        secrets_manager: Deferred<aws_sdk_secretsmanager::Client>,
    ) -> Arc<Self> {
        let secrets = Secrets::new(secrets_manager, clock.clone());
        let upstream = Upstream::new(http);
        Arc::new(Self {
            table: Table::new(dynamodb, &config.table_name),
            token_keys: Secret::new(secrets.clone(), &config.secrets.token_keys),
            oauth_clients: config.secrets.oauth_clients.as_deref().map(|id| Secret::new(secrets.clone(), id)),
            github_app: GithubApp::new(secrets, &config.secrets.github_app, clock.clone()),
            github: Github::new(upstream.clone(), config.github.clone(), clock.clone()),
            gitlab: Gitlab::new(upstream.clone(), config.gitlab.clone(), clock.clone()),
            bitbucket: Bitbucket::new(upstream.clone(), config.bitbucket.clone(), clock.clone()),
            enterprise_sso: EnterpriseSso::new(upstream, clock.clone()).trusting(&config.upstream.extra_ca),
            listings: Listings::default(),
            metrics,
            warm: AtomicBool::new(false),
            config,
            clock,
        })
    }

    /// GitHub at the host that a token is for; none where the operator does not allow that host (any more).
    #[must_use]
    pub fn github_at(&self, host: Option<&str>) -> Option<Github> {
        self.origin_of(host).map(|origin| match origin {
            Some(origin) => {
                Github::new(self.github.upstream().clone(), GithubHost::at(origin), self.clock.clone())
            }
            None => self.github.clone(),
        })
    }

    /// The same for GitLab.
    #[must_use]
    pub fn gitlab_at(&self, host: Option<&str>) -> Option<Gitlab> {
        self.origin_of(host).map(|origin| match origin {
            Some(origin) => {
                let host = GitlabHost { base: origin.clone() };
                Gitlab::new(self.github.upstream().clone(), host, self.clock.clone())
            }
            None => self.gitlab.clone(),
        })
    }

    /// The same for Bitbucket.
    #[must_use]
    pub fn bitbucket_at(&self, host: Option<&str>) -> Option<Bitbucket> {
        self.origin_of(host).map(|origin| match origin {
            Some(origin) => {
                Bitbucket::new(self.github.upstream().clone(), BitbucketHost::at(origin), self.clock.clone())
            }
            None => self.bitbucket.clone(),
        })
    }

    /// The allowed origin that a host's name stands for; the outer none where it is not allowed.
    fn origin_of(&self, host: Option<&str>) -> Option<Option<&Url>> {
        match host {
            None => Some(None),
            Some(host) => self.config.allowed_hosts.find(host).map(Some),
        }
    }

    /// Makes ready what the endpoint always needs, all at once and not for long. What fails here fails
    /// again, with its own answer, when a request needs it; only a warning is left of it.
    pub async fn warm_up(&self, needs: Needs) {
        let table = async {
            if needs.table
                && let Err(error) = self.table.connect().await
            {
                tracing::warn!(%error, "the table was not reached while starting");
            }
        };
        let keys = async {
            if needs.token_keys
                && let Err(error) = self.token_keys.get().await
            {
                tracing::warn!(%error, "the token keys were not read while starting");
            }
        };
        let app = async {
            if needs.github_app
                && let Err(error) = self.github_app.credentials().await
            {
                tracing::warn!(%error, "the App's secret was not read while starting");
            }
        };
        let github = async {
            if needs.github {
                self.github.upstream().connect(&self.github.host().api).await;
            }
        };
        // In this order: the connection to the host is under way while the clients of AWS are built.
        let all = async { tokio::join!(github, table, keys, app) };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("not everything was ready while starting");
        }
    }

    /// What this request may spend on hosts: until a second before the function is ended.
    #[must_use]
    pub fn budget(&self, request: &Request) -> Budget {
        let deadline = request.lambda_context_ref().map(|context| context.deadline());
        let remaining = time_for_hosts(deadline, SystemTime::now());
        self.budget_until(Instant::now() + remaining).noted_in(Record::of(request))
    }

    /// What may be spent on hosts until then.
    #[must_use]
    pub fn budget_until(&self, deadline: Instant) -> Budget {
        Budget::new(deadline, self.config.upstream.concurrency)
    }

    /// Whether this is the process's first request; true once.
    pub(crate) fn is_cold(&self) -> bool {
        !self.warm.swap(true, Ordering::Relaxed)
    }

    /// Where clients reach this service: from the settings or API Gateway's own context, never a header.
    ///
    /// # Errors
    /// [`Failure::Internal`] where neither tells.
    pub fn public_url(&self, request: &Request) -> Result<Url, Failure> {
        let domain = match request.request_context_ref() {
            Some(lambda_http::request::RequestContext::ApiGatewayV2(context)) => {
                context.domain_name.as_deref()
            }
            _ => None,
        };
        self.config.public_url.resolve(domain).ok_or_else(|| {
            Failure::Internal("PUBLIC_URL is not set and the request names no domain".to_owned())
        })
    }

    /// Our OAuth client at a host: the App itself at GitHub; none where the operator has registered none.
    ///
    /// # Errors
    /// [`Failure`] when the secret cannot be read.
    pub async fn oauth_client(&self, provider: ProviderType) -> Result<Option<OauthClient>, Failure> {
        self.client_at(provider, Reading::Cached).await
    }

    /// The same, read again because the host does not accept it (not more than every ten seconds).
    ///
    /// # Errors
    /// [`Failure`] when the secret cannot be read.
    pub async fn refreshed_oauth_client(
        &self,
        provider: ProviderType,
    ) -> Result<Option<OauthClient>, Failure> {
        self.client_at(provider, Reading::Anew).await
    }

    async fn client_at(
        &self,
        provider: ProviderType,
        reading: Reading,
    ) -> Result<Option<OauthClient>, Failure> {
        if provider == ProviderType::Github {
            let app = match reading {
                Reading::Cached => self.github_app.credentials().await?,
                Reading::Anew => self.github_app.refreshed_credentials().await?,
            };
            let (client_id, client_secret) = (app.client_id.clone(), app.client_secret.clone());
            return Ok(Some(OauthClient { client_id, client_secret }));
        }
        let Some(clients) = self.clients(reading).await? else { return Ok(None) };
        Ok(match provider {
            ProviderType::Gitlab => clients.gitlab.clone(),
            ProviderType::Bitbucket => clients.bitbucket.clone(),
            ProviderType::Github | ProviderType::EnterpriseSso => None,
        })
    }

    /// Our client at the enterprise SSO; none where the operator has configured no issuer.
    ///
    /// # Errors
    /// [`Failure`] when the secret cannot be read.
    pub async fn sso_client(&self) -> Result<Option<SsoClient>, Failure> {
        Ok(self.clients(Reading::Cached).await?.and_then(|clients| clients.enterprise_sso.clone()))
    }

    /// The same, read again because the issuer does not accept it (not more than every ten seconds).
    ///
    /// # Errors
    /// [`Failure`] when the secret cannot be read.
    pub async fn refreshed_sso_client(&self) -> Result<Option<SsoClient>, Failure> {
        Ok(self.clients(Reading::Anew).await?.and_then(|clients| clients.enterprise_sso.clone()))
    }

    async fn clients(&self, reading: Reading) -> Result<Option<Arc<OauthClients>>, Failure> {
        Ok(match (&self.oauth_clients, reading) {
            (None, _) => None,
            (Some(secret), Reading::Cached) => Some(secret.get().await?),
            (Some(secret), Reading::Anew) => Some(secret.refresh().await?),
        })
    }

    /// Whether the operator has set up sign-in there.
    ///
    /// # Errors
    /// [`Failure`] when the secret cannot be read.
    pub async fn offers_sign_in(&self, provider: ProviderType) -> Result<bool, Failure> {
        match provider {
            ProviderType::EnterpriseSso => Ok(self.sso_client().await?.is_some()),
            _ => Ok(self.oauth_client(provider).await?.is_some()),
        }
    }
}

/// What a request may spend on hosts.
fn time_for_hosts(deadline: Option<SystemTime>, now: SystemTime) -> Duration {
    time_left(deadline, now).map_or(LONGEST, |left| left.min(LONGEST))
}

/// What is left until a deadline, less the reserve. Lambda ends a function at its deadline, so one that has
/// passed is none: `cargo lambda watch` gives every event a deadline in 1970.
pub(crate) fn time_left(deadline: Option<SystemTime>, now: SystemTime) -> Option<Duration> {
    Some(deadline?.duration_since(now).ok()?.saturating_sub(RESERVE))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } | StoreError::Newer { .. } => Self::Internal(error.to_string()),
            StoreError::Unavailable { .. } | StoreError::Conflict => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<SecretsError> for Failure {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            SecretsError::NotFound(_) | SecretsError::NotFilledIn(_) | SecretsError::Malformed { .. } => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<GithubAppError> for Failure {
    fn from(error: GithubAppError) -> Self {
        match error {
            GithubAppError::Secret(error) => error.into(),
            GithubAppError::Signing(error) => Self::Internal(error.to_string()),
        }
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Keys(error) => error.into(),
            OpenError::Seal(error) => error.into(),
        }
    }
}

impl From<NoEntropy> for Failure {
    fn from(error: NoEntropy) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Why the table or a secret gives no token: for now, or for good.
impl From<Failure> for TokenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Internal(text) => Self::Internal(text),
            Failure::Unavailable(text) => Self::Unavailable(text),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::of_call(ProviderType::Github, error)
    }
}

impl Failure {
    /// What a failed call at a host means for the caller.
    #[must_use]
    pub fn of_call(provider: ProviderType, error: CallError) -> Self {
        match error {
            CallError::Host(error) | CallError::Token(TokenError::Host(error)) => {
                Self::Provider { provider, error }
            }
            CallError::Token(TokenError::Broker(error)) => {
                Self::Provider { provider: ProviderType::EnterpriseSso, error }
            }
            CallError::Token(TokenError::NotLinked) => Self::NotLinked(Some(provider)),
            CallError::Token(TokenError::Expired) => Self::SignInExpired(provider),
            CallError::Token(TokenError::BrokerExpired) => Self::SignInExpired(ProviderType::EnterpriseSso),
            CallError::Token(TokenError::Unavailable(text)) => Self::Unavailable(text),
            CallError::Token(TokenError::Internal(text)) => Self::Internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_a_second_before_its_function_and_never_later_than_the_api_gives_up() {
        let now = SystemTime::now();
        let left = |seconds| time_for_hosts(Some(now + Duration::from_secs(seconds)), now);
        assert_eq!(left(10), Duration::from_secs(9));
        assert_eq!(left(29), LONGEST);
        assert_eq!(left(900), LONGEST);
        assert_eq!(left(0), Duration::ZERO);
    }

    #[test]
    fn without_a_deadline_that_is_still_to_come_the_longest_time_holds() {
        let now = SystemTime::now();
        assert_eq!(time_for_hosts(None, now), LONGEST);
        assert_eq!(
            time_for_hosts(Some(SystemTime::UNIX_EPOCH + Duration::from_millis(600_000)), now),
            LONGEST
        );
    }
}
