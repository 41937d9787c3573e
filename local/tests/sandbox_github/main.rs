//! The sandbox GitHub keeps GitHub's rules: each test is named after the rule that it proves, over HTTP.
//! What our own service makes of those rules is tested elsewhere.

#![allow(clippy::unwrap_used, reason = "what a helper cannot do fails the test that asked for it")]

mod answers;
mod app;
mod console;
mod deliveries;
mod lab;
mod oauth;
mod receiver;
mod running;
mod visibility;
mod webhooks;
