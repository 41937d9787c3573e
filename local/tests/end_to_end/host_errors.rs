//! What GitHub's failures become on OpenHands' routes: an error that says so, never an empty list, never
//! an address of GitHub's, and 401 for nothing but a sign-in that has ended.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use local::sandbox_github::{Fault, FaultKind};
use tokio::net::TcpListener;

use crate::harness::{Answer, Running, start};
use crate::openhands::{INSTALLATIONS, REPOSITORIES};

const LIST: &str = "/user/installations";
const OF_5001: &str = "/user/installations/5001/repositories";
const PAGE_OF_5001: &str =
    "/api/user/repositories?selected_provider=github&installation_id=5001&page=1&per_page=30";
/// Each route, and what of GitHub it cannot do without.
const ROUTES: [(&str, &str); 3] = [(INSTALLATIONS, LIST), (REPOSITORIES, LIST), (PAGE_OF_5001, OF_5001)];
/// More than is read of any body.
const TOO_LONG: usize = 16 * 1024 * 1024 + 1;

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> FaultKind {
    FaultKind::Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
        body: body.to_owned(),
    }
}

/// Status, `Retry-After` and body.
fn seen(answer: &Answer) -> String {
    let retry =
        answer.header("retry-after").map_or_else(String::new, |value| format!(" retry-after: {value}"));
    format!("{}{retry}\n{}", answer.status, answer.body)
}

async fn ask(running: &Running, key: &str, path: &str) -> Answer {
    running.get(path).header("X-Session-API-Key", key).send().await
}

#[tokio::test]
async fn each_failure_of_github_has_its_answer_and_it_is_the_same_on_every_route() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mut table = String::new();
    for (name, kind) in [
        ("403", FaultKind::Status(StatusCode::FORBIDDEN)),
        (
            "403, SAML by header",
            answer(403, &[("x-github-sso", "required; url=https://github.com/orgs/o/sso")], "{}"),
        ),
        (
            "403, SAML by message",
            answer(403, &[], r#"{"message":"Resource protected by organization SAML enforcement."}"#),
        ),
        ("403, suspended", answer(403, &[], r#"{"message":"This installation has been suspended"}"#)),
        ("404", FaultKind::Status(StatusCode::NOT_FOUND)),
        ("403, primary rate limit", FaultKind::PrimaryRateLimit { reset_in: 3_600 }),
        ("403, secondary rate limit", FaultKind::SecondaryRateLimit { retry_after: 61 }),
        (
            "403, secondary rate limit that names no time",
            answer(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#),
        ),
        ("429", FaultKind::TooManyRequests { retry_after: 7 }),
        ("429 without anything", answer(429, &[], "")),
        ("422", FaultKind::Status(StatusCode::UNPROCESSABLE_ENTITY)),
        ("451", FaultKind::Status(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS)),
        ("500", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        ("204 without a body", answer(204, &[], "")),
        ("304 without a question", answer(304, &[], "")),
        ("200, a page for people", FaultKind::Html),
        ("200, JSON that ends in the middle", FaultKind::TruncatedJson),
        ("200, other JSON", answer(200, &[], r#"{"total_count":1}"#)),
        ("200, a list", answer(200, &[], "[]")),
        ("200, a body without end", FaultKind::Oversized { bytes: TOO_LONG }),
    ] {
        let mut answers = Vec::new();
        for (path, upstream) in ROUTES {
            running.github().clear_faults();
            running.fail(upstream, kind.clone());
            let before = running.asked(upstream);
            let answer = ask(&running, &user.api_key, path).await;
            assert_eq!(running.asked(upstream), before + 1, "{name} is not tried again");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{name}");
            running.assert_no_upstream_url(&answer);
            // The reset is a moment, and a second may have passed.
            answers.push(seen(&answer).replace("3599", "3600"));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{name}: {answers:#?}");
        let _ = writeln!(table, "## {name}\n{}\n", answers[0]);
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_failure_on_the_wire_in_full() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.fail(LIST, FaultKind::SecondaryRateLimit { retry_after: 61 });
    insta::assert_snapshot!(ask(&running, &user.api_key, INSTALLATIONS).await.wire(), @r#"
    429 Too Many Requests
    cache-control: no-store
    content-type: application/json
    retry-after: 61
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"error":"GitHub rate limit reached","message":"GitHub answers no more requests of this user for now. Try again in 61 seconds.","code":"rate_limited","provider":"github"}
    "#);
}

#[tokio::test]
async fn a_grant_that_was_revoked_is_an_invalid_token_on_every_route() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(60));
    running.github().revoke_grant("octocat");
    for (path, _) in ROUTES {
        let answer = ask(&running, &user.api_key, path).await;
        assert_eq!(
            (answer.status, &*answer.body),
            (StatusCode::UNAUTHORIZED, r#""Invalid github token""#),
            "{path}"
        );
    }
    let tried = running.asked("/login/oauth/access_token");
    assert_eq!(tried, 1, "the refresh token is tried once; then the end is noted");
    // Signing in again mends it, and the same key goes on.
    running.sign_in("octocat").await;
    assert_eq!(ask(&running, &user.api_key, REPOSITORIES).await.names().len(), 9);
}

#[tokio::test]
async fn an_installation_that_is_not_the_users_does_not_exist_for_them() {
    let running = start().await;
    let user = running.sign_in("reader").await;
    for id in ["5045", "999999", "9223372036854775807"] {
        let path = format!("{REPOSITORIES}?selected_provider=github&installation_id={id}");
        let answer = ask(&running, &user.api_key, &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}: {answer:?}");
        assert_eq!(answer.json()["code"], "not_found");
    }
}

#[tokio::test]
async fn githubs_own_refusals_of_an_installation_are_told_apart() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let lapsed = running.sign_in("sso-lapsed").await;
    for (user, id, code) in
        [(&owner, 5003, "installation_suspended"), (&lapsed, 5046, "single_sign_on_required")]
    {
        let path = format!("{REPOSITORIES}?selected_provider=github&installation_id={id}");
        let answer = ask(&running, &user.api_key, &path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert_eq!(answer.json()["code"], code);
        running.assert_no_upstream_url(&answer);
    }
}

#[tokio::test]
async fn an_exhausted_rate_limit_is_429_until_it_is_reset() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.github().world(|world| world.hourly_limit = 1);
    for (path, _) in ROUTES {
        let answer = ask(&running, &user.api_key, path).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}: {answer:?}");
        let wait: u64 = answer.header("retry-after").and_then(|value| value.parse().ok()).expect("seconds");
        assert!((3_500..=3_600).contains(&wait), "{wait}");
    }
    running.github().world(|world| world.hourly_limit = 5_000);
    assert_eq!(ask(&running, &user.api_key, REPOSITORIES).await.names().len(), 9);
}

/// The answers of the three installations of octocat, which fail in three ways at the same time.
async fn three(running: &Running, key: &str, kinds: [FaultKind; 3]) -> [Answer; 3] {
    let ids = [5001, 5002, 5004];
    for (id, kind) in ids.into_iter().zip(kinds) {
        running.fail(&format!("/user/installations/{id}/repositories"), kind);
    }
    let paths = ids.map(|id| format!("{REPOSITORIES}?selected_provider=github&installation_id={id}"));
    let [one, two, three] = &paths;
    let (one, two, three) =
        tokio::join!(ask(running, key, one), ask(running, key, two), ask(running, key, three));
    [one, two, three]
}

#[tokio::test]
async fn gateway_errors_are_tried_again_twice_and_then_told() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let kinds = [502, 503, 504].map(|status| FaultKind::Status(StatusCode::from_u16(status).unwrap()));
    let answers = three(&running, &user.api_key, kinds).await;
    for (answer, status) in answers.iter().zip([502, 502, 504]) {
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        running.assert_no_upstream_url(answer);
    }
    assert_eq!(running.github().calls().len(), 9, "three calls each");
    insta::assert_snapshot!(format!("{}\n{}", seen(&answers[0]), seen(&answers[2])), @r#"
    502 Bad Gateway
    {"error":"GitHub answered with an error","message":"GitHub failed to answer as it should. Try again later.","code":"bad_gateway","provider":"github"}
    504 Gateway Timeout
    {"error":"GitHub did not answer in time","message":"GitHub took longer than this request may take. Try again later.","code":"gateway_timeout","provider":"github"}
    "#);
}

#[tokio::test]
async fn a_gateway_error_that_passes_is_not_seen() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.github().fail(Fault::get(LIST, FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE)).times(2));
    let answer = ask(&running, &user.api_key, INSTALLATIONS).await;
    assert_eq!((answer.status, running.asked(LIST)), (StatusCode::OK, 3));
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again_twice_and_then_told() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let kinds = [0, 2_000, 40].map(|after| FaultKind::CutOff { after });
    for answer in three(&running, &user.api_key, kinds).await {
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
        assert_eq!(answer.json()["error"], "GitHub cannot be reached");
        running.assert_no_upstream_url(&answer);
    }
    assert_eq!(running.github().calls().len(), 9, "three calls each");
    // The pool is not poisoned by connections that broke.
    running.github().clear_faults();
    assert_eq!(ask(&running, &user.api_key, REPOSITORIES).await.names().len(), 9);
}

#[tokio::test]
async fn silence_ends_with_504_before_the_function_does() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.github().fail(Fault::under(LIST, FaultKind::Stall(Duration::from_secs(20))));
    let limit = Duration::from_millis(1_400);
    let process = running.another_process(limit).await;
    let started = Instant::now();
    let asked = |path| {
        let request = running.request_at(Method::GET, &format!("{process}{path}")).api_key(&user);
        request.send()
    };
    let (one, two, three) = tokio::join!(asked(INSTALLATIONS), asked(REPOSITORIES), asked(PAGE_OF_5001));
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
    for answer in [one, two, three] {
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{answer:?}");
        assert_eq!(answer.json()["code"], "gateway_timeout");
        running.assert_no_upstream_url(&answer);
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = elsewhere.local_addr().expect("an address");
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for target in [format!("http://{address}/user/installations"), format!("//{address}/")] {
        running.github().clear_faults();
        running.github().fail(Fault::under(LIST, FaultKind::Redirect(target)));
        for (path, _) in ROUTES {
            let answer = ask(&running, &user.api_key, path).await;
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{path}: {answer:?}");
            assert!(!format!("{answer:?}").contains(&address.to_string()), "{answer:?}");
        }
    }
    let visited = tokio::time::timeout(Duration::from_millis(20), elsewhere.accept()).await;
    assert!(visited.is_err(), "the other host was asked");
}

#[tokio::test]
async fn a_redirect_on_githubs_own_host_is_followed_with_the_token_and_not_for_ever() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    // As after a rename: GitHub answers with the address by number.
    running.fail(OF_5001, FaultKind::Redirect("/api/v3/user/installations/5002/repositories".to_owned()));
    assert_eq!(ask(&running, &user.api_key, PAGE_OF_5001).await.names().len(), 3);
    running.github().clear_faults();
    running.github().clear_calls();
    running.fail(OF_5001, FaultKind::Redirect(format!("/api/v3{OF_5001}")));
    let answer = ask(&running, &user.api_key, PAGE_OF_5001).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(running.github().calls().len(), 4, "three redirects at most, and no second try");
}

#[tokio::test]
async fn what_a_host_writes_into_its_error_is_not_shown() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let secret = "ghu_0123456789abcdef";
    for status in [400, 403, 404, 422, 429, 500] {
        running.github().clear_faults();
        let body = format!(r#"{{"message":"token {secret} at https://ghe.internal/api/v3","url":"x"}}"#);
        let headers = HeaderMap::from_iter([("x-internal".parse().unwrap(), secret.parse().unwrap())]);
        let kind = FaultKind::Answer { status: StatusCode::from_u16(status).unwrap(), headers, body };
        running.github().fail(Fault::under(LIST, kind));
        for (path, _) in ROUTES {
            let answer = ask(&running, &user.api_key, path).await;
            let text = format!("{answer:?}");
            assert!(!text.contains(secret) && !text.contains("ghe.internal"), "{text}");
            assert_ne!(answer.status, StatusCode::OK);
        }
    }
}
