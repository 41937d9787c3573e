//! Faults on demand, and what a restart keeps.
//! What goes right by GitHub's rules is tested in the other files.

use std::time::Duration;

use local::sandbox_github::{AuthorizationKind, Fault, FaultKind, Selection, Target, World};
use reqwest::StatusCode;
use serde_json::Value;
use shared::clock::Clock;

use super::lab::{Lab, start};

#[tokio::test]
async fn faults_happen_where_and_as_often_as_asked() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    let user = |kind| lab.github.fail(Fault::get("/user", kind).times(1));
    for status in [403, 404, 500, 502, 503, 504] {
        user(FaultKind::Status(StatusCode::from_u16(status).unwrap()));
        assert_eq!(lab.get("/user", &token).await.status, status);
    }
    user(FaultKind::PrimaryRateLimit { reset_in: 60 });
    assert_eq!(lab.get("/user", &token).await.header("x-ratelimit-remaining"), "0");
    user(FaultKind::SecondaryRateLimit { retry_after: 7 });
    assert_eq!(lab.get("/user", &token).await.header("retry-after"), "7");
    user(FaultKind::Html);
    assert_eq!(lab.get("/user", &token).await.header("content-type"), "text/html; charset=utf-8");
    user(FaultKind::TruncatedJson);
    let half = lab.get("/user", &token).await;
    assert!(half.status == 200 && serde_json::from_str::<Value>(&half.body).is_err());
    user(FaultKind::Link("<http://169.254.169.254/>; rel=\"next\"".to_owned()));
    assert!(lab.get("/user", &token).await.header("link").contains("169.254"));
    user(FaultKind::Redirect("https://elsewhere.example/".to_owned()));
    assert_eq!(lab.get("/user", &token).await.status, 302);
    user(FaultKind::Oversized { bytes: 3_000_000 });
    assert_eq!(lab.get("/user", &token).await.body.len(), 3_000_000);
    user(FaultKind::Stall(Duration::from_millis(150)));
    let before = std::time::Instant::now();
    assert_eq!(lab.get("/user", &token).await.status, 200);
    assert!(before.elapsed() >= Duration::from_millis(150));

    lab.github.clear_calls();
    let url = format!("{}/user", lab.github.api_url());
    let request = || lab.http.get(&url).header("user-agent", "t").header("authorization", &token);
    lab.github.fail(Fault::under("/user", FaultKind::CutOff { after: 0 }).where_query("page=2"));
    assert_eq!(lab.get("/user?page=1", &token).await.status, 200);
    assert!(lab.http.get(format!("{url}?page=2")).send().await.is_err());
    lab.github.clear_faults();
    user(FaultKind::CutOff { after: 1_200 });
    let cut = request().send().await.unwrap();
    assert!(cut.status() == 200 && cut.text().await.is_err());
    let calls = lab.github.calls();
    assert_eq!((calls[0].path.as_str(), calls[0].query.as_str()), ("/user", "page=1"));
    assert_eq!((calls[0].status, calls[0].authorization), (Some(StatusCode::OK), AuthorizationKind::User));
    assert!(calls.iter().any(|call| call.status.is_none()));
}

#[tokio::test]
async fn world_tokens_and_counters_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("github.json");
    let clock = Clock::system();
    let lab = Lab::remembering(Some(file.clone()), &clock).await;
    let tokens = lab.github.mint_user_token("newcomer");
    let token = format!("Bearer {}", tokens.access_token);
    lab.github.world(|world: &mut World| {
        let newcomer = world.user("newcomer").unwrap().id;
        world.install(Target::Account(newcomer), Selection::All);
    });
    assert_eq!(lab.get("/user/installations", &token).await.json()["total_count"], 1);
    // What a caller was told is in the file before the answer is: no stop is needed for it.
    let written = std::fs::read_to_string(&file).unwrap();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
    let new = lab.exchange(&refresh).await["access_token"].as_str().unwrap().to_owned();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), written);
    assert!(!written.contains("ghu_") && !written.contains("ghr_"), "the file opens nothing");
    lab.github.stop().await;

    let lab = Lab::remembering(Some(file.clone()), &clock).await;
    assert_eq!(lab.get("/user/installations", &token).await.status, 401);
    let again = lab.get("/user/installations", &format!("Bearer {new}")).await;
    assert_eq!(again.json()["total_count"], 1);
    assert_eq!(again.header("x-ratelimit-used"), "2");
    lab.github.stop().await;

    std::fs::write(&file, "{\"form\":1,\"world\":").unwrap();
    let error = start(Some(file.clone()), &clock).await.err().unwrap().to_string();
    assert!(error.contains("github.json") && error.contains("Delete the file"), "{error}");
}
