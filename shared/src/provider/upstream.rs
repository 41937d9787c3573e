//! The one HTTP client of the process and the rules for calling a host with it (DESIGN 5):
//! time limits, retries, redirects, body sizes, how many at once. What is called is the providers' business.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::Resolve;
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::{ProviderError, ProviderType};
use crate::record::{CallUnderWay, Record};

/// Time to connect to a host (DESIGN 5).
const CONNECT: Duration = Duration::from_secs(3);
/// Time for one call, body included (DESIGN 5).
const CALL: Duration = Duration::from_secs(10);
/// The largest body that is read from a host. A page of 100 repositories is about 0.6 MB.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// What is made room for at once where the host announces as much: a large page, and no more on a host's word.
const PAGE: usize = 1024 * 1024;
/// How often a failed call is tried again (DESIGN 5).
const RETRIES: usize = 2;
/// Same-origin redirects that are followed; GitHub answers with them after renames.
const MAX_REDIRECTS: usize = 3;

/// The name under which hosts see us; GitHub refuses calls without one.
pub const USER_AGENT: &str = concat!("git-installations/", env!("CARGO_PKG_VERSION"));

/// The client could not be built from the settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate of `EXTRA_CA_PEM` cannot be a root.
    #[error("EXTRA_CA_PEM holds a certificate that cannot be trusted: {0}")]
    ExtraCa(String),
    /// The TLS or HTTP library refused its configuration.
    #[error("the HTTP client cannot be built: {0}")]
    Build(String),
}

/// The process's TLS: rustls with ring, Mozilla's roots compiled in (no parsing at start) plus the
/// operator's own CAs, HTTP/2 where the host has it.
///
/// # Errors
/// [`ClientError`] when a certificate cannot be a root.
pub fn tls_config(extra_ca: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca {
        roots.add(certificate.clone()).map_err(|error| ClientError::ExtraCa(error.to_string()))?;
    }
    let mut tls =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Build(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// Builds the process's HTTP client: no proxy from the environment, redirects on the same origin only.
///
/// # Errors
/// [`ClientError`] when a certificate cannot be a root.
pub fn http_client(extra_ca: &[CertificateDer<'static>]) -> Result<reqwest::Client, ClientError> {
    built(client_builder(extra_ca)?)
}

/// The same, with addresses for names that `resolver` gives.
///
/// # Errors
/// [`ClientError`] when a certificate cannot be a root.
pub fn http_client_resolving<R: Resolve + 'static>(
    extra_ca: &[CertificateDer<'static>],
    resolver: R,
) -> Result<reqwest::Client, ClientError> {
    built(client_builder(extra_ca)?.dns_resolver(resolver))
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|error| ClientError::Build(error.without_url().to_string()))
}

fn client_builder(extra_ca: &[CertificateDer<'static>]) -> Result<reqwest::ClientBuilder, ClientError> {
    let tls = tls_config(extra_ca)?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let same_origin =
                attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
            if same_origin && attempt.previous().len() <= MAX_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        })))
}

/// What one request of ours may spend on hosts: time, and calls at once to each of them. What it has spent is
/// noted in the request's record.
#[derive(Debug)]
pub struct Budget {
    deadline: Instant,
    record: Arc<Record>,
    permits: [Semaphore; ProviderType::ALL.len()],
}

impl Budget {
    /// A budget that ends at `deadline` and allows `concurrency` calls at once to each host.
    #[must_use]
    pub fn new(deadline: Instant, concurrency: usize) -> Self {
        Self {
            deadline,
            record: Arc::default(),
            permits: std::array::from_fn(|_| Semaphore::new(concurrency)),
        }
    }

    /// The same budget, noted there.
    #[must_use]
    pub fn noted_in(self, record: Arc<Record>) -> Self {
        Self { record, ..self }
    }

    /// The same budget, and it ends then.
    #[must_use]
    pub fn ending(self, deadline: Instant) -> Self {
        Self { deadline, ..self }
    }

    /// The record of the request that spends this.
    #[must_use]
    pub const fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// When the whole request must be answered.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// A call to a host.
#[derive(Clone)]
pub struct Call {
    /// Method; only GET is tried again after it may have reached the host.
    pub method: Method,
    /// Address, always on the host's configured origin.
    pub url: Url,
    /// Headers, `Authorization` (marked sensitive) among them.
    pub headers: HeaderMap,
    /// Body, if any.
    pub body: Option<Bytes>,
}

// By hand: headers hold tokens, bodies hold codes and secrets.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({} {})", self.method, self.url.path())
    }
}

/// A host's whole answer.
#[derive(Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed.
    pub body: Bytes,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// A header's text, if it is there and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The process's way to the hosts.
#[derive(Clone, Debug)]
pub struct Upstream {
    http: reqwest::Client,
}

/// What becomes of an answer that came from another address of the host than the one that was called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirected {
    Accepted,
    Refused,
}

/// Why an attempt is not the end: the host's 502, 503 or 504 is an answer all the same if it stays.
enum Attempt {
    Failed { error: ProviderError, retry: bool },
    Gateway(Answer),
}

impl Upstream {
    /// A way to the hosts over `http`.
    #[must_use]
    pub const fn new(http: reqwest::Client) -> Self {
        Self { http }
    }

    /// Makes a call and reads the whole answer, whatever its status.
    ///
    /// Connection errors and 502, 503, 504 are tried again twice, with jitter, within the budget;
    /// for other methods than GET only where the connection was never made, so that nothing happens twice.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`], [`ProviderError::Timeout`], or [`ProviderError::BadResponse`] for a
    /// body over the limit.
    pub async fn call(
        &self,
        provider: ProviderType,
        call: &Call,
        budget: &Budget,
    ) -> Result<Answer, ProviderError> {
        self.call_with(provider, call, Redirected::Accepted, budget).await
    }

    /// [`Upstream::call`] where only that very address may answer, not even another one of the same host.
    ///
    /// # Errors
    /// As [`Upstream::call`], and [`ProviderError::BadResponse`] for what came over a redirect.
    pub async fn call_unredirected(
        &self,
        provider: ProviderType,
        call: &Call,
        budget: &Budget,
    ) -> Result<Answer, ProviderError> {
        self.call_with(provider, call, Redirected::Refused, budget).await
    }

    async fn call_with(
        &self,
        provider: ProviderType,
        call: &Call,
        redirected: Redirected,
        budget: &Budget,
    ) -> Result<Answer, ProviderError> {
        let safe = call.method == Method::GET;
        let retries = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(RETRIES)
            .with_jitter();
        let attempts = (|| self.attempt(provider, call, redirected, budget)).retry(retries).when(|attempt| {
            budget.deadline > Instant::now()
                && match attempt {
                    Attempt::Failed { retry, .. } => *retry,
                    Attempt::Gateway(_) => safe,
                }
        });
        match tokio::time::timeout_at(budget.deadline, attempts).await {
            Ok(Ok(answer) | Err(Attempt::Gateway(answer))) => Ok(answer),
            Ok(Err(Attempt::Failed { error, .. })) => Err(error),
            Err(_) => Err(ProviderError::Timeout),
        }
    }

    async fn attempt(
        &self,
        provider: ProviderType,
        call: &Call,
        redirected: Redirected,
        budget: &Budget,
    ) -> Result<Answer, Attempt> {
        let failed = |error, retry| Attempt::Failed { error, retry };
        let _permit = budget.permits[provider as usize]
            .acquire()
            .await
            .map_err(|_| failed(ProviderError::Timeout, false))?;
        let mut under_way = budget.record.begin(provider, budget.deadline);
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .headers(call.headers.clone())
            .timeout(CALL);
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let send_failed = |error: &reqwest::Error, under_way: &mut CallUnderWay<'_>| {
            under_way.unanswered();
            let retry = error.is_connect() || (call.method == Method::GET && !error.is_timeout());
            failed(
                if error.is_timeout() { ProviderError::Timeout } else { ProviderError::Unreachable },
                retry,
            )
        };
        let mut response = request.send().await.map_err(|error| send_failed(&error, &mut under_way))?;
        under_way.answered(response.status(), id_of(&response));
        if redirected == Redirected::Refused && *response.url() != call.url {
            // Which of the redirects it was, the client does not tell.
            return Err(failed(ProviderError::BadResponse { status: StatusCode::FOUND.as_u16() }, false));
        }
        let status = response.status();
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = BytesMut::with_capacity(announced.unwrap_or_default().min(PAGE));
        while let Some(chunk) = response.chunk().await.map_err(|error| send_failed(&error, &mut under_way))? {
            if body.len() + chunk.len() > MAX_BODY {
                tracing::warn!(provider = provider.as_str(), "a host's body is over the limit");
                return Err(failed(ProviderError::BadResponse { status: status.as_u16() }, false));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        let answer = Answer { status, headers, body: body.freeze() };
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Err(Attempt::Gateway(answer))
            }
            _ => Ok(answer),
        }
    }

    /// Opens a connection to `origin` ahead of the first call; errors are left for that call to report.
    pub async fn connect(&self, origin: &Url) {
        let request = self.http.head(origin.clone()).timeout(Duration::from_millis(500));
        if let Err(error) = request.send().await {
            tracing::debug!(error = %error.without_url(), "no connection ahead of the first call");
        }
    }
}

/// GitHub's id of a call, by which its support finds it.
fn id_of(response: &reqwest::Response) -> Option<&str> {
    response.headers().get("x-github-request-id")?.to_str().ok()
}

#[cfg(test)]
mod tests;
