//! The sandbox GitLab and Bitbucket beside the service, with our OAuth clients there.
//! What they are like is `sandbox_gitlab`'s and `sandbox_bitbucket`'s business.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use shared::clock::Clock;
use tokio::net::TcpListener;

use crate::data_folder::FunctionSettings;
use crate::sandbox_bitbucket::{self, OauthConsumer, SandboxBitbucket, Scope};
use crate::sandbox_gitlab::{self, Application, SandboxGitlab};

/// Our client's id at either of them.
pub const CLIENT_ID: &str = "sandbox-client";
/// Its secret; it protects nothing.
pub const CLIENT_SECRET: &str = "sandbox-client-secret";
/// What we ask GitLab for.
const SCOPES: &str = "read_api";

/// Why they did not start.
#[derive(Debug, thiserror::Error)]
pub enum OtherHostsError {
    /// The sandbox GitLab.
    #[error(transparent)]
    Gitlab(#[from] sandbox_gitlab::StartError),
    /// The sandbox Bitbucket.
    #[error(transparent)]
    Bitbucket(#[from] sandbox_bitbucket::StartError),
    /// The sandbox GitLab knows nobody of that name.
    #[error(transparent)]
    GitlabToken(#[from] sandbox_gitlab::MintError),
    /// The sandbox Bitbucket knows nobody of that name.
    #[error(transparent)]
    BitbucketToken(#[from] sandbox_bitbucket::MintError),
}

/// Both, running.
#[derive(Clone, Debug)]
pub struct OtherHosts {
    /// The sandbox GitLab.
    pub gitlab: SandboxGitlab,
    /// The sandbox Bitbucket.
    pub bitbucket: SandboxBitbucket,
}

/// How they are started.
#[derive(Debug)]
pub struct Start {
    /// Where the service answers, which their sign-ins return to.
    pub url: String,
    /// GitLab's listener.
    pub gitlab: TcpListener,
    /// Bitbucket's listener.
    pub bitbucket: TcpListener,
    /// Where GitLab's users and tokens are kept.
    pub gitlab_state: Option<PathBuf>,
    /// What every call takes.
    pub latency: Duration,
    /// Their time.
    pub clock: Clock,
}

impl OtherHosts {
    /// Starts both with their demo worlds.
    ///
    /// # Errors
    /// [`OtherHostsError`].
    pub async fn start(start: Start) -> Result<Self, OtherHostsError> {
        let callback = |provider: &str| vec![format!("{}/auth/{provider}/callback", start.url)];
        let application = Application {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            redirect_uris: callback("gitlab"),
            scopes: SCOPES.to_owned(),
        };
        let options = sandbox_gitlab::Options {
            clock: start.clock.clone(),
            latency: start.latency,
            state_file: start.gitlab_state,
            ..sandbox_gitlab::Options::new(application)
        };
        let gitlab = SandboxGitlab::start(start.gitlab, sandbox_gitlab::demo_world(), options).await?;
        let client = OauthConsumer {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            callback_urls: callback("bitbucket"),
        };
        let options = sandbox_bitbucket::Options { latency: start.latency, clock: start.clock, client };
        let bitbucket =
            SandboxBitbucket::start(start.bitbucket, sandbox_bitbucket::demo_world(), options).await?;
        Ok(Self { gitlab, bitbucket })
    }

    /// The settings with which functions find them.
    #[must_use]
    pub fn settings(&self) -> FunctionSettings {
        [
            ("GITLAB_URL", self.gitlab.url()),
            ("BITBUCKET_API_URL", self.bitbucket.api_url()),
            ("BITBUCKET_WEB_URL", self.bitbucket.web_url()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// A token as a user of one of them makes it for programs.
    ///
    /// # Errors
    /// [`OtherHostsError`] if nobody has that name there.
    pub fn personal_token(&self, provider: &str, login: &str) -> Result<String, OtherHostsError> {
        Ok(match provider {
            "gitlab" => self.gitlab.mint_personal_token(login, SCOPES)?,
            _ => self.bitbucket.try_mint_api_token(login, &Scope::ALL)?,
        })
    }

    /// Lets answers that are under way finish, and saves.
    pub async fn stop(self) {
        self.gitlab.stop().await;
        self.bitbucket.stop().await;
    }
}

/// The secret with our clients at both, in the form that the service reads.
#[must_use]
pub fn clients_secret() -> String {
    let client = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET });
    json!({ "gitlab": client, "bitbucket": client }).to_string()
}
