//! An event as API Gateway hands it to a function, through the function's own handler, with AWS in memory and hosts
//! that nobody reaches. What each route answers in detail is the business of the end-to-end tests.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, LambdaEvent, Service as _};
use ring::hmac;
use serde_json::Value;
use shared::clock::Clock;
use shared::config::Config;
use shared::contract::{Request, Response};
use shared::service::Service;
use tokio::runtime::Runtime;
use url::Url;

use crate::canned_aws::{WEBHOOK_SECRET, clients};
use crate::hosts::url;

const PUBLIC: &str = "https://installations.test";
/// A port of this machine on which nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";
/// What Lambda carries.
const LARGEST: usize = 6_291_556;

static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let settings = |name: &str| {
        Some(
            match name {
                "TABLE_NAME" => "git-installations",
                "GITHUB_APP_SECRET_ID" => "app",
                "TOKEN_KEYS_SECRET_ID" => "keys",
                "OAUTH_CLIENTS_SECRET_ID" => "clients",
                "PUBLIC_URL" => PUBLIC,
                "AWS_REGION" => "us-east-1",
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "none",
                "GITHUB_API_URL" | "GITHUB_WEB_URL" | "GITLAB_URL" | "BITBUCKET_API_URL"
                | "BITBUCKET_WEB_URL" => NOBODY,
                _ => return None,
            }
            .to_owned(),
        )
    };
    let config = Config::from_lookup(settings).expect("settings");
    let (dynamodb, secrets) = clients();
    shared::fuzzing::service_over(config, Clock::system(), dynamodb, secrets).expect("a service")
});

type Handler = fn(Arc<Service>, Request) -> Pin<Box<dyn Future<Output = Response> + Send>>;

/// The function of a path, as the template's routes have it.
fn function(path: &str) -> Option<Handler> {
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    Some(match *steps.as_slice() {
        ["api", "user", "installations"] => {
            |service, request| Box::pin(user_installations::handle(service, request))
        }
        ["api", "user", "repositories"] => {
            |service, request| Box::pin(user_repositories::handle(service, request))
        }
        ["user", "installations"] => {
            |service, request| Box::pin(github_installations::handle(service, request))
        }
        ["users", _, "installation"] => {
            |service, request| Box::pin(github_user_installation::handle(service, request))
        }
        ["api", "users", _, "installations", ..] => {
            |service, request| Box::pin(mapped_installations::handle(service, request))
        }
        ["webhooks", "github"] => |service, request| Box::pin(github_webhook::handle(service, request)),
        ["auth", ..] => |service, request| Box::pin(sign_in::handle(service, request)),
        ["api", "keys" | "add-git-providers" | "unset-provider-tokens", ..] => {
            |service, request| Box::pin(connections::handle(service, request))
        }
        ["healthz"] => |service, request| Box::pin(web::handle(service, request)),
        _ => return None,
    })
}

/// Every event has an answer that is no defect of ours, says nothing to who proves nothing, leads a browser to nobody
/// else, and fits what Lambda carries.
pub fn run(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    if !is_of_the_gateway(&event) {
        return;
    }
    let Some(handler) = event["rawPath"].as_str().and_then(function) else { return };
    let Ok(request) = serde_json::from_slice::<LambdaRequest>(data) else { return };
    let mut adapter = Adapter::from(lambda_http::service_fn(move |request: Request| async move {
        let sent = Sent::of(&request);
        let answer = handler(Arc::clone(&SERVICE), request).await;
        sent.check(&answer);
        Ok::<_, Infallible>(answer)
    }));
    let Ok(answer) = runtime().block_on(adapter.call(LambdaEvent::new(request, Context::default())));
    let size = serde_json::to_string(&answer).expect("an answer for the gateway").len();
    assert!(size <= LARGEST, "{size} bytes are not carried");
}

/// One thread and a time that runs ahead wherever everybody waits: attempts at a host that is not there take none.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// What API Gateway has seen to before it calls a function: `lambda_http` takes it for granted.
fn is_of_the_gateway(event: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names = event["headers"].as_object();
    let host = names.and_then(|headers| {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str()))
            .map(|(_, value)| text(value))
    });
    let host = host.unwrap_or_else(|| text(&event["requestContext"]["domainName"]));
    let (path, query) = (text(&event["rawPath"]), text(&event["rawQueryString"]));
    let stage = text(&event["requestContext"]["stage"]);
    if event["isBase64Encoded"] == true && STANDARD.decode(text(&event["body"])).is_err() {
        return false;
    }
    if stage != "$default" || !path.starts_with('/') || event["requestContext"]["http"].is_null() {
        return false;
    }
    let proto =
        names.and_then(|headers| headers.get("x-forwarded-proto")).map_or_else(|| "http".to_owned(), text);
    let Ok(url) = Url::parse(&format!("{proto}://{host}{path}")) else { return false };
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{url}{separator}{query}").parse::<http::Uri>().is_ok()
}

/// What the answer is held against.
struct Sent {
    path: String,
    proves: bool,
    signature: Option<bool>,
}

impl Sent {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let body: &[u8] = request.body().as_ref();
        let proves = [AUTHORIZATION.as_str(), "x-session-api-key", "cookie"];
        let signature = headers.get("x-hub-signature-256").map(|sent| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
            let hex: String =
                hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            sent.as_bytes().trim_ascii().eq_ignore_ascii_case(format!("sha256={hex}").as_bytes())
        });
        Self {
            path: lambda_http::RequestExt::raw_http_path(request).to_owned(),
            proves: proves.iter().any(|name| headers.contains_key(*name)),
            signature,
        }
    }

    fn check(&self, answer: &Response) {
        let status = answer.status();
        assert_ne!(status.as_u16(), 500, "a defect: {answer:?}");
        let header = |name| answer.headers().get(name).map(|value| value.to_str().expect("text"));
        let body: &[u8] = answer.body().as_ref();
        if header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"))
            && !answer.headers().contains_key("content-encoding")
            && !body.is_empty()
        {
            serde_json::from_slice::<Value>(body).expect("what says that it is JSON");
        }
        if !self.path.starts_with("/healthz") {
            assert!(header(CACHE_CONTROL).is_some_and(|kept| kept.contains("no-store")), "{answer:?}");
        }
        let protected = ["/api/", "/user/", "/users/"].iter().any(|prefix| self.path.starts_with(prefix));
        if protected && !self.proves {
            assert_eq!(status.as_u16(), 401, "{answer:?}");
        }
        if self.path.starts_with("/webhooks/") && self.signature != Some(true) {
            assert!(!status.is_success(), "a delivery passed that nobody signed");
        }
        if let Some(location) = header(LOCATION) {
            let ours = url(PUBLIC);
            let target = ours.join(location).expect("an address");
            assert!(
                target.origin() == ours.origin() || target.origin() == url(NOBODY).origin(),
                "{location}"
            );
        }
    }
}
