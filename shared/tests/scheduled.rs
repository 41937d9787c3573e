//! A function that a schedule invokes, as Lambda runs it: a process of its own in front of a small Runtime API.
//! What it does stands in for any such function: it counts, and fails where it is told to look at everything.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

use std::process::{Child, Command, Stdio};

use benchmarks::runtime_api::RuntimeApi;
use serde_json::{Value, json};
use shared::failure::Failure;
use shared::metrics::Metric;
use shared::runtime::run_scheduled;
use shared::service::Needs;
use tokio::time::Instant;

/// Set for the process that is the function.
const IS_FUNCTION: &str = "IS_FUNCTION";
/// The test that is the function in that process.
const TEST: &str = "its_result_is_answered_its_counts_are_printed_and_its_failure_fails_the_invocation";

struct Function(Child);

impl Drop for Function {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This very program, started to be the function in Lambda's environment.
fn start(api: &RuntimeApi) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env_clear()
        .envs([
            (IS_FUNCTION, "1"),
            ("AWS_LAMBDA_RUNTIME_API", &api.address().to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "scheduled"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("TABLE_NAME", "git-installations"),
            ("GITHUB_APP_SECRET_ID", "app"),
            ("TOKEN_KEYS_SECRET_ID", "keys"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn its_result_is_answered_its_counts_are_printed_and_its_failure_fails_the_invocation() {
    if std::env::var_os(IS_FUNCTION).is_some() {
        run_scheduled(Needs::default(), async |service, scheduled, budget| {
            service.metrics.count(Metric::RedeliveryRequested, 2);
            if scheduled.full {
                return Err(Failure::Unavailable("the table is away".to_owned()));
            }
            Ok(json!({ "in_time": budget.deadline() > Instant::now() }))
        })
        .unwrap();
        return;
    }
    let api = RuntimeApi::start(|| ()).unwrap();
    let mut function = Function(start(&api));
    api.asked().unwrap();
    let (_, answer) = api.invoke("{}").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({ "in_time": true }));

    api.asked().unwrap();
    let text = "temporarily unavailable: the table is away";
    let report = api.invoke(r#"{"detail-type": "Scheduled Event", "detail": {"full": true}}"#).unwrap_err();
    assert!(report.starts_with("the event failed: ") && report.contains(text), "{report}");

    api.asked().unwrap();
    let report = api.invoke(r#"{"full": "yes"}"#).unwrap_err();
    assert!(report.starts_with("the event failed: "), "{report}");
    api.asked().unwrap();

    function.0.kill().unwrap();
    let output = std::io::read_to_string(function.0.stdout.take().unwrap()).unwrap();
    let lines: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let counts: Vec<_> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    let runs: Vec<_> = counts.iter().map(|line| (&line["Requests"], &line["RequestErrors"])).collect();
    let (one, none, other) = (json!(1), json!(0), Value::Null);
    assert_eq!(runs, [(&other, &other), (&one, &none), (&other, &other), (&one, &one)], "{output}");
    assert_eq!((&counts[0]["Function"], &counts[0]["RedeliveryRequested"]), (&json!("scheduled"), &json!(2)));
    let told: Vec<_> = lines.iter().filter(|line| line["message"] == "run").cloned().map(redacted).collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(output.matches(text).count(), 1, "told once: {output}");
}

/// What differs from run to run is replaced by words.
fn redacted(mut line: Value) -> String {
    line["timestamp"] = "[time]".into();
    line["duration_ms"] = "[ms]".into();
    line.to_string()
}
