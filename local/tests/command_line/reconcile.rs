//! `reconcile`: one run of the function, in another process, against the service that runs.

use serde_json::Value;

use crate::run::{Ended, command, ends, start};

fn reconcile(data: &std::path::Path, more: &[&str]) -> Ended {
    let mut arguments = vec!["reconcile", "--data", data.to_str().unwrap()];
    arguments.extend(more);
    ends(command(&arguments))
}

/// The JSON that was printed, and nothing else.
#[track_caller]
fn summary(ended: &Ended) -> Value {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[tokio::test]
async fn it_prints_what_was_done_and_the_running_service_goes_on() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let run = start(&data, &[]).await;
    let first = summary(&reconcile(&data, &[]));
    let names: Vec<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "drift",
            "finished",
            "github_calls",
            "given_up",
            "installations",
            "redelivered",
            "rows",
            "run",
            "unreadable",
            "unsure"
        ]
    );
    assert_eq!((&first["run"], &first["finished"]), (&"full".into(), &true.into()), "{first}");
    let added = first["installations"].as_u64().unwrap() - 4;
    assert_eq!(first["drift"], serde_json::json!({"added": added}), "the demo user's four were known");

    let second = summary(&reconcile(&data, &[]));
    assert_eq!((&second["run"], &second["github_calls"]), (&"changes".into(), &3.into()), "{second}");
    let full = summary(&reconcile(&data, &["--full"]));
    assert_eq!((&full["run"], &full["installations"]), (&"full".into(), &first["installations"]), "{full}");
    assert_eq!(full["drift"], serde_json::json!({}));

    let rows = run.ask(&format!("/api/users/{}/installations", run.told("user_id"))).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(4));
    assert_eq!(run.errors(), "");
    assert!(run.signal("TERM").await.success());
    assert_eq!(reconcile(&data, &[]).code, Some(1), "it has stopped");
}

#[test]
fn without_a_running_service_one_line_says_how_to_start_it() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    for more in [&[][..], &["--full"]] {
        let ended = reconcile(&data, more);
        let line = format!(
            "error: no service is running with the data folder {}; start it with `cargo run` first\n",
            data.display()
        );
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr), (Some(1), "", line));
        assert!(!data.exists());
    }
}

#[test]
fn its_help_says_what_it_does_and_other_arguments_are_refused() {
    let help = ends(command(&["reconcile", "--help"]));
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(help.stdout);
    for arguments in [
        &["reconcile", "now"][..],
        &["reconcile", "--full", "yes"],
        &["reconcile", "--port", "1"],
        &["--port", "1", "reconcile"],
    ] {
        let ended = ends(command(arguments));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}
