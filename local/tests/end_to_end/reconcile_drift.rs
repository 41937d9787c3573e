//! What webhooks did not tell is found and repaired: the first run, each kind of difference, and what a run
//! costs that finds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::sandbox_github::{Fault, FaultKind, Selection, Target, World, demo_world};
use serde_json::json;
use shared::github_app::reconcile::Summary;
use shared::metrics::Metric;
use shared::store::Proof;

use crate::harness::Running;
use crate::reconcile_lab::{DELIVERIES, INSTALLATIONS, crowd, kinds, small_world, start_in};

#[tokio::test]
async fn the_first_run_makes_everything_known_and_gives_the_owners_whom_we_know_their_rows() {
    let running = start_in(demo_world()).await;
    let octocat = running.sign_in("octocat").await;
    let newcomer = running.sign_in("newcomer").await;
    let account = running.account("newcomer");
    let own = running.unnoticed(|world| world.install(Target::Account(account), Selection::All)).await;
    let before = running.rows(&octocat.user_id).await;
    let there = running.github().world(|world| world.installations.len() as u64);

    let first = running.changes().await;
    let expected = Summary {
        run: "full",
        finished: true,
        installations: there,
        drift: kinds([("added", there - 4)]),
        rows: 1,
        github_calls: 4,
        ..Summary::default()
    };
    assert_eq!(first, expected, "nothing was known, so that all is looked at");
    assert_eq!(running.paths(), ["/app", DELIVERIES, INSTALLATIONS, "/app"]);
    assert_eq!(running.proof(&newcomer.user_id, own.0).await, Some(Proof::Admin));
    assert_eq!(running.rows(&octocat.user_id).await, before, "a sign-in had told these");
    running.assert_repaired("after the first run").await;
    assert_eq!(running.reconcile().metrics.total(Metric::MappingDrift), there - 4);
}

#[tokio::test]
async fn a_run_that_finds_nothing_writes_nothing_and_makes_three_calls() {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    let before = running.items_of_others().await;
    let nothing = Summary { run: "changes", finished: true, github_calls: 3, ..Summary::default() };
    assert_eq!(running.changes().await, nothing);
    assert_eq!(running.paths(), ["/app", INSTALLATIONS, DELIVERIES]);
    let all = Summary { run: "full", installations: 3, github_calls: 5, ..nothing };
    assert_eq!(running.full().await, all);
    assert_eq!(running.paths(), ["/app", INSTALLATIONS, DELIVERIES, INSTALLATIONS, "/app"]);
    assert_eq!(running.items_of_others().await, before);
    assert_eq!(running.items_of("LEASE").await.len(), 0);
}

#[tokio::test]
async fn every_difference_that_moves_a_date_is_found_by_a_changes_run_and_counted_by_its_kind() {
    let running = start_in(small_world()).await;
    let (ann, ben) = (running.sign_in("ann").await, running.sign_in("ben").await);
    running.full().await;
    let (acme, globex) = (running.installation("acme"), running.installation("globex"));
    let (owner, account) = (running.account("ann"), running.account("ben"));
    let one = running.github().world(|world| *world.repositories.keys().nth(2).unwrap());
    let chosen = Selection::Selected(BTreeSet::from([one]));
    type Change<'a> = Box<dyn FnOnce(&mut World) + 'a>;
    let steps: [(&'static str, u64, Change<'_>); 4] = [
        (
            "added",
            1,
            Box::new(|world| {
                world.install(Target::Account(account), Selection::All);
            }),
        ),
        ("suspended", 1, Box::new(|world| world.suspend(acme, owner))),
        ("unsuspended", 1, Box::new(|world| world.unsuspend(acme))),
        ("changed", 1, Box::new(|world| world.select_repositories(globex, chosen))),
    ];
    let metrics = &running.reconcile().metrics;
    let mut total = metrics.total(Metric::MappingDrift);
    for (kind, rows, change) in steps {
        running.wait(3_600);
        running.unnoticed(change).await;
        let summary = running.changes().await;
        let expected = Summary {
            run: "changes",
            finished: true,
            installations: 1,
            drift: kinds([(kind, 1)]),
            rows,
            github_calls: 3,
            ..Summary::default()
        };
        assert_eq!(summary, expected, "{kind}");
        running.assert_repaired(kind).await;
        total += 1;
        assert_eq!(metrics.total(Metric::MappingDrift), total, "{kind}");
        // The overlap shows it once more, and it is known then.
        let again = running.changes().await;
        assert_eq!((again.run, again.drift, again.rows), ("changes", BTreeMap::new(), 0), "{kind}");
        running.wait(3_600);
        running.changes().await;
    }
    let own = running.installation("ben").0;
    assert_eq!(running.proof(&ben.user_id, own).await, Some(Proof::Admin));
    assert_eq!(running.rows(&ann.user_id).await.len(), 3);
}

#[tokio::test]
async fn a_rename_has_no_date_and_is_found_by_the_full_run_alone() {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    let acme = running.account("acme");
    running.unnoticed(|world| world.rename(acme, "acme-inc")).await;
    assert_eq!(running.changes().await.drift, BTreeMap::new());
    let full = running.full().await;
    assert_eq!((full.drift, full.rows), (kinds([("renamed", 1)]), 1));
    running.assert_repaired("renamed").await;
}

#[tokio::test]
async fn one_that_is_gone_is_noticed_by_its_count_and_nothing_is_left_of_it() {
    let running = start_in(small_world()).await;
    let ann = running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    let acme = running.installation("acme");
    assert!(running.proof(&ann.user_id, acme.0).await.is_some());
    running.unnoticed(|world| world.uninstall(acme)).await;
    let summary = running.changes().await;
    assert_eq!((summary.run, summary.drift, summary.rows), ("full", kinds([("deleted", 1)]), 1));
    assert_eq!(summary.github_calls, 6, "five of a full run, and one for the one that no page has shown");
    running.assert_tombstone(acme.0).await;
    running.assert_repaired("deleted").await;
    assert_eq!(running.changes().await.run, "changes", "the alarm is over");
}

#[tokio::test]
async fn one_that_came_and_one_that_went_are_both_noticed_though_the_count_is_the_same() {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    let ben = running.sign_in("ben").await;
    running.full().await;
    running.wait(3_600);
    let (account, acme) = (running.account("ben"), running.installation("acme"));
    let own = running
        .unnoticed(|world| {
            world.uninstall(acme);
            world.install(Target::Account(account), Selection::All)
        })
        .await;
    let summary = running.changes().await;
    assert_eq!((summary.run, summary.drift), ("full", kinds([("added", 1), ("deleted", 1)])));
    running.assert_tombstone(acme.0).await;
    assert_eq!(running.proof(&ben.user_id, own.0).await, Some(Proof::Admin));
    running.assert_repaired("both").await;
}

#[tokio::test]
async fn all_pages_of_what_has_changed_are_read() {
    let running = start_in(crowd(230)).await;
    running.full().await;
    running.wait(3_600);
    let owner = running.account("ann");
    running
        .unnoticed(|world| {
            let all: Vec<_> = world.installations.keys().copied().collect();
            all.into_iter().for_each(|id| world.suspend(id, owner));
        })
        .await;
    let summary = running.changes().await;
    assert_eq!((summary.run, summary.installations, summary.github_calls), ("changes", 233, 5));
    assert_eq!(summary.drift, kinds([("suspended", 233)]));
    running.assert_repaired("all suspended").await;
}

#[tokio::test]
async fn what_was_lost_long_ago_is_found_after_an_outage_of_the_schedule() {
    let running = start_in(small_world()).await;
    running.full().await;
    running.wait(3_600);
    let (acme, owner) = (running.installation("acme"), running.account("ann"));
    running.unnoticed(|world| world.suspend(acme, owner)).await;
    running.wait(27 * 3_600);
    let summary = running.changes().await;
    assert_eq!(summary.drift, kinds([("suspended", 1)]));
    assert_eq!(summary.run, "full", "a day and more without a full run");
    running.assert_repaired("after the outage").await;
}

impl Running {
    /// GitHub counts another number of installations than it lists.
    fn count_otherwise(&self, more: usize) {
        self.github().clear_faults();
        let count = self.github().world(|world| world.installations.len()) + more;
        let body = json!({"id": local::stack::SANDBOX_APP_ID, "installations_count": count}).to_string();
        let answer = FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
        self.github().fail(Fault::get("/app", answer));
    }
}

#[tokio::test]
async fn a_count_that_differs_for_githubs_own_reasons_is_looked_into_once() {
    let running = start_in(small_world()).await;
    running.full().await;
    running.wait(900);
    running.count_otherwise(3);
    assert_eq!(running.changes().await.run, "full", "it may be news");
    for _ in 0..3 {
        running.wait(900);
        assert_eq!(running.changes().await.run, "changes", "it is not");
    }
    let acme = running.installation("acme");
    running.unnoticed(|world| world.uninstall(acme)).await;
    running.count_otherwise(3);
    let summary = running.changes().await;
    assert_eq!((summary.run, summary.drift), ("full", kinds([("deleted", 1)])), "what is lost is noticed");
}

#[tokio::test]
async fn one_about_which_github_fails_is_not_taken_for_a_difference_of_githubs_own() {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    running.full().await;
    running.wait(900);
    let acme = running.installation("acme");
    running.unnoticed(|world| world.uninstall(acme)).await;
    running.break_github(
        &format!("{INSTALLATIONS}/{acme}"),
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
    );
    let summary = running.full().await;
    assert_eq!((summary.drift, summary.unreadable), (BTreeMap::new(), 1));
    assert!(running.known(acme.0).await.is_some_and(|known| !known.is_gone()), "an error says nothing");
    running.github().clear_faults();
    running.wait(900);
    assert_eq!(running.changes().await.drift, kinds([("deleted", 1)]));
    running.assert_repaired("when GitHub answers").await;
}

#[tokio::test]
async fn one_that_goes_unnoticed_while_a_full_run_reads_is_found_by_the_next_run() {
    let running = start_in(crowd(150)).await;
    running.full().await;
    running.wait(900);
    let acme = running.installation("acme");
    let stall = FaultKind::Stall(Duration::from_secs(1));
    running.github().fail(Fault::get(INSTALLATIONS, stall).where_query("&page=2"));
    let meanwhile = async {
        while running.pages().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.unnoticed(|world| world.uninstall(acme)).await;
    };
    let (summary, ()) = tokio::join!(running.full(), meanwhile);
    assert_eq!(summary.drift, BTreeMap::new(), "its page had been read");
    running.github().clear_faults();
    running.wait(900);
    assert_eq!(running.changes().await.drift, kinds([("deleted", 1)]));
    running.assert_repaired("gone in the middle").await;
}
