//! What becomes of GitLab's failures: an error that says which, and never a part of a list.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::sandbox_gitlab::{Fault, FaultKind};
use shared::provider::oauth::OauthError;
use shared::provider::{ForbiddenReason, ProviderError, Sort};

use super::lab::{CALLBACK, Lab, budget, host_error, oauth_client, options};

const fn limited(seconds: u64) -> ProviderError {
    ProviderError::RateLimited { retry_after: Some(seconds) }
}

fn cases() -> Vec<(FaultKind, ProviderError)> {
    let status = |code: u16| FaultKind::Status(StatusCode::from_u16(code).unwrap());
    vec![
        (status(401), ProviderError::Unauthorized),
        (status(403), ProviderError::Forbidden(ForbiddenReason::Plain)),
        (FaultKind::Throttled { retry_after: 30 }, limited(30)),
        (FaultKind::EndpointLimit, limited(60)),
        (status(500), ProviderError::BadResponse { status: 500 }),
        (status(502), ProviderError::BadResponse { status: 502 }),
        (status(503), ProviderError::BadResponse { status: 503 }),
        (status(504), ProviderError::Timeout),
        (FaultKind::Html, ProviderError::BadResponse { status: 200 }),
        (FaultKind::TruncatedJson, ProviderError::BadResponse { status: 200 }),
    ]
}

#[tokio::test]
async fn each_failure_has_its_meaning_on_every_listing() {
    let lab = Lab::new().await;
    for (kind, expected) in
        cases().into_iter().chain([(FaultKind::Status(StatusCode::NOT_FOUND), ProviderError::NotFound)])
    {
        lab.fail(Fault::under("/", kind.clone()));
        let token = lab.token("three-groups");
        assert_eq!(host_error(lab.repositories("three-groups").await), expected, "{kind:?}");
        assert_eq!(host_error(lab.installations("three-groups").await), expected, "{kind:?}");
        let page = lab.gitlab.installation_page("large-1", Sort::Pushed, 1, 100, &token, &budget()).await;
        assert_eq!(host_error(page), expected, "{kind:?}");
        assert_eq!(host_error(lab.gitlab.user(&token, &budget()).await), expected, "{kind:?}");
        lab.sandbox.clear_faults();
    }
}

#[tokio::test]
async fn a_later_page_that_fails_fails_the_listing() {
    let lab = Lab::new().await;
    for (kind, expected) in cases() {
        lab.fail(Fault::get("/projects", kind.clone()).where_query("page=7"));
        assert_eq!(host_error(lab.repositories("three-groups").await), expected, "{kind:?}");
        lab.fail(Fault::get("/groups", kind.clone()).where_query("page=2"));
        assert_eq!(host_error(lab.installations("many-groups").await), expected, "{kind:?}");
        lab.sandbox.clear_faults();
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_not_noticed() {
    let lab = Lab::new().await;
    lab.fail(
        Fault::get("/projects", FaultKind::Status(StatusCode::BAD_GATEWAY)).where_query("page=3").times(2),
    );
    assert_eq!(lab.repositories("three-groups").await.unwrap().len(), 1_500);
}

#[tokio::test]
async fn what_is_said_of_further_pages_may_be_wrong_or_missing() {
    let lab = Lab::new().await;
    let elsewhere = "<https://evil.example/api/v4/projects?page=2&id_after=999999>; rel=\"next\"";
    for kind in
        [FaultKind::Link(elsewhere.to_owned()), FaultKind::Link("nonsense".to_owned()), FaultKind::Unpaged]
    {
        lab.fail(Fault::under("/", kind.clone()));
        let found = lab.repositories("three-groups").await.unwrap();
        assert_eq!(found.len(), 1_500, "{kind:?}");
        assert_eq!(lab.installations("many-groups").await.unwrap().len(), 138, "{kind:?}");
        lab.sandbox.clear_faults();
    }
    // The groups that are not counted follow one after the other.
    lab.fail(Fault::get("/groups", FaultKind::Unpaged));
    assert_eq!(lab.installations("many-groups").await.unwrap().len(), 138);
}

#[tokio::test]
async fn a_listing_that_never_ends_is_left() {
    let lab = Lab::new().await;
    let token = lab.sandbox.mint_user_token("three-groups").access_token;
    let full = lab.json("/api/v4/groups?per_page=100", &token).await;
    let item = full[0].clone();
    let items: Vec<_> = (0..100)
        .map(|number| {
            let mut item = item.clone();
            item["id"] = (5_000 + number).into();
            item
        })
        .collect();
    let base = format!("{}/api/v4/projects?page=2&id_after=4", lab.sandbox.url());
    let link = format!("<{base}>; rel=\"next\"").parse().unwrap();
    let headers: HeaderMap = [(http::header::LINK, link)].into_iter().collect();
    let body = serde_json::to_string(&items).unwrap();
    let same = FaultKind::Answer { status: StatusCode::OK, headers, body };
    lab.fail(Fault::get("/groups", same));
    assert_eq!(lab.installations("three-groups").await.unwrap().len(), 101);

    let mut projects = lab.json("/api/v4/projects?membership=true&per_page=100", &token).await;
    projects.as_array_mut().unwrap().sort_by_key(|project| project["id"].as_u64());
    let link = format!("<{base}>; rel=\"next\"").parse().unwrap();
    let headers: HeaderMap = [(http::header::LINK, link)].into_iter().collect();
    let same = FaultKind::Answer { status: StatusCode::OK, headers, body: projects.to_string() };
    lab.fail(Fault::get("/projects", same));
    lab.sandbox.clear_calls();
    let error = host_error(lab.repositories("three-groups").await);
    assert_eq!(error, ProviderError::BadResponse { status: 200 });
    assert!(lab.sandbox.calls().len() < 80, "{}", lab.sandbox.calls().len());
}

#[tokio::test]
async fn odd_items_cost_themselves_only() {
    let lab = Lab::new().await;
    let token = lab.sandbox.mint_user_token("gitlab-cat").access_token;
    let mut listed = lab.json("/api/v4/projects?membership=true&active=true", &token).await;
    listed[1] = serde_json::Value::Null;
    listed[3] = serde_json::json!({ "id": null, "path_with_namespace": 5 });
    listed[5]["namespace"] = serde_json::json!("odd");
    let body = listed.to_string();
    lab.fail(Fault::get(
        "/projects",
        FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body },
    ));
    assert_eq!(lab.repositories("gitlab-cat").await.unwrap().len(), 8);
}

#[tokio::test]
async fn the_token_endpoints_failures_are_not_taken_for_its_refusals() {
    let lab = Lab::new().await;
    let tokens = lab.sandbox.mint_user_token("gitlab-cat");
    for kind in [
        FaultKind::Throttled { retry_after: 30 },
        FaultKind::Html,
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FaultKind::Status(StatusCode::NOT_FOUND),
    ] {
        lab.fail(Fault::post("/oauth/token", kind.clone()).times(1));
        let refresh = tokens.refresh_token.clone().into();
        let answer = lab.gitlab.refresh(&oauth_client(), &refresh, CALLBACK, &budget()).await;
        assert!(matches!(answer, Err(OauthError::Host(_))), "{kind:?} {answer:?}");
    }
    // None of them had used the token up.
    let refresh = tokens.refresh_token.into();
    assert!(lab.gitlab.refresh(&oauth_client(), &refresh, CALLBACK, &budget()).await.is_ok());
    lab.fail(Fault::post("/oauth/revoke", FaultKind::EndpointLimit));
    let access = tokens.access_token.into();
    assert_eq!(lab.gitlab.revoke(&oauth_client(), &access, &budget()).await, Err(limited(60)));
}

#[tokio::test]
async fn the_limit_of_all_requests_is_told_with_its_end() {
    let mut options = options();
    options.requests_per_minute = 3;
    let lab = Lab::with(local::sandbox_gitlab::demo_world(), options).await;
    let token = lab.token("gitlab-cat");
    let mut error = None;
    // The minute may change between two of them.
    for _ in 0..8 {
        if let Err(refused) = lab.gitlab.user(&token, &budget()).await {
            error = Some(refused);
        }
    }
    match host_error::<()>(Err(error.unwrap())) {
        ProviderError::RateLimited { retry_after: Some(seconds) } => assert!((1..=60).contains(&seconds)),
        other => panic!("{other:?}"),
    }
    lab.clock.advance(Duration::from_secs(60));
    assert!(lab.gitlab.user(&token, &budget()).await.is_ok());
}

#[tokio::test]
async fn a_blocked_user_is_refused() {
    let lab = Lab::new().await;
    let refused = host_error(lab.repositories("blocked").await);
    assert_eq!(refused, ProviderError::Forbidden(ForbiddenReason::Plain));
}
