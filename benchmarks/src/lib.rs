//! A small Lambda around a function's binary, with the standard library only: how fast the binary starts, that
//! it answers its events, and what it says when it cannot start. The answers themselves are tested elsewhere.

pub mod aws;
pub mod cpu_share;
pub mod events;
pub mod http;
pub mod process;
pub mod report;
pub mod runtime_api;
pub mod starts;
