//! What the line of a request says, for every kind of caller and of end, out of real requests.
//! That no line holds a secret is `flows`' business; that there is one for each request, `shared/tests/requests.rs`'s.

use http::StatusCode;
use local::demo_user::link;
use local::sandbox_github::{Fault, FaultKind};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use shared::metrics::Metric;
use shared::provider::ProviderType;
use shared::store::{ProviderToken, TokenSlot, UserId};

use crate::harness::secret_watch::capture;
use crate::harness::{Answer, Running, Setup};

/// The line of the request that was answered so; what differs from run to run is replaced by words.
fn line(answer: &Answer) -> String {
    let id = answer.header("apigw-requestid").expect("a function answered");
    let mut lines = capture::requests();
    lines.retain(|line| line["request_id"] == id);
    let [line] = &mut lines[..] else { panic!("{} lines of {answer:?}", lines.len()) };
    redacted(line)
}

fn redacted(line: &mut Value) -> String {
    for name in
        ["timestamp", "duration_ms", "upstream_ms", "slowest_ms", "request_id", "trace_id", "delivery"]
    {
        if let Some(value) = line.get_mut(name) {
            *value = format!("[{name}]").into();
        }
    }
    if let Some(ids) = line["github_request_ids"].as_str() {
        line["github_request_ids"] = format!("[{}]", ids.split(' ').count()).into();
    }
    line.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    line.to_string()
}

async fn start() -> Running {
    capture::install();
    Setup { webhooks: true, ..Setup::default() }.start().await
}

#[tokio::test]
async fn a_line_tells_the_caller_the_end_and_what_the_hosts_took() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let github = "/user/installations";
    let mut lines = Vec::new();
    let mut note = |answer: &Answer, status: StatusCode| {
        assert_eq!(answer.status, status, "{answer:?}");
        lines.push(line(answer));
    };

    note(&running.get("/healthz?who=me").send().await, StatusCode::OK);
    note(&running.get("/auth/session").session(&user).send().await, StatusCode::OK);
    let repositories = "/api/user/repositories?selected_provider=github";
    note(&running.get(repositories).api_key(&user).send().await, StatusCode::OK);
    note(&running.get(repositories).send().await, StatusCode::UNAUTHORIZED);
    let first = running.get(github).api_key(&user).send().await;
    let etag = first.header("etag").expect("GitHub gives one").to_owned();
    let again = running.get(github).api_key(&user).header("If-None-Match", &etag).send().await;
    note(&again, StatusCode::NOT_MODIFIED);
    let token = running.github().mint_user_token("octocat").access_token;
    note(&running.get(github).bearer(&token).send().await, StatusCode::OK);
    let jwt = running.stack.service.github_app.jwt().await.expect("a JWT");
    let of_the_app = running.get("/users/octocat/installation").bearer(jwt.token().expose_secret());
    note(&of_the_app.send().await, StatusCode::OK);

    // Of whom nothing is remembered: as long as the list is not there, nothing else is asked for.
    let newcomer = running.sign_in("newcomer").await;
    running.github().fail(Fault::under("/", FaultKind::Status(StatusCode::BAD_GATEWAY)));
    note(&running.get(github).api_key(&user).send().await, StatusCode::OK);
    note(&running.get(repositories).api_key(&newcomer).send().await, StatusCode::BAD_GATEWAY);
    running.github().clear_faults();
    note(&running.post("/webhooks/github").body("{}").send().await, StatusCode::UNAUTHORIZED);
    running.stack.stop().await;
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn an_etag_that_was_computed_is_told_by_whether_it_was_right() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let ask = async || line(&running.get("/user/installations").api_key(&user).send().await);
    ask().await;
    let right = ask().await;
    running.github().world(|world| {
        let id = world.organization("octo-org").expect("there is one").id;
        world.rename(id, "octo-renamed");
    });
    let wrong = ask().await;
    running.stack.stop().await;
    insta::assert_snapshot!([right, wrong].join("\n"));
}

#[tokio::test]
async fn a_webhook_is_told_by_its_delivery_and_what_became_of_it() {
    let running = start().await;
    running.github().world(|world| {
        let installation = *world.installations.keys().next().expect("there is one");
        world.suspend_by_owner(installation);
    });
    running.github().drain().await;
    let mut lines = capture::requests();
    lines.retain(|line| line["delivery"].is_string());
    running.stack.stop().await;
    let [line] = &mut lines[..] else { panic!("{lines:?}") };
    insta::assert_snapshot!(redacted(line));
}

#[tokio::test]
async fn a_token_that_does_not_open_is_an_error_in_the_log_whether_the_list_has_other_hosts_or_not() {
    capture::install();
    let running = Setup { other_hosts: true, ..Setup::default() }.start().await;
    let user = running.sign_in("octocat").await;
    let user = link(&running.stack, &user, "gitlab", "gitlab-cat").await.expect("GitLab is linked");
    let table = &running.stack.service.table;
    let id: UserId = serde_json::from_value(user.user_id.clone().into()).expect("an id is text");
    let slot = TokenSlot::own(ProviderType::Github);
    let row = table.provider_token(&id, slot).await.unwrap().expect("a token");
    let lost = ProviderToken { key_id: "lost-by-the-operator".to_owned(), ..row.clone() };
    table.put_provider_token(&id, &lost, Some(row.version)).await.unwrap();

    let alone = running.get("/api/user/repositories?selected_provider=github").api_key(&user).send().await;
    assert_eq!(alone.status, StatusCode::INTERNAL_SERVER_ERROR, "{alone:?}");
    assert!(line(&alone).contains(r#""level":"ERROR""#));
    let told = "a host is missing by our own fault provider=github error=no token key is named";
    assert!(!capture::text().contains(told));
    let merged = running.get("/api/user/repositories").api_key(&user).send().await;
    assert_eq!(merged.header("x-partial-result"), Some("github=500"), "{merged:?}");
    let text = capture::text();
    let told = text.lines().find(|line| line.contains(told)).expect("it is told");
    assert!(told.contains(" ERROR "), "{told}");
    running.stack.stop().await;
}

#[tokio::test]
async fn requests_and_their_calls_are_counted_and_each_call_of_the_token_endpoint() {
    let running = start().await;
    let total = |metric| -> u64 {
        running.stack.functions.values().map(|function| function.metrics.total(metric)).sum()
    };
    let token_calls = || {
        let calls = running.github().calls().into_iter();
        calls.filter(|call| call.path == "/login/oauth/access_token").count() as u64
    };
    let browser = running.browser();
    browser.sign_in("octocat").await;
    assert_eq!((total(Metric::OauthTokenRequests), token_calls()), (1, 1), "a code");
    assert_eq!(total(Metric::UpstreamCalls), running.github().calls().len() as u64);
    running.clock.advance(std::time::Duration::from_secs(8 * 3600 + 1));
    let browser = running.browser();
    browser.sign_in("octocat").await;
    running.clock.advance(std::time::Duration::from_secs(8 * 3600 + 1));
    assert_eq!(browser.get("/auth/session").await.status, StatusCode::OK);
    let before = total(Metric::Requests);
    let listed = browser.get("/api/user/installations?provider=github").await;
    assert_eq!(listed.status, StatusCode::OK, "{listed:?}");
    assert_eq!((total(Metric::OauthTokenRequests), token_calls()), (3, 3), "two codes and a renewal");
    assert_eq!(total(Metric::UpstreamCalls), running.github().calls().len() as u64);
    assert_eq!((total(Metric::Requests) - before, total(Metric::RequestErrors)), (1, 0));

    running.github().fail(Fault::under("/", FaultKind::Status(StatusCode::BAD_GATEWAY)));
    let failed = browser.get("/api/user/installations?provider=github").await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert_eq!(
        (total(Metric::UpstreamErrors), total(Metric::RequestErrors)),
        (3, 1),
        "one call, tried thrice"
    );
    running.stack.stop().await;
}
