//! `GET /auth/session` and `POST /auth/logout`: how long a session lives, and what ends with it.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use lambda_http::RequestExt;
use local::demo_user;
use local::sandbox_github::{Call, Fault, FaultKind};
use local::stack::SANDBOX_CLIENT_ID;
use serde_json::json;

use crate::behind::{assert_page, granted, parameter, text};
use crate::harness::{Answer, Browser, Running, start};

const DAY: u64 = 24 * 3600;

fn cookie(session: &str) -> String {
    format!("neptun-session={session}")
}

async fn session_of(running: &Running, cookie: &str) -> serde_json::Value {
    let answer = running.get("/auth/session").header("Cookie", cookie).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

async fn is_signed_in(running: &Running, cookie: &str) -> bool {
    session_of(running, cookie).await["signed_in"] == true
}

async fn log_out(running: &Running, cookie: &str) -> Answer {
    running.post("/auth/logout").header("Cookie", cookie).header("Origin", &running.stack.url).send().await
}

fn revocations(running: &Running) -> Vec<Call> {
    let mut calls = running.github().calls();
    calls.retain(|call| call.path == format!("/applications/{SANDBOX_CLIENT_ID}/token"));
    calls
}

/// A browser that has signed in, without any API key.
async fn signed_in<'a>(running: &'a Running, login: &str) -> Browser<'a> {
    let browser = running.browser();
    browser.sign_in(login).await;
    running.github().clear_calls();
    browser
}

#[tokio::test]
async fn nobody_is_signed_in_without_a_session_of_ours() {
    let running = start().await;
    insta::assert_snapshot!("signed_out", running.get("/auth/session").send().await.wire());
    let user = running.sign_in("octocat").await;
    let real = &user.session_cookie;
    for cookie in [
        "neptun-session=".to_owned(),
        "neptun-session=rubbish".to_owned(),
        format!("neptun-session={}", "A".repeat(43)),
        format!("neptun-session={real}A"),
        format!("neptun-session={}", &real[1..]),
        format!("neptun-session=\"{real}\""),
        format!("neptun-session={}", user.api_key),
        format!("Neptun-Session={real}"),
        format!("xneptun-session={real}"),
        format!("neptun-session={}", "A".repeat(6000)),
        format!("neptun-session={}; neptun-session={real}", "A".repeat(43)),
    ] {
        assert!(!is_signed_in(&running, &cookie).await, "{cookie}");
    }
    for cookie in [format!("neptun-session={real}"), format!("a=b; neptun-session={real};c=d")] {
        assert!(is_signed_in(&running, &cookie).await, "{cookie}");
    }
}

#[tokio::test]
async fn a_cookie_of_a_megabyte_is_refused_and_costs_no_look_into_the_table() {
    let running = start().await;
    running.stack.dynamodb.hook().reset();
    let answer = running.get("/auth/session").header("Cookie", &cookie(&"A".repeat(1 << 20))).send().await;
    assert!(answer.status.is_client_error(), "{:?}", answer.status);
    assert!(running.stack.dynamodb.hook().all_calls().is_empty());
}

#[tokio::test]
async fn api_keys_mean_nothing_to_auth() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for headers in
        [("X-Session-API-Key", user.api_key.clone()), ("Authorization", format!("Bearer {}", user.api_key))]
    {
        let (name, value) = (headers.0, headers.1.as_str());
        let session = running.get("/auth/session").header(name, value).send().await;
        assert_eq!(session.json()["signed_in"], false, "{name}");
        let origin = running.stack.url.clone();
        let out = running.post("/auth/logout").header(name, value).header("Origin", &origin).send().await;
        assert_eq!(out.status, StatusCode::NO_CONTENT, "{out:?}");
    }
    assert!(is_signed_in(&running, &cookie(&user.session_cookie)).await);
    assert_eq!(running.get("/api/keys").api_key(&user).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_is_not_used_for_a_week_ends() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    running.clock.advance(Duration::from_secs(7 * DAY - 60));
    assert!(is_signed_in(&running, &browser.cookie_header()).await);
    // That was a use: another week begins.
    running.clock.advance(Duration::from_secs(7 * DAY - 60));
    assert!(is_signed_in(&running, &browser.cookie_header()).await);
    running.clock.advance(Duration::from_secs(7 * DAY + 1));
    // DynamoDB drops what is over within days, not at once: the session's own end is what counts.
    assert_eq!(running.items_of("SESSION").await.len(), 2);
    assert!(!is_signed_in(&running, &browser.cookie_header()).await);
    let answer = browser.get("/api/user/installations?provider=github").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}

#[tokio::test]
async fn no_session_lives_longer_than_thirty_days() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    for _ in 0..5 {
        running.clock.advance(Duration::from_secs(6 * DAY - 10));
        assert!(is_signed_in(&running, &browser.cookie_header()).await);
    }
    running.clock.advance(Duration::from_secs(60));
    assert!(!is_signed_in(&running, &browser.cookie_header()).await);
    assert_eq!(running.items_of("SESSION").await.len(), 2, "the rows are still in the table");
}

#[tokio::test]
async fn a_use_is_noted_every_ten_minutes_at_most() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    browser.get("/auth/session").await;
    browser.get("/auth/session").await;
    assert_eq!(hook.calls("UpdateItem"), 0);
    running.clock.advance(Duration::from_secs(601));
    browser.get("/auth/session").await;
    browser.get("/auth/session").await;
    assert_eq!(hook.calls("UpdateItem"), 2, "once, in its two items");
}

#[tokio::test]
async fn a_provider_whose_token_nothing_can_renew_is_shown_as_expired() {
    let running = start().await;
    // A token that GitHub gave no refresh token with.
    let mut grant = granted(&running.github().mint_user_token("octocat"));
    grant["expires_in"] = json!(3600);
    grant.as_object_mut().unwrap().retain(|name, _| !name.starts_with("refresh_token"));
    running.token_endpoint_answers(&grant);
    let browser = signed_in(&running, "octocat").await;
    assert_eq!(session_of(&running, &browser.cookie_header()).await["providers"][0]["status"], "linked");
    running.clock.advance(Duration::from_secs(3601));
    assert_eq!(session_of(&running, &browser.cookie_header()).await["providers"][0]["status"], "expired");
    let answer = browser.get("/api/user/installations?provider=github").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, "\"Invalid github token\""));
}

#[tokio::test]
async fn a_provider_whose_token_can_be_renewed_is_shown_as_linked() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    running.clock.advance(Duration::from_secs(5 * DAY));
    assert_eq!(session_of(&running, &browser.cookie_header()).await["providers"][0]["status"], "linked");
}

#[tokio::test]
async fn logging_out_ends_the_session_and_removes_the_cookie() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    let before = browser.cookie_header();
    let out = browser.post("/auth/logout", None).await;
    insta::assert_snapshot!("logout", out.wire());
    assert!(browser.cookie("neptun-session").is_none());
    assert!(!is_signed_in(&running, &before).await);
    assert!(running.items_of("SESSION").await.is_empty());
    // Whoever is not signed in (any more) is as signed out as can be.
    assert_eq!(log_out(&running, &before).await.status, StatusCode::NO_CONTENT);
    assert_eq!(running.post("/auth/logout").send().await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn another_site_cannot_log_anybody_out() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    let session = browser.cookie_header();
    let own = running.stack.url.clone();
    let port = own.rsplit(':').next().unwrap();
    let other_origins = [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        String::new(),
        format!("https://localhost:{port}"),
        format!("http://localhost:{port}.evil.example"),
        format!("{own}/"),
        "http://localhost".to_owned(),
    ];
    for origin in &other_origins {
        let post = running.post("/auth/logout").header("Cookie", &session).header("Origin", origin);
        assert_page(&post.send().await, 403, "forbidden");
    }
    let unsaid = running.post("/auth/logout").header("Cookie", &session).send().await;
    assert_page(&unsaid, 403, "forbidden");
    for site in ["cross-site", "same-site", "none"] {
        let post = running.post("/auth/logout").header("Cookie", &session).header("Origin", &own);
        assert_page(&post.header("Sec-Fetch-Site", site).send().await, 403, "forbidden");
    }
    // A form on another site: the browser keeps the Lax cookie back, so nothing may come to remove it.
    let form = running.post("/auth/logout").header("Origin", "https://evil.example").send().await;
    assert_eq!((form.status, form.header("set-cookie")), (StatusCode::NO_CONTENT, None));
    assert!(is_signed_in(&running, &session).await);
    assert!(revocations(&running).is_empty());
}

#[tokio::test]
async fn a_get_logs_nobody_out() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = running.request(method, "/auth/logout").header("Cookie", &browser.cookie_header());
        let answer = request.header("Origin", &running.stack.url).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
    // Nor where no gateway has sorted the methods, as under `cargo lambda watch`.
    let handler = local::handlers::all(&running.stack.service).remove("sign-in").unwrap();
    let request = http::Request::get("/auth/logout").header("Cookie", browser.cookie_header());
    let request = request.body(lambda_http::Body::Empty).unwrap().with_raw_http_path("/auth/logout");
    assert_eq!(handler(request).await.status(), StatusCode::NOT_FOUND);
    assert!(is_signed_in(&running, &browser.cookie_header()).await);
}

#[tokio::test]
async fn the_last_logout_revokes_the_token_at_github() {
    let running = start().await;
    let (first, second) = (signed_in(&running, "octocat").await, signed_in(&running, "octocat").await);
    log_out(&running, &first.cookie_header()).await;
    assert!(revocations(&running).is_empty(), "the other browser still needs it");
    assert_eq!(second.get("/api/user/installations?provider=github").await.status, StatusCode::OK);
    log_out(&running, &second.cookie_header()).await;
    let revoked = revocations(&running);
    let said: Vec<_> =
        revoked.iter().map(|call| (call.method.clone(), call.status.unwrap().as_u16())).collect();
    assert_eq!(said, [(Method::DELETE, 204)]);
    assert!(running.items_of("TOKEN#").await.is_empty());
    assert!(running.items().await.iter().all(|item| !text(item, "sk").starts_with("ANSWER")));
    // Who one is stays: the next sign-in finds the same user and the same rows.
    assert_eq!(running.items_of("MAPPING#").await.len(), 4);
}

#[tokio::test]
async fn a_session_that_has_expired_does_not_keep_the_token() {
    let running = start().await;
    let forgotten = signed_in(&running, "octocat").await;
    running.clock.advance(Duration::from_secs(8 * DAY));
    let browser = signed_in(&running, "octocat").await;
    log_out(&running, &browser.cookie_header()).await;
    assert_eq!(revocations(&running).len(), 1);
    assert!(!is_signed_in(&running, &forgotten.cookie_header()).await);
}

#[tokio::test]
async fn a_logout_succeeds_when_github_fails_to_revoke() {
    for kind in [
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FaultKind::Status(StatusCode::NOT_FOUND),
        FaultKind::CutOff { after: 0 },
        FaultKind::TooManyRequests { retry_after: 60 },
        FaultKind::Answer { status: StatusCode::IM_A_TEAPOT, headers: HeaderMap::new(), body: String::new() },
    ] {
        let running = start().await;
        let browser = signed_in(&running, "octocat").await;
        running.github().fail(Fault::under("/applications/", kind.clone()));
        let session = browser.cookie_header();
        assert_eq!(log_out(&running, &session).await.status, StatusCode::NO_CONTENT, "{kind:?}");
        assert_eq!(revocations(&running).len(), 1, "{kind:?}: ending something is not tried again and again");
        assert!(!is_signed_in(&running, &session).await);
        assert!(running.items_of("TOKEN#").await.is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn with_an_api_key_the_token_outlives_the_last_logout() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    log_out(&running, &cookie(&user.session_cookie)).await;
    assert!(revocations(&running).is_empty());
    let answer = running.get("/api/user/installations?provider=github").api_key(&user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn who_logs_out_in_the_middle_of_a_sign_in_comes_back_signed_in() {
    let running = start().await;
    let browser = signed_in(&running, "octocat").await;
    let authorize = browser.start_sign_in("/auth/github/login").await;
    browser.post("/auth/logout", None).await;
    let asked = demo_user::asked(authorize.split_once('?').unwrap().1);
    let back = running.github().authorize("octocat", &asked).unwrap();
    assert_eq!(parameter(&back, "state"), parameter(&authorize, "state"));
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&running, &browser.cookie_header()).await);
    assert_eq!(browser.get("/api/user/installations?provider=github").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_logout_elsewhere_while_a_sign_in_reads_its_installations_leaves_it_its_token() {
    let running = start().await;
    let elsewhere = signed_in(&running, "octocat").await;
    let browser = running.browser();
    let back = browser.approve(&browser.start_sign_in("/auth/github/login").await, "octocat");
    let silence = FaultKind::Stall(Duration::from_millis(500));
    running.github().fail(Fault::get("/user/installations", silence).times(1));
    let signing_in = async { browser.get(&back).await.status };
    let logging_out = async {
        while crate::token_renewal::count(&running.items_of("TOKEN#").await[0]["version"]["N"]) != "2" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        log_out(&running, &elsewhere.cookie_header()).await.status
    };
    let statuses = tokio::join!(signing_in, logging_out);
    assert_eq!(statuses, (StatusCode::SEE_OTHER, StatusCode::NO_CONTENT));
    assert_eq!(browser.get("/api/user/installations?provider=github").await.status, StatusCode::OK);
}
