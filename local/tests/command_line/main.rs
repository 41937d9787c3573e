//! The program as it is typed: what it prints, what it writes, how it stops, and what a restart keeps.
//! Each test has a folder and ports of its own.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod arguments;
mod check;
mod files;
mod proxies;
mod reconcile;
mod restarts;
mod run;
