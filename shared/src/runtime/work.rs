//! One request or one scheduled run from its begin to its end, and what is told of it then: a line of the log and a
//! line of metrics. What happens in between is the handler's business, and noted in its record.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use http::StatusCode;
use lambda_runtime::Context;
use tokio::time::Instant;
use tracing::Level;

use crate::contract;
use crate::failure::Failure;
use crate::metrics::Done;
use crate::record::{Noted, Record};
use crate::service::Service;

/// A piece of work that has begun.
#[derive(Debug)]
pub(super) struct Work {
    what: &'static str,
    function: &'static str,
    route: Option<String>,
    request_id: Option<String>,
    trace_id: Option<String>,
    cold_start: bool,
    started: Instant,
    record: Arc<Record>,
}

/// How it ended.
#[derive(Debug, Default)]
pub(super) struct Ended<'a> {
    /// What the caller is answered; a scheduled run has none.
    pub(super) status: Option<StatusCode>,
    /// What a scheduled run has done.
    pub(super) summary: Option<String>,
    /// Why it could not be done.
    pub(super) failure: Option<&'a Failure>,
}

impl Work {
    /// `what` is a word for the kind of work: a request or a run.
    pub(super) fn begin(
        service: &Service,
        what: &'static str,
        function: &'static str,
        context: Option<&Context>,
    ) -> Self {
        Self {
            what,
            function,
            route: None,
            request_id: None,
            trace_id: context.and_then(|context| trace_id(context.xray_trace_id.as_deref()?)),
            cold_start: service.is_cold(),
            started: Instant::now(),
            record: Arc::default(),
        }
    }

    /// The route and the id under which API Gateway knows it, or the id that Lambda gave it.
    pub(super) fn known_as(self, route: Option<String>, request_id: Option<String>) -> Self {
        Self { route, request_id, ..self }
    }

    pub(super) const fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// What the work comes to; a panic in it is a failure like any other, and the process goes on.
    pub(super) async fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    /// Tells the log and the metrics. Only words of ours, numbers, and the ids of others get into either.
    pub(super) fn end(self, service: &Service, ended: &Ended<'_>) {
        let noted = self.record.so_far();
        let took = self.started.elapsed();
        let failed = match (ended.status, ended.failure) {
            (Some(status), _) => status.is_server_error(),
            (None, failure) => failure.is_some(),
        };
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        service.metrics.done(&Done { function: self.function, failed, millis, hosts: &noted.hosts });
        self.log(ended, millis, &noted);
    }

    fn log(&self, ended: &Ended<'_>, duration_ms: u64, noted: &Noted) {
        let failure = ended.failure.map(ToString::to_string).or_else(|| noted.problem.clone());
        let calls = noted.calls();
        let slowest = noted.slowest();
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let some = |count: u64| (count > 0).then_some(count);
        let (hits, misses) = noted.predicted();
        let ids = Some(noted.github_request_ids.join(" ")).filter(|ids| !ids.is_empty());
        let delivery = noted.delivery.as_ref();
        // A level is a part of the place where a line is written, so each has a place of its own.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    route = self.route,
                    function = self.function,
                    status = ended.status.map(|status| status.as_u16()),
                    duration_ms,
                    caller = self.route.as_ref().map(|_| noted.caller.as_str()),
                    cold_start = self.cold_start,
                    upstream_calls = calls,
                    upstream_ms = (calls > 0).then(|| millis(noted.upstream)),
                    slowest_host = slowest.map(|(host, _)| host.as_str()),
                    slowest_ms = slowest.map(|(_, time)| millis(time)),
                    not_modified = some(noted.not_modified),
                    predicted_etag_hits = some(hits),
                    predicted_etag_misses = some(misses),
                    kept_answers = some(noted.kept_answers),
                    delivery = delivery.map(|delivery| &*delivery.guid),
                    event = delivery.map(|delivery| &*delivery.event),
                    outcome = delivery.map(|delivery| &*delivery.outcome),
                    summary = ended.summary,
                    error = ended.failure.map(contract::code),
                    failure,
                    request_id = self.request_id,
                    trace_id = self.trace_id,
                    github_request_ids = ids,
                    "{}",
                    self.what
                )
            };
        }
        match level(ended.failure, noted) {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}

/// A defect is an error, what another part has not done is a warning, and what a caller does wrong is neither.
fn level(failure: Option<&Failure>, noted: &Noted) -> Level {
    match failure {
        Some(Failure::Internal(_)) => Level::ERROR,
        Some(Failure::Unavailable(_) | Failure::Provider { .. }) => Level::WARN,
        None if noted.problem.is_some() => Level::WARN,
        _ => Level::INFO,
    }
}

/// A panic's own words may quote what a caller has sent; where it happened is told by the panic hook.
fn panicked(_: &(dyn Any + Send)) -> Failure {
    Failure::Internal("the handler panicked".to_owned())
}

/// The part of X-Ray's header that finds the trace: `Root=1-...;Parent=...;Sampled=1`.
fn trace_id(header: &str) -> Option<String> {
    header.split(';').find_map(|part| part.trim().strip_prefix("Root=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::failure::CredentialProblem;
    use crate::provider::{ProviderError, ProviderType};

    #[test]
    fn the_trace_is_found_wherever_it_stands_in_the_header() {
        let root = Some("1-692fa1c0-000000000000000000000009".to_owned());
        for header in [
            "Root=1-692fa1c0-000000000000000000000009",
            "Root=1-692fa1c0-000000000000000000000009;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1",
            "Self=1-1; Root=1-692fa1c0-000000000000000000000009",
        ] {
            assert_eq!(trace_id(header), root, "{header}");
        }
        assert_eq!(trace_id(""), None);
        assert_eq!(trace_id("1-692fa1c0"), None);
    }

    #[test]
    fn only_what_the_operator_can_help_is_louder_than_a_success() {
        let none = Noted::default();
        let host = Failure::Provider { provider: ProviderType::Gitlab, error: ProviderError::Timeout };
        assert_eq!(level(None, &none), Level::INFO);
        assert_eq!(level(Some(&Failure::Unauthenticated(CredentialProblem::Missing)), &none), Level::INFO);
        assert_eq!(level(Some(&Failure::NotFound("User")), &none), Level::INFO);
        assert_eq!(level(Some(&host), &none), Level::WARN);
        assert_eq!(level(Some(&Failure::Unavailable(String::new())), &none), Level::WARN);
        assert_eq!(level(Some(&Failure::Internal(String::new())), &none), Level::ERROR);
        let record = Record::default();
        record.problem(&"a kept answer was served");
        assert_eq!(level(None, &record.so_far()), Level::WARN);
    }

    proptest! {
        #[test]
        fn the_trace_is_a_part_of_the_header_and_nothing_of_what_is_around_it(
            root in "[0-9a-f-]{1,35}",
            others in prop::collection::vec("[A-QS-Za-z]{1,8}=[0-9a-z:]{0,8}", 0..3),
            place in any::<prop::sample::Index>(),
        ) {
            let mut parts = others;
            parts.insert(place.index(parts.len() + 1), format!("Root={root}"));
            prop_assert_eq!(trace_id(&parts.join(";")), Some(root));
        }
    }
}
