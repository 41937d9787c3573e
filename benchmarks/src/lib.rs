//! How fast a function starts: a small Lambda around its release binary, with the standard library only.
//! What a function answers is tested elsewhere; here only the time and the memory count.

pub mod aws;
pub mod http;
pub mod process;
pub mod report;
pub mod runtime_api;
