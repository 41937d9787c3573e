//! The sandbox GitHub: a model of a world, served over HTTP as GitHub serves it, strict where GitHub is strict.
//! Here are its start and its handle; each rule lives in the module that is named after it.

mod access;
mod answers;
mod app_rest;
mod asking;
mod authorize_page;
mod between_calls;
mod changes;
pub(crate) mod connection;
pub(crate) mod console;
mod console_api;
mod console_page;
mod deliveries;
mod delivery_faults;
mod faults;
mod hook_handle;
mod hook_rest;
mod hookshot;
pub(crate) mod html;
mod install_page;
mod journal;
mod json;
mod jwt;
mod limits;
mod oauth;
mod objects;
mod payloads;
mod persistence;
mod repository_object;
mod rest;
mod scenes;
mod serve;
mod state;
mod tokens;
mod world;

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::clock::{Clock, NoEntropy};
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::front::Place;

pub use authorize_page::{AuthorizeError, AuthorizeRequest};
pub use deliveries::Delivery;
pub use delivery_faults::{DeliveryFaults, HowMany};
pub use faults::{AuthorizationKind, Call, Fault, FaultKind, PathPattern};
pub use hookshot::{SignedDelivery, webhook_signature};
pub use jwt::PublicKeyError;
pub use persistence::StateFileError;
pub use scenes::demo_world;
pub use tokens::{REFRESH_TOKEN_LIFE, USER_TOKEN_LIFE, UserTokens};
pub use world::{
    Access, AccountId, App, Enterprise, EnterpriseId, Installation, InstallationId, Membership,
    MembershipState, Organization, Repository, RepositoryId, Role, Selection, Suspension, Target, User,
    Visibility, World,
};

use connection::{Allowance, Door};
use state::{Store, lock};

/// Where the REST API begins, as on a GitHub Enterprise Server.
const API_BASE: &str = "/api/v3";
/// How many calls are remembered; the oldest are forgotten.
const REMEMBERED_CALLS: usize = 20_000;
/// How long [`SandboxGithub::stop`] waits for answers that are under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// The App, as it was registered. What is given at the start wins over what a state file remembers.
#[derive(Clone)]
pub struct AppRegistration {
    /// The App's number.
    pub app_id: u64,
    /// Its OAuth client id.
    pub client_id: String,
    /// Its OAuth client secret.
    pub client_secret: String,
    /// Its name in URLs.
    pub slug: String,
    /// The public half of its key, as PEM: SPKI or PKCS#1.
    pub public_key_pem: Vec<u8>,
    /// Where the web flow may return to; compared exactly.
    pub callback_urls: Vec<String>,
    /// Where an installation returns to.
    pub setup_url: String,
    /// Where webhooks go; `None`: they wait.
    pub webhook_url: Option<String>,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// The hook's number.
    pub hook_id: u64,
}

impl fmt::Debug for AppRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppRegistration")
            .field("app_id", &self.app_id)
            .field("client_id", &self.client_id)
            .field("slug", &self.slug)
            .finish_non_exhaustive()
    }
}

/// How the sandbox behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a call of the API or of the token endpoint takes, its way there and back; pages for people come at once.
    pub latency: Duration,
    /// GitHub's time: tokens, limits and the `Date` header go by it. A clock of its own makes a skew.
    pub clock: Clock,
    /// Where the state is kept; `None`: it ends with the process.
    pub state_file: Option<PathBuf>,
    /// The App.
    pub app: AppRegistration,
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("the sandbox GitHub's listener has no address: {0}")]
    Listener(#[from] std::io::Error),
    /// The App's public key cannot be read.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// There is no HTTP client to send webhooks with.
    #[error("the sandbox GitHub cannot send webhooks: {0}")]
    Hookshot(#[from] reqwest::Error),
    /// The state file cannot be read or is damaged.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
}

/// Why no tokens were minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Nobody has that login.
    #[error("nobody in the sandbox GitHub has the login {0:?}")]
    UnknownLogin(String),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Everything that the handlers share.
#[derive(Debug)]
struct Github {
    latency: Duration,
    clock: Clock,
    app: AppRegistration,
    key: jwt::PublicKey,
    web_url: String,
    store: Arc<Store>,
    hookshot: hookshot::Hookshot,
    calls: Mutex<VecDeque<Call>>,
    faults: Mutex<Vec<Fault>>,
    between_calls: Mutex<between_calls::BetweenCalls>,
    in_flight: AtomicUsize,
    answered: AtomicU64,
}

#[derive(Debug)]
struct Tasks {
    server: JoinHandle<()>,
    saver: JoinHandle<()>,
    deliverer: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

/// A running sandbox GitHub; clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct SandboxGithub {
    github: Arc<Github>,
    tasks: Arc<Mutex<Option<Tasks>>>,
}

impl SandboxGithub {
    /// Serves a world on a listener. If `options.state_file` exists, its world goes on instead.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the key, the file or the listener.
    pub async fn start(listener: TcpListener, world: World, options: Options) -> Result<Self, StartError> {
        Self::start_at(listener.try_into()?, world, options).await
    }

    /// The same at a place that may be behind another address.
    ///
    /// # Errors
    /// As [`SandboxGithub::start`].
    pub async fn start_at(place: Place, world: World, options: Options) -> Result<Self, StartError> {
        let Place { listener, port } = place;
        let key = jwt::PublicKey::from_pem(&options.app.public_key_pem)?;
        let store = Arc::new(Store::open(world, options.state_file)?);
        let hookshot = hookshot::Hookshot::new(&options.app)?;
        let github = Arc::new(Github {
            latency: options.latency,
            clock: options.clock,
            app: options.app,
            key,
            web_url: format!("http://localhost:{port}"),
            store: Arc::clone(&store),
            hookshot,
            calls: Mutex::default(),
            faults: Mutex::default(),
            between_calls: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
        });
        store.save().await;
        let (stopping, mut stopped) = watch::channel(false);
        let service = serve::router(Arc::clone(&github)).into_make_service_with_connect_info::<Allowance>();
        let server = tokio::spawn(async move {
            let stopped = async move {
                // An error means that every handle is gone; the sandbox then runs as long as its runtime.
                if stopped.wait_for(|stopping| *stopping).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if let Err(error) = axum::serve(Door(listener), service).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the sandbox GitHub stopped serving");
            }
        });
        let saver = tokio::spawn(store.keep_saving());
        let deliverer = tokio::spawn(Arc::clone(&github).keep_delivering());
        Ok(Self { github, tasks: Arc::new(Mutex::new(Some(Tasks { server, saver, deliverer, stopping }))) })
    }

    /// The REST API's base, for `GITHUB_API_URL`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}{API_BASE}", self.github.web_url)
    }

    /// The web site's base, for `GITHUB_WEB_URL`.
    #[must_use]
    pub fn web_url(&self) -> String {
        self.github.web_url.clone()
    }

    /// Looks at the world or changes it; changes are dated by the sandbox's clock, saved, and told by webhooks.
    pub fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        self.github.change(f)
    }

    /// Tokens of a user, as the web flow would hand them out.
    ///
    /// # Panics
    /// If nobody has that login; [`SandboxGithub::try_mint_user_token`] says so instead.
    #[must_use]
    pub fn mint_user_token(&self, login: &str) -> UserTokens {
        match self.try_mint_user_token(login) {
            Ok(tokens) => tokens,
            Err(error) => panic!("{error}"),
        }
    }

    /// Tokens of a user, as the web flow would hand them out.
    ///
    /// # Errors
    /// [`MintError`] if nobody has that login.
    pub fn try_mint_user_token(&self, login: &str) -> Result<UserTokens, MintError> {
        let mut state = self.github.store.lock();
        let unknown = || MintError::UnknownLogin(login.to_owned());
        let user = state.world().user(login).ok_or_else(unknown)?.id;
        Ok(state.change_tokens().issue_pair(user, self.github.clock.unix())?)
    }

    /// Revokes all that a user granted to the App, as the user can in GitHub's settings.
    pub fn revoke_grant(&self, login: &str) {
        let mut state = self.github.store.lock();
        if let Some(user) = state.world().user(login).map(|user| user.id) {
            self.github.revoke(&mut state, user);
        }
    }

    /// What the authorize page does when a user is chosen: the address to go back to, with `code` and `state`.
    ///
    /// # Errors
    /// [`AuthorizeError`] for what the page would refuse.
    pub fn authorize(&self, login: &str, request: &AuthorizeRequest) -> Result<String, AuthorizeError> {
        authorize_page::authorize(&self.github, login, request)
    }

    /// The calls that came in, in the order in which they were answered.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.github.calls).iter().cloned().collect()
    }

    /// Forgets the calls.
    pub fn clear_calls(&self) {
        lock(&self.github.calls).clear();
    }

    /// Makes something go wrong. Of several faults that match, the oldest is taken.
    pub fn fail(&self, fault: Fault) {
        lock(&self.github.faults).push(fault);
    }

    /// Lets everything go right again.
    pub fn clear_faults(&self) {
        lock(&self.github.faults).clear();
    }

    /// Starts all rate limits anew.
    pub fn reset_rate_limits(&self) {
        self.github.store.lock().count().clear();
    }

    /// Stops serving, and saves.
    pub async fn stop(self) {
        let tasks = lock(&self.tasks).take();
        if let Some(Tasks { mut server, saver, deliverer, stopping }) = tasks {
            stopping.send_replace(true);
            if tokio::time::timeout(PATIENCE, &mut server).await.is_err() {
                server.abort();
            }
            deliverer.abort();
            saver.abort();
        }
        self.github.store.save().await;
    }
}

impl Github {
    /// A time as GitHub writes it, so many seconds from now.
    fn timestamp(&self, seconds: i64) -> String {
        (self.clock.now() + time::Duration::seconds(seconds)).format(&Rfc3339).unwrap_or_default()
    }
}
