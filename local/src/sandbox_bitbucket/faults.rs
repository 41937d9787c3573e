//! Failures that a test asks for, and the record of the calls that came in.
//! What Bitbucket answers by its own rules lives in `answers` and the endpoints.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

/// How a caller proved itself, without the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationKind {
    /// No `Authorization` header.
    None,
    /// A name and a secret.
    Basic,
    /// A token by itself.
    Bearer,
    /// Anything else.
    Other,
}

/// One request that reached the sandbox.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, without `/2.0` for calls of the REST API.
    pub path: String,
    /// The query as it was sent, without its question mark; empty if there was none.
    pub query: String,
    /// What was answered; `None` if the caller left before.
    pub status: Option<StatusCode>,
    /// How the caller proved itself.
    pub authorization: AuthorizationKind,
    /// When it came in, in milliseconds since the Unix epoch by the sandbox's clock.
    pub at: u64,
    /// How many calls were being answered when it came in, this one included.
    pub in_flight: usize,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// 401 as for a token that is invalid, expired, or not supported.
    Unauthorized,
    /// 403 whose `detail` is an object that lists scopes.
    MissingScope,
    /// 404.
    NotFound,
    /// 410 as of an endpoint that was removed.
    Gone,
    /// 400 `Invalid pagelen`.
    InvalidPagelen,
    /// 429 without a body and without `retry-after`.
    TooManyRequests,
    /// This status with an HTML page, as a proxy in front of Bitbucket would say it.
    Html(StatusCode),
    /// Any status and body.
    Answer {
        /// The status.
        status: StatusCode,
        /// The body, sent as JSON.
        body: String,
    },
    /// Any status, headers and body, as given.
    Whole {
        /// The status.
        status: StatusCode,
        /// The headers, the type of the body among them.
        headers: HeaderMap,
        /// The body.
        body: String,
    },
    /// The real answer, but its JSON ends in the middle.
    TruncatedJson,
    /// The real answer, after so long a silence.
    Stall(Duration),
    /// The real answer with this `next` in place of its own.
    Next(String),
    /// The real answer, whose `next` is the address that was asked for.
    NextLoop,
}

/// A failure to inject with [`super::SandboxBitbucket::fail`].
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which paths it is for, as in [`Call::path`]: all that start so.
    pub path: String,
    /// Only requests whose query contains this.
    pub query_contains: Option<String>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many requests it is for; `None`: all, until [`super::SandboxBitbucket::clear_faults`].
    pub times: Option<usize>,
}

impl Fault {
    /// A fault of every path that starts so.
    #[must_use]
    pub fn under(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), query_contains: None, kind, times: None }
    }

    /// Only for the next `times` requests that match.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only for requests whose query contains this text, such as `page=2`.
    #[must_use]
    pub fn where_query(self, contains: &str) -> Self {
        Self { query_contains: Some(contains.to_owned()), ..self }
    }

    fn matches(&self, path: &str, query: &str) -> bool {
        self.times != Some(0)
            && path.starts_with(self.path.as_str())
            && self.query_contains.as_ref().is_none_or(|part| query.contains(part.as_str()))
    }
}

/// The fault that is next for this request, used up by one.
pub(super) fn take(faults: &mut [Fault], path: &str, query: &str) -> Option<FaultKind> {
    let fault = faults.iter_mut().find(|fault| fault.matches(path, query))?;
    if let Some(times) = &mut fault.times {
        *times = times.saturating_sub(1);
    }
    Some(fault.kind.clone())
}
