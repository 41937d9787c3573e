//! No secret in a log: everything that the service does is done here under a subscriber that hears all levels of
//! our own crates and the libraries down to `DEBUG`; then the text is searched for every secret that occurred.
//! A test target of its own, because a process has one global subscriber.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod debug_output;
mod finding;
mod flows;
#[path = "../end_to_end/harness.rs"]
mod harness;
mod request_lines;
#[allow(dead_code, reason = "the rules of the policies use all of it")]
#[path = "../policies/requests.rs"]
mod requests;
mod sso;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../end_to_end/sso_lab.rs"]
mod sso_lab;
