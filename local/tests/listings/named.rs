//! What a random world may miss when few are tried, and counterexamples that were found, as the shrinker left them.

use std::time::Duration;

use http::StatusCode;
use local::sandbox_github::{Fault, FaultKind};

use crate::change::Change;
use crate::looking::{Listing, Looker};
use crate::midway::{Round, everywhere};
use crate::play::{Action, HostTrouble, Target, act_all};
use crate::scene::{ALPHA, Plan};
use crate::tally::{Met, Tally};
use crate::{midway, on_one_thread};

/// Two pages of repositories in one organisation and one in another: with the list, and the enterprise that has none,
/// five calls, one after the other.
const TWO_PAGES: Plan = Plan {
    sizes: [0, 101, 1, 0, 0],
    installed: [None, Some(true), Some(true), None, None],
    crowd: 0,
    at_once: 1,
};
const CALLS: usize = 5;
/// The big organisation among the installations.
const OF_ALPHA: u8 = 128;
/// More than a page of installations, with an organisation behind them that the user does not belong to yet.
const CROWDED: Plan = Plan {
    sizes: [0, 1, 0, 0, 0],
    installed: [None, Some(true), None, Some(true), None],
    crowd: 100,
    at_once: 1,
};
/// The user leaves an organisation whose installation is on the first page, and joins the one behind all others.
const EXCHANGED: [Change; 2] = [Change::Leave(6), Change::Join(0)];

fn played(plan: &Plan, actions: &[Action]) {
    let tally = Tally::default();
    on_one_thread(act_all(plan, actions, &tally));
}

fn midway(plan: &Plan, before: Option<Change>, at_once: &[Change], at: u8, listing: Listing) {
    let tally = Tally::default();
    let round = Round::Remembered { before, at_once: at_once.to_vec(), at, listing };
    on_one_thread(midway::play(plan, &[round], &tally));
    tally.assert_met(&[Met::Midway]);
}

#[test]
fn at_each_call_a_repository_that_slips_to_another_page_or_installation_is_shown() {
    use Change::{Create, Delete, Install, Transfer, Uninstall};
    let tally = Tally::default();
    let rounds = [
        everywhere(CALLS, &[Delete(1, 0), Create(1)]),
        everywhere(CALLS, &[Transfer(1, 255, 2, true), Transfer(2, 0, 1, true)]),
        everywhere(CALLS, &[Uninstall(2), Install(2, true)]),
    ];
    on_one_thread(midway::play(&TWO_PAGES, &rounds.concat(), &tally));
    tally.assert_met(&[Met::MidwaySecondLook]);
}

#[test]
fn at_each_call_of_a_first_listing_what_slips_to_another_page_is_shown() {
    let tally = Tally::default();
    let first = |call: u8| Round::First { change: Change::Delete(1, 0), at: call * 52 };
    let mut rounds = Vec::new();
    for call in 0..5 {
        // Two pages again.
        rounds.extend([first(call), Round::First { change: Change::Create(1), at: 0 }]);
    }
    on_one_thread(midway::play(&TWO_PAGES, &rounds, &tally));
    tally.assert_met(&[Met::MidwayFirst]);
}

#[test]
fn a_list_that_grows_by_a_page_and_shrinks_again_is_whole_each_time() {
    use Change::{Create, Deselect, Join, Leave};
    let full = Plan { sizes: [0, 100, 0, 0, 0], ..CROWDED };
    let mut actions = vec![Action::Look(Listing::Repositories)];
    // A hundred repositories in one installation, and a hundred installations with the enterprise's.
    for change in [Create(ALPHA), Deselect(ALPHA, 0), Join(0), Leave(9), Leave(9)] {
        actions.push(Action::Happen(change));
        actions.push(Action::LookTwice(Listing::Repositories));
    }
    played(&Plan { crowd: 98, ..full }, &actions);
}

#[test]
fn a_page_that_fails_is_named_costs_itself_only_and_is_there_the_next_time() {
    let fails = |status| {
        let second_page = Target::Repositories(OF_ALPHA, Some(2));
        Action::HostFails(Listing::Repositories, second_page, HostTrouble::Status(status), true)
    };
    // Nothing is remembered at first, then the other page, then both.
    played(&TWO_PAGES, &[fails(500), fails(404), Action::DayPasses, fails(403), fails(500)]);
}

#[test]
fn a_second_look_that_fails_takes_nothing_away_from_the_first() {
    let tally = Tally::default();
    on_one_thread(async {
        let mut looker = Looker::start(&TWO_PAGES, &tally).await;
        looker.look_exactly(Listing::Repositories).await;
        for (path, calls) in [("/user/installations", 6), ("/user/installations/5002/repositories", 7)] {
            let scene = looker.scene.clone();
            looker.world(|world| Change::Create(ALPHA).happen(world, &scene));
            let github = looker.running.github().clone();
            let fault = Fault::get(path, FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR));
            looker.running.github().before_call(CALLS, move |_| github.fail(fault));
            let looked = looker.look(Listing::Repositories).await;
            looker.running.github().clear_faults();
            assert!(looked.calls.len() >= calls, "there is a second look: {:?}", looked.calls);
            looker.assert_exact(Listing::Repositories, &looked.answer);
            looker.look_twice(Listing::Repositories).await;
        }
        looker.running.stack.stop().await;
    });
}

#[test]
fn an_installation_that_slips_to_another_page_has_its_repositories_shown() {
    midway(&CROWDED, None, &EXCHANGED, 2, Listing::Repositories);
    // Where the one that comes is suspended, nothing new is asked for.
    midway(&CROWDED, Some(Change::Suspend(3)), &EXCHANGED, 2, Listing::Repositories);
}

#[test]
fn a_repository_that_moves_before_the_list_is_read_and_behind_all_else_is_shown() {
    let tally = Tally::default();
    on_one_thread(async {
        let mut looker = Looker::start(&Plan { at_once: 32, ..TWO_PAGES }, &tally).await;
        looker.look_exactly(Listing::Repositories).await;
        // What the list does not name any more was read, and so was where the repository has gone.
        let late = Fault::get("/user/installations", FaultKind::Stall(Duration::from_millis(100)));
        looker.running.github().fail(late.times(1));
        let at_once = [Change::Transfer(ALPHA, 0, 2, true), Change::Uninstall(ALPHA)];
        looker.round(&everywhere(CALLS, &at_once)[CALLS - 1]).await;
        looker.running.stack.stop().await;
    });
    tally.assert_met(&[Met::Midway, Met::MidwaySecondLook]);
}

// Counterexamples.

#[test]
fn an_installation_that_is_gone_a_moment_after_the_list_named_it_has_not_failed() {
    let listing = Listing::Repositories;
    let plan =
        Plan { sizes: [0, 101, 0, 0, 1], installed: [None, Some(true), None, None, Some(true)], ..TWO_PAGES };
    midway(&plan, None, &[Change::Deselect(4, 0)], 80, listing);
    midway(&plan, None, &[Change::Uninstall(1)], 50, listing);
}

#[test]
fn an_installation_that_is_refused_each_time_is_asked_about_twice_and_not_more() {
    let tally = Tally::default();
    on_one_thread(async {
        let mut looker = Looker::start(&TWO_PAGES, &tally).await;
        looker.look_exactly(Listing::Repositories).await;
        let path = "/user/installations/5003/repositories";
        looker.running.github().fail(Fault::get(path, FaultKind::Status(StatusCode::NOT_FOUND)));
        let looked = looker.look(Listing::Repositories).await;
        assert_eq!(looked.answer.header("x-partial-result"), Some("github/5003=404"));
        assert_eq!(looked.calls.len(), 2 * CALLS, "{:?}", looked.calls);
        looker.running.stack.stop().await;
    });
}

#[test]
fn an_installation_that_comes_to_another_page_while_one_goes_from_the_first_is_in_the_list() {
    midway(&CROWDED, None, &EXCHANGED, 64, Listing::Installations);
}
