//! A stack that was deployed a moment ago: the schedule runs before the operator has filled in the App's secret, and
//! that is no failure. A secret that says something else is.

use std::time::Duration;

use local::stack::{GITHUB_APP_SECRET, sandbox_app_secret};
use shared::failure::Failure;
use shared::github_app::reconcile::Summary;
use shared::metrics::Metric;

use crate::harness::Running;
use crate::reconcile_lab::{run, small_world, start_in};

/// What `template.yaml` writes into the secret.
const PLACEHOLDER: &str = "not filled in yet";

/// A run of a process that starts with this secret.
async fn run_with(running: &Running, secret: &str) -> Result<Summary, Failure> {
    running.stack.secrets.set(GITHUB_APP_SECRET, secret);
    running.github().clear_calls();
    let service = running.another_service();
    let result = run(&service, true, Duration::from_secs(60)).await;
    if result.as_ref().is_ok_and(|summary| summary.run == "not_set_up") {
        assert_eq!(service.metrics.total(Metric::MappingDrift), 0);
        assert!(running.github().calls().is_empty());
    }
    result
}

#[tokio::test]
async fn a_run_before_the_secret_is_filled_in_ends_quietly_and_says_so() {
    let running = start_in(small_world()).await;
    assert!(local::template::EMBEDDED.contains(&format!("SecretString: {PLACEHOLDER}\n")));
    for _ in 0..2 {
        let summary = run_with(&running, PLACEHOLDER).await.expect("no failure");
        assert_eq!(summary, Summary { run: "not_set_up", ..Summary::default() });
    }
    let first = run_with(&running, &sandbox_app_secret()).await.expect("no failure");
    assert_eq!((first.run, first.finished), ("full", true), "the lease was given back: {first:?}");
}

#[tokio::test]
async fn any_other_secret_that_is_none_fails_the_run() {
    let running = start_in(small_world()).await;
    for secret in ["", "{}", "[]", "not filled in", "\"not filled in yet\"", "to be filled in"] {
        let failure = run_with(&running, secret).await.expect_err(secret);
        assert!(matches!(failure, Failure::Internal(_)), "{secret}: {failure}");
    }
}

#[tokio::test]
async fn a_secret_that_was_filled_in_once_and_is_not_any_more_fails_the_run() {
    let running = start_in(small_world()).await;
    assert!(run_with(&running, &sandbox_app_secret()).await.expect("no failure").finished);
    let failure = run_with(&running, PLACEHOLDER).await.expect_err("the table knows an App");
    assert!(failure.to_string().ends_with("is not filled in yet"), "{failure}");
}
