//! The sandbox GitLab, Bitbucket and OpenID provider beside the service, with our OAuth clients there.
//! What they are like is `sandbox_gitlab`'s, `sandbox_bitbucket`'s and `sandbox_openid`'s business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use shared::clock::Clock;

use crate::data_folder::FunctionSettings;
use crate::front::Place;
use crate::sandbox_bitbucket::{self, OauthConsumer, SandboxBitbucket, Scope};
use crate::sandbox_github::SandboxGithub;
use crate::sandbox_gitlab::{self, Application, SandboxGitlab};
use crate::sandbox_openid::{self, Broker, HostTokens, ProviderKind, SandboxOpenid};

/// Our client's id at each of them.
pub const CLIENT_ID: &str = "sandbox-client";
/// Its secret; it protects nothing.
pub const CLIENT_SECRET: &str = "sandbox-client-secret";
/// What we ask GitLab for.
const SCOPES: &str = "read_api";
/// What Bitbucket's consumer may do, as Bitbucket writes it.
const BITBUCKET_SCOPES: &str = "account repository";

/// Why they did not start.
#[derive(Debug, thiserror::Error)]
pub enum OtherHostsError {
    /// The sandbox GitLab.
    #[error(transparent)]
    Gitlab(#[from] sandbox_gitlab::StartError),
    /// The sandbox Bitbucket.
    #[error(transparent)]
    Bitbucket(#[from] sandbox_bitbucket::StartError),
    /// The sandbox OpenID provider.
    #[error(transparent)]
    Openid(#[from] sandbox_openid::StartError),
    /// The sandbox GitLab knows nobody of that name.
    #[error(transparent)]
    GitlabToken(#[from] sandbox_gitlab::MintError),
    /// The sandbox Bitbucket knows nobody of that name.
    #[error(transparent)]
    BitbucketToken(#[from] sandbox_bitbucket::MintError),
}

/// All three, running.
#[derive(Clone, Debug)]
pub struct OtherHosts {
    /// The sandbox GitLab.
    pub gitlab: SandboxGitlab,
    /// The sandbox Bitbucket.
    pub bitbucket: SandboxBitbucket,
    /// The sandbox OpenID provider, which brokers accounts at the other sandbox hosts.
    pub openid: SandboxOpenid,
}

/// How they are started.
#[derive(Debug)]
pub struct Start {
    /// Where the service answers, which their sign-ins return to.
    pub url: String,
    /// GitLab's place.
    pub gitlab: Place,
    /// Bitbucket's place.
    pub bitbucket: Place,
    /// The OpenID provider's place.
    pub openid: Place,
    /// The sandbox GitHub; with the real one no accounts there are brokered.
    pub github: Option<SandboxGithub>,
    /// Where GitLab's users and tokens are kept.
    pub gitlab_state: Option<PathBuf>,
    /// Where the OpenID provider's keys and sessions are kept.
    pub openid_state: Option<PathBuf>,
    /// What every call takes.
    pub latency: Duration,
    /// Their time.
    pub clock: Clock,
}

impl OtherHosts {
    /// Starts all three with their demo worlds.
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
        let gitlab = SandboxGitlab::start_at(start.gitlab, sandbox_gitlab::demo_world(), options).await?;
        let client = OauthConsumer {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            callback_urls: callback("bitbucket"),
        };
        let options =
            sandbox_bitbucket::Options { latency: start.latency, clock: start.clock.clone(), client };
        let bitbucket =
            SandboxBitbucket::start_at(start.bitbucket, sandbox_bitbucket::demo_world(), options).await?;
        let client = sandbox_openid::Client {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            redirect_uris: callback("enterprise_sso"),
            post_logout_redirect_uris: vec![format!("{}/auth/session", start.url)],
            backchannel_logout_uri: Some(format!("{}/auth/enterprise_sso/backchannel-logout", start.url)),
        };
        let mut realm = sandbox_openid::demo_world();
        if start.github.is_none() {
            realm.remove_provider("github");
        }
        let hosts = Hosts { github: start.github, gitlab: gitlab.clone(), bitbucket: bitbucket.clone() };
        let options = sandbox_openid::Options {
            broker: Some(Arc::new(hosts)),
            clock: start.clock,
            latency: start.latency,
            state_file: start.openid_state,
            ..sandbox_openid::Options::new(client)
        };
        let openid = SandboxOpenid::start_at(start.openid, realm, options).await?;
        // The sandbox Bitbucket has forgotten its tokens since the last run.
        openid.forget_all_brokered("bitbucket");
        Ok(Self { gitlab, bitbucket, openid })
    }

    /// Their addresses, by the names that `ready.json` gives them.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<String, String> {
        [
            ("gitlab_url", self.gitlab.url()),
            ("bitbucket_api_url", self.bitbucket.api_url()),
            ("bitbucket_web_url", self.bitbucket.web_url()),
            ("openid_issuer", self.openid.issuer()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The secret with our clients at all of them.
    #[must_use]
    pub fn clients_secret(&self) -> String {
        let brokered = self.openid.world(|world| {
            let hosts = world.providers.iter().filter(|(_, provider)| provider.kind != ProviderKind::Saml);
            hosts.map(|(alias, _)| alias.clone()).collect::<Vec<_>>()
        });
        let brokered: Vec<&str> = brokered.iter().map(String::as_str).collect();
        clients_secret(&self.openid.issuer(), &brokered)
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
        // It signs in at the others.
        self.openid.stop().await;
        self.gitlab.stop().await;
        self.bitbucket.stop().await;
    }
}

/// The secret with our clients, in the form that the service reads. Each host that is brokered has its own name as
/// its alias.
#[must_use]
pub fn clients_secret(issuer: &str, brokered: &[&str]) -> String {
    let client = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET });
    let broker: Map<_, _> = brokered.iter().map(|alias| ((*alias).to_owned(), json!(alias))).collect();
    let enterprise_sso = json!({
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "broker": broker,
    });
    json!({ "gitlab": client, "bitbucket": client, "enterprise_sso": enterprise_sso }).to_string()
}

/// The sandbox hosts, as the OpenID provider's broker signs its users in there.
#[derive(Debug)]
struct Hosts {
    github: Option<SandboxGithub>,
    gitlab: SandboxGitlab,
    bitbucket: SandboxBitbucket,
}

impl Broker for Hosts {
    fn sign_in(&self, host: ProviderKind, login: &str) -> Option<HostTokens> {
        match host {
            ProviderKind::Github => {
                let tokens = self.github.as_ref()?.try_mint_user_token(login).ok()?;
                Some(HostTokens {
                    access_token: tokens.access_token,
                    expires_in: tokens.expires_in,
                    refresh_token: tokens.refresh_token,
                    refresh_token_expires_in: Some(tokens.refresh_token_expires_in),
                    // Always empty for Apps.
                    scope: String::new(),
                })
            }
            ProviderKind::Gitlab => {
                let tokens = self.gitlab.try_mint_user_token(login).ok()?;
                Some(HostTokens {
                    access_token: tokens.access_token,
                    expires_in: tokens.expires_in,
                    refresh_token: tokens.refresh_token,
                    refresh_token_expires_in: None,
                    scope: SCOPES.to_owned(),
                })
            }
            ProviderKind::Bitbucket => {
                let tokens = self.bitbucket.try_mint_user_token(login).ok()?;
                Some(HostTokens {
                    access_token: tokens.access_token,
                    expires_in: tokens.expires_in,
                    refresh_token: tokens.refresh_token,
                    refresh_token_expires_in: None,
                    scope: BITBUCKET_SCOPES.to_owned(),
                })
            }
            ProviderKind::Saml => None,
        }
    }
}
