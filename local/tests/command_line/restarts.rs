//! One folder, several runs: what the next one finds again, and how a run ends.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::{Run, answer, client, command, ends, start};

#[tokio::test]
async fn a_second_run_on_a_folder_in_use_is_told_so() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let run = start(&data, &[]).await;
    let path = data.to_str().unwrap();
    for more in [&[][..], &["--fresh"]] {
        let mut arguments = vec!["--port", "0", "--data", path];
        arguments.extend(more);
        let ended = ends(command(&arguments));
        assert_eq!(ended.code, Some(1));
        let expected =
            format!("error: {path} is in use by another run of this program; stop it or use --data\n");
        assert_eq!((ended.stdout.as_str(), ended.stderr), ("", expected));
    }
    // The first one has not noticed.
    run.ask("/api/user/installations?provider=github").await;
    assert!(run.ready_file().exists());
}

/// The ids of the rows and what they are of.
async fn rows(run: &Run) -> Vec<(Value, Value)> {
    let rows = run.ask(&format!("/api/users/{}/installations", run.told("user_id"))).await;
    let rows = rows.as_array().unwrap().clone();
    rows.into_iter().map(|row| (row["id"].clone(), row["github_installation_id"].clone())).collect()
}

/// What the sandbox's page says about installing on new-org.
async fn page_of_newcomer(run: &Run) -> String {
    let page = "/apps/git-installations-sandbox/installations/new?login=newcomer";
    let page = client().get(format!("{}{page}", run.told("github_web_url"))).send().await.unwrap();
    String::from_utf8_lossy(&page.bytes().await.unwrap()).into_owned()
}

async fn install_on_new_org(run: &Run) {
    let url = format!("{}/apps/git-installations-sandbox/installations/new", run.told("github_web_url"));
    let form = client()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("login=newcomer&target=new-org");
    let (status, _) = answer(form).await;
    assert!(status < 400, "{status}");
}

#[tokio::test]
async fn a_restart_loses_nothing_whether_the_run_was_stopped_or_killed() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let first = start(&data, &[]).await;
    let before = first.ready();
    let rows_before = rows(&first).await;
    assert!(!rows_before.is_empty());
    let key = first.told("api_key");
    let (_, made) = answer(
        client()
            .post(format!("{}/api/keys", first.told("url")))
            .header("X-Session-API-Key", &key)
            .header("content-type", "application/json")
            .body(r#"{"name":"second"}"#),
    )
    .await;
    let second_key = made["key"].as_str().unwrap().to_owned();
    assert!(!page_of_newcomer(&first).await.contains("already installed"));
    install_on_new_org(&first).await;
    assert!(first.signal("TERM").await.success());

    for ending in ["KILL", "TERM"] {
        let next = start(&data, &[]).await;
        for name in ["user_id", "api_key", "session_cookie"] {
            assert_eq!(next.ready()[name], before[name], "{name}");
        }
        assert_eq!(rows(&next).await, rows_before);
        let (status, _) = next.get("/api/keys", ("X-Session-API-Key", &second_key)).await;
        assert_eq!(status, 200, "a key that was made before");
        let cookie = format!("neptun-session={}", next.told("session_cookie"));
        let (_, session) = next.get("/auth/session", ("Cookie", &cookie)).await;
        assert_eq!(session["user_id"], before["user_id"]);
        let ids = next.ask("/api/user/installations?provider=github").await;
        assert_eq!(ids.as_array().map(Vec::len), Some(4), "the sealed token still opens and GitHub knows it");
        assert!(page_of_newcomer(&next).await.contains("already installed"));
        let _ = next.signal(ending).await;
    }
}

#[tokio::test]
async fn it_stops_at_once_and_takes_ready_with_it() {
    let parent = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let data = parent.path().join(signal);
        let run = start(&data, &[]).await;
        let ready = run.ready_file();
        let url = run.told("url");
        let client = client();
        // A connection that is kept open, as browsers do, must not hold it up.
        let (status, _) = answer(client.get(format!("{url}/auth/session"))).await;
        assert_eq!(status, 200);
        let errors = data.with_extension("stderr");
        let sent = Instant::now();
        let status = run.signal(signal).await;
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(sent.elapsed() < Duration::from_secs(4), "{signal}: {:?}", sent.elapsed());
        assert!(!ready.exists(), "{signal}");
        assert_eq!(std::fs::read_to_string(errors).unwrap(), "stopping\n");
        assert!(client.get(format!("{url}/auth/session")).send().await.is_err(), "nobody answers any more");
    }
}

#[tokio::test]
async fn what_a_killed_run_left_behind_is_not_taken_for_ready() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let run = start(&data, &[]).await;
    let ready = run.ready_file();
    assert!(!run.signal("KILL").await.success());
    assert!(ready.exists());
    // A start that fails after it has taken the folder.
    let mut failing = command(&["--port", "0", "--data", data.to_str().unwrap()]);
    failing.env("PREDICT_ETAGS", "maybe");
    assert_eq!(ends(failing).code, Some(1));
    assert!(!ready.exists());
    start(&data, &[]).await;
}

#[tokio::test]
async fn fresh_begins_anew() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let first = start(&data, &[]).await;
    let before = first.ready();
    install_on_new_org(&first).await;
    assert!(first.signal("TERM").await.success());
    let fresh = start(&data, &["--fresh"]).await;
    for name in ["user_id", "api_key", "session_cookie"] {
        assert_ne!(fresh.ready()[name], before[name], "{name}");
    }
    let old = before["api_key"].as_str().unwrap();
    let (status, _) = fresh.get("/api/keys", ("X-Session-API-Key", old)).await;
    assert_eq!(status, 401);
    assert!(!page_of_newcomer(&fresh).await.contains("already installed"));
    fresh.ask("/api/user/installations?provider=github").await;
}

#[tokio::test]
async fn latency_is_what_a_call_to_the_sandbox_takes() {
    let parent = tempfile::tempdir().unwrap();
    let run = start(&parent.path().join("data"), &["--latency", "0.3s"]).await;
    let asked = Instant::now();
    run.ask("/api/user/installations?provider=github").await;
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
}
