//! Acting as the GitHub App: its credentials and the JWTs signed with them.
//! Calls that carry a user's token are `provider::github`'s.

mod credentials;
mod private_key;
pub mod ring_provider;

pub use credentials::AppCredentials;
pub use private_key::{KeyId, PrivateKey, PrivateKeyProblem};
