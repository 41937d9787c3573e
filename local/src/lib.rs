//! The service on one machine: what `cargo run` starts.
//! What is deployed lives in `functions/*` and `shared`.

pub mod sandbox_github;
