//! Failures that a test asks for, and the record of the calls that came in.
//! What the provider answers by its own rules lives in `answers` and the endpoints.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

/// One request that reached the sandbox.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path as it was sent, without `/realms/sandbox`.
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
    /// A plain status with a body as a proxy would write it.
    Status(StatusCode),
    /// 302 to another address.
    Redirect(String),
    /// 200 with an HTML page where JSON is expected.
    Html,
    /// The real answer, but its JSON ends in the middle.
    TruncatedJson,
    /// The real answer, after so long a silence.
    Stall(Duration),
    /// The request is carried out, and its connection closed without an answer.
    Drop,
}

/// A failure to inject with [`super::SandboxOpenid::fail`].
#[derive(Clone, Debug)]
pub struct Fault {
    method: Option<Method>,
    path: String,
    is_prefix: bool,
    kind: FaultKind,
    times: Option<usize>,
}

impl Fault {
    /// A fault of every GET of exactly this path, as in [`Call::path`].
    #[must_use]
    pub fn get(path: &str, kind: FaultKind) -> Self {
        let (method, path) = (Some(Method::GET), path.to_owned());
        Self { method, path, is_prefix: false, kind, times: None }
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

    fn matches(&self, method: &Method, path: &str) -> bool {
        self.times != Some(0)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && if self.is_prefix { path.starts_with(&self.path) } else { path == self.path }
    }
}

/// The fault that is next for this request, used up by one.
pub(super) fn take(faults: &mut [Fault], method: &Method, path: &str) -> Option<FaultKind> {
    let fault = faults.iter_mut().find(|fault| fault.matches(method, path))?;
    fault.times = fault.times.map(|times| times.saturating_sub(1));
    Some(fault.kind.clone())
}
