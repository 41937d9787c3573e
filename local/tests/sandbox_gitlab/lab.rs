//! The laboratory that every test gets: a sandbox of its own, the client, and a token.
//! No test lives here.

use std::time::Duration;

use local::sandbox_gitlab::{Application, Fault, Options, SandboxGitlab, World, demo_world};
use secrecy::SecretString;
use serde_json::Value;
use shared::clock::Clock;
use shared::config::GitlabHost;
use shared::provider::gitlab::Gitlab;
use shared::provider::oauth::OauthClient;
use shared::provider::token::FixedToken;
use shared::provider::upstream::{Budget, Upstream, http_client};
use shared::provider::{CallError, ProviderError, Repository};
use tokio::time::Instant;

pub(super) const CALLBACK: &str = "http://localhost:3000/auth/gitlab/callback";

pub(super) struct Lab {
    pub(super) sandbox: SandboxGitlab,
    pub(super) gitlab: Gitlab,
    pub(super) clock: Clock,
}

pub(super) fn options() -> Options {
    Options::new(Application {
        client_id: "sandbox-client".to_owned(),
        client_secret: "sandbox-secret".to_owned(),
        redirect_uris: vec![CALLBACK.to_owned(), "http://localhost:3000/other".to_owned()],
        scopes: "read_api read_user".to_owned(),
    })
}

pub(super) fn oauth_client() -> OauthClient {
    OauthClient { client_id: "sandbox-client".to_owned(), client_secret: "sandbox-secret".into() }
}

pub(super) fn budget() -> Budget {
    Budget::new(Instant::now() + Duration::from_secs(60), 32)
}

pub(super) fn forwarded(token: &str) -> FixedToken {
    FixedToken::forwarded(SecretString::from(token.to_owned()))
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::with(demo_world(), options()).await
    }

    pub(super) async fn with(world: World, options: Options) -> Self {
        let clock = options.clock.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = SandboxGitlab::start(listener, world, options).await.unwrap();
        let upstream = Upstream::new(http_client(&[]).unwrap());
        let host = GitlabHost { base: sandbox.url().parse().unwrap() };
        let gitlab = Gitlab::new(upstream, host, clock.clone());
        Self { sandbox, gitlab, clock }
    }

    pub(super) fn token(&self, username: &str) -> FixedToken {
        forwarded(&self.sandbox.mint_user_token(username).access_token)
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.sandbox.fail(fault);
    }

    pub(super) async fn repositories(&self, username: &str) -> Result<Vec<Repository>, CallError> {
        self.gitlab.repositories(&self.token(username), &budget()).await
    }

    pub(super) async fn installations(&self, username: &str) -> Result<Vec<String>, CallError> {
        self.gitlab.installations(&self.token(username), &budget()).await
    }

    /// The sandbox's answer to a GET with this token.
    pub(super) async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        let url = format!("{}{path}", self.sandbox.url());
        http_client(&[])
            .unwrap()
            .get(url)
            .header("authorization", format!("Bearer {token}"))
            .send()
            .await
            .unwrap()
    }

    pub(super) async fn json(&self, path: &str, token: &str) -> Value {
        serde_json::from_str(&self.get(path, token).await.text().await.unwrap()).unwrap()
    }
}

pub(super) fn names(repositories: &[Repository]) -> Vec<&str> {
    repositories.iter().map(|repository| repository.full_name.as_str()).collect()
}

pub(super) fn host_error<T: std::fmt::Debug>(result: Result<T, CallError>) -> ProviderError {
    match result {
        Err(CallError::Host(error)) => error,
        other => panic!("{other:?}"),
    }
}
