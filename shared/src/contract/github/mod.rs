//! `/user/installations` and `/users/{username}/installation`: what any GitHub client sends and reads.
//! GitHub's own answers pass through byte by byte; only what we say ourselves is written here.

pub mod errors;
pub mod headers;
pub mod link;
pub mod parameters;

pub use headers::{ANSWER_HEADERS, REQUEST_HEADERS, forwarded_request_headers, passed_through};
pub use link::rewrite_link;
pub use parameters::{ListQuery, Username};

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    errors::describe(generator);
}
