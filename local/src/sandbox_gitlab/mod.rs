//! The sandbox GitLab: a model of a world, served over HTTP as GitLab serves it, strict where GitLab is strict.
//! Here are its start and its handle; each rule lives in the module that is named after it.

mod access;
mod answers;
mod asking;
mod authorize_page;
mod faults;
mod html;
mod oauth;
mod objects;
mod paging;
mod rest;
mod scenes;
mod serve;
pub(crate) mod state;
mod tokens;
mod world;

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::clock::{Clock, NoEntropy};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::front::Place;

pub use authorize_page::{AuthorizeError, AuthorizeRequest};
pub use faults::{Call, Fault, FaultKind};
pub use scenes::demo_world;
pub use state::StateFileError;
pub use tokens::{ACCESS_TOKEN_LIFE, UserTokens};
pub use world::{
    AccessLevel, Group, GroupId, Namespace, Project, ProjectId, User, UserId, Visibility, World,
};

use state::{Store, lock};
use tokens::Grant;

/// Where the REST API begins, below the instance's own path.
const API: &str = "/api/v4";
/// How many calls are remembered; the oldest are forgotten.
const REMEMBERED_CALLS: usize = 20_000;
/// How long [`SandboxGitlab::stop`] waits for answers that are under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// The OAuth application, as it was registered.
#[derive(Clone)]
pub struct Application {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// Where the web flow may return to; compared exactly.
    pub redirect_uris: Vec<String>,
    /// The scopes that it may ask for, with spaces between them.
    pub scopes: String,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// How the sandbox behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The application.
    pub application: Application,
    /// GitLab's time: tokens, limits and the `Date` header go by it.
    pub clock: Clock,
    /// Waited before every answer of the API and of the token endpoints, not before pages for people.
    pub latency: Duration,
    /// Where users and tokens are kept; `None`: they end with the process.
    pub state_file: Option<PathBuf>,
    /// The path of the instance, such as `/gitlab`; empty for one at the root of its host.
    pub prefix: String,
    /// The highest offset that pages by numbers reach.
    pub offset_limit: u64,
    /// Requests of a user in a minute.
    pub requests_per_minute: u64,
    /// What links to further pages begin with where the instance does not know its own address.
    pub link_base: Option<String>,
}

impl Options {
    /// The usual ones: gitlab.com's limits, the system's clock, no latency, nothing kept.
    #[must_use]
    pub fn new(application: Application) -> Self {
        Self {
            application,
            clock: Clock::system(),
            latency: Duration::ZERO,
            state_file: None,
            prefix: String::new(),
            offset_limit: 50_000,
            requests_per_minute: 2_000,
            link_base: None,
        }
    }
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("the sandbox GitLab's listener has no address: {0}")]
    Listener(#[from] std::io::Error),
    /// The state file cannot be read or is damaged.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
}

/// Why no tokens were minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Nobody has that name.
    #[error("nobody in the sandbox GitLab has the name {0:?}")]
    UnknownUser(String),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Everything that the handlers share.
#[derive(Debug)]
struct Gitlab {
    application: Application,
    clock: Clock,
    latency: Duration,
    prefix: String,
    offset_limit: u64,
    requests_per_minute: u64,
    url: String,
    link_base: String,
    store: Arc<Store>,
    calls: Mutex<VecDeque<Call>>,
    faults: Mutex<Vec<Fault>>,
    in_flight: AtomicUsize,
    answered: AtomicU64,
}

impl Gitlab {
    /// A path without what stands before the API's own.
    fn path_below_api<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.prefix).and_then(|path| path.strip_prefix(API)).unwrap_or(path)
    }
}

#[derive(Debug)]
struct Server {
    task: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

/// A running sandbox GitLab; clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct SandboxGitlab {
    gitlab: Arc<Gitlab>,
    server: Arc<Mutex<Option<Server>>>,
}

impl SandboxGitlab {
    /// Serves a world on a listener; users and tokens of `options.state_file` go on if it exists.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the file or the listener.
    pub async fn start(listener: TcpListener, world: World, options: Options) -> Result<Self, StartError> {
        Self::start_at(listener.try_into()?, world, options).await
    }

    /// The same at a place that may be behind another address.
    ///
    /// # Errors
    /// As [`SandboxGitlab::start`].
    pub async fn start_at(place: Place, world: World, options: Options) -> Result<Self, StartError> {
        let Place { listener, port } = place;
        let prefix = options.prefix.trim_end_matches('/').to_owned();
        let url = format!("http://localhost:{port}{prefix}");
        let gitlab = Arc::new(Gitlab {
            application: options.application,
            clock: options.clock,
            latency: options.latency,
            prefix,
            offset_limit: options.offset_limit,
            requests_per_minute: options.requests_per_minute,
            link_base: options.link_base.unwrap_or_else(|| url.clone()),
            url,
            store: Arc::new(Store::open(world, options.state_file)?),
            calls: Mutex::default(),
            faults: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
        });
        gitlab.store.save().await;
        let router = serve::router(Arc::clone(&gitlab));
        let (stopping, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let stopped = async move {
                // An error means that every handle is gone; the sandbox then runs as long as its runtime.
                if stopped.wait_for(|stopping| *stopping).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the sandbox GitLab stopped serving");
            }
        });
        Ok(Self { gitlab, server: Arc::new(Mutex::new(Some(Server { task, stopping }))) })
    }

    /// The instance's address, for `GITLAB_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        self.gitlab.url.clone()
    }

    /// Looks at the world or changes it.
    pub fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.gitlab.store.lock().world)
    }

    /// Tokens of a user, as the web flow would hand them out for the application's first address.
    ///
    /// # Panics
    /// If nobody has that name; [`SandboxGitlab::try_mint_user_token`] says so instead.
    #[must_use]
    pub fn mint_user_token(&self, username: &str) -> UserTokens {
        match self.try_mint_user_token(username) {
            Ok(tokens) => tokens,
            Err(error) => panic!("{error}"),
        }
    }

    /// Tokens of a user, as the web flow would hand them out for the application's first address.
    ///
    /// # Errors
    /// [`MintError`] if nobody has that name.
    pub fn try_mint_user_token(&self, username: &str) -> Result<UserTokens, MintError> {
        let application = &self.gitlab.application;
        let user = self.user(username)?;
        let redirect_uri = application.redirect_uris.first().cloned().unwrap_or_default();
        let grant = Grant { user, redirect_uri, scopes: application.scopes.clone() };
        Ok(self.gitlab.store.lock().tokens.issue_pair(grant, self.gitlab.clock.unix())?)
    }

    /// A personal token of a user with these scopes, spaces between them.
    ///
    /// # Errors
    /// [`MintError`] if nobody has that name.
    pub fn mint_personal_token(&self, username: &str, scopes: &str) -> Result<String, MintError> {
        let user = self.user(username)?;
        Ok(self.gitlab.store.lock().tokens.issue_personal(user, scopes)?)
    }

    fn user(&self, username: &str) -> Result<UserId, MintError> {
        let state = self.gitlab.store.lock();
        let user = state.world.user(username).map(|user| user.id);
        user.ok_or_else(|| MintError::UnknownUser(username.to_owned()))
    }

    /// Ends all tokens of a user, as the user can in GitLab's settings.
    pub fn revoke_grant(&self, username: &str) {
        if let Ok(user) = self.user(username) {
            self.gitlab.store.lock().tokens.revoke_grant(user);
        }
    }

    /// What the authorize page does when a user is chosen: the address to go back to, with `code` and `state`.
    ///
    /// # Errors
    /// [`AuthorizeError`] for what the page would refuse.
    pub fn authorize(&self, username: &str, request: &AuthorizeRequest) -> Result<String, AuthorizeError> {
        authorize_page::authorize(&self.gitlab, username, request)
    }

    /// The calls that came in, in the order in which they were answered.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.gitlab.calls).iter().cloned().collect()
    }

    /// Forgets the calls.
    pub fn clear_calls(&self) {
        lock(&self.gitlab.calls).clear();
    }

    /// Makes something go wrong. Of several faults that match, the oldest is taken.
    pub fn fail(&self, fault: Fault) {
        lock(&self.gitlab.faults).push(fault);
    }

    /// Lets everything go right again.
    pub fn clear_faults(&self) {
        lock(&self.gitlab.faults).clear();
    }

    /// Stops serving, and saves.
    pub async fn stop(self) {
        let server = lock(&self.server).take();
        if let Some(Server { mut task, stopping }) = server {
            stopping.send_replace(true);
            if tokio::time::timeout(PATIENCE, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.gitlab.store.save().await;
    }
}
