//! Listens to everything that the service says while tests run, in every target that starts one: no secret may stand in
//! a line of the log, in a span, in a panic of ours, or in an answer to somebody to whom it does not belong.
#![allow(dead_code, reason = "each target uses its part")]

pub(crate) mod answers;
pub(crate) mod capture;
pub(crate) mod finder;
pub(crate) mod guard;
pub(crate) mod listener;

pub(crate) use capture::install;
pub(crate) use guard::Guard;
