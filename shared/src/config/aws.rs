//! AWS settings in the SDK's own variables, which Lambda sets for every function.
//! Read here because nothing else does without aws-config (reference: rust-lambda, 1.2).

use secrecy::SecretString;
use url::Url;

use super::variables::{ConfigError, Variables};

/// Region, credentials and endpoints of the AWS clients.
#[derive(Clone, Debug)]
pub struct Aws {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
    /// `AWS_SESSION_TOKEN`: present for a function's role, absent for a user's static keys.
    pub session_token: Option<SecretString>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, else `AWS_ENDPOINT_URL`; none means AWS itself.
    pub dynamodb_endpoint: Option<Url>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`, else `AWS_ENDPOINT_URL`; none means AWS itself.
    pub secrets_manager_endpoint: Option<Url>,
}

impl Aws {
    /// The settings of AWS alone, for a tool that works on a table and is no function.
    ///
    /// # Errors
    /// The first variable that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::from_variables(&Variables::new(lookup))
    }

    pub(super) fn from_variables<F>(variables: &Variables<F>) -> Result<Self, ConfigError>
    where
        F: Fn(&str) -> Option<String>,
    {
        let general = variables.optional_url("AWS_ENDPOINT_URL")?;
        Ok(Self {
            region: variables.region("AWS_REGION")?,
            access_key_id: variables
                .required("AWS_ACCESS_KEY_ID", "the access key of the function's role")?,
            secret_access_key: variables
                .required("AWS_SECRET_ACCESS_KEY", "the secret key of the function's role")?
                .into(),
            session_token: variables.optional("AWS_SESSION_TOKEN").map(SecretString::from),
            dynamodb_endpoint: variables
                .optional_url("AWS_ENDPOINT_URL_DYNAMODB")?
                .or_else(|| general.clone()),
            secrets_manager_endpoint: variables.optional_url("AWS_ENDPOINT_URL_SECRETS_MANAGER")?.or(general),
        })
    }
}
