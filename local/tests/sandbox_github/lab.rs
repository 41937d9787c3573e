//! The laboratory that every test gets: a sandbox of its own, a client, and short words for requests.
//! No test lives here.

use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use local::sandbox_github::{
    AppRegistration, AuthorizeRequest, Options, SandboxGithub, StartError, Target, demo_world,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use ring::digest::{SHA256, digest};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use shared::clock::Clock;

const PRIVATE_KEY: &str = include_str!("../../fixtures/sandbox-app.private-key.pem");
const PUBLIC_KEY: &str = include_str!("../../fixtures/sandbox-app.public-key.pem");
pub(super) const CALLBACK: &str = "http://localhost:3000/auth/github/callback";
pub(super) const SETUP: &str = "http://localhost:3000/auth/github/setup";
pub(super) const WEBHOOK_SECRET: &str = "It's a Secret to Everybody";
pub(super) const CLIENT: [(&str, &str); 2] =
    [("client_id", "Iv1.sandbox"), ("client_secret", "sandbox-secret")];
pub(super) const UNDECODED: &str = "A JSON web token could not be decoded";

pub(super) struct Lab {
    pub(super) github: SandboxGithub,
    pub(super) http: reqwest::Client,
    pub(super) clock: Clock,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(super) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let body = self.json();
        let list = body.get("repositories").unwrap_or(&body).as_array().unwrap().clone();
        list.iter().map(|one| one["full_name"].as_str().unwrap().to_owned()).collect()
    }
}

pub(super) async fn start(state_file: Option<PathBuf>, clock: &Clock) -> Result<SandboxGithub, StartError> {
    let app = AppRegistration {
        app_id: 4242,
        client_id: "Iv1.sandbox".to_owned(),
        client_secret: "sandbox-secret".to_owned(),
        slug: "sandbox-installations".to_owned(),
        public_key_pem: PUBLIC_KEY.into(),
        callback_urls: vec![CALLBACK.to_owned()],
        setup_url: SETUP.to_owned(),
        webhook_url: None,
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        hook_id: 501,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { latency: Duration::ZERO, clock: clock.clone(), state_file, app };
    SandboxGithub::start(listener, demo_world(), options).await
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::remembering(None, &Clock::system()).await
    }

    pub(super) async fn remembering(state_file: Option<PathBuf>, clock: &Clock) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let github = start(state_file, clock).await.unwrap();
        Self { github, http: http.build().unwrap(), clock: clock.clone() }
    }

    pub(super) fn token(&self, login: &str) -> String {
        format!("Bearer {}", self.github.mint_user_token(login).access_token)
    }

    pub(super) fn jwt(&self) -> String {
        let now = self.clock.unix();
        jwt(&json!({"iss": "Iv1.sandbox", "iat": now - 60, "exp": now + 540}))
    }

    pub(super) fn installation_of(&self, login: &str) -> u64 {
        self.github.world(|world| {
            let user = world.user(login).map(|user| user.id);
            let account = user.or_else(|| world.organization(login).map(|found| found.id)).unwrap();
            world.installation_on(Target::Account(account)).unwrap().id.0
        })
    }

    /// A header that is set to nothing is not sent at all.
    pub(super) async fn send(
        &self,
        method: Method,
        url: String,
        headers: &[(&str, &str)],
        body: String,
    ) -> Reply {
        let mut all = HeaderMap::new();
        all.insert("user-agent", HeaderValue::from_static("sandbox-tests"));
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            if value.is_empty() {
                all.remove(name);
            } else {
                all.insert(name, value.parse().unwrap());
            }
        }
        let response = self.http.request(method, url).headers(all).body(body).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Reply { status, headers, body: response.text().await.unwrap() }
    }

    pub(super) async fn api(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let url = format!("{}{path}", self.github.api_url());
        self.send(Method::GET, url, headers, String::new()).await
    }

    pub(super) async fn get(&self, path: &str, authorization: &str) -> Reply {
        self.api(path, &[("authorization", authorization)]).await
    }

    pub(super) async fn post_form(&self, path: &str, fields: &[(&str, &str)], accept: &str) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", accept)];
        self.send(Method::POST, format!("{}{path}", self.github.web_url()), &headers, body).await
    }

    pub(super) async fn exchange(&self, fields: &[(&str, &str)]) -> Value {
        let fields: Vec<_> = CLIENT.into_iter().chain(fields.iter().copied()).collect();
        let reply = self.post_form("/login/oauth/access_token", &fields, "application/json").await;
        assert_eq!(reply.status, 200, "OAuth errors come with 200 too");
        reply.json()
    }

    pub(super) fn code(&self, challenge: Option<&str>) -> String {
        let request = AuthorizeRequest {
            client_id: "Iv1.sandbox".to_owned(),
            redirect_uri: Some(CALLBACK.to_owned()),
            code_challenge: challenge.map(str::to_owned),
            code_challenge_method: challenge.map(|_| "S256".to_owned()),
            ..AuthorizeRequest::default()
        };
        parameter(&self.github.authorize("octocat", &request).unwrap(), "code").unwrap()
    }
}

pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(super) fn jwt(claims: &Value) -> String {
    let body: String = PRIVATE_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({"alg": "RS256", "typ": "JWT"})), encode(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(super) fn sha256_hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
