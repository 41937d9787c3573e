//! `GET /api/users/{user_id}/installations/{installation_id}/imports`: what can be imported through one
//! installation, as GitHub shows it to the caller, and what its failures become.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind, InstallationId, Selection, Target, World};
use serde_json::{Value, json};

use crate::harness::{Answer, Running, Setup, start};

const OF_5001: &str = "/user/installations/5001/repositories";

fn path(user_id: &str, row: &str) -> String {
    format!("/api/users/{user_id}/installations/{row}/imports")
}

/// The path of a user's imports through an installation of that number at GitHub.
async fn through(running: &Running, user: &DemoUser, installation: u64) -> String {
    let row = running.row(user, InstallationId(installation)).await;
    running.github().clear_calls();
    path(&user.user_id, &row["id"].to_string())
}

async fn imports(running: &Running, user: &DemoUser, installation: u64) -> Answer {
    let path = through(running, user, installation).await;
    running.get(&path).api_key(user).send().await
}

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.column("github_repository_name")
}

fn ids(answer: &Answer) -> Vec<u64> {
    answer.json().as_array().expect("rows").iter().map(|row| row["id"].as_u64().expect("an id")).collect()
}

/// Status, message and `Retry-After` of an error, whose form is checked.
fn error(answer: &Answer) -> String {
    let body = answer.json();
    let message = body["data"]["message"].as_str().unwrap_or_else(|| panic!("no message: {answer:?}"));
    let form = json!({
        "statusCode": answer.status.as_u16(),
        "statusMessage": answer.status.canonical_reason(),
        "data": { "message": message },
    });
    assert_eq!(body, form, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let retry =
        answer.header("retry-after").map_or_else(String::new, |seconds| format!(" after {seconds} s"));
    format!("{}{retry}: {message}", answer.status.as_u16())
}

fn json_answer(body: &Value) -> FaultKind {
    FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_string() }
}

#[tokio::test]
async fn rows_have_neptuns_keys_in_githubs_order_and_cost_one_call() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = imports(&running, &user, 5001).await;
    insta::assert_snapshot!(answer.wire().replace("},{", "},\n{"));
    assert_eq!(running.paths(), [OF_5001]);
    let session = running.get(&through(&running, &user, 5001).await).session(&user).send().await;
    assert_eq!(session.wire(), answer.wire());
}

#[tokio::test]
async fn what_github_tells_of_a_repository_is_in_its_row() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let body = json!({"total_count": 1, "repository_selection": "all", "repositories": [{
        "id": 1_296_269, "name": "Hello-World", "full_name": "octocat/Hello-World", "private": false,
        "html_url": "https://github.com/octocat/Hello-World", "description": "This your first repo!",
        "fork": true, "homepage": "https://octo.example", "size": 108, "language": "Rust", "archived": false,
        "is_template": false, "default_branch": "trunk", "pushed_at": "2011-01-26T19:06:43Z",
        "created_at": "2011-01-26T19:01:12Z", "updated_at": "2011-01-26T19:14:43Z",
        "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT", "node_id": "MDc6TGljZW5zZW1pdA=="},
    }]});
    running.fail(OF_5001, json_answer(&body));
    insta::assert_snapshot!(imports(&running, &user, 5001).await.body, @r#"[{"id":1296269,"github_repository_id":1296269,"github_repository_name":"Hello-World","github_repository_description":"This your first repo!","github_repository_size":108,"github_repository_language":"Rust","github_repository_license":"MIT","github_repository_url":"https://github.com/octocat/Hello-World","github_repository_website_url":"https://octo.example","github_repository_default_branch":"trunk","github_repository_is_private":false,"github_repository_is_fork":true,"github_repository_is_template":false,"github_repository_is_archived":false,"created_at":"2011-01-26T19:01:12Z","updated_at":"2011-01-26T19:14:43Z","github_app_installation_id":1}]"#);
}

#[tokio::test]
async fn every_row_names_the_row_that_was_asked_for() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let row = running.row(&user, InstallationId(5002)).await;
    let answer = imports(&running, &user, 5002).await;
    assert_eq!(names(&answer), ["api", "web", "docs"]);
    for import in answer.json().as_array().unwrap() {
        assert_eq!(import["github_app_installation_id"], row["id"], "{import}");
        assert_eq!(import["github_repository_id"], import["id"], "{import}");
    }
}

#[tokio::test]
async fn fifteen_hundred_repositories_are_all_there_each_once_in_githubs_order() {
    let running = start().await;
    let user = running.sign_in("big-installation").await;
    let installation = running.installation("big-installation").0;
    let answer = imports(&running, &user, installation).await;
    let ids = ids(&answer);
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (1_500, 1_500));
    assert!(ids.is_sorted(), "the sandbox lists by number");
    assert_eq!(answer.header("x-total-count"), Some("1500"));
    assert_eq!(answer.header("x-truncated"), None);
    assert_eq!(running.paths().len(), 15);
}

#[tokio::test]
async fn an_installation_without_repositories_is_an_empty_list() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = imports(&running, &user, 5004).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "[]"));
}

#[tokio::test]
async fn a_member_learns_of_no_repository_that_only_others_reach() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let reader = running.sign_in("reader").await;
    let all = names(&imports(&running, &owner, 5001).await);
    assert_eq!(all.len(), 6);
    let answer = imports(&running, &reader, 5001).await;
    assert_eq!(names(&answer), ["hello-world"]);
    for hidden in all.iter().filter(|name| *name != "hello-world") {
        assert!(!answer.body.contains(hidden.as_str()), "{hidden}: {answer:?}");
    }
}

#[tokio::test]
async fn what_changes_at_github_shows_at_once() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = through(&running, &user, 5001).await;
    let owner = running.account("octocat");
    let added = running.github().world(|world| world.add_repository(owner, "brand-new"));
    assert!(names(&running.get(&path).api_key(&user).send().await).contains(&"brand-new".to_owned()));
    running.github().world(|world| world.repositories.remove(&added));
    assert!(!names(&running.get(&path).api_key(&user).send().await).contains(&"brand-new".to_owned()));
}

#[tokio::test]
async fn what_moves_from_page_to_page_while_it_is_read_is_one_row() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (page, [first, second]) in [("&page=1", [1, 2]), ("&page=2", [2, 3])] {
        let repository = |id: u64| json!({"id": id, "name": format!("r{id}")});
        let body = json!({"total_count": 150, "repositories": [repository(first), repository(second)]});
        running.github().fail(Fault::get(OF_5001, json_answer(&body)).where_query(page));
    }
    let answer = imports(&running, &user, 5001).await;
    assert_eq!((ids(&answer), names(&answer).join(" ")), (vec![1, 2, 3], "r1 r2 r3".to_owned()));
}

#[tokio::test]
async fn an_odd_repository_costs_neither_the_page_nor_more_than_its_odd_fields() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let known_since = running.row(&user, InstallationId(5001)).await["created_at"].clone();
    let body = json!({"total_count": 5, "repositories": [
        {"id": 1, "name": "bare"},
        {"id": 2, "full_name": "octocat/odd", "name": null, "html_url": 5, "description": [], "size": "big",
         "license": "MIT", "homepage": "", "private": null, "archived": "yes", "created_at": "yesterday",
         "updated_at": null, "pushed_at": "2024-05-16T08:47:09-07:00", "owner": null},
        {"id": null, "name": "nameless"}, {"id": 4}, null,
    ]});
    running.fail(OF_5001, json_answer(&body));
    let answer = imports(&running, &user, 5001).await;
    assert_eq!(names(&answer), ["bare", "odd"]);
    let rows = answer.json();
    let web = running.github().web_url();
    for (row, name, date) in
        [(&rows[0], "bare", known_since), (&rows[1], "octocat/odd", json!("2024-05-16T15:47:09Z"))]
    {
        assert_eq!(row["github_repository_url"], format!("{web}/{name}"));
        assert_eq!((&row["created_at"], &row["updated_at"]), (&date, &date), "{name}");
        assert_eq!(row["github_repository_is_private"], true, "{name}: not known to be public");
        for absent in ["description", "size", "language", "license", "website_url", "default_branch"] {
            assert_eq!(row[format!("github_repository_{absent}")], Value::Null, "{name}: {absent}");
        }
    }
}

#[tokio::test]
async fn more_than_one_answer_carries_is_cut_and_said_rather_than_lost() {
    let mut world = World::new();
    let big = world.add_user("big", "Has more repositories than one answer holds");
    world.install(Target::Account(big), Selection::All);
    let running = Setup { world, ..Setup::default() }.start().await;
    let user = running.sign_in("big").await;
    running.serve_repositories("5001", 12_000);
    let answer = imports(&running, &user, 5001).await;
    let ids = ids(&answer);
    assert!((7_000..12_000).contains(&ids.len()), "{} rows", ids.len());
    assert!(ids.into_iter().eq(0..answer.json().as_array().unwrap().len() as u64), "the first ones");
    assert_eq!(answer.header("x-total-count"), Some("12000"));
    assert_eq!(answer.header("x-truncated"), Some("true"));
}

#[tokio::test]
async fn foreign_and_unknown_rows_are_the_same_404_and_github_is_not_asked() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let other = running.sign_in("reader").await;
    let foreign = running.shown_rows(&other).await[0]["id"].to_string();
    let own = running.shown_rows(&user).await[0]["id"].to_string();
    running.github().clear_calls();
    let zero = format!("0{own}");
    let huge = "9".repeat(40);
    for row in
        [&*foreign, "5001", "999999", "0", &zero, "-1", "%2b1", "1.0", "abc", "..%2f1", &huge, "%d9%a1"]
    {
        let answer = running.get_as_written(&path(&user.user_id, row), &user).await;
        assert_eq!(error(&answer), "404: Installation not found", "{row}");
    }
    for user_id in [&*other.user_id, "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "1", "x"] {
        for row in [&own, &foreign] {
            let answer = running.get(&path(user_id, row)).api_key(&user).send().await;
            assert_eq!(error(&answer), "404: User not found", "{user_id} {row}");
        }
    }
    let nobody = running.get(&path(&user.user_id, &own)).send().await;
    assert_eq!(error(&nobody), "401: Sign in or send an API key.");
    assert_eq!(running.paths(), [""; 0]);
}

#[tokio::test]
async fn a_row_that_was_removed_lists_nothing_any_more() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = through(&running, &user, 5001).await;
    let removed = running.delete(path.trim_end_matches("/imports")).api_key(&user).send().await;
    assert_eq!(removed.status, StatusCode::OK);
    let answer = running.get(&path).api_key(&user).send().await;
    assert_eq!(error(&answer), "404: Installation not found");
}

#[tokio::test]
async fn each_failure_of_github_has_its_answer_and_none_is_an_empty_list() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = through(&running, &user, 5001).await;
    let mut table = String::new();
    for (name, kind) in [
        ("403", FaultKind::Status(StatusCode::FORBIDDEN)),
        ("404", FaultKind::Status(StatusCode::NOT_FOUND)),
        ("403, primary rate limit", FaultKind::PrimaryRateLimit { reset_in: 3_600 }),
        ("403, secondary rate limit", FaultKind::SecondaryRateLimit { retry_after: 61 }),
        ("429", FaultKind::TooManyRequests { retry_after: 7 }),
        ("422", FaultKind::Status(StatusCode::UNPROCESSABLE_ENTITY)),
        ("500", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        ("503", FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE)),
        ("504", FaultKind::Status(StatusCode::GATEWAY_TIMEOUT)),
        ("200, a page for people", FaultKind::Html),
        ("200, JSON that ends in the middle", FaultKind::TruncatedJson),
        ("200, other JSON", json_answer(&json!({"total_count": 1}))),
        ("a connection that breaks", FaultKind::CutOff { after: 0 }),
    ] {
        running.break_github(OF_5001, kind);
        let answer = running.get(&path).api_key(&user).send().await;
        running.assert_no_upstream_url(&answer);
        // The reset is a moment, and a second may have passed.
        let _ = writeln!(table, "{name} -> {}", error(&answer).replace("3599", "3600"));
    }
    insta::assert_snapshot!(table, @"
    403 -> 403: GitHub knows this user and does not allow the request.
    404 -> 404: GitHub does not know it or does not show it to this user.
    403, primary rate limit -> 429 after 3600 s: GitHub answers no more requests of this user for now. Try again in 3600 seconds.
    403, secondary rate limit -> 429 after 61 s: GitHub answers no more requests of this user for now. Try again in 61 seconds.
    429 -> 429 after 7 s: GitHub answers no more requests of this user for now. Try again in 7 seconds.
    422 -> 502: GitHub failed to answer as it should. Try again later.
    500 -> 502: GitHub failed to answer as it should. Try again later.
    503 -> 502: GitHub failed to answer as it should. Try again later.
    504 -> 504: GitHub took longer than this request may take. Try again later.
    200, a page for people -> 502: GitHub failed to answer as it should. Try again later.
    200, JSON that ends in the middle -> 502: GitHub failed to answer as it should. Try again later.
    200, other JSON -> 502: GitHub failed to answer as it should. Try again later.
    a connection that breaks -> 502: The connection to GitHub failed. Try again later.
    ");
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list_instead_of_shortening_it() {
    let running = start().await;
    let user = running.sign_in("big-installation").await;
    let installation = running.installation("big-installation").0;
    let listed = format!("/user/installations/{installation}/repositories");
    for (kind, status) in [
        (FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), StatusCode::BAD_GATEWAY),
        (FaultKind::SecondaryRateLimit { retry_after: 61 }, StatusCode::TOO_MANY_REQUESTS),
    ] {
        running.github().clear_faults();
        running.github().fail(Fault::get(&listed, kind).where_query("&page=15"));
        let answer = imports(&running, &user, installation).await;
        assert_eq!(answer.status, status, "{}", error(&answer));
    }
}

#[tokio::test]
async fn silence_ends_with_504_before_the_function_does() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = through(&running, &user, 5001).await;
    running.fail(OF_5001, FaultKind::Stall(Duration::from_secs(20)));
    let process = running.another_process(Duration::from_millis(1_400)).await;
    let answer = running.request_at(Method::GET, &format!("{process}{path}")).api_key(&user).send().await;
    assert_eq!(error(&answer), "504: GitHub took longer than this request may take. Try again later.");
}

#[tokio::test]
async fn githubs_own_refusals_of_an_installation_are_told_apart() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let suspended = imports(&running, &owner, 5003).await;
    assert_eq!(error(&suspended), "403: An owner of the account has to unsuspend the installation.");

    let path = through(&running, &owner, 5001).await;
    running.github().world(|world| world.uninstall(InstallationId(5001)));
    let gone = running.get(&path).api_key(&owner).send().await;
    assert_eq!(error(&gone), "404: GitHub does not know it or does not show it to this user.");
}

#[tokio::test]
async fn an_ended_token_is_renewed_and_without_one_the_caller_has_to_sign_in() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = through(&running, &user, 5001).await;
    running.wait(8 * 3_600 + 1);
    assert_eq!(names(&running.get(&path).api_key(&user).send().await).len(), 6);

    running.wait(60);
    running.github().revoke_grant("octocat");
    let revoked = running.get(&path).api_key(&user).send().await;
    assert_eq!(
        error(&revoked),
        "401: GitHub no longer accepts the token of this user. Sign in at /auth/github/login."
    );
    running.unlink(running.account("octocat").0).await;
    let unlinked = running.get(&path).api_key(&user).send().await;
    assert_eq!(error(&unlinked), "401: GitHub is not linked to this user. Sign in at /auth/github/login.");
}

#[tokio::test]
async fn a_table_that_fails_is_503() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = through(&running, &user, 5001).await;
    for (operation, passing) in [("Query", 0), ("GetItem", 1)] {
        running.fail_dynamodb(operation, passing);
        let answer = running.get(&path).session(&user).send().await;
        assert!(error(&answer).starts_with("503 after 5 s: "), "{operation}: {answer:?}");
    }
    assert_eq!(names(&running.get(&path).session(&user).send().await).len(), 6);
}
