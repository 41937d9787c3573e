//! GitLab and Bitbucket on every route that takes a provider: signed in at, linked, listed, merged, failing and
//! renewed, over HTTP against the sandbox hosts.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use local::data_folder::DemoUser;
use local::demo_user::{self, link};
use local::other_hosts::OtherHosts;
use local::{sandbox_bitbucket, sandbox_gitlab};
use serde_json::{Value, json};

use crate::harness::{Answer, Running, Setup};

pub(crate) async fn start() -> Running {
    Setup { other_hosts: true, ..Setup::default() }.start().await
}

pub(crate) fn hosts(running: &Running) -> &OtherHosts {
    running.stack.other_hosts.as_ref().expect("the sandbox hosts run")
}

/// octocat, with accounts of these names at GitLab and Bitbucket.
pub(crate) async fn linked(running: &Running, gitlab: &str, bitbucket: &str) -> DemoUser {
    let user = demo_user::sign_in(&running.stack, "octocat").await.expect("the sign-in works");
    let user = link(&running.stack, &user, "gitlab", gitlab).await.expect("GitLab is linked");
    link(&running.stack, &user, "bitbucket", bitbucket).await.expect("Bitbucket is linked")
}

pub(crate) async fn get(running: &Running, user: &DemoUser, path: &str) -> Answer {
    running.get(path).api_key(user).send().await
}

fn texts(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    json.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn repositories(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn accounts_of_three_hosts_belong_to_one_user_and_their_repositories_are_one_list() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let session = running.get("/auth/session").session(&user).send().await.json();
    let providers: Vec<_> =
        session["providers"].as_array().unwrap().iter().map(|one| one["provider"].clone()).collect();
    assert_eq!(providers, ["bitbucket", "github", "gitlab"]);

    let all = get(&running, &user, "/api/user/repositories").await;
    assert_eq!(all.header("x-partial-result"), None, "{all:?}");
    let all = repositories(&all);
    let mut alone = Vec::new();
    for provider in ["github", "gitlab", "bitbucket"] {
        let path = format!("/api/user/repositories?selected_provider={provider}");
        let found = repositories(&get(&running, &user, &path).await);
        assert!(!found.is_empty() && found.iter().all(|one| one["git_provider"] == provider), "{found:?}");
        alone.extend(found);
    }
    let key = |one: &Value| format!("{} {}", one["git_provider"], one["id"]);
    let (merged, apart): (BTreeSet<_>, BTreeSet<_>) =
        (all.iter().map(key).collect(), alone.iter().map(key).collect());
    assert_eq!(merged, apart);
    assert_eq!(merged.len(), all.len(), "nothing twice");
    for one in &all {
        let keys: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys.len(), 9, "{one}");
    }
}

#[tokio::test]
async fn installations_are_groups_and_the_own_namespace_and_workspaces() {
    let running = start().await;
    let user = linked(&running, "many-groups", "many-workspaces").await;
    let gitlab = texts(&get(&running, &user, "/api/user/installations?provider=gitlab").await);
    assert_eq!((gitlab.len(), gitlab.last().map(String::as_str)), (138, Some("many-groups")));
    let bitbucket = texts(&get(&running, &user, "/api/user/installations?provider=bitbucket").await);
    assert_eq!(bitbucket.iter().collect::<BTreeSet<_>>().len(), 137);
    let own = texts(&get(&running, &user, "/api/user/installations?provider=github").await);
    assert_eq!(own.len(), 4);
}

#[tokio::test]
async fn an_installations_pages_hold_all_of_it_once_and_link_to_one_another() {
    let running = start().await;
    let user = linked(&running, "three-groups", "large-workspaces").await;
    for provider in ["gitlab", "bitbucket"] {
        let installations =
            texts(&get(&running, &user, &format!("/api/user/installations?provider={provider}")).await);
        let mut seen = BTreeSet::new();
        let mut page = 1;
        loop {
            let path = format!(
                "/api/user/repositories?selected_provider={provider}&installation_id={}&page={page}&per_page=100",
                installations[0]
            );
            let found = repositories(&get(&running, &user, &path).await);
            for one in &found {
                assert!(seen.insert(one["id"].as_str().unwrap().to_owned()), "{one} twice");
            }
            match found.first().and_then(|one| one["link_header"].as_str()) {
                Some(link) => assert!(link.contains(&format!("page={}&", page + 1)), "{link}"),
                None => break,
            }
            page += 1;
        }
        assert_eq!(seen.len(), 500, "{provider}");
        let path = format!("/api/user/repositories?selected_provider={provider}");
        let whole = repositories(&get(&running, &user, &path).await);
        assert_eq!(whole.len(), 1_500, "{provider}");
    }
}

#[tokio::test]
async fn one_host_that_fails_costs_its_own_part_only_and_is_named() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    hosts(&running).gitlab.fail(gitlab_down());
    let answer = get(&running, &user, "/api/user/repositories").await;
    let found = repositories(&answer);
    let providers: BTreeSet<_> = found.iter().map(|one| one["git_provider"].as_str().unwrap()).collect();
    assert_eq!(providers, BTreeSet::from(["bitbucket", "github"]));
    assert_eq!(answer.header("x-partial-result"), Some("gitlab=502"));
    let alone = get(&running, &user, "/api/user/repositories?selected_provider=gitlab").await;
    assert_eq!(alone.status, StatusCode::BAD_GATEWAY);
    assert_eq!(alone.json()["provider"], "gitlab");
}

fn gitlab_down() -> sandbox_gitlab::Fault {
    sandbox_gitlab::Fault::get(
        "/projects",
        sandbox_gitlab::FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
    )
}

#[tokio::test]
async fn tokens_that_have_ended_are_renewed_once_for_fifty_requests_at_once() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    running.clock.advance(Duration::from_secs(3 * 3_600));
    for provider in ["gitlab", "bitbucket"] {
        let path = format!("/api/user/installations?provider={provider}");
        let answers = futures::future::join_all((0..50).map(|_| get(&running, &user, &path))).await;
        assert!(answers.iter().all(|answer| answer.status == StatusCode::OK), "{provider}");
    }
    let gitlab = hosts(&running).gitlab.calls();
    let refreshes = gitlab.iter().filter(|call| call.path.ends_with("/oauth/token")).count();
    assert_eq!(refreshes, 2, "one for the code, one for the refresh token");
    let bitbucket = hosts(&running).bitbucket.calls();
    let refreshes = bitbucket.iter().filter(|call| call.path.ends_with("/access_token")).count();
    assert_eq!(refreshes, 2, "one for the code, one for the refresh token");
}

#[tokio::test]
async fn a_token_that_its_user_revoked_asks_for_a_new_sign_in_at_that_host_only() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    hosts(&running).gitlab.revoke_grant("gitlab-cat");
    let ended = get(&running, &user, "/api/user/installations?provider=gitlab").await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED, "{ended:?}");
    for provider in ["github", "bitbucket"] {
        let path = format!("/api/user/installations?provider={provider}");
        assert_eq!(get(&running, &user, &path).await.status, StatusCode::OK, "{provider}");
    }
    let all = get(&running, &user, "/api/user/repositories").await;
    assert_eq!(all.header("x-partial-result"), Some("gitlab=401"), "{all:?}");
    let again = link(&running.stack, &user, "gitlab", "gitlab-cat").await.expect("signing in again helps");
    assert_eq!(get(&running, &again, "/api/user/installations?provider=gitlab").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_account_of_another_user_is_refused_on_a_page_and_nothing_changes() {
    let running = start().await;
    let first = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let reader = demo_user::sign_in(&running.stack, "reader").await.unwrap();
    let refused = link(&running.stack, &reader, "gitlab", "gitlab-cat").await.expect_err("it is octocat's");
    assert!(refused.to_string().contains("403"), "{refused}");
    let none = get(&running, &reader, "/api/user/installations?provider=gitlab").await;
    assert_eq!(
        (none.status, none.json()),
        (StatusCode::UNAUTHORIZED, json!("Git provider token required. (such as GitHub)."))
    );
    assert_eq!(get(&running, &first, "/api/user/installations?provider=gitlab").await.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_that_are_brought_work_at_their_own_host_and_go_to_no_other() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let (gitlab, bitbucket) = (&hosts(&running).gitlab, &hosts(&running).bitbucket);
    let personal = gitlab.mint_personal_token("gitlab-cat", "read_api read_user").unwrap();
    let scopes = sandbox_bitbucket::Scope::ALL;
    let api_token = bitbucket.try_mint_api_token("bitbucket-cat", &scopes).unwrap();
    running.github().clear_calls();
    let body = json!({"provider_tokens": {"gitlab": {"token": personal}, "bitbucket": {"token": api_token}}});
    let added = running.post("/api/add-git-providers").api_key(&user).json(&body).send().await;
    assert_eq!(added.status, StatusCode::OK, "{added:?}");
    assert!(running.github().calls().is_empty(), "neither is GitHub's");
    for provider in ["gitlab", "bitbucket", "github"] {
        let path = format!("/api/user/installations?provider={provider}");
        assert_eq!(get(&running, &user, &path).await.status, StatusCode::OK, "{provider}");
    }
    let wrong = json!({"provider_tokens": {"gitlab": {"token": api_token}}});
    let refused = running.post("/api/add-git-providers").api_key(&user).json(&wrong).send().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["error"], "Invalid token. Please make sure it is a valid gitlab token.");
}
