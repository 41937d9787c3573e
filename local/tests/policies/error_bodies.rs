//! No error says where an upstream host is, what the table or a secret is called, or what the program is made of.

use std::time::Duration;

use futures::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode};
use local::aws::hook;
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};
use local::stack::{GITHUB_APP_SECRET, TABLE, TOKEN_KEYS_SECRET};

use crate::harness::{Answer, Running, Setup};
use crate::requests::{Caller, Case, ask, cases};

/// What would tell about the inside: programs, crates, types, source files, AWS operations.
const INTERNAL: [&str; 24] = [
    "/api/v3",
    "127.0.0.1",
    "panicked",
    "::",
    "Error {",
    "Error(",
    "Some(",
    "SdkError",
    "DynamoDb",
    "DynamoDB",
    "Secrets Manager",
    "secretsmanager",
    "GetItem",
    "TransactWrite",
    "Exception",
    "asked for.",
    "GITHUB_API_URL",
    "TABLE_NAME",
    "reqwest",
    "hyper",
    "line 1 column",
    ".rs",
    "AKIA",
    "gsi1",
];

fn forbidden(running: &Running) -> Vec<String> {
    let authority =
        |url: &str| url.split("//").nth(1).unwrap_or(url).split('/').next().unwrap_or(url).to_owned();
    let stack = &running.stack;
    let mut words: Vec<String> = INTERNAL.map(ToOwned::to_owned).into();
    words.extend([
        authority(&running.github().web_url()),
        authority(stack.dynamodb.url()),
        authority(stack.secrets_manager.url()),
        GITHUB_APP_SECRET.to_owned(),
        TOKEN_KEYS_SECRET.to_owned(),
        format!("\"{TABLE}\""),
        format!("table {TABLE}"),
    ]);
    words
}

fn assert_says_nothing(running: &Running, what: &str, answer: &Answer) {
    if answer.status.is_success() || answer.status.is_redirection() {
        return;
    }
    let headers: Vec<String> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    for word in forbidden(running) {
        assert!(!answer.body.contains(&word), "{what}: the body says {word}: {answer:?}");
        assert!(
            !headers.iter().any(|header| header.contains(&word)),
            "{what}: a header says {word}: {answer:?}"
        );
    }
}

/// Every route as that user, at once; the answers' statuses.
async fn ask_all(running: &Running, user: &DemoUser, fault: &str) -> Vec<(Case, StatusCode)> {
    let cases = cases(user).into_iter().filter(|case| case.route != "POST /auth/logout");
    join_all(cases.map(|case| async move {
        let caller = if case.is_auth() { Caller::Session } else { Caller::ApiKey };
        let answer = ask(running, user, &case, caller).await;
        let what = format!("{fault}: {} {}", case.method(), case.path);
        assert_says_nothing(running, &what, &answer);
        (case, answer.status)
    }))
    .await
}

/// A copy that is served while GitHub is down would hide the error.
async fn without_copies() -> Running {
    Setup::default().setting("STALE_IF_ERROR_SECONDS", "0").start().await
}

fn status(code: u16) -> FaultKind {
    FaultKind::Status(StatusCode::from_u16(code).unwrap())
}

fn telling_answer(running: &Running, code: u16) -> FaultKind {
    FaultKind::Answer {
        status: StatusCode::from_u16(code).unwrap(),
        headers: HeaderMap::from_iter([(
            http::header::SERVER,
            HeaderValue::from_str(&running.github().api_url()).unwrap(),
        )]),
        body: format!("see {}/user at 127.0.0.1: thread 'main' panicked", running.github().api_url()),
    }
}

#[tokio::test]
async fn no_fault_of_the_host_shows_in_an_error() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    let elsewhere = "http://169.254.169.254/latest/meta-data".to_owned();
    let mut faults: Vec<FaultKind> = [401, 403, 404, 422, 451, 500, 502, 504].map(status).into();
    faults.extend([
        telling_answer(&running, 500),
        telling_answer(&running, 404),
        FaultKind::PrimaryRateLimit { reset_in: 60 },
        FaultKind::SecondaryRateLimit { retry_after: 7 },
        FaultKind::TooManyRequests { retry_after: 7 },
        FaultKind::Html,
        FaultKind::TruncatedJson,
        FaultKind::CutOff { after: 0 },
        FaultKind::CutOff { after: 20 },
        FaultKind::Redirect(elsewhere.clone()),
        FaultKind::Redirect(format!("{}/user", running.github().api_url())),
        FaultKind::Link(format!("<{elsewhere}?page=2>; rel=\"next\"")),
    ]);
    for kind in faults {
        let fault = format!("{kind:?}");
        running.github().fail(Fault::under("/", kind));
        let answered = ask_all(&running, &user, &fault).await;
        running.github().clear_faults();
        let failed =
            |route: &str| answered.iter().any(|(case, status)| case.route == route && !status.is_success());
        for route in ["GET /api/user/installations", "GET /user/installations"] {
            assert!(failed(route), "{fault} did not reach {route}");
        }
    }
}

#[tokio::test]
async fn no_fault_of_the_table_shows_in_an_error() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    let faults = [
        (400, "AccessDeniedException"),
        (400, "ProvisionedThroughputExceededException"),
        (500, "InternalServerError"),
    ];
    let reads: &[&str] = &["GetItem"];
    let lists: &[&str] = &["Query", "BatchGetItem"];
    let writes: &[&str] = &["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];
    let hook = running.stack.dynamodb.hook();
    for (code, kind) in faults {
        let fault = hook::Fault::error(StatusCode::from_u16(code).unwrap(), kind);
        for operations in [reads, lists, writes] {
            for operation in operations {
                hook.fail_next(operation, 10_000, &fault);
            }
            let answered = ask_all(&running, &user, &format!("{operations:?} {kind}")).await;
            hook.reset();
            let failed = |status: &StatusCode| matches!(status.as_u16(), 500 | 503);
            assert!(answered.iter().any(|(_, status)| failed(status)), "{operations:?} {kind}: {answered:?}");
        }
    }
}

#[tokio::test]
async fn no_fault_of_a_secret_shows_in_an_error() {
    let broken: [(&str, Option<&str>); 5] = [
        (GITHUB_APP_SECRET, None),
        (GITHUB_APP_SECRET, Some("{\"app_id\": \"AKIA\"}")),
        (GITHUB_APP_SECRET, Some("not JSON: AKIA")),
        (TOKEN_KEYS_SECRET, None),
        (TOKEN_KEYS_SECRET, Some("{\"current\":\"AKIA\",\"keys\":{}}")),
    ];
    for (secret, text) in broken {
        let running = without_copies().await;
        match text {
            Some(text) => running.stack.secrets.set(secret, text),
            None => running.stack.secrets.remove(secret),
        }
        let what = format!("{secret} is {text:?}");
        let login = running.get("/auth/github/login").send().await;
        assert_eq!(login.status, StatusCode::INTERNAL_SERVER_ERROR, "{what}: {login:?}");
        assert_says_nothing(&running, &what, &login);
        let jwt =
            running.get("/users/octocat/installation").bearer("eyJhbGciOiJSUzI1NiJ9.e30.AAAA").send().await;
        assert!(!jwt.status.is_success(), "{what}: {jwt:?}");
        assert_says_nothing(&running, &what, &jwt);
    }
}

#[tokio::test]
async fn an_expired_sign_in_says_nothing_either() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(Duration::from_secs(9 * 3600));
    running.github().fail(Fault::post("/login/oauth/access_token", telling_answer(&running, 400)));
    ask_all(&running, &user, "a refresh that fails").await;
    running.github().clear_faults();
    running.github().revoke_grant("octocat");
    let answered = ask_all(&running, &user, "a grant that was revoked").await;
    let refused = answered.iter().filter(|(_, status)| *status == StatusCode::UNAUTHORIZED).count();
    assert!(refused >= 3, "{answered:?}");
}

#[tokio::test]
async fn no_answer_of_the_openhands_routes_holds_an_address() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    for case in cases(&user).into_iter().filter(|case| case.path.starts_with("/api/user/")) {
        let answer = ask(&running, &user, &case, Caller::ApiKey).await;
        assert!(!answer.body.contains("://"), "{}: {answer:?}", case.path);
        assert!(!answer.headers.values().any(|value| value.as_bytes().windows(3).any(|part| part == b"://")));
    }
}
