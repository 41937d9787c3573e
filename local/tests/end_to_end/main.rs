//! End to end: each test starts the whole service with a sandbox GitHub of its own and speaks HTTP with it.
//! One module per group of routes; `harness` is what they share.

mod harness;
mod smoke;
