//! What the fuzz targets reach that is private otherwise; built with the feature `fuzzing` only.
//! Each host's own part stands in its module; here are those of the requests, and nothing is decided.

use std::sync::Arc;

use http::HeaderMap;

use crate::clock::Clock;
use crate::config::Config;
use crate::contract::content_coding;
use crate::failure::Failure;
use crate::identity::caller::{self, Credential};
use crate::provider::upstream::ClientError;
use crate::service::Service;

pub use crate::github_app::fuzzing as github_app;
pub use crate::provider::bitbucket::fuzzing as bitbucket;
pub use crate::provider::enterprise_sso::fuzzing as enterprise_sso;
pub use crate::provider::github::fuzzing as github;
pub use crate::provider::gitlab::fuzzing as gitlab;

/// Which form of a body the client of a request with these headers takes, in a word: `Plain`, `Gzip`, `GzipOnly`.
#[must_use]
pub fn wanted(headers: &HeaderMap) -> String {
    format!("{:?}", content_coding::wanted(headers))
}

/// The credential that stands in a request's headers, behind the name of its header; none where there is none.
///
/// # Errors
/// [`Failure::Unauthenticated`].
pub fn credential(headers: &HeaderMap) -> Result<Option<(&'static str, &str)>, Failure> {
    Ok(match caller::credential(headers)? {
        Credential::ApiKey(key) => Some(("x-session-api-key", key)),
        Credential::Bearer(token) => Some(("authorization", token)),
        Credential::Nothing => None,
    })
}

/// A service over these clients of AWS, so that no network is needed for what it keeps.
///
/// # Errors
/// [`ClientError`].
pub fn service_over(
    config: Config,
    clock: Clock,
    dynamodb: aws_sdk_dynamodb::Client,
    secrets_manager: aws_sdk_secretsmanager::Client,
) -> Result<Arc<Service>, ClientError> {
    Service::over(config, clock, dynamodb, secrets_manager)
}
