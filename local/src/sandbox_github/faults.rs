//! Failures that a test asks for, and the record of the calls that came in.
//! What GitHub answers by its own rules lives in `answers` and the endpoints.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

/// How a caller proved itself, without the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationKind {
    /// No `Authorization` header.
    None,
    /// A user access token (`ghu_`).
    User,
    /// An installation access token (`ghs_`).
    Installation,
    /// A JSON web token, valid or not.
    Jwt,
    /// A client id and secret.
    Basic,
    /// Anything else.
    Other,
}

/// One request that reached the sandbox.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, without `/api/v3` for calls of the REST API.
    pub path: String,
    /// The query as it was sent, without its question mark; empty if there was none.
    pub query: String,
    /// What was answered; `None` if the connection was closed instead.
    pub status: Option<StatusCode>,
    /// How the caller proved itself.
    pub authorization: AuthorizationKind,
    /// Whether the request was conditional (`If-None-Match`).
    pub conditional: bool,
    /// When it came in, in milliseconds since the Unix epoch by the sandbox's clock.
    pub at: u64,
    /// How many calls were being answered when it came in, this one included.
    pub in_flight: usize,
}

/// Which paths a fault is for; as in [`Call::path`], so without `/api/v3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path only.
    Exact(String),
    /// Every path that starts so.
    Prefix(String),
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
    /// 403 with `x-ratelimit-remaining: 0` and a reset in so many seconds.
    PrimaryRateLimit {
        /// Seconds until the limit is reset.
        reset_in: u64,
    },
    /// 403 of the secondary limit, with `retry-after`.
    SecondaryRateLimit {
        /// The seconds of `retry-after`.
        retry_after: u64,
    },
    /// 429 with `retry-after`.
    TooManyRequests {
        /// The seconds of `retry-after`.
        retry_after: u64,
    },
    /// A plain status with GitHub's body for it: 403, 404, 500, 502 (HTML), 503 (HTML), 504...
    Status(StatusCode),
    /// 200 with an HTML page where JSON is expected.
    Html,
    /// The real answer, but its JSON ends in the middle.
    TruncatedJson,
    /// The real answer, after so long a silence.
    Stall(Duration),
    /// The connection is closed after so many bytes of the real answer; 0: without an answer.
    CutOff {
        /// The bytes that still leave.
        after: usize,
    },
    /// The real answer with this `Link` header in place of its own.
    Link(String),
    /// 302 to this address.
    Redirect(String),
    /// 200 with a JSON string of so many bytes.
    Oversized {
        /// The body's size.
        bytes: usize,
    },
}

/// A failure to inject with [`super::SandboxGithub::fail`].
#[derive(Clone, Debug)]
pub struct Fault {
    /// The method; `None`: any.
    pub method: Option<Method>,
    /// The paths.
    pub path: PathPattern,
    /// Only requests whose query contains this.
    pub query_contains: Option<String>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many requests it is for; `None`: all, until [`super::SandboxGithub::clear_faults`].
    pub times: Option<usize>,
}

impl Fault {
    /// A fault of every GET of exactly this path.
    #[must_use]
    pub fn get(path: &str, kind: FaultKind) -> Self {
        Self {
            method: Some(Method::GET),
            path: PathPattern::Exact(path.to_owned()),
            query_contains: None,
            kind,
            times: None,
        }
    }

    /// A fault of every POST of exactly this path.
    #[must_use]
    pub fn post(path: &str, kind: FaultKind) -> Self {
        Self { method: Some(Method::POST), ..Self::get(path, kind) }
    }

    /// A fault of every method on every path that starts so.
    #[must_use]
    pub fn under(prefix: &str, kind: FaultKind) -> Self {
        Self { method: None, path: PathPattern::Prefix(prefix.to_owned()), ..Self::get("", kind) }
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

    fn matches(&self, method: &Method, path: &str, query: &str) -> bool {
        self.times != Some(0)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && match &self.path {
                PathPattern::Exact(exact) => path == exact,
                PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()),
            }
            && self.query_contains.as_ref().is_none_or(|part| query.contains(part.as_str()))
    }
}

/// The fault that is next for this request, used up by one.
pub(super) fn take(faults: &mut Vec<Fault>, method: &Method, path: &str, query: &str) -> Option<FaultKind> {
    let index = faults.iter().position(|fault| fault.matches(method, path, query))?;
    let fault = &mut faults[index];
    let kind = fault.kind.clone();
    if let Some(times) = &mut fault.times {
        *times = times.saturating_sub(1);
        if *times == 0 {
            faults.remove(index);
        }
    }
    Some(kind)
}
