//! `cargo run`: the command line. It starts a stack, prints what it started, and stops it on Ctrl-C.
//! What a stack is made of is `local::stack`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use local::check::{self, Report};
use local::data_folder::{self, DataFolder, DataFolderError, DemoUser, FunctionSettings, Ready};
use local::demo_user::{self, DemoUserError};
use local::running_service::{self, RunningServiceError};
use local::sandbox_github::demo_world;
use local::stack::{GithubChoice, Options, Stack, StackError};
use shared::clock::Clock;
use shared::config::{Aws, ConfigError};
use shared::github_app::AppCredentials;
use shared::provider::upstream::{ClientError, http_client};
use shared::runtime::Scheduled;
use shared::secrets::FromSecret;
use shared::service::Service;
use shared::store::{StoreError, Table};
use tracing_subscriber::filter::LevelFilter;

/// What the function has in `template.yaml`.
const RECONCILE: Duration = Duration::from_secs(300);

/// git-installations on this machine: the service, an embedded DynamoDB and Secrets Manager, and a sandbox
/// GitHub to sign in at. Needs nothing else.
#[derive(Debug, Parser)]
#[command(name = "git-installations", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The gateway's port; the other parts take the ports after it where they are free. 0 takes any free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The folder that keeps the database, the sandbox's state and ready.json
    #[arg(long, value_name = "DIR", default_value = data_folder::DEFAULT)]
    data: PathBuf,
    /// Begin anew: everything that earlier runs kept in the folder is removed first
    #[arg(long)]
    fresh: bool,
    /// What every call to the sandbox GitHub takes, e.g. 80ms or 1.5s
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = latency)]
    latency: Duration,
    /// Use the real GitHub instead of the sandbox, as the App of this file: JSON with app_id, client_id,
    /// client_secret, private_key, webhook_secret. GITHUB_API_URL and GITHUB_WEB_URL choose another host
    #[arg(long, value_name = "FILE")]
    github_app: Option<PathBuf>,
}

/// What is done with a service that runs already, in another terminal.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Find out and repair what webhooks did not tell, as the schedule does every 15 minutes; prints what
    /// was done as JSON
    Reconcile {
        /// Look at every installation, as once a night, not only at what has changed lately
        #[arg(long)]
        full: bool,
        /// The data folder of the service that runs
        #[arg(long, value_name = "DIR", default_value = data_folder::DEFAULT)]
        data: PathBuf,
    },
    /// Look whether everything that must hold in the table holds: reads all of it, writes nothing, prints how many
    /// items there are of each kind, and each violation in a line; ends with 1 if there is one
    Check {
        /// The data folder of the service that runs
        #[arg(long, value_name = "DIR", default_value = data_folder::DEFAULT)]
        data: PathBuf,
        /// A table at AWS instead, which AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
        /// give access to (dynamodb:Scan); AWS_ENDPOINT_URL_DYNAMODB names another endpoint
        #[arg(long, value_name = "NAME", conflicts_with = "data")]
        table: Option<String>,
    },
}

/// Why nothing runs, in one line.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error("the demo user could not be signed in: {0}")]
    DemoUser(#[from] DemoUserError),
    #[error("--github-app {}: {problem}", file.display())]
    GithubApp { file: PathBuf, problem: String },
    #[error(transparent)]
    RunningService(#[from] RunningServiceError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the table cannot be looked at: {0}")]
    Store(#[from] StoreError),
    #[error("{0} of what must hold in the table does not hold")]
    Violations(usize),
    #[error("LOG_LEVEL is {0:?}; expected off, error, warn, info, debug or trace")]
    LogLevel(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), RunError> {
    log_to_stderr()?;
    match arguments.command {
        Some(Command::Reconcile { full, data }) => return reconcile_once(&data, full).await,
        Some(Command::Check { data, table }) => return check_once(&data, table.as_deref()).await,
        None => {}
    }
    let github = match &arguments.github_app {
        None => GithubChoice::Sandbox(Box::new(demo_world())),
        Some(file) => GithubChoice::Real(real_app(file)?),
    };
    let folder = DataFolder::open(&arguments.data, arguments.fresh)?;
    let clock = Clock::system();
    let stack = Stack::start(Options {
        port: arguments.port,
        database: Some(folder.database()),
        github_state: Some(folder.github()),
        token_keys: folder.token_key_ring()?,
        github,
        other_hosts: arguments.github_app.is_none(),
        gitlab_state: Some(folder.gitlab()),
        openid_state: Some(folder.openid()),
        front: None,
        latency: arguments.latency,
        webhooks: true,
        clock: clock.clone(),
        github_clock: clock,
        settings: settings_of_the_operator(arguments.github_app.is_some()),
    })
    .await?;
    folder.write_functions(&stack.settings)?;
    let user = match stack.github {
        Some(_) => Some(demo_user::ready(&stack, &folder).await?),
        None => None,
    };
    folder.announce(&Ready {
        url: stack.url.clone(),
        demo_user: user.clone(),
        endpoints: stack.endpoints(),
    })?;
    // A closed pipe must not end the service.
    let _ = std::io::stdout().write_all(greeting(&stack, &folder, user.as_ref()).as_bytes());
    stopped().await?;
    eprintln!("stopping");
    stack.stop().await;
    Ok(())
}

/// The function, once, in this process, with the settings of the service that runs.
async fn reconcile_once(data: &Path, full: bool) -> Result<(), RunError> {
    let deadline = tokio::time::Instant::now() + RECONCILE;
    let summary = running_service::with_service(data, |service| {
        let budget = service.budget_until(deadline);
        reconcile::handle(service, Scheduled { full }, budget)
    })
    .await?;
    let text = serde_json::to_string_pretty(&summary).map_err(std::io::Error::from)?;
    // A closed pipe is no failure of the run.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

/// A look at the table of the service that runs, or at one that AWS's variables give access to.
async fn check_once(data: &Path, name: Option<&str>) -> Result<(), RunError> {
    let clock = Clock::system();
    let report: Report = match name {
        None => {
            let look = |service: Arc<Service>| async move {
                Ok(check::table(&service.table, &service.clock, check::PAUSE).await?)
            };
            running_service::with_service(data, look).await?
        }
        Some(name) => {
            let aws = Aws::from_lookup(|name| std::env::var(name).ok())?;
            let dynamodb = shared::aws::dynamodb(&aws, http_client(&[])?);
            check::table(&Table::new(dynamodb, name), &clock, check::PAUSE).await?
        }
    };
    // A closed pipe is no failure of the look.
    let _ = write!(std::io::stdout(), "{report}");
    if report.is_clean() { Ok(()) } else { Err(RunError::Violations(report.violations.len())) }
}

/// `LOG_LEVEL`, warnings and errors unless it says otherwise; to standard error, for people.
fn log_to_stderr() -> Result<(), RunError> {
    let level = match std::env::var("LOG_LEVEL") {
        Ok(text) if !text.is_empty() => text.parse().map_err(|_| RunError::LogLevel(text))?,
        _ => LevelFilter::WARN,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
    Ok(())
}

/// The App's secret, looked at before anything starts, so that a mistake in it is not a failing request.
fn real_app(file: &Path) -> Result<String, RunError> {
    let problem = |problem: String| RunError::GithubApp { file: file.to_owned(), problem };
    let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
    AppCredentials::from_secret(&text).map_err(problem)?;
    Ok(text)
}

/// The settings that may be given in the environment here too; hosts only where the sandbox is not used.
fn settings_of_the_operator(real_github: bool) -> FunctionSettings {
    let always = [
        "UPSTREAM_CONCURRENCY",
        "PREDICT_ETAGS",
        "STALE_IF_ERROR_SECONDS",
        "SESSION_COOKIE_NAME",
        "EXTRA_CA_PEM",
        "PUBLIC_URL",
    ];
    let hosts: &[&str] = if real_github { &["GITHUB_API_URL", "GITHUB_WEB_URL"] } else { &[] };
    always
        .iter()
        .chain(hosts)
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

fn greeting(stack: &Stack, folder: &DataFolder, user: Option<&DemoUser>) -> String {
    let url = &stack.url;
    let mut text = format!("git-installations  {url}\n");
    if let Some(github) = &stack.github {
        let _ = writeln!(text, "sandbox GitHub     {0}  (change its world: {0}/sandbox)", github.web_url());
    }
    if let Some(hosts) = &stack.other_hosts {
        let _ = writeln!(text, "sandbox GitLab     {}", hosts.gitlab.url());
        let _ = writeln!(text, "sandbox Bitbucket  {}", hosts.bitbucket.web_url());
        let _ = writeln!(text, "sandbox OpenID     {}", hosts.openid.console_url());
    }
    let _ = writeln!(text, "DynamoDB           {}", stack.dynamodb.url());
    let _ = writeln!(text, "Secrets Manager    {}", stack.secrets_manager.url());
    let _ = writeln!(text, "data folder        {}\n", folder.path().display());
    let _ = writeln!(text, "Sign in with a browser: {url}/auth/github/login");
    if let Some(user) = user {
        let key = &user.api_key;
        let id = &user.user_id;
        let _ = writeln!(text, "Or ask as {}, who has signed in already:\n", demo_user::LOGIN);
        for path in [
            "/api/user/repositories".to_owned(),
            "/api/user/installations?provider=github".to_owned(),
            "/api/user/repositories?selected_provider=github&per_page=2".to_owned(),
            "/user/installations?per_page=1".to_owned(),
            format!("/users/{}/installation", demo_user::LOGIN),
            format!("/api/users/{id}/installations"),
        ] {
            let _ = writeln!(text, "  curl -H 'X-Session-API-Key: {key}' '{url}{path}'");
        }
    } else {
        let _ = writeln!(text, "The App's callback URL must be {url}/auth/github/callback");
    }
    let _ = writeln!(text, "\nThe same is in {}. Ctrl-C stops it.", folder.ready().display());
    text
}

async fn stopped() -> std::io::Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

/// A time with its unit: `80ms`, `1.5s`, `0`.
fn latency(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 80ms or 1.5s".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let number: f64 = number.trim().parse().map_err(|_| expected())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "" if number == 0.0 => 0.0,
        _ => return Err(expected()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(latency) if latency <= Duration::from_secs(60) => Ok(latency),
        _ => Err("expected a time from 0ms to 60s".to_owned()),
    }
}
