//! Rules that hold for every route: one file per rule. A route that is added to `template.yaml` is under all of
//! them at once; `requests` asks for its requests before anything else passes.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod abuse;
mod addresses;
mod authentication;
mod caching;
mod comparisons;
mod compression;
mod error_bodies;
#[path = "../end_to_end/harness.rs"]
mod harness;
mod odd_requests;
mod openapi;
mod recorded;
mod requests;
mod routes;
mod security_documents;
