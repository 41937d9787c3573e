//! What one failing installation costs: itself, and a header that names it. What a list of installations
//! that is cut would cost: everything, so it is an error.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use local::sandbox_github::{Fault, FaultKind};

use crate::harness::{Setup, start};
use crate::openhands::{INSTALLATIONS, REPOSITORIES, world_with_installations};

const OF_5001: &str = "/user/installations/5001/repositories";
const OF_5002: &str = "/user/installations/5002/repositories";

fn saml() -> FaultKind {
    let mut headers = HeaderMap::new();
    headers.insert("x-github-sso", "required; url=https://github.com/orgs/octo-org/sso".parse().unwrap());
    let body = r#"{"message":"Resource protected by organization SAML enforcement."}"#.to_owned();
    FaultKind::Answer { status: StatusCode::FORBIDDEN, headers, body }
}

#[tokio::test]
async fn one_failing_installation_costs_its_own_repositories_and_is_named() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let all = running.get(REPOSITORIES).api_key(&user).send().await.names();
    let others: Vec<_> = all.iter().filter(|name| !name.starts_with("octo-org/")).collect();
    assert_eq!((all.len(), others.len()), (9, 6));
    for (kind, status) in [
        (FaultKind::Status(StatusCode::FORBIDDEN), 403),
        (saml(), 403),
        (FaultKind::Status(StatusCode::NOT_FOUND), 404),
        (FaultKind::PrimaryRateLimit { reset_in: 90 }, 429),
        (FaultKind::SecondaryRateLimit { retry_after: 30 }, 429),
        (FaultKind::TooManyRequests { retry_after: 30 }, 429),
        (FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), 502),
        (FaultKind::Html, 502),
        (FaultKind::Redirect("/api/v3/user".to_owned()), 502),
    ] {
        running.github().clear_faults();
        running.fail(OF_5002, kind.clone());
        let answer = running.get(REPOSITORIES).api_key(&user).send().await;
        assert_eq!(answer.names().iter().collect::<Vec<_>>(), others, "{kind:?}");
        let named = format!("github/5002={status}");
        assert_eq!(answer.header("x-partial-result"), Some(&*named), "{kind:?}");
        assert_eq!(answer.header("x-total-count"), Some("6"));
        running.assert_no_upstream_url(&answer);
    }
    running.github().clear_faults();
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!((answer.names(), answer.header("x-partial-result")), (all, None), "it has recovered");
}

#[tokio::test]
async fn a_page_that_is_cut_costs_its_installation_and_one_that_is_known_already_has_nothing_to_cut() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.fail(OF_5002, FaultKind::TruncatedJson);
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!((answer.names().len(), answer.header("x-partial-result")), (6, Some("github/5002=502")));
    running.github().clear_faults();
    assert_eq!(running.get(REPOSITORIES).api_key(&user).send().await.names().len(), 9);
    running.fail(OF_5002, FaultKind::TruncatedJson);
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!((answer.names().len(), answer.header("x-partial-result")), (9, None));
}

#[tokio::test]
async fn a_page_of_a_partial_list_names_what_is_missing_too() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.fail(OF_5002, FaultKind::Status(StatusCode::FORBIDDEN));
    let answer = running.get(&format!("{REPOSITORIES}?page=2&per_page=4")).api_key(&user).send().await;
    assert_eq!(answer.names().len(), 2);
    assert_eq!(answer.header("x-partial-result"), Some("github/5002=403"));
}

#[tokio::test]
async fn several_failing_installations_are_named_in_order() {
    let running = Setup { world: world_with_installations("member", 40), ..Setup::default() }.start().await;
    let user = running.sign_in("member").await;
    for (id, status) in [(5036, StatusCode::NOT_FOUND), (5002, StatusCode::FORBIDDEN)] {
        running.fail(&format!("/user/installations/{id}/repositories"), FaultKind::Status(status));
    }
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!(answer.names().len(), 38);
    assert_eq!(answer.header("x-partial-result"), Some("github/5002=403, github/5036=404"));
}

#[tokio::test]
async fn a_failing_page_costs_itself_only() {
    let running = Setup { world: world_with_installations("member", 2), ..Setup::default() }.start().await;
    let user = running.sign_in("member").await;
    for page in [2, 7, 15] {
        running.github().clear_faults();
        let failure = FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR);
        running.github().fail(Fault::get(OF_5002, failure).where_query(&format!("&page={page}")));
        running.serve_repositories("5002", 1_500);
        let answer = running.get(REPOSITORIES).api_key(&user).send().await;
        assert_eq!(answer.names().len(), 1 + 1_400, "page {page}");
        assert_eq!(answer.header("x-partial-result"), Some("github/5002=502"));
    }
}

#[tokio::test]
async fn when_every_installation_fails_the_answer_is_the_error_and_no_empty_list() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (kind, status) in [
        (FaultKind::Status(StatusCode::FORBIDDEN), StatusCode::FORBIDDEN),
        (saml(), StatusCode::FORBIDDEN),
        (FaultKind::Status(StatusCode::NOT_FOUND), StatusCode::NOT_FOUND),
        (FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), StatusCode::BAD_GATEWAY),
        (FaultKind::TooManyRequests { retry_after: 17 }, StatusCode::TOO_MANY_REQUESTS),
    ] {
        running.github().clear_faults();
        running.github().fail(Fault::under("/user/installations/", kind.clone()));
        let answer = running.get(REPOSITORIES).api_key(&user).send().await;
        assert_eq!(answer.status, status, "{kind:?}");
        assert_eq!(answer.json()["provider"], "github", "{kind:?}");
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(answer.header("retry-after"), limited.then_some("17"), "{kind:?}");
        running.assert_no_upstream_url(&answer);
    }
}

#[tokio::test]
async fn when_an_empty_installation_succeeds_the_list_is_partial_and_says_so() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for path in [OF_5001, OF_5002] {
        running.fail(path, FaultKind::Status(StatusCode::FORBIDDEN));
    }
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "[]"), "5004 has no repositories");
    assert_eq!(answer.header("x-partial-result"), Some("github/5001=403, github/5002=403"));
}

#[tokio::test]
async fn a_grant_that_ends_in_the_middle_is_not_one_installations_failure() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(60));
    // Refreshing helps nothing: the host refuses the new token for this installation as well.
    running.fail(OF_5002, FaultKind::Status(StatusCode::UNAUTHORIZED));
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, r#""Invalid github token""#));
}

#[tokio::test]
async fn a_list_of_installations_that_is_cut_is_an_error_on_both_routes() {
    let running = Setup { world: world_with_installations("member", 250), ..Setup::default() }.start().await;
    let user = running.sign_in("member").await;
    for (page, kind, status) in [
        (1, FaultKind::Status(StatusCode::FORBIDDEN), StatusCode::FORBIDDEN),
        (2, FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR), StatusCode::BAD_GATEWAY),
        (2, FaultKind::TooManyRequests { retry_after: 5 }, StatusCode::TOO_MANY_REQUESTS),
        (3, FaultKind::TruncatedJson, StatusCode::BAD_GATEWAY),
        (3, FaultKind::Status(StatusCode::NOT_FOUND), StatusCode::NOT_FOUND),
    ] {
        running.github().clear_faults();
        let fault = Fault::get("/user/installations", kind.clone()).where_query(&format!("&page={page}"));
        running.github().fail(fault);
        for path in [INSTALLATIONS, REPOSITORIES] {
            let answer = running.get(path).api_key(&user).send().await;
            assert_eq!(answer.status, status, "{path} page {page}: {kind:?}");
            running.assert_no_upstream_url(&answer);
        }
    }
    running.github().clear_faults();
    let ids = running.get(INSTALLATIONS).api_key(&user).send().await.json();
    assert_eq!(ids.as_array().map(Vec::len), Some(250));
}

#[tokio::test]
async fn an_installation_that_stays_silent_costs_itself_and_the_answer_comes_in_time() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.fail(OF_5002, FaultKind::Stall(Duration::from_secs(20)));
    let process = running.another_process(Duration::from_millis(1_400)).await;
    let started = Instant::now();
    let asked = running.request_at(http::Method::GET, &format!("{process}{REPOSITORIES}")).api_key(&user);
    let answer = asked.send().await;
    assert_eq!(answer.names().len(), 6);
    assert_eq!(answer.header("x-partial-result"), Some("github/5002=504"));
    assert!(started.elapsed() < Duration::from_millis(1_400));
}
