//! Everything that the service does, and afterwards the search.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use local::aws::hook;
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};
use local::stack::{GITHUB_APP_SECRET, SANDBOX_CLIENT_SECRET, SANDBOX_PRIVATE_KEY, TOKEN_KEYS_SECRET};
use local::template::{Route, Template};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::harness::secret_watch::capture;
use crate::harness::secret_watch::finder::{Known, leaks};
use crate::harness::{Browser, Running, Setup, TOKEN_KEYS};
use crate::requests::{Caller, ask, cases};

const AWS_SECRET: &str = "aws-secret-access-key-0001";
const AWS_TOKEN: &str = "aws-session-token-0001";

#[tokio::test]
async fn nothing_that_the_service_does_logs_a_secret() {
    capture::install();
    tracing::trace!(target: "shared::canary", "the subscriber hears everything");
    let mut known = Known::default();
    let running = Setup::default()
        .setting("STALE_IF_ERROR_SECONDS", "0")
        .setting("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
        .setting("AWS_SESSION_TOKEN", AWS_TOKEN)
        .start()
        .await;
    for secret in [AWS_SECRET, AWS_TOKEN, SANDBOX_CLIENT_SECRET, "sandbox-webhook-secret"] {
        known.add(secret);
    }
    known.add_pem(SANDBOX_PRIVATE_KEY);
    let ring: serde_json::Value = serde_json::from_str(TOKEN_KEYS).unwrap();
    known.add(ring["keys"]["k1"].as_str().unwrap());

    sign_ins(&running, &mut known).await;
    let user = running.sign_in("octocat").await;
    known.add(&user.api_key);
    known.add(&user.session_cookie);
    keys(&running, &user, &mut known).await;
    every_request(&running, &user).await;
    let user = running.sign_in("octocat").await;
    known.add(&user.api_key);
    known.add(&user.session_cookie);
    faults_of_the_host(&running, &user).await;
    faults_of_aws(&running, &user).await;
    refreshes(&running, &user).await;
    let jwt = running.stack.service.github_app.jwt().await.unwrap();
    known.add(jwt.token().expose_secret());
    broken_secrets().await;
    running.stack.stop().await;

    let log = capture::text();
    for heard in ["shared::canary", "DEBUG", "WARN", "error=\"internal_error\"", "error=\"not_found\""] {
        assert!(log.contains(heard), "the log does not say {heard}: {} bytes", log.len());
    }
    for caller in ["nobody", "session", "api_key", "user_token", "app"] {
        assert!(log.contains(&format!("caller=\"{caller}\"")), "nobody asked as {caller}");
    }
    assert!(known.len() > 40, "{} secrets are known", known.len());
    let mut leaks = leaks(&log, &known);
    let count = leaks.len();
    leaks.truncate(10);
    assert!(leaks.is_empty(), "{count} lines:\n{}", leaks.join("\n"));
    only_routes_are_named();
}

/// A request's line says which route it took, and nothing that its caller has written.
fn only_routes_are_named() {
    let routes: BTreeSet<String> = Template::embedded().unwrap().routes.iter().map(Route::key).collect();
    let lines = capture::requests();
    assert!(lines.len() > 500, "{} lines", lines.len());
    for line in lines {
        assert!(line["route"].as_str().is_some_and(|route| routes.contains(route)), "{line}");
        assert!(!line.to_string().contains(['?', '%', '&']), "{line}");
    }
}

/// Sign-ins that end well and badly, and the setup page.
async fn sign_ins(running: &Running, known: &mut Known) {
    let browser = running.browser();
    let authorize = browser.start_sign_in("/auth/github/login?return_to=/auth/session").await;
    learn(&browser, &authorize, known);
    let callback = browser.approve(&authorize, "octocat");
    learn(&browser, &callback, known);
    let stranger = running.browser();
    assert_eq!(stranger.get(&callback).await.status, StatusCode::BAD_REQUEST, "another browser's state");
    assert_eq!(browser.get(&callback).await.status, StatusCode::SEE_OTHER, "the sign-in ends well");
    learn(&browser, "", known);
    assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST, "a state that has been used");
    for installation in ["5001", "999999999", "x"] {
        browser.get(&format!("/auth/github/setup?installation_id={installation}&code=abcdefgh")).await;
    }
    browser.get("/auth/session").await;
    browser.post("/auth/logout", None).await;

    for kind in [FaultKind::Status(StatusCode::BAD_GATEWAY), FaultKind::Html, FaultKind::TruncatedJson] {
        let authorize = browser.start_sign_in("/auth/github/login").await;
        learn(&browser, &authorize, known);
        let callback = browser.approve(&authorize, "octocat");
        learn(&browser, &callback, known);
        running.github().fail(Fault::post("/login/oauth/access_token", kind).times(5));
        assert!(browser.get(&callback).await.status.is_server_error());
        running.github().clear_faults();
    }
    let authorize = browser.start_sign_in("/auth/github/login").await;
    learn(&browser, &authorize, known);
    let callback = browser.approve(&authorize, "octocat");
    let changed = callback.replace("code=", "code=x");
    learn(&browser, &changed, known);
    assert!(!browser.get(&changed).await.status.is_success());
}

/// What the browser holds now, and what stands in an address.
fn learn(browser: &Browser<'_>, url: &str, known: &mut Known) {
    for pair in browser.cookie_header().split("; ").filter(|pair| !pair.is_empty()) {
        known.add(pair.split_once('=').unwrap().1);
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if matches!(&*name, "code" | "state" | "code_challenge") {
            known.add(&value);
        }
    }
}

async fn keys(running: &Running, user: &DemoUser, known: &mut Known) {
    let made = running.post("/api/keys").api_key(user).json(&json!({"name": "one"})).send().await;
    let made = made.json();
    known.add(made["key"].as_str().unwrap());
    running.get("/api/keys").bearer(made["key"].as_str().unwrap()).send().await;
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    let ended = running.delete(&path).api_key(user).send().await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    running.get("/api/keys").bearer(made["key"].as_str().unwrap()).send().await;
}

async fn every_request(running: &Running, user: &DemoUser) {
    for caller in Caller::ALL {
        for case in cases(user) {
            ask(running, user, &case, caller).await;
        }
    }
}

/// The routes that ask GitHub, as somebody who may, all at once.
async fn ask_github(running: &Running, user: &DemoUser) {
    let paths = [
        "/api/user/installations?provider=github",
        "/api/user/repositories?selected_provider=github",
        "/user/installations",
        "/users/octocat/installation",
        "/users/somebody-else/installation",
        "/api/keys",
        "/auth/session",
        "/auth/github/setup?installation_id=5001",
    ];
    join_all(paths.map(|path| {
        let request = running.get(path);
        let auth = path.starts_with("/auth/");
        if auth { request.session(user).send() } else { request.api_key(user).send() }
    }))
    .await;
}

async fn faults_of_the_host(running: &Running, user: &DemoUser) {
    let token = running.github().mint_user_token("octocat").access_token;
    let telling = FaultKind::Answer {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers: http::HeaderMap::new(),
        body: format!("{{\"message\":\"Bearer {token}\"}}"),
    };
    for kind in [
        telling,
        FaultKind::Status(StatusCode::UNAUTHORIZED),
        FaultKind::Status(StatusCode::FORBIDDEN),
        FaultKind::Status(StatusCode::BAD_GATEWAY),
        FaultKind::TooManyRequests { retry_after: 7 },
        FaultKind::PrimaryRateLimit { reset_in: 60 },
        FaultKind::Html,
        FaultKind::TruncatedJson,
        FaultKind::CutOff { after: 0 },
        FaultKind::Redirect(format!("https://evil.example/?state={token}")),
        FaultKind::Link(format!("<https://evil.example/?state={token}&page=2>; rel=\"next\"")),
    ] {
        running.github().fail(Fault::under("/", kind));
        ask_github(running, user).await;
        running.github().clear_faults();
    }
}

async fn faults_of_aws(running: &Running, user: &DemoUser) {
    let hook = running.stack.dynamodb.hook();
    for operation in ["GetItem", "Query", "UpdateItem", "PutItem", "TransactWriteItems"] {
        for fault in [
            hook::Fault::error(StatusCode::BAD_REQUEST, "ValidationException"),
            hook::Fault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        ] {
            hook.fail_next(operation, 10_000, &fault);
            ask_github(running, user).await;
            running.get("/auth/github/login").send().await;
            hook.reset();
        }
    }
    // Long enough for the secrets to be read again.
    running.clock.advance(Duration::from_secs(600));
    let denied = hook::Fault::error(StatusCode::BAD_REQUEST, "AccessDeniedException");
    running.stack.secrets_manager.hook().fail_next("GetSecretValue", 10_000, &denied);
    ask_github(running, user).await;
    running.stack.secrets_manager.hook().reset();
}

/// A token that ends is renewed, not renewed, and at last gone.
async fn refreshes(running: &Running, user: &DemoUser) {
    let token_endpoint = "/login/oauth/access_token";
    running.clock.advance(Duration::from_secs(8 * 3600 + 1));
    running.github().clear_calls();
    ask_github(running, user).await;
    assert!(running.github().calls().iter().any(|call| call.path == token_endpoint), "a renewal");
    running.clock.advance(Duration::from_secs(8 * 3600 + 1));
    for kind in [FaultKind::Status(StatusCode::BAD_GATEWAY), FaultKind::Html, FaultKind::CutOff { after: 0 }]
    {
        running.github().fail(Fault::post(token_endpoint, kind));
        ask_github(running, user).await;
        running.github().clear_faults();
    }
    running.github().revoke_grant("octocat");
    ask_github(running, user).await;
    let logout = running.post("/auth/logout").session(user).header("Origin", &running.stack.url);
    assert_eq!(logout.send().await.status, StatusCode::NO_CONTENT);
}

/// Secrets in a form that nobody can use: the log names the field and shows nothing of the value.
async fn broken_secrets() {
    let app = json!({
        "app_id": 1, "client_id": "Iv1", "client_secret": SANDBOX_CLIENT_SECRET,
        "private_key": &SANDBOX_PRIVATE_KEY[..400], "webhook_secret": "sandbox-webhook-secret",
    });
    for (name, text) in [
        (GITHUB_APP_SECRET, app.to_string()),
        (GITHUB_APP_SECRET, SANDBOX_PRIVATE_KEY.to_owned()),
        (GITHUB_APP_SECRET, app.to_string().replace(':', ";")),
        (TOKEN_KEYS_SECRET, TOKEN_KEYS.replace("k1\":\"", "k1\":\"=")),
        (TOKEN_KEYS_SECRET, TOKEN_KEYS[..40].to_owned()),
    ] {
        let running = crate::harness::start().await;
        running.stack.secrets.set(name, &text);
        let answer = running.get("/auth/github/login").send().await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    }
}
