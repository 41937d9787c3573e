//! How the AWS SDK's clients are built: our one HTTP client as their connector, credentials from the
//! environment, bounded retries. What is asked of DynamoDB and Secrets Manager is `store` and `secrets`.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use secrecy::ExposeSecret;

use crate::config::Aws;

/// A client of AWS that is built when it is first used. Each one reads the SDK's own list of AWS's partitions, which costs
/// a start more than all else that it computes; so none is built that is not needed, nor before the connection to a host
/// is under way. Clones share it.
pub struct Deferred<C>(Arc<LazyLock<C, Box<dyn FnOnce() -> C + Send>>>);

impl<C> Deferred<C> {
    /// What `build` gives.
    #[must_use]
    pub fn new(build: impl FnOnce() -> C + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(build))))
    }
}

impl<C: Send + 'static> From<C> for Deferred<C> {
    fn from(client: C) -> Self {
        Self::new(|| client)
    }
}

impl<C> Deref for Deferred<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Clone for Deferred<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: fmt::Debug> fmt::Debug for Deferred<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The client of DynamoDB over the process's HTTP client.
#[must_use]
pub fn dynamodb(aws: &Aws, http: reqwest::Client) -> Deferred<aws_sdk_dynamodb::Client> {
    let aws = aws.clone();
    Deferred::new(move || {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(aws.region.clone()))
            .credentials_provider(credentials(&aws))
            .retry_config(retries())
            .timeout_config(timeouts())
            .sleep_impl(sleep())
            .http_client(SharedHttpClient::new(Connector { http }));
        config.set_endpoint_url(aws.dynamodb_endpoint.as_ref().map(ToString::to_string));
        aws_sdk_dynamodb::Client::from_conf(config.build())
    })
}

/// The client of Secrets Manager over the process's HTTP client.
#[must_use]
pub fn secrets_manager(aws: &Aws, http: reqwest::Client) -> Deferred<aws_sdk_secretsmanager::Client> {
    let aws = aws.clone();
    Deferred::new(move || {
        let mut config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::v2026_01_12())
            .region(Region::new(aws.region.clone()))
            .credentials_provider(credentials(&aws))
            .retry_config(retries())
            .timeout_config(timeouts())
            .sleep_impl(sleep())
            .http_client(SharedHttpClient::new(Connector { http }));
        config.set_endpoint_url(aws.secrets_manager_endpoint.as_ref().map(ToString::to_string));
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    })
}

fn credentials(aws: &Aws) -> Credentials {
    Credentials::new(
        aws.access_key_id.as_str(),
        aws.secret_access_key.expose_secret(),
        aws.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
        None,
        "environment",
    )
}

/// Three attempts and 25 ms of first back-off.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(25))
}

/// At most 1.5 s an attempt and 4 s in all: shorter than any function's own limit, so that a slow AWS becomes our own 503
/// and not the gateway's.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(1500))
        .operation_timeout(Duration::from_secs(4))
        .build()
}

fn sleep() -> SharedAsyncSleep {
    SharedAsyncSleep::new(TokioSleep::new())
}

/// `reqwest` as the SDK's HTTP client: one TLS configuration and one pool for the whole process.
#[derive(Clone, Debug)]
struct Connector {
    http: reqwest::Client,
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.http.clone();
        HttpConnectorFuture::new(async move { call(&http, request).await })
    }
}

async fn call(http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    // Every request of these two services is a JSON text in memory; a streaming body would be a defect.
    let body = body
        .bytes()
        .ok_or_else(|| ConnectorError::user("a request body that is not in memory".into()))?
        .to_vec();
    let url = parts.uri.to_string();
    let answer = http
        .request(parts.method, url)
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .map_err(connector_error)?;
    let status = answer.status();
    let headers = answer.headers().clone();
    let bytes = answer.bytes().await.map_err(connector_error)?;

    let mut response = http::Response::new(SdkBody::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
}

/// The SDK decides by this classification whether it tries again.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    // The URL names the endpoint and nothing secret, but errors of ours never carry one.
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
