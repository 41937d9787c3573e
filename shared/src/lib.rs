//! The core of git-installations: everything that more than one function needs.
//! Handlers live in `functions/*`; what only runs on a developer's machine lives in `local`.

pub mod aws;
pub mod clock;
pub mod config;
mod constant_time;
pub mod contract;
pub mod failure;
pub mod flights;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod github_app;
mod hex;
pub mod identity;
pub mod if_none_match;
pub mod link_header;
pub mod metrics;
mod packing;
pub mod provider;
pub mod record;
pub mod relay;
pub mod ring_provider;
pub mod runtime;
pub mod secrets;
pub mod service;
pub mod store;
