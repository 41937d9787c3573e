//! The laboratory that every test gets: a sandbox of its own, our client, and short words for calls.
//! No test lives here.

use std::sync::Mutex;
use std::time::Duration;

use local::sandbox_bitbucket::{Call, OauthConsumer, Options, SandboxBitbucket, Scope, World, demo_world};
use secrecy::SecretString;
use shared::clock::Clock;
use shared::config::BitbucketHost;
use shared::provider::bitbucket::Bitbucket;
use shared::provider::listing::Listing;
use shared::provider::oauth::OauthClient;
use shared::provider::token::{AccessToken, FixedToken, TokenError, TokenSource};
use shared::provider::upstream::{Budget, Upstream, http_client};
use shared::provider::{CallError, ProviderError, Repository, Sort};
use tokio::time::Instant;

pub(super) const CALLBACK: &str = "http://localhost:3000/auth/bitbucket/callback";

pub(super) struct Lab {
    pub(super) sandbox: SandboxBitbucket,
    pub(super) client: Bitbucket,
    pub(super) clock: Clock,
    pub(super) http: reqwest::Client,
}

pub(super) fn budget() -> Budget {
    Budget::new(Instant::now() + Duration::from_secs(20), 32)
}

pub(super) fn oauth_client() -> OauthClient {
    OauthClient { client_id: "sandbox-key".to_owned(), client_secret: SecretString::from("sandbox-secret") }
}

pub(super) fn token(secret: &str) -> FixedToken {
    FixedToken::forwarded(SecretString::from(secret))
}

/// The host's error in a failed call.
pub(super) fn host_error<R: std::fmt::Debug>(result: Result<R, CallError>) -> ProviderError {
    match result {
        Err(CallError::Host(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A source that has these tokens, one after the other.
pub(super) struct Renewable(Mutex<Vec<String>>);

impl Renewable {
    pub(super) fn new(tokens: &[&str]) -> Self {
        Self(Mutex::new(tokens.iter().rev().map(|token| (*token).to_owned()).collect()))
    }

    fn now(&self) -> AccessToken {
        let tokens = self.0.lock().unwrap();
        let version = tokens.len() as u64;
        AccessToken { secret: SecretString::from(tokens.last().unwrap().clone()), version, fresh: false }
    }
}

impl TokenSource for Renewable {
    async fn token(&self) -> Result<AccessToken, TokenError> {
        Ok(self.now())
    }

    async fn renew(&self, rejected: &AccessToken) -> Result<Option<AccessToken>, TokenError> {
        if self.now().version == rejected.version {
            let mut tokens = self.0.lock().unwrap();
            if tokens.len() == 1 {
                return Ok(None);
            }
            tokens.pop();
        }
        Ok(Some(self.now()))
    }
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::of(demo_world()).await
    }

    pub(super) async fn of(world: World) -> Self {
        let clock = Clock::system();
        let client = OauthConsumer {
            client_id: "sandbox-key".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
            callback_urls: vec![CALLBACK.to_owned()],
        };
        let options = Options { latency: Duration::ZERO, clock: clock.clone(), client };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = SandboxBitbucket::start(listener, world, options).await.unwrap();
        let (api, web) = (sandbox.api_url().parse().unwrap(), sandbox.web_url().parse().unwrap());
        let http = http_client(&[]).unwrap();
        let upstream = Upstream::new(http.clone());
        let client = Bitbucket::new(upstream, BitbucketHost { api, web }, clock.clone());
        Self { sandbox, client, clock, http }
    }

    pub(super) fn oauth(&self, login: &str) -> FixedToken {
        token(&self.sandbox.mint_user_token(login).access_token)
    }

    pub(super) fn api_token(&self, login: &str) -> String {
        self.sandbox.try_mint_api_token(login, &Scope::ALL).unwrap()
    }

    pub(super) async fn installations(&self, login: &str) -> Result<Vec<String>, CallError> {
        self.client.installations(&self.oauth(login), &budget()).await
    }

    pub(super) async fn repositories(&self, login: &str) -> Result<Listing, CallError> {
        self.client.repositories(&self.oauth(login), &budget()).await
    }

    pub(super) async fn page(
        &self,
        login: &str,
        workspace: &str,
        sort: Sort,
        page: u32,
        per_page: u32,
    ) -> Result<(Vec<Repository>, bool), CallError> {
        self.client.installation_page(workspace, sort, page, per_page, &self.oauth(login), &budget()).await
    }

    /// The calls that came in, without those for the user, which may come in at any time among them.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.sandbox.calls().into_iter().filter(|call| call.path != "/user").collect()
    }

    pub(super) async fn status(&self, path: &str, authorization: &str) -> (u16, serde_json::Value) {
        let mut request = self.http.get(format!("{}{path}", self.sandbox.api_url()));
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }
}

pub(super) fn names(repositories: &[Repository]) -> Vec<&str> {
    repositories.iter().map(|repository| repository.full_name.as_str()).collect()
}

pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
