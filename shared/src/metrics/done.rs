//! The metrics of one request or run as lines of the embedded metric format: as few as can be, since every line is
//! paid for. A line has one value for each dimension, so each host after the first has a line of its own.

use serde_json::{Map, Value, json};

use super::{Metric, NAMESPACE};
use crate::provider::ProviderType;
use crate::record::HostCalls;

/// A request that was answered, or a scheduled run that ended.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// Whose it was; the dimension `Function`.
    pub function: &'static str,
    /// Whether it was answered with a 5xx, or the run failed.
    pub failed: bool,
    /// How long it took.
    pub millis: u64,
    /// Its calls to each host, in the order of [`ProviderType::ALL`]; the dimension `Provider`.
    pub hosts: &'a [HostCalls; ProviderType::ALL.len()],
}

impl Done<'_> {
    const fn of_request(&self) -> [(Metric, u64); 3] {
        [
            (Metric::Requests, 1),
            (Metric::RequestErrors, self.failed as u64),
            (Metric::RequestDuration, self.millis),
        ]
    }

    fn called(&self) -> impl Iterator<Item = (ProviderType, &HostCalls)> {
        ProviderType::ALL.into_iter().zip(self.hosts).filter(|(_, host)| host.calls > 0)
    }

    /// What each metric is counted up by.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Metric, u64)> {
        let hosts = self.called().flat_map(|(_, host)| {
            let duration = (Metric::UpstreamDuration, host.times.iter().sum());
            of_host(host).into_iter().chain(predictions(host)).chain([duration])
        });
        self.of_request().into_iter().chain(hosts)
    }

    /// The lines.
    pub(super) fn lines(&self, timestamp: u64) -> String {
        let mut hosts = self.called();
        let mut first = Line::default();
        first.put(&self.of_request().map(|(metric, n)| (metric, n.into())), self.function);
        if let Some((provider, host)) = hosts.next() {
            first.put(&values(host), provider.as_str());
        }
        let mut text = first.text(timestamp);
        for (provider, host) in hosts {
            let mut line = Line::default();
            line.put(&values(host), provider.as_str());
            text.push_str(&line.text(timestamp));
        }
        text
    }
}

const fn of_host(host: &HostCalls) -> [(Metric, u64); 3] {
    [
        (Metric::UpstreamCalls, host.calls),
        (Metric::UpstreamErrors, host.errors),
        (Metric::OauthTokenRequests, host.token_requests),
    ]
}

/// Only where an ETag was computed at all: most requests have none, and every host would.
fn predictions(host: &HostCalls) -> impl Iterator<Item = (Metric, u64)> {
    let (hits, misses) = (host.predicted_hits, host.predicted_misses);
    let both = [(Metric::PredictedEtagHit, hits), (Metric::PredictedEtagMiss, misses)];
    both.into_iter().filter(move |_| hits + misses > 0)
}

/// Each call's time is a value of its own, so that percentiles are those of calls. There is none while all of them
/// are under way, as a token's renewal is that outlives its request.
fn values(host: &HostCalls) -> Vec<(Metric, Value)> {
    let times = (!host.times.is_empty()).then(|| (Metric::UpstreamDuration, json!(host.times)));
    let counts = of_host(host).into_iter().chain(predictions(host));
    counts.map(|(metric, n)| (metric, n.into())).chain(times).collect()
}

/// A line that is being put together.
#[derive(Default)]
struct Line {
    directives: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    /// Metrics of one dimension, which has this value.
    fn put(&mut self, metrics: &[(Metric, Value)], of: &str) {
        let Some(dimension) = metrics.first().map(|(metric, _)| metric.dimension()) else { return };
        let definitions: Vec<Value> = metrics
            .iter()
            .map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() }))
            .collect();
        self.directives
            .push(json!({ "Namespace": NAMESPACE, "Dimensions": [[dimension]], "Metrics": definitions }));
        self.members.insert(dimension.to_owned(), of.into());
        self.members.extend(metrics.iter().map(|(metric, value)| (metric.name().to_owned(), value.clone())));
    }

    fn text(mut self, timestamp: u64) -> String {
        let metadata = json!({ "Timestamp": timestamp, "CloudWatchMetrics": self.directives });
        self.members.insert("_aws".to_owned(), metadata);
        format!("{}\n", Value::Object(self.members))
    }
}
