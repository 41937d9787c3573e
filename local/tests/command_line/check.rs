//! `check`: a look at a table, that of the service that runs or one that AWS's variables give access to.

use std::path::Path;

use local::stack::TABLE;
use serde_json::{Value, json};

use crate::run::{Ended, Run, command, ends, start};

fn check(data: &Path) -> Ended {
    ends(command(&["check", "--data", data.to_str().unwrap()]))
}

/// A look at the same table by its name, as at one of AWS.
fn check_table(run: &Run, table: &str, leave_out: Option<&str>) -> Ended {
    let mut command = command(&["check", "--table", table]);
    for (name, value) in [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &run.told("dynamodb_url")),
    ] {
        if Some(name) != leave_out {
            command.env(name, value);
        }
    }
    ends(command)
}

/// A call of the table past the service.
async fn dynamodb(run: &Run, operation: &str, body: &Value) -> Value {
    let request = crate::run::client()
        .post(run.told("dynamodb_url"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0",
        )
        .body(body.to_string());
    let (status, answer) = crate::run::answer(request).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_violation_is_a_line_and_the_exit_code_and_nothing_is_written() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let run = start(&data, &[]).await;
    let scan = json!({"TableName": TABLE});
    let before = dynamodb(&run, "Scan", &scan).await;
    for ended in [check(&data), check_table(&run, TABLE, None)] {
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        assert!(ended.stdout.ends_with("everything holds\n"), "{}", ended.stdout);
        assert!(ended.stdout.contains("         4  mapping\n"), "{}", ended.stdout);
    }

    // The way to a row of the demo user is lost.
    let user = run.told("user_id");
    let lost = json!({"pk": {"S": "INSTALLATION#5002"}, "sk": {"S": format!("INSTALLATION#USER#{user}")}});
    dynamodb(&run, "DeleteItem", &json!({"TableName": TABLE, "Key": lost})).await;
    for ended in [check(&data), check_table(&run, TABLE, None)] {
        let line = format!(
            "violation: USER#{user} MAPPING#00000000000000005002: news of the installation does not find the row\n"
        );
        assert!(ended.stdout.starts_with(&line), "{}", ended.stdout);
        assert!(ended.stdout.ends_with("1 violation\n"), "{}", ended.stdout);
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stderr, "error: 1 of what must hold in the table does not hold\n");
        for secret in [run.told("api_key"), run.told("session_cookie")] {
            assert!(!ended.stdout.contains(&secret), "{}", ended.stdout);
        }
    }
    let after = dynamodb(&run, "Scan", &scan).await;
    let count = |items: &Value| items["Count"].as_u64().unwrap();
    assert_eq!(count(&after) + 1, count(&before));
}

#[tokio::test]
async fn a_table_that_cannot_be_looked_at_is_an_error_and_not_clean() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let ended = check(&data);
    let line = format!(
        "error: no service is running with the data folder {}; start it with `cargo run` first\n",
        data.display()
    );
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr), (Some(1), "", line));
    let run = start(&data, &[]).await;
    let ended = check_table(&run, "another", None);
    let line = "error: the table cannot be looked at: DynamoDB Scan failed: ResourceNotFoundException\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(1), "", line));
    let ended = check_table(&run, TABLE, Some("AWS_REGION"));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.starts_with("error: AWS_REGION is not set"), "{}", ended.stderr);
}

#[test]
fn its_help_says_what_it_does_and_other_arguments_are_refused() {
    let help = ends(command(&["check", "--help"]));
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(help.stdout);
    for arguments in [&["check", "now"][..], &["check", "--table", "t", "--data", "d"]] {
        let ended = ends(command(arguments));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}
