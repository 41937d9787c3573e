//! The Bitbucket client against the sandbox Bitbucket, over HTTP: each test is named after the rule that it proves.
//! Pages and mappings by themselves are tested where they are written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a helper cannot do fails the test that asked"
)]

mod faults;
mod lab;
mod pages;
mod reading;
mod rules;
mod signing_in;
mod tokens;
