//! What a run tells other programs: its output, `ready.json`, and the functions' settings.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::run::{answer, client, start};

#[tokio::test]
async fn every_printed_line_of_curl_works() {
    let parent = tempfile::tempdir().unwrap();
    let run = start(&parent.path().join("data"), &[]).await;
    let output = run.output();
    let mut asked = 0;
    for line in output.lines().filter_map(|line| line.strip_prefix("  curl ")) {
        // As a shell takes it apart: -H 'NAME: VALUE' 'URL'
        let words: Vec<_> = line.split('\'').collect();
        assert_eq!((words[0], words[2]), ("-H ", " "), "{line}");
        let (name, value) = words[1].split_once(": ").unwrap();
        let (status, body) = answer(client().get(words[3]).header(name, value)).await;
        assert_eq!(status, 200, "{line}: {body}");
        asked += 1;
    }
    assert_eq!(asked, 6, "{output}");
    assert!(output.contains(&format!("{}/auth/github/login", run.told("url"))), "{output}");
    assert_eq!(run.errors(), "");
}

#[tokio::test]
async fn ready_tells_where_everything_is_and_who_may_ask() {
    let parent = tempfile::tempdir().unwrap();
    let run = start(&parent.path().join("data"), &[]).await;
    let ready = run.ready();
    let names: Vec<_> = ready.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "api_key",
            "bitbucket_api_url",
            "bitbucket_web_url",
            "dynamodb_url",
            "github_api_url",
            "github_web_url",
            "gitlab_url",
            "openid_issuer",
            "secrets_manager_url",
            "session_cookie",
            "url",
            "user_id"
        ]
    );
    let key = run.told("api_key");
    let (status, ids) =
        run.get("/api/user/installations?provider=github", ("Authorization", &format!("Bearer {key}"))).await;
    assert_eq!((status, ids.as_array().map(Vec::len)), (200, Some(4)));
    let cookie = format!("neptun-session={}", run.told("session_cookie"));
    let (_, session) = run.get("/auth/session", ("Cookie", &cookie)).await;
    assert_eq!(session["user_id"], run.told("user_id"));
    let rows = run.ask(&format!("/api/users/{}/installations", run.told("user_id"))).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(4));
    let (status, _) = answer(client().get(format!("{}/user", run.told("github_api_url")))).await;
    assert_eq!(status, 401, "the sandbox answers");
    for endpoint in ["dynamodb_url", "secrets_manager_url"] {
        let (status, _) = answer(client().post(run.told(endpoint)).body("{}")).await;
        assert!((400..500).contains(&status), "{endpoint}: {status}");
    }
}

#[tokio::test]
async fn the_functions_settings_are_the_same_for_both_tools_and_lead_to_this_run() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let run = start(&data, &[]).await;
    let lines = std::fs::read_to_string(data.join("functions.env")).unwrap();
    let from_lines: BTreeMap<&str, &str> = lines.lines().map(|line| line.split_once('=').unwrap()).collect();
    let json: Value = serde_json::from_slice(&std::fs::read(data.join("functions.json")).unwrap()).unwrap();
    assert_eq!(json, json!({"Parameters": from_lines}));
    for (variable, told) in [
        ("PUBLIC_URL", "url"),
        ("GITHUB_API_URL", "github_api_url"),
        ("GITHUB_WEB_URL", "github_web_url"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "dynamodb_url"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "secrets_manager_url"),
    ] {
        assert_eq!(from_lines.get(variable), Some(&run.told(told).as_str()), "{variable}");
    }
    let lookup = |name: &str| from_lines.get(name).map(|value| (*value).to_owned());
    shared::config::Config::from_lookup(lookup).expect("a function starts with these");
}

#[tokio::test]
async fn only_their_owner_can_read_the_files_of_a_run() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let run = start(&data, &[]).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert!(files.len() >= 8, "{files:?}");
    let state = std::fs::read_to_string(data.join("github.json")).unwrap();
    assert!(!state.contains("ghu_") && !state.contains("ghr_"), "a state file opens nothing");
    drop(run);
}
