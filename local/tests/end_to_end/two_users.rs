//! Two users with accounts at all hosts: nothing of one is ever shown to, changed by, or sent for the other, on
//! any route that takes somebody's object.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use local::demo_user::{self, link};
use serde_json::{Value, json};
use shared::store::TokenSlot;

use crate::harness::{Running, Setup};

const PROVIDERS: [&str; 3] = ["github", "gitlab", "bitbucket"];

struct Two {
    running: Running,
    cat: DemoUser,
    other: DemoUser,
}

/// Their accounts reach nothing in common, but one organisation at GitHub.
async fn two() -> Two {
    let running = Setup { other_hosts: true, ..Setup::default() }.start().await;
    let user = async |github: &str, gitlab: &str, bitbucket: &str| {
        let user = demo_user::sign_in(&running.stack, github).await.expect("the sign-in works");
        let user = link(&running.stack, &user, "gitlab", gitlab).await.expect("GitLab is linked");
        link(&running.stack, &user, "bitbucket", bitbucket).await.expect("Bitbucket is linked")
    };
    let cat = user("octocat", "gitlab-cat", "bitbucket-cat").await;
    let other = user("forty-installations", "three-groups", "large-workspaces").await;
    Two { running, cat, other }
}

impl Two {
    async fn list(&self, user: &DemoUser, path: &str) -> Vec<Value> {
        let answer = self.running.get(path).api_key(user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.json().as_array().expect("a list").clone()
    }

    async fn installations(&self, user: &DemoUser, provider: &str) -> BTreeSet<String> {
        let found = self.list(user, &format!("/api/user/installations?provider={provider}")).await;
        found.iter().map(|id| id.as_str().expect("a text").to_owned()).collect()
    }
}

#[tokio::test]
async fn each_is_shown_what_their_own_accounts_reach_also_when_both_ask_at_once() {
    let two = two().await;
    let path = "/api/user/repositories";
    let keys = |found: Vec<Value>| -> BTreeSet<String> {
        found.iter().map(|one| format!("{} {}", one["git_provider"], one["id"])).collect()
    };
    let (cat, other) = (two.list(&two.cat, path).await, two.list(&two.other, path).await);
    let (cat, other) = (keys(cat), keys(other));
    assert!(cat.is_disjoint(&other));
    for _ in 0..3 {
        let (again, others) = futures::join!(two.list(&two.cat, path), two.list(&two.other, path));
        assert_eq!((keys(again), keys(others)), (cat.clone(), other.clone()));
    }
    for provider in PROVIDERS {
        let (cat, other) =
            (two.installations(&two.cat, provider).await, two.installations(&two.other, provider).await);
        assert!(!cat.is_empty() && cat.is_disjoint(&other), "{provider}");
    }
}

#[tokio::test]
async fn an_installation_of_the_other_user_is_as_unknown_as_one_that_does_not_exist() {
    let two = two().await;
    for (user, of) in [(&two.cat, &two.other), (&two.other, &two.cat)] {
        for provider in PROVIDERS {
            let own = two.installations(user, provider).await;
            for installation in two.installations(of, provider).await.difference(&own).take(5) {
                let path = format!(
                    "/api/user/repositories?selected_provider={provider}&installation_id={installation}&page=1"
                );
                let answer = two.running.get(&path).api_key(user).send().await;
                let refused = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN);
                assert!(refused || answer.json() == json!([]), "{path}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn rows_imports_and_keys_of_the_other_user_are_not_found_and_stay() {
    let two = two().await;
    for (user, of) in [(&two.cat, &two.other), (&two.other, &two.cat)] {
        let rows = two.list(of, &format!("/api/users/{}/installations", of.user_id)).await;
        let keys = two.list(of, "/api/keys").await;
        let row = &rows[0]["id"];
        let key = keys[0]["id"].as_str().expect("an id");
        for (method, path) in [
            (Method::GET, format!("/api/users/{}/installations", of.user_id)),
            (Method::DELETE, format!("/api/users/{}/installations/{row}", of.user_id)),
            (Method::DELETE, format!("/api/users/{}/installations/{row}", user.user_id)),
            (Method::GET, format!("/api/users/{}/installations/{row}/imports", of.user_id)),
            (Method::GET, format!("/api/users/{}/installations/{row}/imports", user.user_id)),
            (Method::DELETE, format!("/api/keys/{key}")),
        ] {
            let answer = two.running.request(method.clone(), &path).api_key(user).send().await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:?}");
        }
        assert_eq!(two.list(of, &format!("/api/users/{}/installations", of.user_id)).await, rows);
        assert_eq!(two.list(of, "/api/keys").await.len(), keys.len());
    }
}

#[tokio::test]
async fn what_one_takes_away_or_ends_costs_the_other_nothing() {
    let two = two().await;
    let before = two.list(&two.other, "/api/user/repositories").await;
    let unset = two.running.post("/api/unset-provider-tokens").api_key(&two.cat).send().await;
    assert_eq!(unset.status, StatusCode::OK);
    let none = two.running.get("/api/user/repositories").api_key(&two.cat).send().await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    let logout = two.running.post("/auth/logout").session(&two.cat).header("Origin", &two.running.stack.url);
    assert!(logout.send().await.status.is_success());
    assert_eq!(two.list(&two.other, "/api/user/repositories").await, before);
    let session = two.running.get("/auth/session").session(&two.other).send().await.json();
    assert_eq!(session["signed_in"], true);
}

#[tokio::test]
async fn a_sealed_token_that_is_moved_to_the_other_users_row_does_not_open() {
    let two = two().await;
    let table = &two.running.stack.service.table;
    let id = |user: &DemoUser| serde_json::from_value(json!(user.user_id)).expect("a user's id");
    let (cat, other) = (id(&two.cat), id(&two.other));
    for provider in ["gitlab", "bitbucket"] {
        let provider = shared::provider::ProviderType::from_name(provider).expect("a provider");
        let stolen = table
            .provider_token(&other, TokenSlot::own(provider))
            .await
            .expect("the table answers")
            .expect("a token");
        let own = table
            .provider_token(&cat, TokenSlot::own(provider))
            .await
            .expect("the table answers")
            .expect("a token");
        table.put_provider_token(&cat, &stolen, Some(own.version)).await.expect("it is written");
        let path = format!("/api/user/installations?provider={provider}");
        let answer = two.running.get(&path).api_key(&two.cat).send().await;
        assert!(answer.status.is_server_error(), "{answer:?}");
    }
}
