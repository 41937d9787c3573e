//! `shared::store::Table` and `shared::secrets` against an endpoint: every kind of item, and what DynamoDB promises of
//! them. Where the endpoints are is `harness`'s business; .ci/store.py names some that are not ours.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod deliveries;
mod harness;
mod identities;
mod installations;
mod lost_answers;
mod pages;
mod reconciliation;
mod remembered_pages;
mod secrets;
mod sessions;
mod time_to_live;
mod tokens;
