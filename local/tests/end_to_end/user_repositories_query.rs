//! The parameters of `GET /api/user/repositories`: read as pydantic reads them, refused in FastAPI's words.

use http::StatusCode;
use serde_json::Value;

use crate::harness::start;
use crate::openhands::REPOSITORIES;

const PAGE_OF_5001: &str = "/api/user/repositories?selected_provider=github&installation_id=5001";

#[tokio::test]
async fn all_problems_are_listed_in_the_order_in_which_openhands_declares_them() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = format!("{REPOSITORIES}?installation_id=x&per_page=&page=1.5&selected_provider=nope&sort=x");
    insta::assert_snapshot!(running.get(&path).api_key(&user).send().await.wire(), @r#"
    422 Unprocessable Entity
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"detail":[{"type":"enum","loc":["query","selected_provider"],"msg":"Input should be 'github', 'gitlab', 'bitbucket' or 'enterprise_sso'","input":"nope","ctx":{"expected":"'github', 'gitlab', 'bitbucket' or 'enterprise_sso'"}},{"type":"int_parsing","loc":["query","page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"1.5"},{"type":"int_parsing","loc":["query","per_page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":""}]}
    "#);
}

#[tokio::test]
async fn an_installation_id_that_would_lead_elsewhere_is_named_and_never_sent() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = format!("{REPOSITORIES}?selected_provider=github&installation_id=5001/../../user");
    insta::assert_snapshot!(running.get(&path).api_key(&user).send().await.wire(), @r#"
    422 Unprocessable Entity
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"detail":[{"type":"string_pattern_mismatch","loc":["query","installation_id"],"msg":"String should match pattern '^[0-9]{1,19}$'","input":"5001/../../user","ctx":{"pattern":"^[0-9]{1,19}$"}}]}
    "#);
    for (given, input) in [
        ("5001%2F..%2F..%2Fuser", "5001/../../user"),
        ("5001%252F..", "5001%2F.."),
        ("..", ".."),
        ("5001?per_page=1", "5001?per_page=1"),
        ("5001%23", "5001#"),
        ("5001%00", "5001\0"),
        ("5001;x", "5001;x"),
        ("5001%5C..", "5001\\.."),
        ("5001%0D%0AX-Evil:1", "5001\r\nX-Evil:1"),
        ("%205001", " 5001"),
        ("5001+", "5001 "),
        ("%2B5001", "+5001"),
        ("-5001", "-5001"),
        ("0", "0"),
        ("5_001", "5_001"),
        ("5001.0", "5001.0"),
        ("%EF%BC%95", "\u{ff15}"),
        ("9223372036854775808", "9223372036854775808"),
        ("10000000000000000000", "10000000000000000000"),
        ("00000000000000005001", "00000000000000005001"),
        ("octo-org", "octo-org"),
        ("5001&installation_id=5001/..", "5001/.."),
    ] {
        let path = format!("{REPOSITORIES}?selected_provider=github&installation_id={given}");
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{given}: {answer:?}");
        let problem = &answer.json()["detail"][0];
        assert_eq!(problem["loc"], serde_json::json!(["query", "installation_id"]), "{given}");
        assert_eq!(problem["input"], Value::from(input), "{given}");
    }
    assert!(running.github().calls().is_empty(), "{:?}", running.github().calls());
}

#[tokio::test]
async fn an_installation_id_is_checked_by_the_rules_of_its_provider() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (provider, id) in
        [("gitlab", "group/../../admin"), ("bitbucket", "work/space"), ("enterprise_sso", "a//b")]
    {
        let path = format!("{REPOSITORIES}?selected_provider={provider}&installation_id={id}");
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{provider}: {answer:?}");
        assert_eq!(answer.json()["detail"][0]["type"], "string_pattern_mismatch");
        assert_eq!(answer.json()["detail"][0]["input"], id);
    }
    assert!(running.github().calls().is_empty());
}

#[tokio::test]
async fn integers_are_read_as_pydantic_reads_them_and_clamped() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (given, page) in [
        ("1", 1),
        ("0", 1),
        ("-7", 1),
        ("-99999999999999999999999", 1),
        ("%2B2", 2),
        ("+2", 2),
        ("%09%202%0A", 2),
        ("007", 7),
        ("1_0", 10),
        ("2.0", 2),
        ("2.000", 2),
        ("%2B0_1_0.00", 10),
        ("250", 250),
        ("x&page=3", 3),
    ] {
        let path = format!("{PAGE_OF_5001}&per_page=100&page={given}");
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{given}: {answer:?}");
        let asked = running.github().calls().pop().expect("a call").query;
        assert_eq!(asked, format!("per_page=100&page={page}"), "{given}");
    }
    for (given, per_page) in [("1", 1), ("0", 1), ("-1", 1), ("100", 100), ("101", 100), ("9_999", 100)] {
        let path = format!("{PAGE_OF_5001}&per_page={given}");
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{given}: {answer:?}");
        let asked = running.github().calls().pop().expect("a call").query;
        assert_eq!(asked, format!("per_page={per_page}&page=1"), "{given}");
    }
}

#[tokio::test]
async fn what_pydantic_does_not_read_as_an_integer_is_refused_with_the_field_named() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (given, input) in [
        ("x", "x"),
        ("", ""),
        ("1.5", "1.5"),
        ("1.", "1."),
        (".0", ".0"),
        ("1e3", "1e3"),
        ("true", "true"),
        ("null", "null"),
        ("0x1", "0x1"),
        ("1__0", "1__0"),
        ("_1", "_1"),
        ("1_", "1_"),
        ("1,000", "1,000"),
        ("--1", "--1"),
        ("%2B-1", "+-1"),
        ("1%202", "1 2"),
        ("%D9%A3", "\u{0663}"),
        ("1%00", "1\0"),
        ("2&page=x", "x"),
    ] {
        let path = format!("{REPOSITORIES}?page={given}");
        let answer = running.get(&path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{given}: {answer:?}");
        assert_eq!(
            answer.json(),
            serde_json::json!({"detail": [{
                "type": "int_parsing",
                "loc": ["query", "page"],
                "msg": "Input should be a valid integer, unable to parse string as an integer",
                "input": input,
            }]}),
            "{given}"
        );
    }
    let digits = "9".repeat(4301);
    let path = format!("{REPOSITORIES}?per_page={digits}");
    assert_eq!(
        running.get(&path).api_key(&user).send().await.json(),
        serde_json::json!({"detail": [{
            "type": "int_parsing_size",
            "loc": ["query", "per_page"],
            "msg": "Unable to parse input string as an integer, exceeded maximum size",
            "input": digits,
        }]})
    );
    assert!(running.github().calls().is_empty());
}

#[tokio::test]
async fn an_installation_without_page_and_size_is_its_first_thirty() {
    let running = start().await;
    let user = running.sign_in("big-installation").await;
    let path = format!("{REPOSITORIES}?selected_provider=github&installation_id=0005045");
    let answer = running.get(&path).api_key(&user).send().await;
    assert_eq!(answer.names().len(), 30);
    assert_eq!(answer.next_page(), Some(2));
    let calls = running.github().calls();
    assert_eq!(calls.len(), 1, "the installation is asked directly");
    assert_eq!(calls[0].path, "/user/installations/5045/repositories");
    assert_eq!(calls[0].query, "per_page=30&page=1");
}

#[tokio::test]
async fn an_installation_means_nothing_without_its_provider() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let all = running.get(REPOSITORIES).api_key(&user).send().await.names();
    for query in ["installation_id=5002", "installation_id=../x", "selected_provider=github&installation_id="]
    {
        let path = format!("{REPOSITORIES}?{query}");
        assert_eq!(running.get(&path).api_key(&user).send().await.names(), all, "{query}");
    }
}
