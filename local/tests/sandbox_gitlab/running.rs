//! What outlives the sandbox, and how it ends.

use local::sandbox_gitlab::{SandboxGitlab, demo_world};
use shared::provider::token::FixedToken;

use super::lab::{CALLBACK, Lab, budget, host_error, oauth_client, options};

#[tokio::test]
async fn tokens_and_users_outlive_the_sandbox_and_the_file_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.state_file = Some(folder.path().join("gitlab.json"));
    let lab = Lab::with(demo_world(), options.clone()).await;
    lab.sandbox.world(|world| world.add_user("added-later", "Was not there at the start"));
    let tokens = lab.sandbox.mint_user_token("added-later");
    let refresh = tokens.refresh_token.clone().into();
    let renewed = lab.gitlab.refresh(&oauth_client(), &refresh, CALLBACK, &budget()).await.unwrap();
    lab.sandbox.stop().await;
    let file = std::fs::read_to_string(folder.path().join("gitlab.json")).unwrap();
    assert!(file.contains("added-later") && !file.contains(&tokens.refresh_token));

    let lab = Lab::with(demo_world(), options.clone()).await;
    let user = lab.gitlab.user(&FixedToken::forwarded(renewed.access), &budget()).await.unwrap();
    assert_eq!(user.login, "added-later");
    let old = lab.gitlab.user(&FixedToken::forwarded(tokens.access_token.into()), &budget()).await;
    assert_eq!(host_error(old).status(), 401);

    std::fs::write(folder.path().join("gitlab.json"), "{").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = SandboxGitlab::start(listener, demo_world(), options).await.unwrap_err().to_string();
    assert!(refused.contains("Delete the file to start anew"), "{refused}");
}

#[tokio::test]
async fn nothing_is_kept_without_a_file_and_calls_are_recorded_as_they_were() {
    let lab = Lab::new().await;
    lab.installations("gitlab-cat").await.unwrap();
    let mut paths: Vec<_> = lab.sandbox.calls().into_iter().map(|call| call.path).collect();
    paths.sort();
    assert_eq!(paths, ["/groups", "/user"]);
    lab.sandbox.clear_calls();
    assert!(lab.sandbox.calls().is_empty());
    lab.sandbox.stop().await;
}
