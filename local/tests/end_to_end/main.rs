//! End to end: each test starts the whole service with a sandbox GitHub of its own and speaks HTTP with it.
//! One module per group of routes; `harness` is what they share.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod app_jwt;
mod github_failures;
mod github_installations;
mod github_lab;
mod github_user_installation;
mod harness;
mod last_good_answers;
mod mapping;
mod mapping_repair;
mod smoke;
