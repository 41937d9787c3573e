//! What goes wrong at Bitbucket: noted for its workspace, never hidden, never more than it has to cost.
//! What each refusal means by itself is tested where it is read.

use std::time::Duration;

use http::StatusCode;
use local::sandbox_bitbucket::{Fault, FaultKind};
use shared::provider::listing::Missing;
use shared::provider::upstream::Budget;
use shared::provider::{CallError, ForbiddenReason, ProviderError, ProviderType, Sort};
use tokio::time::Instant;

use super::lab::{Lab, host_error};

fn all() -> Vec<(FaultKind, ProviderError)> {
    let bad = |status| ProviderError::BadResponse { status };
    vec![
        (FaultKind::MissingScope, ProviderError::Forbidden(ForbiddenReason::Plain)),
        (FaultKind::NotFound, ProviderError::NotFound),
        (FaultKind::Gone, bad(410)),
        (FaultKind::TooManyRequests, ProviderError::RateLimited { retry_after: None }),
        (FaultKind::Html(StatusCode::INTERNAL_SERVER_ERROR), bad(500)),
        (FaultKind::Html(StatusCode::BAD_GATEWAY), bad(502)),
        (FaultKind::Html(StatusCode::GATEWAY_TIMEOUT), ProviderError::Timeout),
        (FaultKind::Html(StatusCode::OK), bad(200)),
        (FaultKind::Answer { status: StatusCode::OK, body: "[]".to_owned() }, bad(200)),
        (FaultKind::TruncatedJson, bad(200)),
    ]
}

fn missing(workspace: &str, error: ProviderError) -> Missing {
    Missing {
        provider: ProviderType::Bitbucket,
        installation: Some(workspace.to_owned()),
        cause: error.into(),
    }
}

#[tokio::test]
async fn a_failing_workspace_is_noted_and_costs_no_other() {
    let lab = Lab::new().await;
    for (kind, error) in all() {
        lab.sandbox.fail(Fault::under("/repositories/acme-corp", kind));
        let found = lab.repositories("bitbucket-cat").await.unwrap();
        assert_eq!(found.missing, [missing("acme-corp", error)]);
        assert_eq!(found.repositories.len(), 4);
        let page = lab.page("bitbucket-cat", "acme-corp", Sort::Pushed, 1, 10).await;
        assert_eq!(host_error(page), error);
        lab.sandbox.clear_faults();
    }
}

#[tokio::test]
async fn when_nothing_succeeds_the_error_itself_is_the_answer() {
    let lab = Lab::new().await;
    for (kind, error) in all() {
        for path in ["/repositories", "/user/workspaces"] {
            lab.sandbox.fail(Fault::under(path, kind.clone()));
            assert_eq!(host_error(lab.repositories("bitbucket-cat").await), error, "{path}");
            lab.sandbox.clear_faults();
        }
    }
}

#[tokio::test]
async fn a_401_in_the_middle_ends_all() {
    let lab = Lab::new().await;
    lab.sandbox.fail(Fault::under("/repositories/printing-guild", FaultKind::Unauthorized));
    assert_eq!(host_error(lab.repositories("bitbucket-cat").await), ProviderError::Unauthorized);
    lab.sandbox.fail(Fault::under("/repositories/large-2", FaultKind::Unauthorized).where_query("page=3"));
    assert_eq!(host_error(lab.repositories("large-workspaces").await), ProviderError::Unauthorized);
}

#[tokio::test]
async fn a_user_who_cannot_be_asked_costs_no_repository() {
    let lab = Lab::new().await;
    for (kind, _) in all().into_iter().chain([(FaultKind::Unauthorized, ProviderError::Unauthorized)]) {
        let token = lab.oauth("bitbucket-cat");
        let workspaces = lab.client.installations(&token, &super::lab::budget()).await.unwrap();
        lab.sandbox.fail(Fault::under("/user", kind));
        for workspace in &workspaces[..2] {
            let (page, _) = lab.page("bitbucket-cat", workspace, Sort::Pushed, 1, 10).await.unwrap();
            assert_eq!(page.len(), 3);
            assert!(page.iter().all(|repository| repository.owner_type.is_some()));
        }
        lab.sandbox.clear_faults();
    }
}

#[tokio::test]
async fn a_failing_page_costs_itself_only() {
    let lab = Lab::new().await;
    for (kind, error) in all() {
        lab.sandbox.fail(Fault::under("/repositories/large-2", kind).where_query("page=3"));
        let found = lab.repositories("large-workspaces").await.unwrap();
        assert_eq!((found.repositories.len(), found.missing), (1_400, vec![missing("large-2", error)]));
        lab.sandbox.clear_faults();
        lab.sandbox.reset_rate_limits();
    }
    // A list of installations that is cut would look like a whole one.
    lab.sandbox.fail(Fault::under("/user/workspaces", FaultKind::NotFound).where_query("page=2"));
    assert_eq!(host_error(lab.installations("many-workspaces").await), ProviderError::NotFound);
}

#[tokio::test]
async fn a_gateway_that_is_down_for_a_moment_is_asked_again_and_a_limit_is_not() {
    let lab = Lab::new().await;
    let down = FaultKind::Html(StatusCode::SERVICE_UNAVAILABLE);
    lab.sandbox.fail(Fault::under("/user/workspaces", down).times(2));
    assert_eq!(lab.installations("bitbucket-cat").await.unwrap().len(), 3);
    lab.sandbox.fail(Fault::under("/user/workspaces", FaultKind::TooManyRequests).times(1));
    let limited = lab.installations("bitbucket-cat").await;
    assert_eq!(host_error(limited), ProviderError::RateLimited { retry_after: None });
}

#[tokio::test]
async fn a_next_page_elsewhere_is_never_asked_for() {
    let lab = Lab::new().await;
    let other = Lab::new().await;
    let (web, port) = (lab.sandbox.web_url(), other.sandbox.api_url());
    for next in [
        format!("{port}/repositories/acme-corp?page=2"),
        "http://169.254.169.254/2.0/x".to_owned(),
        format!("{}/2.0/x", web.replace("http:", "https:")),
        format!("{web}/site/oauth2/authorize"),
        format!("{web}/2.0/../site"),
        "nonsense".to_owned(),
    ] {
        lab.sandbox.fail(Fault::under("/repositories/acme-corp", FaultKind::Next(next)));
        lab.sandbox.clear_calls();
        let found = lab.repositories("bitbucket-cat").await.unwrap();
        let bad = ProviderError::BadResponse { status: 200 };
        // What the page itself had is kept; that there is more is not hidden.
        assert_eq!((found.repositories.len(), found.missing), (7, vec![missing("acme-corp", bad)]));
        assert_eq!(lab.calls().len(), 1 + 3);
        let page = lab.page("bitbucket-cat", "acme-corp", Sort::Pushed, 1, 2).await;
        assert_eq!(host_error(page), bad);
        lab.sandbox.clear_faults();
    }
    assert!(other.sandbox.calls().is_empty());
}

#[tokio::test]
async fn a_next_page_that_leads_back_is_noticed_at_once() {
    let lab = Lab::new().await;
    lab.sandbox.fail(Fault::under("/repositories/acme-corp", FaultKind::NextLoop));
    let found = lab.repositories("bitbucket-cat").await.unwrap();
    let bad = ProviderError::BadResponse { status: 200 };
    assert_eq!((found.repositories.len(), found.missing), (7, vec![missing("acme-corp", bad)]));
    assert_eq!(lab.calls().len(), 1 + 3);
    lab.sandbox.fail(Fault::under("/user/workspaces", FaultKind::NextLoop));
    assert_eq!(host_error(lab.installations("bitbucket-cat").await), bad);
}

#[tokio::test]
async fn a_silent_workspace_is_missing_and_the_others_are_answered() {
    let lab = Lab::new().await;
    let silence = FaultKind::Stall(Duration::from_secs(30));
    lab.sandbox.fail(Fault::under("/repositories/acme-corp", silence));
    let budget = Budget::new(Instant::now() + Duration::from_secs(2), 32);
    let found = lab.client.repositories(&lab.oauth("bitbucket-cat"), &budget).await.unwrap();
    assert_eq!(found.repositories.len(), 4);
    assert_eq!(found.missing, [missing("acme-corp", ProviderError::Timeout)]);
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let lab = Lab::new().await;
    lab.sandbox.clone().stop().await;
    let result = lab.repositories("bitbucket-cat").await;
    assert!(matches!(result, Err(CallError::Host(ProviderError::Unreachable))), "{result:?}");
}
