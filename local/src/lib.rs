//! The whole service on one machine: gateway, embedded AWS endpoints and sandbox providers.
//! Nothing here is deployed; the handlers that it mounts are.

pub mod aws;
pub mod data_folder;
pub mod gateway;
pub mod sandbox_github;
pub mod template;
