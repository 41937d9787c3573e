//! What outlives the sandbox, and how it ends.

use http::StatusCode;
use local::sandbox_openid::{Algorithm, OldKeys, Options, SandboxOpenid, demo_world};

use super::lab::{CLIENT, Lab, client, parts};

#[tokio::test]
async fn keys_sessions_and_brokered_tokens_outlive_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openid.json");
    let kept = |options: &mut Options| options.state_file = Some(file.clone());
    let lab = Lab::with(demo_world(), kept).await;
    let kid = lab.sandbox.rotate_keys(Algorithm::Es256, OldKeys::Keep).unwrap();
    let tokens = lab.sign_in("sso-cat").await;
    let brokered = lab.broker("gitlab", tokens.access()).await.body;
    let clock = lab.clock.clone();
    lab.sandbox.stop().await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(tokens.refresh()) && !text.contains(tokens.access()));

    let lab = Lab::with(demo_world(), |options| {
        kept(options);
        options.clock = clock;
    })
    .await;
    assert!(lab.verified(tokens.id()).await.is_some());
    assert!(lab.opens(tokens.access()).await);
    assert_eq!(lab.broker("gitlab", tokens.access()).await.body, brokered);
    let renewed = lab.refresh(tokens.refresh()).await;
    assert_eq!(renewed.status, StatusCode::OK, "{renewed:?}");
    assert_eq!(parts(renewed.json()["id_token"].as_str().unwrap()).0["kid"], kid);
    lab.sandbox.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_file_and_a_damaged_one_is_refused_with_a_remedy() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openid.json");
    let mut options = Options::new(client(CLIENT));
    options.state_file = Some(file.clone());
    let start = async || {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        SandboxOpenid::start(listener, demo_world(), options.clone()).await
    };
    start().await.unwrap().stop().await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for text in ["{", r#"{"form":2}"#, ""] {
        std::fs::write(&file, text).unwrap();
        let refused = start().await.unwrap_err().to_string();
        assert!(refused.contains("Delete the file to start anew"), "{refused}");
    }
}

#[tokio::test]
async fn a_stopped_sandbox_answers_no_more() {
    let lab = Lab::new().await;
    let url = lab.url("/certs");
    assert_eq!(lab.get(&url).await.status, StatusCode::OK);
    lab.sandbox.stop().await;
    assert!(super::lab::http_client().get(&url).send().await.is_err());
}
