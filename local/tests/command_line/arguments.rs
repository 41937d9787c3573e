//! Arguments and settings: what is wrong with one is said in one line, and nothing is started.

use std::net::TcpListener;

use crate::run::{client, command, ends, start_command};

/// Ends with 1 and this one line, before anything is printed or ready.
#[track_caller]
fn assert_refused(command: std::process::Command, line: &str) {
    let ended = ends(command);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), format!("error: {line}\n").as_str()));
    assert_eq!(ended.stdout, "");
}

#[test]
fn help_says_what_it_is_and_what_each_argument_does() {
    let help = ends(command(&["--help"]));
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(help.stdout);
    assert_eq!(ends(command(&["-h"])).stdout, help.stdout);
    let version = ends(command(&["--version"]));
    assert_eq!(version.stdout, format!("git-installations {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = parent.path().join("data");
    assert_refused(
        command(&["--port", &port, "--data", data.to_str().unwrap()]),
        &format!("port {port} is in use; stop what uses it or choose another with --port"),
    );
    assert!(!data.join("ready.json").exists());
}

#[test]
fn a_latency_that_is_none_is_explained() {
    for text in ["rubbish", "80", "-5ms", "5 parsecs", "NaNs", "infs", "1e99s", "61s", "ms", ""] {
        let ended = ends(command(&[&format!("--latency={text}")]));
        assert_eq!(ended.code, Some(2), "{text}");
        let first = ended.stderr.lines().next().unwrap_or_default();
        let known = ["a time such as 80ms or 1.5s", "a time from 0ms to 60s", "value is required"];
        assert!(first.contains("'--latency <TIME>'"), "{text}: {first}");
        assert!(known.iter().any(|words| first.contains(words)), "{text}: {first}");
    }
}

#[test]
fn arguments_that_do_not_exist_are_refused() {
    for arguments in [["--prot", "1"], ["--port", "70000"], ["--port", "x"], ["run", "now"]] {
        let ended = ends(command(&arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_wrong_setting_is_named() {
    let parent = tempfile::tempdir().unwrap();
    for (name, value, line) in [
        ("LOG_LEVEL", "loud", "LOG_LEVEL is \"loud\"; expected off, error, warn, info, debug or trace"),
        (
            "STALE_IF_ERROR_SECONDS",
            "soon",
            "STALE_IF_ERROR_SECONDS is \"soon\" which is no whole number; expected a whole number from 0 to 86400",
        ),
        ("PREDICT_ETAGS", "maybe", "PREDICT_ETAGS is \"maybe\"; expected true or false"),
    ] {
        let mut command = command(&["--port", "0", "--data", parent.path().join(name).to_str().unwrap()]);
        command.env(name, value);
        assert_refused(command, line);
    }
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let path = folder.path().to_str().unwrap();
    assert_refused(
        command(&["--port", "0", "--fresh", "--data", path]),
        &format!("{path} holds files that are not this program's; use --data with another folder"),
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

const APP: &str = r#"{"app_id": 1, "client_id": "Iv1", "client_secret": "the-client-secret",
    "private_key": "PRIVATE", "webhook_secret": "the-webhook-secret"}"#;

#[test]
fn a_github_app_that_cannot_be_one_is_refused_with_the_field() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("app.json");
    let path = file.to_str().unwrap();
    let run = || {
        ends(command(&[
            "--port",
            "0",
            "--data",
            parent.path().join("d").to_str().unwrap(),
            "--github-app",
            path,
        ]))
    };
    let absent = run();
    assert_eq!(absent.code, Some(1));
    assert!(
        absent.stderr.starts_with(&format!("error: --github-app {path}: No such file")),
        "{}",
        absent.stderr
    );
    let secret_less = APP.replace("client_secret", "secret");
    let no_id = APP.replace("\"app_id\": 1", "\"app_id\": -1");
    for (text, field) in [
        ("", "JSON"),
        ("[]", "JSON"),
        (APP, "private_key"),
        (&secret_less, "client_secret"),
        (&no_id, "app_id"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ended = run();
        assert_eq!(ended.code, Some(1), "{text}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.starts_with(&format!("error: --github-app {path}: ")), "{}", ended.stderr);
        assert!(ended.stderr.contains(field), "{field}: {}", ended.stderr);
        for secret in ["the-client-secret", "the-webhook-secret", "PRIVATE"] {
            assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
        }
    }
    assert!(!parent.path().join("d").exists(), "nothing is made before the file has been looked at");
}

#[tokio::test]
async fn with_a_github_app_of_ones_own_nobody_is_signed_in_and_the_callback_url_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let (file, data) = (parent.path().join("app.json"), parent.path().join("data"));
    std::fs::write(&file, local::stack::sandbox_app_secret()).unwrap();
    let arguments = ["--port", "0", "--data", data.to_str().unwrap(), "--github-app", file.to_str().unwrap()];
    let mut command = command(&arguments);
    command.env("GITHUB_API_URL", "http://localhost:9/api/v3").env("GITHUB_WEB_URL", "http://localhost:9");
    let run = start_command(command, &data).await;
    let ready = run.ready();
    let mut names: Vec<_> = ready.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["dynamodb_url", "secrets_manager_url", "url"]);
    let url = run.told("url");
    assert!(run.output().contains(&format!("The App's callback URL must be {url}/auth/github/callback\n")));
    let login = client().get(format!("{url}/auth/github/login")).send().await.unwrap();
    let location = login.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("http://localhost:9/login/oauth/authorize?"), "{location}");
    assert!(!run.output().contains("Or ask as"), "{}", run.output());
}
