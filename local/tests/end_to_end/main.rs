//! End to end: each test starts the whole service with a sandbox GitHub of its own and speaks HTTP with it.
//! One module per group of routes; `harness` is what they share.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod api_keys;
mod app_jwt;
mod behind;
mod github_failures;
mod github_installations;
mod github_lab;
mod github_user_installation;
mod harness;
mod host_errors;
mod identity;
mod last_good_answers;
mod mapping;
mod mapping_removal;
mod mapping_repair;
mod openhands;
mod openhands_callers;
mod partial_results;
mod session;
mod setup;
mod sign_in;
mod sign_in_failures;
mod sign_in_state;
mod smoke;
mod store_errors;
mod stored_secrets;
mod token_renewal;
mod user_installations;
mod user_repositories;
mod user_repositories_pages;
mod user_repositories_query;
