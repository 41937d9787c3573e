//! Stands before all sandbox hosts: passes on, writes down what the service asked them, and lets one call go wrong.
//! How it goes wrong is `fault`'s business; which calls there are is `ways`'.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{SocketAddr, TcpListener as Elsewhere};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use http::Method;
use local::front::Front;
use serde_json::Value;
use shared::clock::Clock;
use shared::provider::ProviderType;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::fault::{Fault, Scene, happen};
use crate::wire::{Message, pass_on, read_request};

/// What stands before the paths of a host's API.
const BASES: [&str; 4] = ["/api/v3", "/api/v4", "/2.0", "/realms/sandbox"];
/// Long enough for a client to see that its idle connections were closed.
const SEEN: Duration = Duration::from_millis(30);
/// Shorter texts are no secrets.
const SECRET: usize = 16;

/// A call of the service's, by what identifies it: `{}` stands for one segment of the path, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) host: ProviderType,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

impl Endpoint {
    pub(crate) fn is(&self, seen: &Seen) -> bool {
        let (wanted, there) = (self.path.split('/'), seen.path.split('/'));
        self.host == seen.host
            && self.method == seen.method
            && wanted.clone().count() == there.clone().count()
            && wanted.zip(there).all(|(wanted, there)| wanted == "{}" || wanted == there)
    }
}

/// A call that came in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) host: ProviderType,
    pub(crate) method: String,
    /// Without what stands before the API's own paths.
    pub(crate) path: String,
}

struct Armed {
    endpoint: Endpoint,
    query: &'static str,
    fault: Fault,
}

struct State {
    armed: Mutex<Option<Armed>>,
    hits: AtomicUsize,
    seen: Mutex<BTreeSet<Seen>>,
    secrets: Mutex<BTreeSet<String>>,
    ports: Mutex<Vec<u16>>,
    clock: OnceLock<Clock>,
    /// Ends what stands still.
    released: watch::Sender<u64>,
    /// Closes what is idle.
    idle: watch::Sender<u64>,
    elsewhere: Elsewhere,
}

/// The fronts of one stack; clones are the same ones.
#[derive(Clone)]
pub(crate) struct Fronts(Arc<State>);

impl fmt::Debug for Fronts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fronts").finish_non_exhaustive()
    }
}

impl Fronts {
    pub(crate) fn new() -> Self {
        let elsewhere = Elsewhere::bind("127.0.0.1:0").expect("a free port");
        elsewhere.set_nonblocking(true).expect("a socket that does not wait");
        Self(Arc::new(State {
            armed: Mutex::default(),
            hits: AtomicUsize::new(0),
            seen: Mutex::default(),
            secrets: Mutex::default(),
            ports: Mutex::default(),
            clock: OnceLock::new(),
            released: watch::Sender::new(0),
            idle: watch::Sender::new(0),
            elsewhere,
        }))
    }

    /// Tells the time by which the hosts' limits end.
    pub(crate) fn keep_time(&self, clock: &Clock) {
        self.0.clock.get_or_init(|| clock.clone());
    }

    /// Lets this call go wrong until it is disarmed, where its query has that text.
    pub(crate) async fn arm(&self, endpoint: Endpoint, query: &'static str, fault: Fault) {
        self.0.hits.store(0, Ordering::SeqCst);
        *self.0.armed.lock().unwrap() = Some(Armed { endpoint, query, fault });
        if fault == Fault::IdleClosed {
            self.0.idle.send_modify(|times| *times += 1);
            tokio::time::sleep(SEEN).await;
        }
    }

    /// Lets everything go right again; tells how often it went wrong.
    pub(crate) fn disarm(&self) -> usize {
        *self.0.armed.lock().unwrap() = None;
        self.0.released.send_modify(|times| *times += 1);
        self.0.hits.load(Ordering::SeqCst)
    }

    /// What the service has asked the hosts so far.
    pub(crate) fn seen(&self) -> BTreeSet<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// Every token and secret that went to a host or came from one.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        self.0.secrets.lock().unwrap().clone()
    }

    /// The ports of the hosts, and that of the one that is none of them.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let mut ports = self.0.ports.lock().unwrap().clone();
        ports.push(self.elsewhere().port());
        ports
    }

    /// Where nobody may be led to.
    pub(crate) fn elsewhere(&self) -> SocketAddr {
        self.0.elsewhere.local_addr().expect("an address")
    }

    /// Whether somebody was led there.
    pub(crate) fn was_left(&self) -> bool {
        self.0.elsewhere.accept().is_ok()
    }

    async fn serve(self, host: ProviderType, mut stream: TcpStream, sandbox: SocketAddr) {
        let mut buffer = Vec::new();
        let (mut idle, mut released) = (self.0.idle.subscribe(), self.0.released.subscribe());
        // A connection that breaks is what it is there for.
        let _ = stream.set_nodelay(true);
        loop {
            let request = tokio::select! {
                request = read_request(&mut stream, &mut buffer) => request,
                _ = idle.changed() => return,
            };
            let Ok(Some(request)) = request else { return };
            let fault = self.note(host, &request);
            released.mark_unchanged();
            let now = self.0.clock.get().map_or(0, Clock::unix);
            let goes_on = match fault {
                None => match pass_on(sandbox, &request).await {
                    Ok(answer) => {
                        self.learn(&answer);
                        stream.write_all(&answer.bytes()).await.map(|()| true)
                    }
                    Err(error) => Err(error),
                },
                Some(fault) => {
                    let scene = Scene { request: &request, sandbox, elsewhere: self.elsewhere(), now };
                    tokio::select! {
                        happened = happen(fault, &mut stream, scene) => happened,
                        _ = released.changed() => return,
                    }
                }
            };
            if !goes_on.unwrap_or(false) {
                return;
            }
        }
    }

    /// Writes a request down if it is the service's; tells what goes wrong with it.
    fn note(&self, host: ProviderType, request: &Message) -> Option<Fault> {
        if !request.header("user-agent").is_some_and(|agent| agent.starts_with("git-installations/")) {
            return None;
        }
        let mut words = request.start.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = BASES.iter().find_map(|base| path.strip_prefix(base)).unwrap_or(path);
        let seen = Seen { host, method: method.to_owned(), path: path.to_owned() };
        // Opening a connection ahead of the first call asks for nothing.
        if method != Method::HEAD.as_str() {
            self.0.seen.lock().unwrap().insert(seen.clone());
        }
        let secret = request.header("authorization").and_then(|value| value.split(' ').nth(1));
        self.learn_secret(secret);
        let armed = self.0.armed.lock().unwrap();
        let armed = armed.as_ref().filter(|armed| armed.endpoint.is(&seen) && query.contains(armed.query))?;
        self.0.hits.fetch_add(1, Ordering::SeqCst);
        Some(armed.fault)
    }

    fn learn(&self, answer: &Message) {
        let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(&answer.body) else { return };
        for name in ["access_token", "refresh_token", "id_token", "token"] {
            self.learn_secret(fields.get(name).and_then(Value::as_str));
        }
    }

    fn learn_secret(&self, secret: Option<&str>) {
        if let Some(secret) = secret.filter(|secret| secret.len() >= SECRET) {
            self.0.secrets.lock().unwrap().insert(secret.to_owned());
        }
    }
}

impl Front for Fronts {
    fn stand_before(&self, host: ProviderType, public: TcpListener, sandbox: SocketAddr) {
        self.0.ports.lock().unwrap().push(public.local_addr().expect("an address").port());
        let fronts = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = public.accept().await {
                tokio::spawn(fronts.clone().serve(host, stream, sandbox));
            }
        });
    }
}
