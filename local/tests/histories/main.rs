//! Any history of what happens at GitHub, with any loss, repetition, delay and reordering of its webhooks and
//! any listing in between, ends in the rows that GitHub's state implies. HISTORIES sets how many are tried.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod action;
#[path = "../end_to_end/harness.rs"]
mod harness;
mod invariants;
mod play;

use proptest::test_runner::{Config, TestRunner};

use crate::action::{Action, Fate, history};
use crate::play::Play;

/// How many histories are tried of each kind.
fn cases() -> u32 {
    std::env::var("HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

fn try_histories(may_lose: bool) {
    let config =
        Config { cases: cases(), failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let result = TestRunner::new(config).run(&history(may_lose), |(dated, actions)| {
        played(dated, &actions);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn played(dated: bool, actions: &[Action]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut play = Play::start(dated).await;
        for action in actions {
            play.act(action).await;
        }
        play.finish().await;
    });
}

#[test]
fn without_loss_the_rows_are_right_before_anything_is_reconciled() {
    try_histories(false);
}

#[test]
fn with_loss_the_rows_are_right_after_one_reconciliation() {
    try_histories(true);
}

// Counterexamples that were found once are kept here, as the shrinker left them.

#[test]
fn a_suspension_that_ends_in_its_second_and_arrives_in_the_wrong_order() {
    use Action::{Deliver, Install, Suspend, Unsuspend};
    let late = |index| Deliver(vec![(index, Fate::Once)]);
    played(true, &[Install(0, true), late(0), Suspend(0), Unsuspend(0), late(1), late(0)]);
}

#[test]
fn an_installation_that_is_gone_before_its_creation_is_told() {
    use Action::{Deliver, Install, Uninstall};
    played(
        true,
        &[Install(3, false), Uninstall(3), Deliver(vec![(1, Fate::Twice)]), Deliver(vec![(0, Fate::Once)])],
    );
}

#[test]
fn a_suspension_and_a_selection_of_one_second_that_arrive_while_github_is_down() {
    use Action::{Deliver, Down, Install, SelectAll, Suspend};
    let all_at_once = vec![(1, Fate::Once), (0, Fate::Once), (0, Fate::Once)];
    played(false, &[Install(1, false), Down(true), Suspend(1), SelectAll(1), Deliver(all_at_once)]);
}
