//! What strangers send, held against the rules that must hold for it: one module per target, each a function of bytes.
//! `fuzz_targets/` gives them to libFuzzer, `tests/corpus.rs` what was found before; no rule of the service is here.

// A broken rule is a panic here: it is what a fuzzer looks for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the finding")]

pub mod accept_encoding;
pub mod app_secrets;
pub mod authorization;
pub mod bitbucket_json;
mod canned_aws;
pub mod cookies;
pub mod event_envelope;
pub mod github_json;
pub mod gitlab_json;
mod hosts;
pub mod if_none_match;
pub mod json_bodies;
pub mod link_header;
mod message;
pub mod openid_documents;
pub mod openid_tokens;
pub mod private_key;
pub mod queries;
pub mod settings;
pub mod token_answers;
pub mod webhook;

/// A target: what is done with an input. It panics where a rule is broken.
pub type Target = fn(&[u8]);

/// Every target by the name of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 18] = [
    ("accept_encoding", accept_encoding::run),
    ("app_secrets", app_secrets::run),
    ("authorization", authorization::run),
    ("bitbucket_json", bitbucket_json::run),
    ("cookies", cookies::run),
    ("event_envelope", event_envelope::run),
    ("github_json", github_json::run),
    ("gitlab_json", gitlab_json::run),
    ("if_none_match", if_none_match::run),
    ("json_bodies", json_bodies::run),
    ("link_header", link_header::run),
    ("openid_documents", openid_documents::run),
    ("openid_tokens", openid_tokens::run),
    ("private_key", private_key::run),
    ("queries", queries::run),
    ("settings", settings::run),
    ("token_answers", token_answers::run),
    ("webhook", webhook::run),
];
