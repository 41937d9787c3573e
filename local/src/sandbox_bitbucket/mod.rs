//! The sandbox Bitbucket: a model of a world, served over HTTP as Bitbucket Cloud serves it in 2026, strict where
//! Bitbucket is strict. Here are its start and its handle; each rule lives in the module that is named after it.

mod answers;
mod asking;
mod authorize_page;
mod faults;
mod html;
mod oauth;
mod objects;
mod rest;
mod scenes;
mod serve;
mod tokens;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::serve::ListenerExt as _;
use shared::clock::{Clock, NoEntropy};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::front::Place;

pub use authorize_page::{AuthorizeError, AuthorizeRequest};
pub use faults::{AuthorizationKind, Call, Fault, FaultKind};
pub use scenes::demo_world;
pub use tokens::{ACCESS_TOKEN_LIFE, REFRESH_TOKEN_LIFE, Scope, UserTokens};
pub use world::{Access, Paging, RefreshRule, Repository, User, Workspace, World, timestamp};

/// Where the REST API begins.
const API_BASE: &str = "/2.0";
/// How many calls are remembered; the oldest are forgotten.
const REMEMBERED_CALLS: usize = 20_000;
/// How long [`SandboxBitbucket::stop`] waits for answers that are under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// The OAuth consumer, as it was registered.
#[derive(Clone)]
pub struct OauthConsumer {
    /// Its key.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where the web flow may return to; compared exactly.
    pub callback_urls: Vec<String>,
}

impl fmt::Debug for OauthConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthConsumer").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// How the sandbox behaves; what may change while it runs is in its [`World`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Waited before every answer of the API and of the token endpoint, not before pages for people.
    pub latency: Duration,
    /// Bitbucket's time: tokens, limits and the `Date` header go by it. A clock of its own makes a skew.
    pub clock: Clock,
    /// The OAuth consumer.
    pub client: OauthConsumer,
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("the sandbox Bitbucket's listener has no address: {0}")]
    Listener(#[from] std::io::Error),
}

/// Why no tokens were minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Nobody has that login, or no workspace that slug.
    #[error("nobody and nothing in the sandbox Bitbucket has the name {0:?}")]
    Unknown(String),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// What changes while the sandbox runs.
#[derive(Debug)]
struct State {
    world: World,
    tokens: tokens::Tokens,
    /// When each caller asked for repositories in the last hour.
    counted: BTreeMap<String, VecDeque<i64>>,
}

/// Everything that the handlers share.
#[derive(Debug)]
struct Bitbucket {
    latency: Duration,
    clock: Clock,
    client: OauthConsumer,
    web_url: String,
    state: Mutex<State>,
    calls: Mutex<VecDeque<Call>>,
    faults: Mutex<Vec<Fault>>,
    in_flight: AtomicUsize,
}

impl Bitbucket {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// What a panicking test leaves behind is still the world.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Server {
    task: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

/// A running sandbox Bitbucket; clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct SandboxBitbucket {
    bitbucket: Arc<Bitbucket>,
    server: Arc<Mutex<Option<Server>>>,
}

impl SandboxBitbucket {
    /// Serves a world on a listener.
    ///
    /// # Errors
    /// [`StartError`] if the listener has no address.
    pub async fn start(listener: TcpListener, world: World, options: Options) -> Result<Self, StartError> {
        Self::start_at(listener.try_into()?, world, options).await
    }

    /// The same at a place that may be behind another address.
    ///
    /// # Errors
    /// As [`SandboxBitbucket::start`].
    pub async fn start_at(place: Place, world: World, options: Options) -> Result<Self, StartError> {
        let Place { listener, port } = place;
        let state = State { world, tokens: tokens::Tokens::default(), counted: BTreeMap::new() };
        let bitbucket = Arc::new(Bitbucket {
            latency: options.latency,
            clock: options.clock,
            client: options.client,
            web_url: format!("http://localhost:{port}"),
            state: Mutex::new(state),
            calls: Mutex::default(),
            faults: Mutex::default(),
            in_flight: AtomicUsize::new(0),
        });
        let (stopping, mut stopped) = watch::channel(false);
        let router = serve::router(Arc::clone(&bitbucket));
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "the sandbox cannot set TCP_NODELAY");
            }
        });
        let task = tokio::spawn(async move {
            let stopped = async move {
                // An error means that every handle is gone; the sandbox then runs as long as its runtime.
                if stopped.wait_for(|stopping| *stopping).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the sandbox Bitbucket stopped serving");
            }
        });
        Ok(Self { bitbucket, server: Arc::new(Mutex::new(Some(Server { task, stopping }))) })
    }

    /// The REST API's base, for `BITBUCKET_API_URL`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}{API_BASE}", self.bitbucket.web_url)
    }

    /// The web site's base, for `BITBUCKET_WEB_URL`.
    #[must_use]
    pub fn web_url(&self) -> String {
        self.bitbucket.web_url.clone()
    }

    /// Looks at the world or changes it.
    pub fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.bitbucket.lock().world)
    }

    /// OAuth tokens of a user, as the web flow would hand them out.
    ///
    /// # Panics
    /// If nobody has that login; [`SandboxBitbucket::try_mint_user_token`] says so instead.
    #[must_use]
    pub fn mint_user_token(&self, login: &str) -> UserTokens {
        match self.try_mint_user_token(login) {
            Ok(tokens) => tokens,
            Err(error) => panic!("{error}"),
        }
    }

    /// OAuth tokens of a user, as the web flow would hand them out.
    ///
    /// # Errors
    /// [`MintError`] if nobody has that login.
    pub fn try_mint_user_token(&self, login: &str) -> Result<UserTokens, MintError> {
        let mut state = self.bitbucket.lock();
        let uuid = user_uuid(&state, login)?;
        Ok(state.tokens.issue(&uuid, self.bitbucket.clock.unix())?)
    }

    /// An API token of a user with these scopes, in the form `email:token` in which it is used.
    ///
    /// # Errors
    /// [`MintError`] if nobody has that login.
    pub fn try_mint_api_token(&self, login: &str, scopes: &[Scope]) -> Result<String, MintError> {
        let mut state = self.bitbucket.lock();
        let user = state.world.user(login).ok_or_else(|| MintError::Unknown(login.to_owned()))?;
        let (uuid, email) = (user.uuid.clone(), user.email.clone());
        Ok(format!("{email}:{}", state.tokens.issue_api(&uuid, scopes)?))
    }

    /// An access token of a workspace, which belongs to no user.
    ///
    /// # Errors
    /// [`MintError`] if there is no such workspace.
    pub fn try_mint_workspace_token(&self, slug: &str) -> Result<String, MintError> {
        let mut state = self.bitbucket.lock();
        let workspace = state.world.workspace(slug).ok_or_else(|| MintError::Unknown(slug.to_owned()))?;
        let uuid = workspace.uuid.clone();
        Ok(state.tokens.issue_workspace(&uuid)?)
    }

    /// Revokes all that a user granted to the OAuth consumer, as the user can in Bitbucket's settings.
    pub fn revoke_grant(&self, login: &str) {
        let mut state = self.bitbucket.lock();
        if let Ok(uuid) = user_uuid(&state, login) {
            state.tokens.revoke_grant(&uuid);
        }
    }

    /// What the authorize page does when a user is chosen: the address to go back to, with `code` and `state`.
    ///
    /// # Errors
    /// [`AuthorizeError`] for what the page would refuse.
    pub fn authorize(&self, login: &str, request: &AuthorizeRequest) -> Result<String, AuthorizeError> {
        authorize_page::authorize(&self.bitbucket, login, request)
    }

    /// The calls that came in, in the order in which they were answered.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.bitbucket.calls).iter().cloned().collect()
    }

    /// Forgets the calls.
    pub fn clear_calls(&self) {
        lock(&self.bitbucket.calls).clear();
    }

    /// Makes something go wrong. Of several faults that match, the oldest is taken.
    pub fn fail(&self, fault: Fault) {
        lock(&self.bitbucket.faults).push(fault);
    }

    /// Lets everything go right again.
    pub fn clear_faults(&self) {
        lock(&self.bitbucket.faults).clear();
    }

    /// Starts all rate limits anew.
    pub fn reset_rate_limits(&self) {
        self.bitbucket.lock().counted.clear();
    }

    /// Stops serving.
    pub async fn stop(self) {
        let server = lock(&self.server).take();
        if let Some(Server { mut task, stopping }) = server {
            stopping.send_replace(true);
            if tokio::time::timeout(PATIENCE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

fn user_uuid(state: &State, login: &str) -> Result<String, MintError> {
    let user = state.world.user(login).ok_or_else(|| MintError::Unknown(login.to_owned()))?;
    Ok(user.uuid.clone())
}
