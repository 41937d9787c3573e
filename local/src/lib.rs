//! The whole service on one machine: gateway, embedded AWS endpoints and sandbox providers.
//! Nothing here is deployed; the handlers that it mounts are.

pub mod aws;
pub mod check;
pub mod data_folder;
pub mod demo_user;
pub mod front;
pub mod gateway;
pub mod handlers;
pub mod openapi;
pub mod other_hosts;
pub mod running_service;
pub mod sandbox_bitbucket;
pub mod sandbox_github;
pub mod sandbox_gitlab;
pub mod sandbox_openid;
pub mod stack;
pub mod template;
