//! The sandbox OpenID provider with a broker: a realm as Keycloak serves one, strict where Keycloak is strict. Here is
//! its start; what tests do with it is in `handle`, and each rule lives in the module that is named after it.

mod answers;
mod auth_page;
mod backchannel;
mod broker;
mod console;
mod documents;
mod faults;
mod handle;
mod id_token;
mod jwt;
mod keys;
mod logout;
mod serve;
mod sessions;
mod state;
mod token;
mod world;

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::StatusCode;
use shared::clock::{Clock, NoEntropy};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use auth_page::{AuthorizeError, AuthorizeRequest};
pub use backchannel::LogoutError;
pub use broker::{Broker, HostTokens};
pub use faults::{Call, Fault, FaultKind};
pub use handle::{AnswerIss, OfflineAccess};
pub use id_token::IdTokenChange;
pub use keys::{Algorithm, KeyError, OldKeys};
pub use state::{StateFileError, last_port};
pub use world::{IdentityProvider, ProviderKind, SAML_ALIAS, User, World, demo_world};

use handle::Switches;
use state::{Store, lock};

use crate::front::Place;
use crate::sandbox_github::connection::{Allowance, Door};

/// Seconds that an access token and an ID token live.
pub const ACCESS_TOKEN_LIFE: i64 = 300;
/// The realm's path.
const REALM: &str = "/realms/sandbox";
/// Where its OpenID Connect endpoints begin.
const OIDC: &str = "/protocol/openid-connect";
/// The cookie by which a browser's last session is known at the logout page.
const SESSION_COOKIE: &str = "SANDBOX_SSO_SESSION";
/// How many calls are remembered; the oldest are forgotten.
const REMEMBERED_CALLS: usize = 20_000;
/// How long [`SandboxOpenid::stop`] waits for answers that are under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// A client of the realm, as it was registered.
#[derive(Clone)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where a sign-in may return to; compared exactly.
    pub redirect_uris: Vec<String>,
    /// Where a logout may return to; compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it wants to be told that a session has ended.
    pub backchannel_logout_uri: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// How the sandbox behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The clients.
    pub clients: Vec<Client>,
    /// Where the broker gets its tokens; `None`: it holds none.
    pub broker: Option<Arc<dyn Broker>>,
    /// The provider's time: sessions, tokens and the `Date` header go by it.
    pub clock: Clock,
    /// Waited before every answer to a program, not before pages for people.
    pub latency: Duration,
    /// Where keys, sessions and brokered tokens are kept; `None`: they end with the process.
    pub state_file: Option<PathBuf>,
    /// Seconds that a refresh token, and with it the session, lives without being used.
    pub refresh_token_life: i64,
    /// Seconds after which a session ends in any case.
    pub session_life: i64,
    /// What the broker answers to a bad access token. Keycloak's own sources say 400.
    pub broker_unauthorized: StatusCode,
}

impl Options {
    /// The usual ones: Keycloak's lives, the system's clock, no latency, nothing kept, no broker.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            clients: vec![client],
            broker: None,
            clock: Clock::system(),
            latency: Duration::ZERO,
            state_file: None,
            refresh_token_life: 1_800,
            session_life: 36_000,
            broker_unauthorized: StatusCode::UNAUTHORIZED,
        }
    }
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("the sandbox OpenID provider's listener has no address: {0}")]
    Listener(#[from] std::io::Error),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// There is no HTTP client to send logout tokens with.
    #[error("the sandbox OpenID provider cannot send logout tokens: {0}")]
    Client(#[from] reqwest::Error),
    /// The state file cannot be read or is damaged.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
}

/// Everything that the handlers share.
#[derive(Debug)]
struct Openid {
    clients: Vec<Client>,
    broker: Option<Arc<dyn Broker>>,
    clock: Clock,
    latency: Duration,
    refresh_token_life: i64,
    session_life: i64,
    broker_unauthorized: StatusCode,
    issuer: String,
    store: Arc<Store>,
    http: reqwest::Client,
    switches: Mutex<Switches>,
    calls: Mutex<VecDeque<Call>>,
    faults: Mutex<Vec<Fault>>,
    in_flight: AtomicUsize,
}

impl Openid {
    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.client_id == id)
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        lock(&self.switches)
    }

    /// The `iss` of the answers to a browser (RFC 9207).
    fn answer_issuer(&self) -> Option<String> {
        match &self.switches().answer_iss {
            AnswerIss::Ours => Some(self.issuer.clone()),
            AnswerIss::Other(issuer) => Some(issuer.clone()),
            AnswerIss::Missing => None,
        }
    }
}

#[derive(Debug)]
struct Server {
    task: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

/// A running sandbox OpenID provider; clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct SandboxOpenid {
    openid: Arc<Openid>,
    server: Arc<Mutex<Option<Server>>>,
}

impl SandboxOpenid {
    /// Serves a realm on a listener of 127.0.0.1; what `options.state_file` holds goes on if it exists.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the file, a key or the listener.
    pub async fn start(listener: TcpListener, world: World, options: Options) -> Result<Self, StartError> {
        Self::start_at(listener.try_into()?, world, options).await
    }

    /// The same at a place that may be behind another address.
    ///
    /// # Errors
    /// As [`SandboxOpenid::start`].
    pub async fn start_at(place: Place, world: World, options: Options) -> Result<Self, StartError> {
        let Place { listener, port } = place;
        let openid = Arc::new(Openid {
            clients: options.clients,
            broker: options.broker,
            clock: options.clock,
            latency: options.latency,
            refresh_token_life: options.refresh_token_life,
            session_life: options.session_life,
            broker_unauthorized: options.broker_unauthorized,
            issuer: format!("http://127.0.0.1:{port}{REALM}"),
            store: Arc::new(Store::open(world, options.state_file, port)?),
            http: backchannel::http_client()?,
            switches: Mutex::default(),
            calls: Mutex::default(),
            faults: Mutex::default(),
            in_flight: AtomicUsize::new(0),
        });
        openid.store.save().await;
        let service = serve::router(Arc::clone(&openid)).into_make_service_with_connect_info::<Allowance>();
        let (stopping, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let stopped = async move {
                // An error means that every handle is gone; the sandbox then runs as long as its runtime.
                if stopped.wait_for(|stopping| *stopping).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if let Err(error) = axum::serve(Door(listener), service).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the sandbox OpenID provider stopped serving");
            }
        });
        Ok(Self { openid, server: Arc::new(Mutex::new(Some(Server { task, stopping }))) })
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
        self.openid.store.save().await;
    }
}
