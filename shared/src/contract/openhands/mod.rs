//! `/api/user/*` and `/api/keys`: what OpenHands' web client (0.53.0) sends and reads.
//! Bodies are FastAPI's and pydantic's to the letter (reference: OpenHands 0.53.0, 1.0 to 1.2).

pub mod answers;
pub mod body;
pub mod git_providers;
pub mod installation_id;
pub mod integer;
mod json_text;
pub mod keys;
pub mod parameters;
pub mod repository;

pub use answers::{Extent, PartialFailure, installations, repositories};
pub use git_providers::GivenToken;
pub use installation_id::installation_id_for;
pub use keys::{KeyRow, NewKey};
pub use parameters::{DEFAULT_PAGE, DEFAULT_PER_PAGE, InstallationsQuery, RepositoriesQuery};
pub use repository::{Repository, link_header};

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    answers::describe(generator);
    git_providers::describe(generator);
    keys::describe(generator);
    repository::describe(generator);
}
