//! Answers of the service to the sandbox's demo user, for the document's examples: as they were given, but for what is
//! another at every run.

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use local::openapi::Examples;
use local::sandbox_github::webhook_signature;
use local::stack::SANDBOX_WEBHOOK_SECRET;
use regex::Regex;
use serde_json::Value;

use crate::harness::{Running, start};

/// A list in an example is as long as a reader needs.
const LONGEST: usize = 2;

/// The answers by route and status.
pub(crate) async fn recorded() -> Examples {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let rows = format!("/api/users/{}/installations", user.user_id);
    let imports = format!("{rows}/1/imports");
    let removal = format!("{rows}/4");
    let key = r#"{"name":"laptop"}"#;
    let mut examples = Examples::new();
    for (route, name, method, path, body) in [
        (
            "GET /api/user/installations",
            "installations_at_github",
            Method::GET,
            "/api/user/installations?provider=github",
            "",
        ),
        (
            "GET /api/user/repositories",
            "page",
            Method::GET,
            "/api/user/repositories?selected_provider=github&installation_id=5002&per_page=2",
            "",
        ),
        ("GET /api/user/repositories", "newest_of_all", Method::GET, "/api/user/repositories", ""),
        ("GET /user/installations", "page", Method::GET, "/user/installations?per_page=1", ""),
        (
            "GET /users/{username}/installation",
            "installation",
            Method::GET,
            "/users/octocat/installation",
            "",
        ),
        ("GET /api/users/{user_id}/installations", "rows", Method::GET, &rows, ""),
        (
            "GET /api/users/{user_id}/installations/{installation_id}/imports",
            "repositories",
            Method::GET,
            &imports,
            "",
        ),
        (
            "DELETE /api/users/{user_id}/installations/{installation_id}",
            "removed",
            Method::DELETE,
            &removal,
            "",
        ),
        ("POST /api/keys", "new_key", Method::POST, "/api/keys", key),
        ("GET /api/keys", "keys", Method::GET, "/api/keys", ""),
        ("GET /auth/session", "signed_in", Method::GET, "/auth/session", ""),
        ("GET /healthz", "healthy", Method::GET, "/healthz", ""),
        (
            "POST /webhooks/github",
            "pong",
            Method::POST,
            "/webhooks/github",
            r#"{"zen":"Design for failure.","hook_id":501001}"#,
        ),
        // It ends what the others need.
        ("POST /api/unset-provider-tokens", "unset", Method::POST, "/api/unset-provider-tokens", ""),
    ] {
        let (status, answer) = ask(&running, &user, method, path, body).await;
        assert!(status.is_success(), "{route}: {status} {answer}");
        let shown = shown(&answer);
        examples.entry(format!("{route} {}", status.as_u16())).or_default().push((name.to_owned(), shown));
    }
    examples
}

/// Without the harness, which holds answers against the document that is being made.
async fn ask(
    running: &Running,
    user: &DemoUser,
    method: Method,
    path: &str,
    body: &str,
) -> (StatusCode, Value) {
    let request = running.http.request(method, format!("{}{path}", running.stack.url));
    let request = match path {
        "/auth/session" => request.header("Cookie", format!("neptun-session={}", user.session_cookie)),
        "/webhooks/github" => request
            .header("X-GitHub-Event", "ping")
            .header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
            .header("X-GitHub-Hook-Installation-Target-ID", local::stack::SANDBOX_APP_ID.to_string())
            .header("X-Hub-Signature-256", webhook_signature(SANDBOX_WEBHOOK_SECRET, body.as_bytes())),
        _ => request.header("X-Session-API-Key", &user.api_key),
    };
    let request = request.header("content-type", "application/json").body(body.to_owned());
    let answer = request.send().await.expect("the gateway answers");
    let status = answer.status();
    (status, serde_json::from_slice(&answer.bytes().await.expect("a whole body")).expect("JSON"))
}

/// The answer with the same random values, times and ports at every run, and short lists.
fn shown(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Value::Array(items) = &mut answer
        && items.iter().all(Value::is_object)
    {
        items.truncate(LONGEST);
    }
    let today = time::OffsetDateTime::now_utc().date();
    let yesterday = today.previous_day().expect("a day before");
    let text = [
        (r"usr_[0-9A-HJKMNP-TV-Z]{26}".to_owned(), "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (r"key_[0-9A-HJKMNP-TV-Z]{26}".to_owned(), "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (r"gik_[0-9A-Za-z_-]{43}".to_owned(), "gik_xHtU..."),
        (r#""gik_[0-9A-Za-z_-]{4}""#.to_owned(), r#""gik_xHtU""#),
        (r"localhost:[0-9]+".to_owned(), "localhost:3001"),
        (format!(r"({today}|{yesterday})T[0-9:]+Z"), "2026-01-01T10:00:00Z"),
    ]
    .into_iter()
    .fold(answer.to_string(), |text, (pattern, instead)| {
        Regex::new(&pattern).expect("a pattern").replace_all(&text, instead).into_owned()
    });
    serde_json::from_str(&text).expect("JSON still")
}
