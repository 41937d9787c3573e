//! The lines that CloudWatch reads, by the specification of the embedded metric format.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::record::HostCalls;

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
            assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()), "{line}");
            let value = &line[metric["Name"].as_str().unwrap()];
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            assert!((1..=100).contains(&values.len()), "{line}");
            assert!(values.iter().all(Value::is_u64), "{line}");
        }
    }
}

#[test]
fn a_count_is_one_line_of_the_embedded_metric_format() {
    let line = line(1_574_109_732_004, "github-webhook", Metric::WebhookApplied, None, 1);
    insta::assert_snapshot!(line, @r#"{"Function":"github-webhook","WebhookApplied":1,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["Function"]],"Metrics":[{"Name":"WebhookApplied","Unit":"Count"}],"Namespace":"git-installations"}],"Timestamp":1574109732004}}"#);
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
    for metrics in [Metrics::silent(Clock::system()), Metrics::written("reconcile", Clock::system(), Broken)]
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

fn calls(calls: u64, errors: u64, token_requests: u64, times: &[u64]) -> HostCalls {
    HostCalls { calls, errors, token_requests, times: times.to_vec(), ..HostCalls::default() }
}

fn done(hosts: &[HostCalls; 4], failed: bool) -> Done<'_> {
    Done { function: "user-repositories", failed, millis: 74, hosts }
}

#[test]
fn a_request_and_its_calls_to_one_host_are_one_line() {
    let hosts =
        [calls(3, 1, 1, &[12, 40, 9]), HostCalls::default(), HostCalls::default(), HostCalls::default()];
    let text = done(&hosts, false).lines(1_574_109_732_004);
    assert_eq!(text.lines().count(), 1);
    insta::assert_snapshot!("request", text.trim_end());
}

#[test]
fn computed_etags_are_counted_for_their_host_and_only_where_there_were_any() {
    let github = HostCalls { predicted_hits: 2, predicted_misses: 1, ..calls(3, 0, 0, &[5, 6, 7]) };
    let hosts = [github, calls(1, 0, 0, &[5]), HostCalls::default(), HostCalls::default()];
    let text = done(&hosts, false).lines(1_574_109_732_004);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(assert_is_embedded_metric);
    let of = |line: &Value| [line["PredictedEtagHit"].as_u64(), line["PredictedEtagMiss"].as_u64()];
    assert_eq!(lines.iter().map(of).collect::<Vec<_>>(), [[Some(2), Some(1)], [None, None]]);
    let metrics = Metrics::silent(Clock::system());
    metrics.done(&done(&hosts, false));
    assert_eq!(metrics.total(Metric::PredictedEtagHit), 2);
    assert_eq!(metrics.total(Metric::PredictedEtagMiss), 1);
}

#[test]
fn a_request_without_calls_has_the_requests_metrics_only() {
    let text = done(&Default::default(), true).lines(1_574_109_732_004);
    insta::assert_snapshot!("request_without_calls", text.trim_end());
}

#[test]
fn every_further_host_has_a_line_of_its_own_and_every_line_is_one_that_cloudwatch_reads() {
    let hosts =
        [calls(1, 0, 0, &[5]), calls(200, 2, 0, &[7; 100]), HostCalls::default(), calls(1, 0, 1, &[])];
    let text = done(&hosts, false).lines(1_574_109_732_004);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(assert_is_embedded_metric);
    let providers: Vec<_> = lines.iter().map(|line| line["Provider"].as_str().unwrap()).collect();
    assert_eq!(providers, ["github", "gitlab", "enterprise_sso"]);
    assert_eq!(lines.iter().filter(|line| line["Requests"] == 1).count(), 1, "counted once: {text}");
}

#[test]
fn a_request_counts_up_the_totals_of_all_its_hosts_and_is_written_once() {
    let written = Written::default();
    let metrics = Metrics::written("user-repositories", Clock::system(), written.clone());
    let hosts =
        [calls(3, 1, 1, &[12, 40, 9]), calls(2, 0, 1, &[7, 8]), HostCalls::default(), HostCalls::default()];
    metrics.done(&done(&hosts, true));
    let totals = [
        (Metric::Requests, 1),
        (Metric::RequestErrors, 1),
        (Metric::RequestDuration, 74),
        (Metric::UpstreamCalls, 5),
        (Metric::UpstreamDuration, 76),
        (Metric::UpstreamErrors, 1),
        (Metric::OauthTokenRequests, 2),
    ];
    for (metric, total) in totals {
        assert_eq!(metrics.total(metric), total, "{metric:?}");
    }
    assert_eq!(written.lines().len(), 2);
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
