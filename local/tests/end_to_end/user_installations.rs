//! `GET /api/user/installations`: all ids, in GitHub's order, or an error.

use http::StatusCode;
use local::sandbox_github::FaultKind;

use crate::harness::{Setup, start};
use crate::openhands::{INSTALLATIONS, OCTOCAT, world_with_installations};

#[tokio::test]
async fn every_kind_of_installation_is_listed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    // Among them a suspended one and an Enterprise account, which has no login.
    let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
    assert_eq!(answer.json(), serde_json::json!(OCTOCAT));
    insta::assert_snapshot!(answer.wire(), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json
    etag: [etag]
    vary: Cookie, Authorization, X-Session-API-Key, Accept-Encoding
    x-content-type-options: nosniff

    ["5001","5002","5003","5004"]
    "#);
    let gone = running.sign_in("account-gone").await;
    let answer = running.get(INSTALLATIONS).api_key(&gone).send().await;
    assert_eq!(answer.body, r#"["5048"]"#, "its account is null");
}

#[tokio::test]
async fn who_has_installed_nothing_has_an_empty_list_and_not_an_error() {
    let running = start().await;
    let user = running.sign_in("newcomer").await;
    let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "[]"));
}

#[tokio::test]
async fn forty_installations_are_forty_ids_in_githubs_order_and_one_call() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
    let expected: Vec<String> = (5005..=5044).map(|id: u32| id.to_string()).collect();
    assert_eq!(answer.json(), serde_json::json!(expected));
    let queries: Vec<String> = running.github().calls().into_iter().map(|call| call.query).collect();
    assert_eq!(queries, ["per_page=100&page=1"]);
}

#[tokio::test]
async fn more_than_a_page_of_installations_comes_whole() {
    let running = Setup { world: world_with_installations("member", 250), ..Setup::default() }.start().await;
    let user = running.sign_in("member").await;
    let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
    let expected: Vec<String> = (5001..5251).map(|id: u32| id.to_string()).collect();
    assert_eq!(answer.json(), serde_json::json!(expected));
    assert_eq!(running.asked("/user/installations"), 3);
}

#[tokio::test]
async fn an_installation_that_two_pages_hold_is_listed_once() {
    let running = Setup { world: world_with_installations("member", 150), ..Setup::default() }.start().await;
    let user = running.sign_in("member").await;
    let again = r#"{"total_count":150,"installations":[{"id":5100},{"id":5101},{"id":5102}]}"#;
    running.github().fail(
        local::sandbox_github::Fault::get(
            "/user/installations",
            FaultKind::Answer {
                status: StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: again.to_owned(),
            },
        )
        .where_query("&page=2"),
    );
    let answer = running.get(INSTALLATIONS).api_key(&user).send().await;
    let expected: Vec<String> = (5001..=5102).map(|id: u32| id.to_string()).collect();
    assert_eq!(answer.json(), serde_json::json!(expected));
}

#[tokio::test]
async fn provider_is_required() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = running.get("/api/user/installations").api_key(&user).send().await;
    insta::assert_snapshot!(answer.wire(), @r#"
    422 Unprocessable Entity
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"detail":[{"type":"missing","loc":["query","provider"],"msg":"Field required","input":null}]}
    "#);
    let other_name = running.get("/api/user/installations?Provider=github").api_key(&user).send().await;
    assert_eq!((other_name.status, other_name.body), (answer.status, answer.body));
}

#[tokio::test]
async fn provider_is_one_of_four_to_the_letter_and_the_last_one_counts() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (given, input) in [
        ("", ""),
        ("nope", "nope"),
        ("GitHub", "GitHub"),
        ("github%20", "github "),
        ("+github", " github"),
        ("azure_devops", "azure_devops"),
        ("null", "null"),
        ("github&provider=", ""),
        ("github&provider=nope", "nope"),
        ("%22%3E", "\\\">"),
    ] {
        let path = format!("/api/user/installations?provider={given}");
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{given}");
        assert_eq!(
            answer.body,
            format!(
                r#"{{"detail":[{{"type":"enum","loc":["query","provider"],"msg":"Input should be 'github', 'gitlab', 'bitbucket' or 'enterprise_sso'","input":"{input}","ctx":{{"expected":"'github', 'gitlab', 'bitbucket' or 'enterprise_sso'"}}}}]}}"#
            )
        );
    }
    assert!(running.github().calls().is_empty());
    for accepted in ["nope&provider=github", "github&page=x&unknown=1", "git%68ub"] {
        let path = format!("/api/user/installations?provider={accepted}");
        assert_eq!(running.get(&path).api_key(&user).send().await.status, StatusCode::OK, "{accepted}");
    }
}
