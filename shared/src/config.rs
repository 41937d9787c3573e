//! The settings of a process, read once from its environment and checked before anything starts.
//! The names, defaults and meanings are DESIGN 7's table; no other module reads the environment.

mod aws;
mod hosts;
mod variables;

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tracing::Level;

pub use aws::Aws;
pub use hosts::{AllowedHosts, BitbucketHost, GithubHost, GitlabHost, PublicUrl, endpoint, is_this_machine};
pub use variables::ConfigError;
pub(crate) use variables::parse_base_url;

use variables::Variables;

/// What Lambda sets for every function; its runtime crate ends the process where one is missing.
const LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// Every setting of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`: the one DynamoDB table.
    pub table_name: String,
    /// The names of the secrets.
    pub secrets: SecretIds,
    /// `PUBLIC_URL`: where clients reach this service.
    pub public_url: PublicUrl,
    /// `GITHUB_API_URL`, `GITHUB_WEB_URL`.
    pub github: GithubHost,
    /// `GITLAB_URL`.
    pub gitlab: GitlabHost,
    /// `BITBUCKET_API_URL`, `BITBUCKET_WEB_URL`.
    pub bitbucket: BitbucketHost,
    /// `ALLOWED_PROVIDER_HOSTS`: which `host` add-git-providers may name.
    pub allowed_hosts: AllowedHosts,
    /// How the hosts are talked to.
    pub upstream: Upstream,
    /// `STALE_IF_ERROR_SECONDS`: how old a copy may be that is served while GitHub is down; zero switches it off.
    pub stale_if_error: Duration,
    /// The browser's session.
    pub session: Session,
    /// `LOG_LEVEL`.
    pub log_level: Level,
    /// AWS, in the variables that Lambda itself sets.
    pub aws: Aws,
}

/// The names (or ARNs) under which Secrets Manager holds the secrets.
#[derive(Clone, Debug)]
pub struct SecretIds {
    /// `GITHUB_APP_SECRET_ID`.
    pub github_app: String,
    /// `TOKEN_KEYS_SECRET_ID`.
    pub token_keys: String,
    /// `OAUTH_CLIENTS_SECRET_ID`; without it only GitHub can be signed in to.
    pub oauth_clients: Option<String>,
}

/// How the hosts are talked to (DESIGN 5).
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `UPSTREAM_CONCURRENCY`: calls at once to a host, per request of ours.
    pub concurrency: usize,
    /// `PREDICT_ETAGS`: whether the ETag that today's token would get is computed and sent.
    pub predict_etags: bool,
    /// `EXTRA_CA_PEM`, parsed: private CAs in front of self-managed hosts.
    pub extra_ca: Vec<CertificateDer<'static>>,
}

/// The browser's session (DESIGN 3).
#[derive(Clone, Debug)]
pub struct Session {
    /// `SESSION_COOKIE_NAME`.
    pub cookie_name: String,
}

impl Config {
    /// The settings of this process, which is a function.
    ///
    /// # Errors
    /// The first variable that is missing or wrong, Lambda's own among them.
    pub fn from_env() -> Result<Self, ConfigError> {
        let lookup = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let config = Self::from_lookup(lookup)?;
        let variables = Variables::new(lookup);
        for name in LAMBDA {
            variables.required(name, "a start by Lambda, `sam local invoke` or `cargo lambda watch`")?;
        }
        Ok(config)
    }

    /// The settings that `lookup` gives; an empty value counts as none, as templates leave
    /// optional variables empty.
    ///
    /// # Errors
    /// The first variable that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variables = Variables::new(lookup);
        Ok(Self {
            table_name: variables.table_name("TABLE_NAME")?,
            secrets: SecretIds {
                github_app: variables.secret_id("GITHUB_APP_SECRET_ID")?,
                token_keys: variables.secret_id("TOKEN_KEYS_SECRET_ID")?,
                oauth_clients: variables.optional_secret_id("OAUTH_CLIENTS_SECRET_ID")?,
            },
            public_url: variables
                .optional_url("PUBLIC_URL")?
                .map_or(PublicUrl::FromRequest, PublicUrl::Configured),
            github: GithubHost::from_variables(&variables)?,
            gitlab: GitlabHost::from_variables(&variables)?,
            bitbucket: BitbucketHost::from_variables(&variables)?,
            allowed_hosts: AllowedHosts::from_variables(&variables)?,
            upstream: Upstream {
                concurrency: variables.number("UPSTREAM_CONCURRENCY", 32, 1..=100)?,
                predict_etags: variables.boolean("PREDICT_ETAGS", true)?,
                extra_ca: variables.certificates("EXTRA_CA_PEM")?,
            },
            stale_if_error: Duration::from_secs(variables.number(
                "STALE_IF_ERROR_SECONDS",
                600,
                0..=86_400,
            )?),
            session: Session { cookie_name: variables.token("SESSION_COOKIE_NAME", "neptun-session")? },
            log_level: variables.level("LOG_LEVEL", Level::INFO)?,
            aws: Aws::from_variables(&variables)?,
        })
    }
}

#[cfg(test)]
mod tests;
