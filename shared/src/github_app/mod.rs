//! Acting as the GitHub App: its credentials and the JWTs signed with them.
//! Calls that carry a user's token are `provider::github`'s.

mod app;
mod calls;
mod credentials;
mod jwt;
pub mod mapping;
mod private_key;
pub mod reconcile;
pub mod webhook;

pub use app::{GithubApp, GithubAppError};
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use calls::fuzzing;
pub use calls::{AppSummary, DeliveriesPage, HookDelivery, InstallationReach, InstallationsPage};
pub use credentials::AppCredentials;
pub use jwt::{AppJwt, IssuedJwt, SigningFailed, is_clock_skew, is_unknown_key, verify};
pub use private_key::{KeyId, PrivateKey, PrivateKeyProblem};
