//! What the service counts, in CloudWatch's embedded metric format: a line on standard output per count, and no
//! client. Only names from here and numbers get into a line; what is worth an alarm is `template.yaml`'s to say.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::clock::Clock;

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
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WebhookApplied,
        Self::WebhookUnchanged,
        Self::WebhookRepeated,
        Self::WebhookOtherApp,
        Self::WebhookUnknown,
        Self::WebhookRefused,
        Self::MappingDrift,
        Self::RedeliveryRequested,
        Self::RedeliveryGivenUp,
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
        f.debug_struct("Metrics").field("totals", &self.totals).finish_non_exhaustive()
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

    fn add(&self, metric: Metric, kind: Option<&'static str>, n: u64) {
        self.totals[metric as usize].fetch_add(n, Ordering::Relaxed);
        let Some(Output { function, lines }) = &self.output else { return };
        let line = line(self.clock.unix_millis(), function, metric, kind, n);
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        // A count that cannot be written is no reason to fail what was counted.
        let _ = lines.write_all(line.as_bytes()).and_then(|()| lines.flush());
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
                "Metrics": [{ "Name": metric.name(), "Unit": "Count" }],
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
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "{text}");
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    /// What the specification demands of every line: the members that it names, and for each dimension and
    /// metric a member of that name, text for the one and a number for the other.
    fn assert_is_embedded_metric(line: &Value) {
        let metadata = &line["_aws"];
        assert!(metadata["Timestamp"].is_u64(), "{line}");
        let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
        assert!(!directives.is_empty(), "{line}");
        for directive in directives {
            assert!(directive["Namespace"].as_str().is_some_and(|name| (1..=1024).contains(&name.len())));
            for set in directive["Dimensions"].as_array().unwrap() {
                let names = set.as_array().unwrap();
                assert!(names.len() <= 30, "{line}");
                for name in names {
                    let value = line[name.as_str().unwrap()].as_str().unwrap();
                    assert!((1..=1024).contains(&value.len()) && value.is_ascii(), "{line}");
                }
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                assert_eq!(metric["Unit"], "Count");
                assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{line}");
            }
        }
    }

    #[test]
    fn a_count_is_one_line_of_the_embedded_metric_format() {
        let line = line(1_574_109_732_004, "github_webhooks", Metric::WebhookApplied, None, 1);
        insta::assert_snapshot!(line, @r#"{"Function":"github_webhooks","WebhookApplied":1,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["Function"]],"Metrics":[{"Name":"WebhookApplied","Unit":"Count"}],"Namespace":"git-installations"}],"Timestamp":1574109732004}}"#);
    }

    #[test]
    fn a_kind_is_a_dimension_beside_the_sum_of_all_kinds() {
        let line = line(1_574_109_732_004, "reconcile", Metric::MappingDrift, Some("missing"), 3);
        insta::assert_snapshot!(line, @r#"{"Function":"reconcile","Kind":"missing","MappingDrift":3,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["Function"],["Function","Kind"]],"Metrics":[{"Name":"MappingDrift","Unit":"Count"}],"Namespace":"git-installations"}],"Timestamp":1574109732004}}"#);
    }

    #[test]
    fn each_call_writes_a_line_dated_by_the_services_clock_and_adds_to_the_total() {
        let (written, clock) = (Written::default(), Clock::system());
        let metrics = Metrics::written("reconcile", clock.clone(), written.clone());
        clock.advance(Duration::from_secs(86_400));
        let before = clock.unix_millis();
        metrics.count(Metric::RedeliveryRequested, 2);
        metrics.count(Metric::RedeliveryRequested, 0);
        metrics.count_kind(Metric::MappingDrift, "missing", 3);
        metrics.count_kind(Metric::MappingDrift, "suspended", 4);
        let lines = written.lines();
        assert_eq!(lines.len(), 4);
        for line in &lines {
            assert_is_embedded_metric(line);
            assert!((before..=clock.unix_millis()).contains(&line["_aws"]["Timestamp"].as_u64().unwrap()));
        }
        assert_eq!(metrics.total(Metric::RedeliveryRequested), 2);
        assert_eq!(metrics.total(Metric::MappingDrift), 7);
        assert_eq!(metrics.total(Metric::RedeliveryGivenUp), 0);
    }

    #[test]
    fn silent_metrics_count_and_a_broken_output_stops_nothing() {
        for metrics in
            [Metrics::silent(Clock::system()), Metrics::written("reconcile", Clock::system(), Broken)]
        {
            metrics.count(Metric::WebhookRefused, 1);
            assert_eq!(metrics.total(Metric::WebhookRefused), 1);
        }
    }

    #[test]
    fn every_metric_has_a_total_of_its_own() {
        let metrics = Metrics::silent(Clock::system());
        for (n, metric) in (1..).zip(Metric::ALL) {
            metrics.count(metric, n);
        }
        for (n, metric) in (1..).zip(Metric::ALL) {
            assert_eq!((metrics.total(metric), metric.name()), (n, format!("{metric:?}").as_str()));
        }
    }

    proptest! {
        #[test]
        fn no_number_makes_a_line_that_cloudwatch_does_not_read(millis in any::<u64>(), n in any::<u64>()) {
            for metric in Metric::ALL {
                for kind in [None, Some("missing")] {
                    let text = line(millis, "reconcile", metric, kind, n);
                    assert_is_embedded_metric(&serde_json::from_str(&text).unwrap());
                }
            }
        }
    }
}
