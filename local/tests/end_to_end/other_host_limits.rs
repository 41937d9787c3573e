//! How long a caller is told to wait for GitLab and Bitbucket, and what a failure of their token endpoints
//! becomes: the host's error, which passes, and nobody's sign-in's end.

use std::time::Duration;

use http::StatusCode;
use local::data_folder::DemoUser;

use crate::harness::{Answer, Running};
use crate::other_host_errors::{AT_BITBUCKET, AT_GITLAB, Host, Said, assert_nothing_of_the_hosts, said};
use crate::other_hosts::{get, hosts, linked, start};

const HTML: &str = "<!DOCTYPE html><title>Whoops</title>";

async fn octocat(running: &Running) -> DemoUser {
    linked(running, "gitlab-cat", "bitbucket-cat").await
}

/// The seconds of `Retry-After` of a 429.
fn wait(answer: &Answer) -> u64 {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    let seconds = answer.header("retry-after").expect("a limit names its end").parse().expect("seconds");
    assert!(answer.body.contains(&format!("Try again in {seconds} seconds.")), "{answer:?}");
    seconds
}

#[tokio::test]
async fn a_limit_of_gitlabs_ends_when_its_headers_say_so() {
    let running = start().await;
    let user = octocat(&running).await;
    let now = running.clock.unix();
    let (reset, soon) = (
        (now + 90).to_string(),
        httpdate::fmt_http_date(
            std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(now + 90).unwrap()),
        ),
    );
    for (name, headers, about) in [
        ("a date to retry after", vec![("retry-after", soon.as_str())], 90),
        (
            "the reset as a date",
            vec![
                ("ratelimit-resettime", soon.as_str()),
                ("ratelimit-remaining", "0"),
                ("ratelimit-limit", "9"),
            ],
            90,
        ),
        (
            "the reset as a number",
            vec![("ratelimit-reset", reset.as_str()), ("ratelimit-remaining", "0"), ("ratelimit-limit", "9")],
            90,
        ),
        // The limit of all requests is not the one that was reached.
        (
            "another limit",
            vec![("ratelimit-reset", reset.as_str()), ("ratelimit-remaining", "7"), ("ratelimit-limit", "9")],
            60,
        ),
    ] {
        for (route, path) in AT_GITLAB.routes().iter().zip(AT_GITLAB.paths) {
            AT_GITLAB.clear(&running);
            AT_GITLAB.fail(&running, path, &said(name, 429, &headers, "Retry later\n"));
            let seconds = wait(&get(&running, &user, route).await);
            assert!((about - 30..=about).contains(&seconds), "{name} {route}: {seconds}");
            // A minute is no rounding of ninety seconds.
            assert!(about == 60 || seconds > 60, "{name} {route}: {seconds}");
        }
    }
}

#[tokio::test]
async fn gitlabs_own_limit_is_told_until_its_minute_ends() {
    let running = start().await;
    let user = octocat(&running).await;
    let throttled = local::sandbox_gitlab::FaultKind::Throttled { retry_after: 41 };
    for kind in [throttled, local::sandbox_gitlab::FaultKind::EndpointLimit] {
        AT_GITLAB.clear(&running);
        hosts(&running).gitlab.fail(local::sandbox_gitlab::Fault::under("/groups", kind));
        let answer = get(&running, &user, &AT_GITLAB.routes()[0]).await;
        assert!([41, 60].contains(&wait(&answer)), "{answer:?}");
    }
}

#[tokio::test]
async fn bitbuckets_hourly_limit_is_a_minutes_wait_and_passes() {
    let running = start().await;
    let user = octocat(&running).await;
    hosts(&running).bitbucket.world(|world| world.hourly_limit = 0);
    let [installations, all, page] = AT_BITBUCKET.routes();
    for route in [&all, &page] {
        assert_eq!(wait(&get(&running, &user, route).await), 60, "{route}");
    }
    assert_eq!(
        get(&running, &user, &installations).await.status,
        StatusCode::OK,
        "workspaces are not counted"
    );
    hosts(&running).bitbucket.world(|world| world.hourly_limit = 1_000);
    assert!(!get(&running, &user, &all).await.names().is_empty());
}

/// The answers of a token endpoint that are no refusal of the refresh token.
fn failures() -> Vec<(Said, u16)> {
    let json = [("content-type", "application/json")];
    let html = [("content-type", "text/html")];
    vec![
        (said("500, a page for people", 500, &html, HTML), 502),
        (said("500 that speaks of the grant", 500, &json, r#"{"error":"invalid_grant"}"#), 502),
        (said("503, empty", 503, &[], ""), 502),
        (said("504, a page for people", 504, &html, HTML), 504),
        (said("429, with its wait", 429, &[("retry-after", "60")], "Retry later\n"), 429),
        (said("429, empty", 429, &[], ""), 429),
        // Nothing of the user's is looked for there.
        (said("404, a page for people", 404, &html, HTML), 502),
        (said("200, a page for people", 200, &html, HTML), 502),
        (said("200, without a token", 200, &json, "{}"), 502),
        // What is not accepted is our client: the operator's business, and no end of anybody's sign-in.
        (said("401, the client by its code", 401, &json, r#"{"error":"invalid_client"}"#), 503),
        (said("401, a page for people", 401, &html, HTML), 503),
        (said("401, empty", 401, &[], ""), 503),
        (said("400, another code", 400, &json, r#"{"error":"invalid_request"}"#), 503),
    ]
}

async fn assert_failures_of_a_refresh_pass(host: Host) {
    let running = start().await;
    let user = octocat(&running).await;
    running.clock.advance(Duration::from_secs(3 * 3_600));
    let [installations, ..] = host.routes();
    for (said, status) in failures() {
        host.clear(&running);
        host.fail(&running, host.token_endpoint, &said);
        let answer = get(&running, &user, &installations).await;
        assert_eq!(answer.status.as_u16(), status, "{}: {answer:?}", said.name);
        assert_nothing_of_the_hosts(&running, &answer);
        assert_eq!(host.asked(&running, host.token_endpoint), 1, "{}: it may have been used", said.name);
        let limited = answer.status == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(answer.header("retry-after") == Some("60"), limited, "{}: {answer:?}", said.name);
    }
    // Nobody was signed out for it, and no lease is left behind that had to be waited for.
    host.clear(&running);
    assert_eq!(get(&running, &user, &installations).await.status, StatusCode::OK);
    assert_eq!(host.asked(&running, host.token_endpoint), 1);
}

#[tokio::test]
async fn a_refresh_that_fails_at_gitlab_is_its_error_and_passes() {
    assert_failures_of_a_refresh_pass(AT_GITLAB).await;
}

#[tokio::test]
async fn a_refresh_that_fails_at_bitbucket_is_its_error_and_passes() {
    assert_failures_of_a_refresh_pass(AT_BITBUCKET).await;
}
