//! Why a request cannot be answered, in our own words.
//! `contract` turns a failure into the answer of an API family; nothing here knows a status code's body.

use serde_json::Value;

use crate::provider::{ProviderError, ProviderType};

/// Everything that can keep a handler from answering.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody proved who they are, or the proof is wrong.
    #[error("unauthenticated: {0}")]
    Unauthenticated(CredentialProblem),
    /// Parameters or body do not have the form that the route takes.
    #[error("invalid request: {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The caller has no identity, or no usable token, at the provider asked for (`None`: at no provider).
    #[error("no token for {}", .0.map_or("any provider", ProviderType::as_str))]
    NotLinked(Option<ProviderType>),
    /// The token at this provider ended and cannot be renewed; only a new sign-in there helps.
    #[error("the sign-in at {0} has expired")]
    SignInExpired(ProviderType),
    /// The host answered with an error or did not answer.
    #[error("{provider}: {error}")]
    Provider {
        /// Whose answer it was.
        provider: ProviderType,
        /// What went wrong there.
        #[source]
        error: ProviderError,
    },
    /// The thing does not exist, or not for this caller: the two look the same from outside.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The caller is known, and may not do this; the text says why and is safe to show.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// The answer is larger than Lambda carries in a form that the client takes.
    #[error("the answer is too large")]
    TooLarge,
    /// DynamoDB or Secrets Manager did not do its part; trying again later helps.
    #[error("temporarily unavailable: {0}")]
    Unavailable(String),
    /// A defect or a broken setting; the text is for the log only.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What is wrong with the caller's proof of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialProblem {
    /// The request carries no credential that this route takes.
    #[error("no credential")]
    Missing,
    /// A credential was sent and is unknown, expired, malformed or ended.
    #[error("invalid credential")]
    Invalid,
    /// A JWT was sent that is not one of our own App's; the text says which rule it breaks.
    #[error("invalid JWT: {0}")]
    Jwt(&'static str),
}

/// One thing that is wrong with one field, with the words that FastAPI and pydantic use for it,
/// because the OpenHands family answers with them to the letter (reference: OpenHands 0.53.0).
#[derive(Clone, Debug, PartialEq)]
pub struct FieldProblem {
    /// pydantic's error type, e.g. `int_parsing`, `missing`, `enum`.
    pub kind: &'static str,
    /// Where: `query`, `path`, `header` or `body`, then the name.
    pub location: Vec<Location>,
    /// What is wrong, as pydantic says it.
    pub message: String,
    /// What was given; `null` where nothing was.
    pub input: Value,
    /// pydantic's context, where the error type has one.
    pub context: Option<Value>,
}

/// A step of a [`FieldProblem`]'s location.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
#[serde(untagged)]
pub enum Location {
    /// A part of the request or a field's name.
    Name(String),
    /// An index in a list, or a position in a malformed JSON text.
    Index(usize),
}
