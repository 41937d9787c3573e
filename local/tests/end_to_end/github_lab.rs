//! What the tests of GitHub's routes and of the mapping share: direct calls to the sandbox, looks into the
//! table, JWTs of the App, requests that no client would send, and a second process of the service.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use local::aws::hook::Fault as AwsFault;
use local::data_folder::DemoUser;
use local::sandbox_github::{AccountId, Fault, FaultKind, InstallationId, Target};
use local::stack::{SANDBOX_CLIENT_ID, SANDBOX_PRIVATE_KEY};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::harness::{Answer, Running};

/// Where a signed-in user's installations are listed.
pub(crate) const LIST: &str = "/user/installations";

/// Calls of the SDK that make one operation fail: its attempts.
pub(crate) const ATTEMPTS: usize = 3;

impl Running {
    /// What GitHub itself answers to this token at this path.
    pub(crate) async fn directly(&self, path: &str, token: &str) -> Answer {
        let url = format!("{}{path}", self.github().api_url());
        let request = self.http.get(url).header("user-agent", "a test").header("authorization", token);
        let answer = request.send().await.expect("the sandbox answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = String::from_utf8_lossy(&answer.bytes().await.expect("a whole body")).into_owned();
        Answer { status, headers, body }
    }

    /// A GET whose path is sent as it is written; clients resolve `..` before they send it.
    pub(crate) async fn get_as_written(&self, path: &str, user: &DemoUser) -> Answer {
        let request = http::Request::get(format!("{}{path}", self.stack.url))
            .header("x-session-api-key", &user.api_key)
            .body(String::new())
            .expect("a request");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.expect("the gateway answers");
        let (parts, body) = answer.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.expect("a whole body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Every item of the table, by its key.
    pub(crate) async fn items_by_key(&self) -> BTreeMap<String, Value> {
        let items = self.items().await;
        items.into_iter().map(|item| (format!("{} {}", item["pk"]["S"], item["sk"]["S"]), item)).collect()
    }

    /// The rows that Neptun's web UI sees.
    pub(crate) async fn shown_rows(&self, user: &DemoUser) -> Vec<Value> {
        let path = format!("/api/users/{}/installations", user.user_id);
        let answer = self.get(&path).api_key(user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json().as_array().expect("rows").clone()
    }

    /// The row of an installation.
    pub(crate) async fn row(&self, user: &DemoUser, installation: InstallationId) -> Value {
        let id = installation.to_string();
        let rows = self.shown_rows(user).await;
        rows.into_iter().find(|row| row["github_installation_id"] == *id).expect("a row")
    }

    /// Paths of the calls that reached GitHub since the sign-in.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.github().calls().into_iter().map(|call| call.path).collect()
    }

    /// An account's number.
    pub(crate) fn account(&self, login: &str) -> AccountId {
        self.github().world(|world| {
            let user = world.user(login).map(|user| user.id);
            user.or_else(|| world.organization(login).map(|one| one.id)).expect("an account of that login")
        })
    }

    /// The number of the installation on an account.
    pub(crate) fn installation(&self, login: &str) -> InstallationId {
        let target = Target::Account(self.account(login));
        self.github().world(|world| world.installation_on(target).expect("installed").id)
    }

    /// Makes every GET of this path go wrong.
    pub(crate) fn break_github(&self, path: &str, kind: FaultKind) {
        self.github().clear_faults();
        self.github().fail(Fault::get(path, kind));
    }

    /// Lets so many operations of that name pass, then makes one fail for good.
    pub(crate) fn fail_dynamodb(&self, operation: &str, passing: usize) {
        let hook = self.stack.dynamodb.hook();
        hook.reset();
        hook.fail_next(operation, passing, &AwsFault::default());
        hook.fail_next(operation, ATTEMPTS, &unavailable());
    }

    /// Time passes, for GitHub and for us.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A new process of the service over the same table and hosts, whose functions may run so long.
    pub(crate) async fn new_process(&self, timeout: Duration) -> Process {
        let url = self.another_process(timeout).await;
        Process { url, http: self.http.clone() }
    }
}

/// Another process of the service.
pub(crate) struct Process {
    url: String,
    http: reqwest::Client,
}

impl Process {
    pub(crate) async fn get(&self, path: &str, header: (&str, &str)) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url)).header(header.0, header.1);
        let answer = request.send().await.expect("the process answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = String::from_utf8_lossy(&answer.bytes().await.expect("a whole body")).into_owned();
        Answer { status, headers, body }
    }
}

/// What DynamoDB and Secrets Manager say when they fail themselves.
pub(crate) fn unavailable() -> AwsFault {
    AwsFault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")
}

/// Claims as the App makes them now.
pub(crate) fn claims(clock: &Clock) -> Value {
    json!({"iat": clock.unix() - 60, "exp": clock.unix() + 540, "iss": SANDBOX_CLIENT_ID})
}

/// A JWT that the App's private key has signed.
pub(crate) fn app_jwt(claims: &Value) -> String {
    jwt_signed_with(SANDBOX_PRIVATE_KEY, &json!({"alg": "RS256", "typ": "JWT"}), claims)
}

/// A JWT that a PKCS#1 key has signed, whatever its header says.
pub(crate) fn jwt_signed_with(pem: &str, header: &Value, claims: &Value) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let key = RsaKeyPair::from_der(&STANDARD.decode(base64).expect("base64")).expect("an RSA key");
    let signed = unsigned_jwt(header, claims);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("signed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The two parts of a JWT that are signed.
pub(crate) fn unsigned_jwt(header: &Value, claims: &Value) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encoded(header), encoded(claims))
}

/// The `message` of an error in GitHub's form; the form itself is checked.
pub(crate) fn github_message(answer: &Answer) -> String {
    let body = answer.json();
    let mut keys: Vec<_> = body.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["documentation_url", "message", "status"], "{answer:?}");
    assert_eq!(body["status"], answer.status.as_str(), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    body["message"].as_str().expect("a text").to_owned()
}
