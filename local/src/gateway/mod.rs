//! API Gateway's HTTP API on this machine: the same events, limits and error texts, over the same handlers.
//! Which routes there are is `template.yaml`'s to say; what they answer is the handlers'.

mod answer;
mod event;
mod invocation;
mod router;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lambda_http::BoxFuture;
use shared::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::template::{Function, Route};
use answer::Refusal;
use router::Router;

/// A function's handler, mounted in process.
pub type Handler = Arc<
    dyn Fn(lambda_http::Request) -> BoxFuture<'static, lambda_http::Response<lambda_http::Body>>
        + Send
        + Sync,
>;

/// API Gateway's limit for a body.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How much of a body that is too long is still read, so that its sender gets to see the answer.
const DISCARD_LIMIT: usize = 8 * BODY_LIMIT;
/// API Gateway's limit for the request line and all header values together.
const HEADER_LIMIT: usize = 10_240;
/// How much of headers that are too long is still read, so that their sender gets to see the answer.
const HEADER_BUFFER: usize = 4 * 1024 * 1024;
/// API Gateway's limit for an integration, and our patience with a sender.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long open connections may take to finish when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);

/// The HTTP API: routes, and the handlers behind them.
#[derive(Clone)]
pub struct Gateway {
    router: Arc<Router>,
    functions: Arc<BTreeMap<String, Function>>,
    clock: Clock,
    integration_timeout: Duration,
}

/// Why a gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A route's function is not mounted.
    #[error("the route {route} needs the function {function}, which has no handler here")]
    NoHandler {
        /// The route's key.
        route: String,
        /// The function's folder.
        function: String,
    },
    /// A handler was mounted that no route leads to.
    #[error("no route of template.yaml leads to the function {0}")]
    NoRoute(String),
    /// A route's path cannot be told from another's, or is malformed.
    #[error("the route {route} cannot be added: {problem}")]
    Route {
        /// The route's key.
        route: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Gateway {
    /// A gateway for these routes; every route needs a handler and every handler a route.
    ///
    /// # Errors
    /// [`GatewayError`], which names the route or function that does not fit.
    pub fn new(routes: &[Route], handlers: HashMap<String, Handler>) -> Result<Self, GatewayError> {
        Ok(Self {
            router: Arc::new(Router::new(routes, handlers)?),
            functions: Arc::default(),
            clock: Clock::system(),
            integration_timeout: TIMEOUT,
        })
    }

    /// Gives every function the timeout that the template gives it.
    #[must_use]
    pub fn with_functions(mut self, functions: &BTreeMap<String, Function>) -> Self {
        self.functions = Arc::new(functions.clone());
        self
    }

    /// Stamps events and deadlines with this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Gives up on a handler after this time instead of API Gateway's 30 seconds.
    #[must_use]
    pub fn with_integration_timeout(mut self, timeout: Duration) -> Self {
        self.integration_timeout = timeout;
        self
    }

    /// Serves these routes until the future is dropped.
    ///
    /// # Errors
    /// [`GatewayError`], as [`Gateway::new`].
    pub async fn serve(
        listener: TcpListener,
        routes: &[Route],
        handlers: HashMap<String, Handler>,
    ) -> Result<(), GatewayError> {
        Self::new(routes, handlers)?.run(listener, std::future::pending()).await;
        Ok(())
    }

    /// Serves until `shutdown` resolves, then lets running requests finish.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        connections.spawn(self.clone().connection(stream, peer, stopped.clone()));
                    }
                    // One client gave up, or too many files are open: neither ends the service for the others.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        stop.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        // What is still open after that is cut off with the set.
        let _ = tokio::time::timeout(DRAIN, drained).await;
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, mut stopped: watch::Receiver<bool>) {
        // Small answers go out at once; a socket that refuses works all the same.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let gateway = self.clone();
            async move { Ok::<_, Infallible>(gateway.answer(request, peer).await) }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).max_buf_size(HEADER_BUFFER).max_headers(HEADER_LIMIT / 4);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let stop = async { stopped.wait_for(|stopped| *stopped).await.is_ok() };
        // A connection that breaks is its client's loss; there is nobody to tell.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn answer(self, request: http::Request<Incoming>, peer: SocketAddr) -> http::Response<Full<Bytes>> {
        match self.invoke(request, peer).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn invoke(
        self,
        request: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<http::Response<Full<Bytes>>, Refusal> {
        let (parts, body) = request.into_parts();
        let body =
            tokio::time::timeout(TIMEOUT, read_body(body)).await.map_err(|_| Refusal::RequestTimeout)??;
        if size_of_headers(&parts) > HEADER_LIMIT {
            return Err(Refusal::HeadersTooLarge);
        }
        let matched = self.router.find(&parts.method, parts.uri.path()).ok_or(Refusal::NotFound)?;
        let stamp = event::Stamp::new(&self.clock).map_err(|_| Refusal::Internal)?;
        let event = event::build(&parts, &body, peer, &matched, &stamp).ok_or(Refusal::BadRequest)?;
        let function_timeout =
            self.functions.get(&matched.route.function).map_or(TIMEOUT, |function| function.timeout);
        let context = invocation::context(&stamp, &matched.route.function, function_timeout);
        let handler = Arc::clone(matched.handler);
        let mut task = tokio::spawn(invocation::invoke(handler, event, context));
        let limit = self.integration_timeout.min(function_timeout);
        let Ok(joined) = tokio::time::timeout(limit, &mut task).await else {
            task.abort();
            // A function that runs out of its own time is a fault; one that outlives the API is unavailable.
            let own = function_timeout < self.integration_timeout;
            return Err(if own { Refusal::Internal } else { Refusal::Unavailable });
        };
        // The only join error of a task that was not aborted is a panic.
        let answered = joined.map_err(|_| Refusal::Internal)?.ok_or(Refusal::Internal)?;
        answer::from_function(&answered, &stamp.request_id).ok_or(Refusal::Internal)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("router", &self.router).finish_non_exhaustive()
    }
}

/// The whole body, or [`Refusal::BodyTooLong`] once its end was seen.
async fn read_body(mut body: Incoming) -> Result<Bytes, Refusal> {
    let mut collected = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BadRequest)?.into_data() else { continue };
        length += data.len();
        if length <= BODY_LIMIT {
            collected.extend_from_slice(&data);
        } else if length > DISCARD_LIMIT {
            break;
        }
    }
    if length > BODY_LIMIT { Err(Refusal::BodyTooLong) } else { Ok(collected.freeze()) }
}

fn size_of_headers(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    line + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

#[cfg(test)]
mod tests;
