//! The parts put together: embedded AWS endpoints, the sandbox GitHub, the handlers, the gateway.
//! `cargo run` starts one on fixed ports, each end-to-end test one of its own on free ones.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared::clock::Clock;
use shared::config::{Config, ConfigError};
use shared::provider::ProviderType;
use shared::provider::upstream::ClientError;
use shared::service::Service;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::aws::access::Access;
use crate::aws::dynamodb::{DynamoDb, DynamoDbError};
use crate::aws::secrets_manager::{Secrets, SecretsManager};
use crate::data_folder::FunctionSettings;
use crate::front::{Front, Place};
use crate::gateway::{Gateway, GatewayError};
use crate::handlers;
use crate::other_hosts::{self, OtherHosts, OtherHostsError};
use crate::sandbox_github::{self, AppRegistration, SandboxGithub, World};
use crate::sandbox_openid;
use crate::template::{Template, TemplateError};

/// The table's name here.
pub const TABLE: &str = "git-installations";
/// The name of the App's secret.
pub const GITHUB_APP_SECRET: &str = "git-installations/github-app";
/// The name of the key ring's secret.
pub const TOKEN_KEYS_SECRET: &str = "git-installations/token-keys";
/// The name of the secret with our OAuth clients at the other hosts.
pub const OAUTH_CLIENTS_SECRET: &str = "git-installations/oauth-clients";
/// The sandbox App's number.
pub const SANDBOX_APP_ID: u64 = 1001;
/// The sandbox App's client id.
pub const SANDBOX_CLIENT_ID: &str = "Iv23liSandboxApp0001";
/// The sandbox App's client secret; it protects nothing.
pub const SANDBOX_CLIENT_SECRET: &str = "sandbox-client-secret";
/// What the sandbox signs its webhooks with; it protects nothing.
pub const SANDBOX_WEBHOOK_SECRET: &str = "sandbox-webhook-secret";
/// The sandbox App's private key.
pub const SANDBOX_PRIVATE_KEY: &str = include_str!("../fixtures/sandbox-app.private-key.pem");
const SANDBOX_PUBLIC_KEY: &[u8] = include_bytes!("../fixtures/sandbox-app.public-key.pem");
/// The number of the sandbox App's hook.
const SANDBOX_HOOK_ID: u64 = 501_001;
const SANDBOX_SLUG: &str = "git-installations-sandbox";

/// Which GitHub the service works with.
pub enum GithubChoice {
    /// The sandbox, with this world unless a state file has another.
    Sandbox(Box<World>),
    /// The real one (or an enterprise server, by the settings), as the App of this secret.
    Real(String),
}

// By hand: the secret holds the App's private key.
impl fmt::Debug for GithubChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sandbox(_) => "Sandbox",
            Self::Real(_) => "Real",
        })
    }
}

/// How a stack is put together.
pub struct Options {
    /// The gateway's port; zero takes any free one.
    pub port: u16,
    /// The database's file; none keeps it in memory.
    pub database: Option<PathBuf>,
    /// The sandbox GitHub's state; none keeps it in memory.
    pub github_state: Option<PathBuf>,
    /// The key ring's secret.
    pub token_keys: String,
    /// Which GitHub.
    pub github: GithubChoice,
    /// Whether a sandbox GitLab, a sandbox Bitbucket and a sandbox OpenID provider are started too.
    pub other_hosts: bool,
    /// The sandbox GitLab's state; none keeps it in memory.
    pub gitlab_state: Option<PathBuf>,
    /// The sandbox OpenID provider's state; none keeps it in memory.
    pub openid_state: Option<PathBuf>,
    /// What stands before every sandbox host; none: they are where they say.
    pub front: Option<Arc<dyn Front>>,
    /// What every call to a sandbox host takes.
    pub latency: Duration,
    /// Whether the sandbox GitHub sends its webhooks to the service; else they wait.
    pub webhooks: bool,
    /// The service's time.
    pub clock: Clock,
    /// The sandbox GitHub's time: the same clock, unless a skew is wanted.
    pub github_clock: Clock,
    /// Settings that win over the stack's own.
    pub settings: FunctionSettings,
}

/// The key ring of stacks in memory, which protects nothing: everybody can read it here.
pub const OPEN_TOKEN_KEYS: &str =
    r#"{"current":"k1","keys":{"k1":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}"#;

impl Options {
    /// A stack that leaves nothing behind: any free port, a sandbox GitHub with this world as near as can be, no
    /// webhooks, no other host.
    #[must_use]
    pub fn in_memory(world: World, clock: Clock) -> Self {
        Self {
            port: 0,
            database: None,
            github_state: None,
            token_keys: OPEN_TOKEN_KEYS.to_owned(),
            github: GithubChoice::Sandbox(Box::new(world)),
            other_hosts: false,
            gitlab_state: None,
            openid_state: None,
            front: None,
            latency: Duration::ZERO,
            webhooks: false,
            github_clock: clock.clone(),
            clock,
            settings: FunctionSettings::new(),
        }
    }
}

// By hand: the key ring opens every token in the table.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("port", &self.port)
            .field("database", &self.database)
            .field("github_state", &self.github_state)
            .field("github", &self.github)
            .field("front", &self.front)
            .field("latency", &self.latency)
            .field("webhooks", &self.webhooks)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Why a stack does not start.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The port is taken.
    #[error("port {0} is in use; stop what uses it or choose another with --port")]
    PortInUse(u16),
    /// No listener.
    #[error("no port can be listened on: {0}")]
    Listen(#[from] std::io::Error),
    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The database.
    #[error(transparent)]
    DynamoDb(#[from] DynamoDbError),
    /// The sandbox GitHub.
    #[error(transparent)]
    SandboxGithub(#[from] sandbox_github::StartError),
    /// The sandbox GitLab, Bitbucket or OpenID provider.
    #[error(transparent)]
    OtherHosts(#[from] OtherHostsError),
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A route without a handler, or the other way round.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

/// A running service with all that it needs.
#[derive(Debug)]
pub struct Stack {
    /// Where the gateway answers.
    pub url: String,
    /// A service with the rights of whoever has started the stack; no handler works with it.
    pub service: Arc<Service>,
    /// Each function's own service, with the rights that `template.yaml` gives it, by the folder's name.
    pub functions: BTreeMap<String, Arc<Service>>,
    /// Who may do what in the table and with the secrets, and what the functions have done.
    pub access: Access,
    /// The settings that a function needs to work against this stack.
    pub settings: FunctionSettings,
    /// The embedded DynamoDB.
    pub dynamodb: DynamoDb,
    /// The embedded Secrets Manager.
    pub secrets_manager: SecretsManager,
    /// What is in it.
    pub secrets: Secrets,
    /// The sandbox GitHub, unless the real one is used.
    pub github: Option<SandboxGithub>,
    /// The sandbox GitLab, Bitbucket and OpenID provider, if they were wanted.
    pub other_hosts: Option<OtherHosts>,
    stop: oneshot::Sender<()>,
    gateway: JoinHandle<()>,
}

impl Stack {
    /// Starts everything; when this returns, everything answers.
    ///
    /// # Errors
    /// [`StackError`], in one line that says what to do.
    pub async fn start(options: Options) -> Result<Self, StackError> {
        let template = Template::embedded()?;
        let gateway_listener = listener(options.port).await?;
        let port = gateway_listener.local_addr()?.port();
        let url = format!("http://localhost:{port}");

        // Beside the gateway's, so that addresses stay the same from run to run; else any free one.
        let beside = |step: u16| options.port.checked_add(step).filter(|_| options.port != 0);
        let access = Access::default();
        let listener = nearby_listener(beside(2)).await?;
        let dynamodb = DynamoDb::start(listener, options.database.as_deref(), access.clone()).await?;
        dynamodb.create_table(TABLE, &template.table)?;

        let secrets = Secrets::new(options.clock.clone());
        secrets.set(TOKEN_KEYS_SECRET, &options.token_keys);
        let listener = nearby_listener(beside(3)).await?;
        let secrets_manager = SecretsManager::start(listener, secrets.clone(), access.clone())?;

        let front = options.front.as_deref();
        let mut settings = base_settings(&url, &dynamodb, &secrets_manager);
        let github = match options.github {
            GithubChoice::Real(secret) => {
                secrets.set(GITHUB_APP_SECRET, &secret);
                None
            }
            GithubChoice::Sandbox(world) => {
                secrets.set(GITHUB_APP_SECRET, &sandbox_app_secret());
                let sandbox_options = sandbox_github::Options {
                    latency: options.latency,
                    clock: options.github_clock,
                    state_file: options.github_state,
                    app: sandbox_app(&url, options.webhooks),
                };
                let listener = nearby_listener(beside(1)).await?;
                let place = Place::of(ProviderType::Github, listener, front).await?;
                let github = SandboxGithub::start_at(place, *world, sandbox_options).await?;
                settings.insert("GITHUB_API_URL".to_owned(), github.api_url());
                settings.insert("GITHUB_WEB_URL".to_owned(), github.web_url());
                Some(github)
            }
        };
        let mut other_hosts = None;
        if options.other_hosts {
            let last_issuer = options.openid_state.as_deref().and_then(sandbox_openid::last_port);
            let hosts = OtherHosts::start(other_hosts::Start {
                url: url.clone(),
                gitlab: Place::of(ProviderType::Gitlab, nearby_listener(beside(4)).await?, front).await?,
                bitbucket: Place::of(ProviderType::Bitbucket, nearby_listener(beside(5)).await?, front)
                    .await?,
                openid: Place::of(
                    ProviderType::EnterpriseSso,
                    nearby_listener(beside(6).or(last_issuer)).await?,
                    front,
                )
                .await?,
                github: github.clone(),
                gitlab_state: options.gitlab_state,
                openid_state: options.openid_state,
                latency: options.latency,
                clock: options.clock.clone(),
            })
            .await?;
            secrets.set(OAUTH_CLIENTS_SECRET, &hosts.clients_secret());
            settings.insert("OAUTH_CLIENTS_SECRET_ID".to_owned(), OAUTH_CLIENTS_SECRET.to_owned());
            settings.extend(hosts.settings());
            other_hosts = Some(hosts);
        }
        settings.extend(options.settings);

        let config = Config::from_lookup(|name| settings.get(name).cloned())?;
        let service = Service::new(config, options.clock.clone())?;
        let mut functions = BTreeMap::new();
        for name in template.functions.keys() {
            functions.insert(name.clone(), service_of(name, &settings, &options.clock)?);
        }
        restrict(&access, &template, &settings);
        let of = |name: &str| functions.get(name).unwrap_or(&service).clone();
        let gateway = Gateway::new(&template.routes, handlers::each_over(of))?
            .with_functions(&template.functions)
            .with_clock(options.clock);
        let (stop, stopped) = oneshot::channel::<()>();
        let gateway = tokio::spawn(gateway.run(gateway_listener, async { drop(stopped.await) }));
        Ok(Self {
            url,
            service,
            functions,
            access,
            settings,
            dynamodb,
            secrets_manager,
            secrets,
            github,
            other_hosts,
            stop,
            gateway,
        })
    }

    /// The addresses beside the service's own, by the names that `ready.json` gives them.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<String, String> {
        let mut endpoints = BTreeMap::from([
            ("dynamodb_url".to_owned(), self.dynamodb.url().to_owned()),
            ("secrets_manager_url".to_owned(), self.secrets_manager.url().to_owned()),
        ]);
        if let Some(github) = &self.github {
            endpoints.insert("github_api_url".to_owned(), github.api_url());
            endpoints.insert("github_web_url".to_owned(), github.web_url());
        }
        if let Some(hosts) = &self.other_hosts {
            endpoints.extend(hosts.endpoints());
        }
        endpoints
    }

    /// Lets running requests finish, saves what has to be saved, and ends everything.
    pub async fn stop(self) {
        // The gateway is gone already if nobody receives this.
        let _ = self.stop.send(());
        if let Err(error) = self.gateway.await {
            tracing::error!(%error, "the gateway did not end well");
        }
        if let Some(hosts) = self.other_hosts {
            hosts.stop().await;
        }
        if let Some(github) = self.github {
            github.stop().await;
        }
        self.secrets_manager.stop().await;
        self.dynamodb.stop().await;
    }
}

/// A function's own service, which has the function's rights in the stack of these settings: its access key
/// id is the function's name.
///
/// # Errors
/// [`StackError`], when a setting is wrong.
pub fn service_of(
    function: &str,
    settings: &FunctionSettings,
    clock: &Clock,
) -> Result<Arc<Service>, StackError> {
    let config = Config::from_lookup(|name| match name {
        "AWS_ACCESS_KEY_ID" => Some(function.to_owned()),
        name => settings.get(name).cloned(),
    })?;
    Ok(Service::new(config, clock.clone())?)
}

/// Gives the functions the rights that the template gives them.
fn restrict(access: &Access, template: &Template, settings: &FunctionSettings) {
    if let Some(name) = settings.get("TABLE_NAME") {
        access.name_table(name, &template.table);
    }
    for (resource, variable) in &template.secret_variables {
        if let Some(id) = settings.get(variable) {
            access.name_secret(id, resource);
        }
    }
    for (name, function) in &template.functions {
        access.restrict(name, function.policy.clone());
    }
}

fn base_settings(url: &str, dynamodb: &DynamoDb, secrets_manager: &SecretsManager) -> FunctionSettings {
    [
        ("TABLE_NAME", TABLE),
        ("GITHUB_APP_SECRET_ID", GITHUB_APP_SECRET),
        ("TOKEN_KEYS_SECRET_ID", TOKEN_KEYS_SECRET),
        ("PUBLIC_URL", url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_manager.url()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The secret of the sandbox's App, in the form that DESIGN 7 gives it.
#[must_use]
pub fn sandbox_app_secret() -> String {
    json!({
        "app_id": SANDBOX_APP_ID,
        "client_id": SANDBOX_CLIENT_ID,
        "client_secret": SANDBOX_CLIENT_SECRET,
        "private_key": SANDBOX_PRIVATE_KEY,
        "webhook_secret": SANDBOX_WEBHOOK_SECRET,
    })
    .to_string()
}

fn sandbox_app(url: &str, webhooks: bool) -> AppRegistration {
    AppRegistration {
        app_id: SANDBOX_APP_ID,
        client_id: SANDBOX_CLIENT_ID.to_owned(),
        client_secret: SANDBOX_CLIENT_SECRET.to_owned(),
        slug: SANDBOX_SLUG.to_owned(),
        public_key_pem: SANDBOX_PUBLIC_KEY.to_vec(),
        callback_urls: vec![format!("{url}/auth/github/callback")],
        setup_url: format!("{url}/auth/github/setup"),
        webhook_url: webhooks.then(|| format!("{url}/webhooks/github")),
        webhook_secret: SANDBOX_WEBHOOK_SECRET.to_owned(),
        hook_id: SANDBOX_HOOK_ID,
    }
}

async fn listener(port: u16) -> Result<TcpListener, StackError> {
    TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            StackError::PortInUse(port)
        } else {
            StackError::Listen(error)
        }
    })
}

async fn nearby_listener(port: Option<u16>) -> Result<TcpListener, StackError> {
    if let Some(port) = port
        && let Ok(listener) = listener(port).await
    {
        return Ok(listener);
    }
    listener(0).await
}
