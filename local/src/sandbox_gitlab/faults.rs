//! Failures that a test asks for, and the record of the calls that came in.
//! What GitLab answers by its own rules lives in `answers` and the endpoints.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

/// One request that reached the sandbox.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path as it was sent, without the instance's own and without `/api/v4` for calls of the REST API.
    pub path: String,
    /// The query as it was sent, without its question mark; empty if there was none.
    pub query: String,
    /// What was answered.
    pub status: StatusCode,
    /// How many calls were being answered when it came in, this one included.
    pub in_flight: usize,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// Any status, headers and body, as given.
    Answer {
        /// The status.
        status: StatusCode,
        /// Headers beside those that every answer has.
        headers: HeaderMap,
        /// The body.
        body: String,
    },
    /// 429 of the limit of all requests: plain text, `Retry-After` and `RateLimit-*`.
    Throttled {
        /// Seconds until the limit ends.
        retry_after: u64,
    },
    /// 429 of an endpoint's own limit: JSON, and no headers.
    EndpointLimit,
    /// A plain status with GitLab's body for it: 401, 403 (the scope), 404, 500 and above (HTML)...
    Status(StatusCode),
    /// 200 with an HTML page where JSON is expected.
    Html,
    /// The real answer, but its JSON ends in the middle.
    TruncatedJson,
    /// The real answer, after so long a silence.
    Stall(Duration),
    /// The real answer with this `Link` header in place of its own, and without `x-next-page`.
    Link(String),
    /// The real answer without anything about further pages.
    Unpaged,
}

/// A failure to inject with [`super::SandboxGitlab::fail`].
#[derive(Clone, Debug)]
pub struct Fault {
    method: Option<Method>,
    path: String,
    is_prefix: bool,
    query_contains: Option<String>,
    kind: FaultKind,
    times: Option<usize>,
}

impl Fault {
    /// A fault of every GET of exactly this path, as in [`Call::path`].
    #[must_use]
    pub fn get(path: &str, kind: FaultKind) -> Self {
        let (method, path) = (Some(Method::GET), path.to_owned());
        Self { method, path, is_prefix: false, query_contains: None, kind, times: None }
    }

    /// A fault of every POST of exactly this path.
    #[must_use]
    pub fn post(path: &str, kind: FaultKind) -> Self {
        Self { method: Some(Method::POST), ..Self::get(path, kind) }
    }

    /// A fault of every method on every path that starts so.
    #[must_use]
    pub fn under(prefix: &str, kind: FaultKind) -> Self {
        Self { method: None, is_prefix: true, ..Self::get(prefix, kind) }
    }

    /// Only for the next `times` requests that match.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only for requests whose query has this text, such as `&page=2`.
    #[must_use]
    pub fn where_query(self, contains: &str) -> Self {
        Self { query_contains: Some(contains.to_owned()), ..self }
    }

    fn matches(&self, method: &Method, path: &str, query: &str) -> bool {
        self.times != Some(0)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && if self.is_prefix { path.starts_with(&self.path) } else { path == self.path }
            && self.query_contains.as_ref().is_none_or(|part| query.contains(part.as_str()))
    }
}

/// The fault that is next for this request, used up by one.
pub(super) fn take(faults: &mut [Fault], method: &Method, path: &str, query: &str) -> Option<FaultKind> {
    let fault = faults.iter_mut().find(|fault| fault.matches(method, path, query))?;
    fault.times = fault.times.map(|times| times.saturating_sub(1));
    Some(fault.kind.clone())
}
