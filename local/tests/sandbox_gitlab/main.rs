//! The client for GitLab against the sandbox GitLab, over HTTP: every call, every page, every refusal.
//! What the service makes of it is tested elsewhere.

#![allow(clippy::unwrap_used, reason = "what a helper cannot do fails the test that asked for it")]

mod faults;
mod installations;
mod lab;
mod large;
mod repositories;
mod rules;
mod running;
mod sign_in;
