//! Who is asking, and which hosts' tokens are theirs.
//! How rows are stored is `store`'s business.

pub mod api_key;
pub mod brokered;
pub mod caller;
mod generated_key;
pub mod given_tokens;
mod host_flow;
pub mod linked_hosts;
pub mod linked_token;
pub mod linking;
pub mod oauth_clients;
mod page_memory;
pub mod sealing;
pub mod secret_token;
pub mod session;
pub mod setup;
pub mod sign_in;
pub mod sign_out;
pub mod token_keeping;
mod token_renewal;
