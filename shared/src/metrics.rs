//! What the service counts, in CloudWatch's embedded metric format: lines on standard output, and no client. Only
//! names from here and numbers get into a line; what is worth an alarm is `template.yaml`'s to say.

mod done;

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::clock::Clock;

pub use done::Done;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "git-installations";

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// A webhook that changed the mapping.
    WebhookApplied,
    /// A webhook after which nothing was to be changed.
    WebhookUnchanged,
    /// A webhook that had been worked on before.
    WebhookRepeated,
    /// A webhook of another App than ours.
    WebhookOtherApp,
    /// A webhook of a kind that we do not know.
    WebhookUnknown,
    /// A webhook whose signature is missing or wrong.
    WebhookRefused,
    /// Something that reconciliation had to repair, by kind.
    MappingDrift,
    /// A failed delivery that GitHub was asked to send again.
    RedeliveryRequested,
    /// A failed delivery that is not asked for any more.
    RedeliveryGivenUp,
    /// A request that was answered, or a scheduled run that ended.
    Requests,
    /// One whose answer is a 5xx, or that failed.
    RequestErrors,
    /// How long it took.
    RequestDuration,
    /// A call to a host, each try counted.
    UpstreamCalls,
    /// How long it took.
    UpstreamDuration,
    /// One without an answer in time, or with a 5xx.
    UpstreamErrors,
    /// A call of a host's OAuth token endpoint, of which GitHub allows 2,000 in an hour.
    OauthTokenRequests,
    /// An ETag that was computed for today's token, and that the host gave: 304.
    PredictedEtagHit,
    /// One that it did not give: 200.
    PredictedEtagMiss,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::WebhookApplied,
        Self::WebhookUnchanged,
        Self::WebhookRepeated,
        Self::WebhookOtherApp,
        Self::WebhookUnknown,
        Self::WebhookRefused,
        Self::MappingDrift,
        Self::RedeliveryRequested,
        Self::RedeliveryGivenUp,
        Self::Requests,
        Self::RequestErrors,
        Self::RequestDuration,
        Self::UpstreamCalls,
        Self::UpstreamDuration,
        Self::UpstreamErrors,
        Self::OauthTokenRequests,
        Self::PredictedEtagHit,
        Self::PredictedEtagMiss,
    ];

    /// Its name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebhookApplied => "WebhookApplied",
            Self::WebhookUnchanged => "WebhookUnchanged",
            Self::WebhookRepeated => "WebhookRepeated",
            Self::WebhookOtherApp => "WebhookOtherApp",
            Self::WebhookUnknown => "WebhookUnknown",
            Self::WebhookRefused => "WebhookRefused",
            Self::MappingDrift => "MappingDrift",
            Self::RedeliveryRequested => "RedeliveryRequested",
            Self::RedeliveryGivenUp => "RedeliveryGivenUp",
            Self::Requests => "Requests",
            Self::RequestErrors => "RequestErrors",
            Self::RequestDuration => "RequestDuration",
            Self::UpstreamCalls => "UpstreamCalls",
            Self::UpstreamDuration => "UpstreamDuration",
            Self::UpstreamErrors => "UpstreamErrors",
            Self::OauthTokenRequests => "OauthTokenRequests",
            Self::PredictedEtagHit => "PredictedEtagHit",
            Self::PredictedEtagMiss => "PredictedEtagMiss",
        }
    }

    /// The dimension by which it is counted: the function that counts, or the host that was called.
    #[must_use]
    pub const fn dimension(self) -> &'static str {
        match self {
            Self::UpstreamCalls
            | Self::UpstreamDuration
            | Self::UpstreamErrors
            | Self::PredictedEtagHit
            | Self::PredictedEtagMiss
            | Self::OauthTokenRequests => "Provider",
            _ => "Function",
        }
    }

    /// The unit of its values.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::RequestDuration | Self::UpstreamDuration => "Milliseconds",
            _ => "Count",
        }
    }
}

/// The process's counters.
pub struct Metrics {
    clock: Clock,
    totals: [AtomicU64; Metric::ALL.len()],
    output: Option<Output>,
}

/// Where the lines go, and the function that they are of.
struct Output {
    function: &'static str,
    lines: Mutex<Box<dyn Write + Send>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = Metric::ALL.map(|metric| (metric.name(), self.total(metric)));
        f.debug_map().entries(totals).finish()
    }
}

impl Metrics {
    /// Counters that nobody but this process sees.
    #[must_use]
    pub fn silent(clock: Clock) -> Self {
        Self { clock, totals: Default::default(), output: None }
    }

    /// Counters that are written to standard output, from where Lambda takes them to CloudWatch, with the
    /// function's name as the dimension `Function`.
    #[must_use]
    pub fn to_stdout(function: &'static str, clock: Clock) -> Self {
        Self::written(function, clock, std::io::stdout())
    }

    fn written(function: &'static str, clock: Clock, lines: impl Write + Send + 'static) -> Self {
        let output = Output { function, lines: Mutex::new(Box::new(lines)) };
        Self { output: Some(output), ..Self::silent(clock) }
    }

    /// Counts `n`. A zero is written too: it tells an alarm that somebody looked.
    pub fn count(&self, metric: Metric, n: u64) {
        self.add(metric, None, n);
    }

    /// Counts `n` of a kind, in the total of the metric and by the dimension `Kind`.
    pub fn count_kind(&self, metric: Metric, kind: &'static str, n: u64) {
        self.add(metric, Some(kind), n);
    }

    /// What this process has counted since its start.
    #[must_use]
    pub fn total(&self, metric: Metric) -> u64 {
        self.totals[metric as usize].load(Ordering::Relaxed)
    }

    /// Counts a request or run that has come to its end, and its calls to hosts: one line, and one more for each
    /// further host.
    pub fn done(&self, done: &Done<'_>) {
        for (metric, n) in done.counts() {
            self.totals[metric as usize].fetch_add(n, Ordering::Relaxed);
        }
        if self.output.is_some() {
            self.write(&done.lines(self.clock.unix_millis()));
        }
    }

    fn add(&self, metric: Metric, kind: Option<&'static str>, n: u64) {
        self.totals[metric as usize].fetch_add(n, Ordering::Relaxed);
        let Some(Output { function, .. }) = &self.output else { return };
        self.write(&line(self.clock.unix_millis(), function, metric, kind, n));
    }

    fn write(&self, text: &str) {
        let Some(Output { lines, .. }) = &self.output else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        // A count that cannot be written is no reason to fail what was counted.
        let _ = lines.write_all(text.as_bytes()).and_then(|()| lines.flush());
    }
}

/// One line of the embedded metric format; with a kind, it counts for the function and for the kind.
fn line(millis: u64, function: &str, metric: Metric, kind: Option<&str>, n: u64) -> String {
    let mut dimensions = vec![vec!["Function"]];
    dimensions.extend(kind.map(|_| vec!["Function", "Kind"]));
    let mut line = json!({
        "_aws": {
            "Timestamp": millis,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": dimensions,
                "Metrics": [{ "Name": metric.name(), "Unit": metric.unit() }],
            }],
        },
        "Function": function,
        metric.name(): n,
    });
    if let Some(kind) = kind {
        line["Kind"] = kind.into();
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests;
