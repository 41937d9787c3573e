//! A listing that is put together from remembered pages is what GitHub has now: after anything that may happen between
//! two listings, and during anything that may happen between two calls of one. LISTINGS sets how many worlds are
//! tried.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod change;
#[path = "../end_to_end/harness.rs"]
mod harness;
mod looking;
mod midway;
mod named;
mod play;
mod scene;
mod sight;
mod tally;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::tally::{Met, Tally};

/// How many worlds are tried of each kind.
fn cases() -> u32 {
    std::env::var("LISTINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn try_all<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(&S::Value)) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let result = TestRunner::new(config).run(strategy, |value| {
        test(&value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn on_one_thread<F: Future<Output = ()>>(played: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(played);
}

#[test]
fn between_any_two_listings_the_next_one_is_what_github_has() {
    let tally = Tally::default();
    try_all(cases(), &(scene::plan(), play::actions()), |(plan, actions)| {
        on_one_thread(play::play(plan, actions, &tally));
    });
    tally.assert_met(&[Met::Exact, Met::SeveralPages, Met::NotModified, Met::SecondLook, Met::Quiet]);
    tally.assert_met(&[Met::Partial, Met::Failed, Met::Forgotten, Met::OtherToken]);
}

#[test]
fn during_a_listing_what_changes_is_shown_as_it_was_or_is_and_what_does_not_is_shown() {
    let tally = Tally::default();
    try_all(cases(), &(scene::plan(), midway::rounds()), |(plan, rounds)| {
        on_one_thread(midway::play(plan, &[rounds, &midway::always()[..]].concat(), &tally));
    });
    tally.assert_met(&[Met::Exact, Met::SeveralPages, Met::NotModified, Met::Midway]);
    tally.assert_met(&[Met::MidwayFirst, Met::MidwaySecondLook]);
}

#[test]
fn the_same_holds_for_installations_that_fill_several_pages() {
    let tally = Tally::default();
    try_all(cases().div_ceil(4), &(scene::crowded(), midway::rounds()), |(plan, rounds)| {
        on_one_thread(midway::play(plan, &[rounds, &midway::always()[..]].concat(), &tally));
    });
    tally.assert_met(&[Met::Exact, Met::SeveralListPages, Met::NotModified, Met::Midway]);
}
