//! All that a handler needs, built once per process: settings, secrets, table, hosts, clock.
//! Nothing here knows a route.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_http::RequestExt;
use tokio::time::Instant;
use url::Url;

use crate::clock::{Clock, NoEntropy};
use crate::config::Config;
use crate::contract::Request;
use crate::failure::Failure;
use crate::github_app::{GithubApp, GithubAppError};
use crate::identity::sealing::{KeyRing, SealError};
use crate::provider::ProviderType;
use crate::provider::github::{Github, GithubError, GithubOauth};
use crate::provider::token::TokenError;
use crate::provider::upstream::{Budget, ClientError, Upstream, http_client};
use crate::secrets::{Secret, Secrets, SecretsError};
use crate::store::{StoreError, Table};

/// The longest that a request is worked on: API Gateway gives up after 30 s.
const LONGEST: Duration = Duration::from_secs(25);
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
    /// GitHub's API with users' tokens.
    pub github: Github,
}

impl Service {
    /// A service of these settings. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError`] when the HTTP client cannot be built.
    pub fn new(config: Config, clock: Clock) -> Result<Arc<Self>, ClientError> {
        let http = http_client(&config.upstream.extra_ca)?;
        let (dynamodb, secrets_manager) = crate::aws::clients(&config.aws, http.clone());
        let secrets = Secrets::new(secrets_manager, clock.clone());
        Ok(Arc::new(Self {
            table: Table::new(dynamodb, &config.table_name),
            token_keys: Secret::new(secrets.clone(), &config.secrets.token_keys),
            github_app: GithubApp::new(secrets, &config.secrets.github_app, clock.clone()),
            github: Github::new(Upstream::new(http), config.github.clone(), clock.clone()),
            config,
            clock,
        }))
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
        let all = async { tokio::join!(table, keys, app, github) };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("not everything was ready while starting");
        }
    }

    /// What this request may spend on hosts: until a second before the function is ended.
    #[must_use]
    pub fn budget(&self, request: &Request) -> Budget {
        let deadline = request.lambda_context_ref().map(|context| context.deadline());
        let remaining = time_for_hosts(deadline, SystemTime::now());
        Budget::new(Instant::now() + remaining, self.config.upstream.concurrency)
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

    /// The App's OAuth credentials.
    ///
    /// # Errors
    /// [`Failure`] when the secret cannot be read.
    pub async fn github_oauth(&self) -> Result<GithubOauth, Failure> {
        let app = self.github_app.credentials().await?;
        Ok(GithubOauth { client_id: app.client_id.clone(), client_secret: app.client_secret.clone() })
    }
}

/// What is left until a deadline, less the reserve. Lambda ends a function at its deadline, so one that has
/// passed is none: `cargo lambda watch` gives every event a deadline in 1970.
fn time_for_hosts(deadline: Option<SystemTime>, now: SystemTime) -> Duration {
    deadline
        .and_then(|deadline| deadline.duration_since(now).ok())
        .map_or(LONGEST, |left| left.saturating_sub(RESERVE).min(LONGEST))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => Self::Internal(error.to_string()),
            StoreError::Unavailable { .. } | StoreError::Conflict => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<SecretsError> for Failure {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            SecretsError::NotFound(_) | SecretsError::Malformed { .. } => Self::Internal(error.to_string()),
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

impl From<NoEntropy> for Failure {
    fn from(error: NoEntropy) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<GithubError> for Failure {
    fn from(error: GithubError) -> Self {
        let provider = ProviderType::Github;
        match error {
            GithubError::Host(error) | GithubError::Token(TokenError::Host(error)) => {
                Self::Provider { provider, error }
            }
            GithubError::Token(TokenError::NotLinked) => Self::NotLinked(Some(provider)),
            GithubError::Token(TokenError::Expired) => Self::SignInExpired(provider),
            GithubError::Token(TokenError::Unavailable(text)) => Self::Unavailable(text),
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
