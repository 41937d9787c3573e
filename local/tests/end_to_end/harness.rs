//! A running service for one test, a browser that keeps cookies, and answers in a form for snapshots. Every answer is
//! held against the API's document.
#![allow(dead_code, reason = "each group of tests uses its part")]

#[path = "../secret_watch/mod.rs"]
pub(crate) mod secret_watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use local::aws::access::Access;
use local::data_folder::{DemoUser, FunctionSettings};
use local::demo_user;
use local::front::Front;
use local::other_hosts;
use local::sandbox_github::{SandboxGithub, World, demo_world};
use local::stack::{
    OPEN_TOKEN_KEYS, Options, SANDBOX_CLIENT_SECRET, SANDBOX_PRIVATE_KEY, SANDBOX_WEBHOOK_SECRET, Stack,
};
use serde_json::Value;
use shared::clock::Clock;

#[path = "documented.rs"]
mod documented;

/// Key ring of every test.
pub(crate) const TOKEN_KEYS: &str = OPEN_TOKEN_KEYS;

/// How a test's service differs from the usual one.
pub(crate) struct Setup {
    pub(crate) world: World,
    pub(crate) settings: FunctionSettings,
    pub(crate) latency: Duration,
    /// Whether the sandbox GitHub sends its webhooks to the service.
    pub(crate) webhooks: bool,
    /// Whether there is a sandbox GitLab and a sandbox Bitbucket.
    pub(crate) other_hosts: bool,
    /// The sandbox GitHub's clock, if it is to be another than the service's.
    pub(crate) github_clock: Option<Clock>,
    pub(crate) token_keys: String,
    /// What stands before the sandbox hosts.
    pub(crate) front: Option<Arc<dyn Front>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            world: demo_world(),
            settings: FunctionSettings::new(),
            latency: Duration::ZERO,
            webhooks: false,
            other_hosts: false,
            github_clock: None,
            token_keys: TOKEN_KEYS.to_owned(),
            front: None,
        }
    }
}

impl Setup {
    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) async fn start(self) -> Running {
        let watch = secret_watch::Guard::new();
        for secret in
            [SANDBOX_CLIENT_SECRET, SANDBOX_WEBHOOK_SECRET, SANDBOX_PRIVATE_KEY, other_hosts::CLIENT_SECRET]
        {
            secret_watch::finder::learn(secret);
        }
        secret_watch::finder::learn_keys(&self.token_keys);
        let clock = Clock::system();
        let stack = Stack::start(Options {
            token_keys: self.token_keys,
            front: self.front,
            latency: self.latency,
            webhooks: self.webhooks,
            other_hosts: self.other_hosts,
            github_clock: self.github_clock.unwrap_or_else(|| clock.clone()),
            settings: self.settings,
            ..Options::in_memory(self.world, clock.clone())
        })
        .await
        .expect("the stack starts");
        let refusals = Refusals(stack.access.clone());
        Running { stack, clock, http: client(), refusals, watch }
    }
}

/// A running service; moving its clock moves the sandbox GitHub's too.
pub(crate) struct Running {
    pub(crate) stack: Stack,
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    refusals: Refusals,
    /// Fails the test in which the service tells a secret.
    watch: secret_watch::Guard,
}

/// Tells at the end whether a policy has refused what a function did: not every refusal fails a request.
struct Refusals(Access);

impl Drop for Refusals {
    fn drop(&mut self) {
        let refused = self.0.refused();
        let told = format!("template.yaml does not allow: {refused:#?}");
        if std::thread::panicking() && !refused.is_empty() {
            eprintln!("{told}");
        } else {
            assert!(refused.is_empty(), "{told}");
        }
    }
}

/// The usual service.
pub(crate) async fn start() -> Running {
    Setup::default().start().await
}

impl Running {
    pub(crate) fn github(&self) -> &SandboxGithub {
        self.stack.github.as_ref().expect("tests run with the sandbox")
    }

    /// A user of the sandbox GitHub, signed in, with an API key and a session.
    pub(crate) async fn sign_in(&self, login: &str) -> DemoUser {
        let user = demo_user::sign_in(&self.stack, login).await.expect("the sign-in works");
        self.github().clear_calls();
        secret_watch::finder::learn(&user.api_key);
        secret_watch::finder::learn(&user.session_cookie);
        user
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { running: self, cookies: Mutex::default() }
    }

    /// A request without any credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        self.request_at(method, &format!("{}{path}", self.stack.url))
    }

    /// The same at a whole address, such as another process of the service.
    pub(crate) fn request_at(&self, method: Method, url: &str) -> Request {
        Request::new(self.http.request(method, url))
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }
}

/// A request that is being put together.
pub(crate) struct Request {
    builder: reqwest::RequestBuilder,
    documented: bool,
}

impl Request {
    const fn new(builder: reqwest::RequestBuilder) -> Self {
        Self { builder, documented: true }
    }

    /// Asked where GitHub says what it does not document, which passes through: the document knows nothing of it.
    pub(crate) fn undocumented(self) -> Self {
        Self { documented: false, ..self }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.header(name, value), ..self }
    }

    pub(crate) fn api_key(self, user: &DemoUser) -> Self {
        self.header("X-Session-API-Key", &user.api_key)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn session(self, user: &DemoUser) -> Self {
        self.header("Cookie", &format!("neptun-session={}", user.session_cookie))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { builder: self.builder.body(body), ..self }
    }

    pub(crate) async fn send(self) -> Answer {
        let (client, request) = self.builder.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = client.execute(request).await.expect("the gateway answers");
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = String::from_utf8_lossy(&answer.bytes().await.expect("a whole body")).into_owned();
        secret_watch::answers::look_through(status, &headers, &body);
        if self.documented {
            documented::check(&method, &path, status.as_u16(), &headers, &body);
        }
        Answer { status, headers, body }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION.as_str()).unwrap_or_else(|| panic!("no Location: {self:?}"))
    }

    /// Status, headers and body for a snapshot; what differs from run to run is replaced by words.
    pub(crate) fn wire(&self) -> String {
        let mut lines = vec![self.status.to_string()];
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "date" | "content-length" | "apigw-requestid"))
            .map(|(name, value)| {
                let value = match name.as_str() {
                    "x-github-request-id" => "[id]",
                    "x-ratelimit-reset" => "[unix time]",
                    "etag" => "[etag]",
                    _ => value.to_str().unwrap_or("[not text]"),
                };
                format!("{name}: {value}")
            })
            .collect();
        headers.sort();
        lines.extend(headers);
        lines.push(String::new());
        lines.push(self.body.clone());
        without_ports(&lines.join("\n"))
    }
}

/// Text with `localhost:PORT` in place of the ports of this run.
pub(crate) fn without_ports(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("localhost:") {
        let (before, after) = rest.split_at(at + "localhost:".len());
        result.push_str(before);
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        result.push_str("PORT");
        rest = &after[digits..];
    }
    result + rest
}

/// Keeps cookies and follows nothing, so that each step can be looked at.
pub(crate) struct Browser<'a> {
    running: &'a Running,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser<'_> {
    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(Method::GET, url, None, None).await
    }

    /// The same as a browser that says from where it was sent (`Sec-Fetch-Site`).
    pub(crate) async fn get_from(&self, site: &str, url: &str) -> Answer {
        self.send(Method::GET, url, None, Some(site)).await
    }

    /// A POST as the service's own pages make it: with its `Origin`.
    pub(crate) async fn post(&self, url: &str, body: Option<&Value>) -> Answer {
        self.send(Method::POST, url, body, None).await
    }

    /// A form of another site's page.
    pub(crate) async fn form(&self, url: &str, form: &str) -> Answer {
        let request = self.running.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        Request::new(request.body(form.to_owned())).send().await
    }

    async fn send(&self, method: Method, url: &str, body: Option<&Value>, site: Option<&str>) -> Answer {
        let url =
            if url.starts_with('/') { format!("{}{url}", self.running.stack.url) } else { url.to_owned() };
        let mut request = self.running.http.request(method.clone(), url).header(COOKIE, self.cookie_header());
        if method != Method::GET {
            request = request.header(ORIGIN, &self.running.stack.url);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = Request::new(request).send().await;
        for value in answer.headers.get_all(SET_COOKIE) {
            let text = value.to_str().expect("a cookie is text");
            let (name, rest) = text.split_once('=').expect("a cookie has a value");
            let value = rest.split(';').next().unwrap_or_default();
            let mut cookies = self.cookies.lock().unwrap();
            if value.is_empty() || text.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// All cookies as a browser sends them.
    pub(crate) fn cookie_header(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Starts a sign-in from a page of the service's own and gives the authorize page's address.
    pub(crate) async fn start_sign_in(&self, login_path: &str) -> String {
        let started = self.get_from("same-origin", login_path).await;
        assert_eq!(started.status, StatusCode::FOUND, "{started:?}");
        started.location().to_owned()
    }

    /// Goes through the whole sign-in as that user of the sandbox.
    pub(crate) async fn sign_in(&self, login: &str) -> Answer {
        let authorize = self.start_sign_in("/auth/github/login").await;
        self.get(&self.approve(&authorize, login)).await
    }

    /// What the sandbox's authorize page redirects to when that user is chosen.
    pub(crate) fn approve(&self, authorize: &str, login: &str) -> String {
        let asked = demo_user::asked(authorize.split_once('?').map_or("", |(_, query)| query));
        self.running.github().authorize(login, &asked).expect("the sandbox accepts the request")
    }
}

fn client() -> reqwest::Client {
    let tls = shared::provider::upstream::tls_config(&[]).expect("TLS without further roots");
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}
