//! What a function behind the HTTP API writes to standard output, as Lambda runs it: a process of its own in front of
//! a small Runtime API. What it answers stands in for any such function: well, badly, and with a panic.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use benchmarks::runtime_api::RuntimeApi;
use flate2::read::GzDecoder;
use http::StatusCode;
use lambda_http::RequestExt;
use serde_json::{Value, json};
use shared::contract::{Family, Request, Response, empty};
use shared::failure::Failure;
use shared::record::{CallerKind, Record};
use shared::runtime::{respond, run};
use shared::service::{Needs, Service};

/// Set for the process that is the function.
const IS_FUNCTION: &str = "IS_FUNCTION";
/// The test that is the function in that process.
const TEST: &str = "every_request_is_one_line_whatever_becomes_of_it_and_a_panic_costs_nothing_else";

struct Function(Child);

impl Drop for Function {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::OpenHands, request, answer).await
}

async fn answer(_: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let text = request.uri().query().unwrap_or_default().to_owned();
    Record::of(request).proved(CallerKind::Session);
    match request.raw_http_path() {
        "/away" => Err(Failure::Unavailable("DynamoDB GetItem failed: timeout".to_owned())),
        "/wrong" => Err(Failure::NotFound("User")),
        "/panic" => panic!("the text {text:?} cannot be cut"),
        "/list" => Ok(Family::OpenHands.json(StatusCode::OK, &vec!["octo-org/hello"; 100])),
        "/defect" => Err(Failure::Internal("a row has an impossible date".to_owned())),
        _ => Ok(empty(StatusCode::NO_CONTENT)),
    }
}

/// This very program, started to be the function in Lambda's environment.
fn start(api: &RuntimeApi, log_level: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env_clear()
        .envs([
            (IS_FUNCTION, "1"),
            ("AWS_LAMBDA_RUNTIME_API", &api.address().to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "requests"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("TABLE_NAME", "git-installations"),
            ("GITHUB_APP_SECRET_ID", "app"),
            ("TOKEN_KEYS_SECRET_ID", "keys"),
            ("LOG_LEVEL", log_level),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn event(path: &str) -> String {
    let text = include_str!("../../events/sign-in.session.json");
    let mut event: Value = serde_json::from_str(text).unwrap();
    event["routeKey"] = "GET /{what}".into();
    event["requestContext"]["routeKey"] = "GET /{what}".into();
    event["rawPath"] = path.into();
    event["requestContext"]["http"]["path"] = path.into();
    event["rawQueryString"] = "code=what-nobody-may-read".into();
    event.to_string()
}

/// Everything that a function writes while it works on requests for these paths, and the answers' statuses.
fn written(log_level: &str, paths: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let api = RuntimeApi::start(|| ()).unwrap();
    let mut function = Function(start(&api, log_level));
    let mut statuses = Vec::new();
    for path in paths {
        api.asked().unwrap();
        let (_, answer) = api.invoke(&event(path)).unwrap();
        statuses.push(serde_json::from_slice::<Value>(&answer).unwrap()["statusCode"].clone());
    }
    api.asked().unwrap();
    function.0.kill().unwrap();
    let output = std::io::read_to_string(function.0.stdout.take().unwrap()).unwrap();
    let errors = std::io::read_to_string(function.0.stderr.take().unwrap()).unwrap();
    assert_eq!(errors, "", "what a panic says may quote its caller");
    assert!(!output.contains("nobody-may-read") && !output.contains("neptun-session"), "{output}");
    let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (lines, statuses)
}

/// What differs from run to run is replaced by words.
fn redacted(mut line: Value) -> String {
    for (name, word) in [("timestamp", "[time]"), ("duration_ms", "[ms]"), ("location", "[place]")] {
        if let Some(value) = line.get_mut(name) {
            *value = word.into();
        }
    }
    line.to_string()
}

#[test]
fn every_request_is_one_line_whatever_becomes_of_it_and_a_panic_costs_nothing_else() {
    if std::env::var_os(IS_FUNCTION).is_some() {
        run(Needs::default(), handle).unwrap();
        return;
    }
    let (lines, statuses) = written("info", &["/well", "/wrong", "/away", "/defect", "/panic", "/well"]);
    assert_eq!(statuses, [204, 404, 503, 500, 500, 204]);
    let (counts, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["_aws"].is_object());
    insta::assert_snapshot!(lines.into_iter().map(redacted).collect::<Vec<_>>().join("\n"));
    let errors: Vec<_> = counts.iter().map(|line| (&line["Requests"], &line["RequestErrors"])).collect();
    let (one, none) = (json!(1), json!(0));
    assert_eq!(
        errors,
        [(&one, &none), (&one, &none), (&one, &one), (&one, &one), (&one, &one), (&one, &none)]
    );
}

/// The answer in payload format 2.0 to a request for the list that takes these codings.
fn answer_to(codings: Option<&str>) -> Value {
    let api = RuntimeApi::start(|| ()).unwrap();
    let mut function = Function(start(&api, "error"));
    let mut request: Value = serde_json::from_str(&event("/list")).unwrap();
    let headers = request["headers"].as_object_mut().unwrap();
    headers.remove("accept-encoding");
    headers.extend(codings.map(|codings| ("accept-encoding".to_owned(), codings.into())));
    api.asked().unwrap();
    let (_, answer) = api.invoke(&request.to_string()).unwrap();
    function.0.kill().unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn a_compressed_answer_is_carried_as_base64_and_says_so_and_any_other_as_text() {
    if std::env::var_os(IS_FUNCTION).is_some() {
        return;
    }
    let plain = answer_to(None);
    assert_eq!(plain["isBase64Encoded"], false);
    let list: Value = serde_json::from_str(plain["body"].as_str().unwrap()).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 100);

    let packed = answer_to(Some("gzip, deflate, br"));
    assert_eq!((&packed["statusCode"], &packed["isBase64Encoded"]), (&json!(200), &json!(true)));
    assert_eq!(packed["headers"]["content-encoding"], "gzip");
    let bytes = STANDARD.decode(packed["body"].as_str().unwrap()).unwrap();
    let unpacked = std::io::read_to_string(GzDecoder::new(&*bytes)).unwrap();
    assert_eq!(plain["body"], unpacked);
}

#[test]
fn at_the_level_warn_successes_and_refusals_are_counted_and_not_told_of() {
    let (lines, _) = written("warn", &["/well", "/wrong", "/away", "/panic"]);
    let (counts, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["_aws"].is_object());
    assert_eq!(counts.len(), 4);
    let told: Vec<_> = lines.iter().map(|line| (&line["level"], &line["message"])).collect();
    assert_eq!(
        told,
        [("WARN", "request"), ("ERROR", "panicked"), ("ERROR", "request")]
            .map(|(level, message)| (json!(level), json!(message)))
            .iter()
            .map(|(level, message)| (level, message))
            .collect::<Vec<_>>()
    );
}
