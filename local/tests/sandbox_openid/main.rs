//! The sandbox OpenID provider over HTTP: what it grants, and everything that it refuses as Keycloak would.
//! What the service makes of it is tested elsewhere.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what a helper cannot do fails the test that asked for it"
)]

mod broker;
mod console;
mod faults;
mod id_tokens;
mod keys;
mod lab;
mod logout;
mod running;
#[path = "../secret_watch/mod.rs"]
mod secret_watch;
mod sign_in;
mod tokens;
