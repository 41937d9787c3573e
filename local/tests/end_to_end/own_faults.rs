//! What is wrong on our own side and stays wrong: a token that does not open, an item of a newer version. It is 500
//! and never the host's fault, in a list of one host and in one of all.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Running};
use crate::other_hosts::{get, linked, start};

const OF_GITHUB: [&str; 2] =
    ["/api/user/installations?provider=github", "/api/user/repositories?selected_provider=github"];

fn assert_internal(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{what}: {answer:?}");
    assert_eq!((&answer.json()["code"], answer.header("retry-after")), (&"internal_error".into(), None));
}

/// The user's row of a token at GitHub.
async fn github_row(running: &Running) -> Value {
    let rows = running.items_of("TOKEN#github").await;
    rows.into_iter().next().expect("the user has a token")
}

/// A row that will be of no use to this version, and why.
fn broken(row: &Value) -> [(&'static str, Value); 5] {
    let with = |name: &str, value: Value| {
        let mut row = row.clone();
        row[name] = value;
        row
    };
    [
        ("a newer schema", with("v", json!({ "N": "2" }))),
        ("damaged", with("obtained_at", json!({ "S": "yesterday" }))),
        ("a key that is gone", with("key_id", json!({ "S": "k9" }))),
        ("another version's seal", with("version", json!({ "N": "2" }))),
        ("another row's seal", with("sealed_access", row["sealed_refresh"].clone())),
    ]
}

#[tokio::test]
async fn what_stays_wrong_by_our_own_fault_is_500_and_nobody_is_told_to_try_again() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let row = github_row(&running).await;
    running.github().clear_calls();
    for (what, row) in broken(&row) {
        running.put_item(&row).await;
        for path in OF_GITHUB {
            assert_internal(&get(&running, &user, path).await, what);
        }
        assert!(running.github().calls().is_empty(), "{what}");
    }
    running.put_item(&row).await;
    for path in OF_GITHUB {
        assert_eq!(get(&running, &user, path).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_merged_list_does_not_blame_the_host_for_our_own_fault() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let row = github_row(&running).await;
    for (what, row) in broken(&row) {
        running.put_item(&row).await;
        // What is linked is read first and as a whole, and so fails as a whole.
        if ["a newer schema", "damaged"].contains(&what) {
            assert_internal(&get(&running, &user, "/api/user/repositories").await, what);
            continue;
        }
        let answer = get(&running, &user, "/api/user/repositories").await;
        assert_eq!(answer.status, StatusCode::OK, "{what}: {answer:?}");
        assert_eq!(answer.header("x-partial-result"), Some("github=500"), "{what}");
        let of_github = answer.json().as_array().unwrap().iter().any(|one| one["git_provider"] == "github");
        assert!(!of_github && answer.json() != json!([]), "{what}: {answer:?}");
    }
}
