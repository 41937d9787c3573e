//! Reconciliation is not alone: other runs, webhooks at the same time, another App's secret, and lists of
//! repositories that events have left unsure.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::sandbox_github::{
    DeliveryFaults, Fault, FaultKind, InstallationId, Selection, SignedDelivery, Target,
};
use local::stack::{GITHUB_APP_SECRET, SANDBOX_APP_ID, sandbox_app_secret};
use serde_json::{Value, json};
use shared::github_app::reconcile::Summary;
use shared::store::Proof;

use crate::harness::Running;
use crate::reconcile_lab::{INSTALLATIONS, kinds, run, small_world, start_in};

const PATIENCE: Duration = Duration::from_secs(60);

/// A service that knows everything, and has heard of nothing for an hour.
async fn settled() -> Running {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    running
}

impl Running {
    /// Waits until a run has begun.
    async fn under_way(&self) {
        while self.paths().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The first pages that a run asks for take a while.
    fn slow_page(&self) {
        let stall = FaultKind::Stall(Duration::from_secs(2));
        self.github().fail(Fault::get(INSTALLATIONS, stall).where_query("per_page=100&page=1").times(2));
    }

    async fn receive(&self, delivery: SignedDelivery) {
        let mut request = self.post("/webhooks/github");
        for (name, value) in &delivery.headers {
            request = request.header(name, value);
        }
        let answer = request.body(delivery.body).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

#[tokio::test]
async fn a_second_run_at_the_same_time_leaves_it_to_the_first() {
    let running = settled().await;
    let acme = running.account("acme");
    running.unnoticed(|world| world.rename(acme, "acme-inc")).await;
    running.slow_page();
    running.github().clear_calls();
    let second = async {
        running.under_way().await;
        for service in [running.reconcile(), &running.another_service()] {
            let summary = run(service, true, PATIENCE).await.expect("no failure");
            assert_eq!(summary, Summary { run: "none", finished: true, ..Summary::default() });
        }
    };
    let first = async { run(running.reconcile(), true, PATIENCE).await.expect("no failure") };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!((first.run, first.drift), ("full", kinds([("renamed", 1)])));
    running.assert_repaired("the first one").await;
    assert_eq!(running.changes().await.run, "changes", "the lease was given back");
}

#[tokio::test]
async fn a_run_that_fails_at_once_keeps_no_other_from_running() {
    let running = settled().await;
    running.fail_dynamodb("GetItem", 0);
    running.try_run(false).await.expect_err("the table fails");
    running.stack.dynamodb.hook().reset();
    assert_eq!(running.changes().await.run, "changes");
}

#[tokio::test]
async fn two_runs_after_the_lease_has_ended_do_everything_once() {
    let running = settled().await;
    let ben = running.sign_in("ben").await;
    let (account, acme, globex) =
        (running.account("ben"), running.installation("acme"), running.account("globex"));
    let own = running
        .unnoticed(|world| {
            world.uninstall(acme);
            world.rename(globex, "globex-inc");
            world.install(Target::Account(account), Selection::All)
        })
        .await;
    running.slow_page();
    let other = running.another_service();
    let second = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        running.wait(400);
        run(&other, true, PATIENCE).await.expect("no failure")
    };
    let first = async { run(running.reconcile(), true, PATIENCE).await.expect("no failure") };
    let (first, second) = tokio::join!(first, second);
    assert!(first.run != "none" && second.run != "none", "{first:?} {second:?}");
    assert!(first.finished || second.finished, "{first:?} {second:?}");
    running.github().clear_faults();
    running.assert_repaired("both").await;
    running.assert_tombstone(acme.0).await;
    assert_eq!(running.proof(&ben.user_id, own.0).await, Some(Proof::Admin));
    assert_eq!(running.rows(&ben.user_id).await.len(), 1);
    let sum = |kind| [&first, &second].iter().filter_map(|run| run.drift.get(kind)).sum::<u64>();
    assert_eq!(["added", "deleted", "renamed"].map(sum), [1, 1, 1], "{first:?} {second:?}");
}

#[tokio::test]
async fn a_run_while_webhooks_come_in_any_order_leaves_the_rows_right() {
    let running = settled().await;
    running.sign_in("ben").await;
    let (account, owner) = (running.account("ben"), running.account("ann"));
    let (acme, globex) = (running.installation("acme"), running.account("globex"));
    for seed in 0..12_u64 {
        running.wait(if seed % 2 == 0 { 0 } else { 900 });
        let faults =
            DeliveryFaults { repeat: 1, reorder: Some(seed), delay_ms: 3, ..DeliveryFaults::default() };
        running.github().deliveries(faults);
        let changes = async {
            for step in 0..4 {
                running.github().world(|world| {
                    match world.installation_on(Target::Account(account)).map(|one| one.id) {
                        Some(id) => world.uninstall(id),
                        None => drop(world.install(Target::Account(account), Selection::All)),
                    }
                    world.rename(globex, &format!("globex-{seed}-{step}"));
                    match world.installations[&acme].suspended {
                        Some(_) => world.unsuspend(acme),
                        None => world.suspend(acme, owner),
                    }
                });
                tokio::time::sleep(Duration::from_millis(7 * seed % 20)).await;
            }
            running.github().drain().await;
        };
        let run = async { run(running.reconcile(), true, PATIENCE).await.expect("no failure") };
        let ((), summary) = tokio::join!(changes, run);
        assert_eq!(summary.run, "full");
        running.assert_repaired(&format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn the_secret_of_another_app_makes_nothing_look_gone() {
    let running = settled().await;
    let before = running.items_by_key().await;
    let mut secret: Value = serde_json::from_str(&sandbox_app_secret()).unwrap();
    secret["app_id"] = json!(2_002);
    running.stack.secrets.set(GITHUB_APP_SECRET, &secret.to_string());
    running.github().fail(Fault::under(INSTALLATIONS, FaultKind::Status(StatusCode::NOT_FOUND)));
    let other = running.another_service();
    let failure = run(&other, true, PATIENCE).await.expect_err("another App").to_string();
    assert!(failure.contains("2002") && failure.contains(&SANDBOX_APP_ID.to_string()), "{failure}");
    assert_eq!(running.items_by_key().await, before);
    running.github().clear_faults();
    running.stack.secrets.set(GITHUB_APP_SECRET, &sandbox_app_secret());
    let fixed = run(&running.another_service(), true, PATIENCE).await.expect("the right one again");
    assert_eq!((fixed.run, fixed.finished), ("full", true));
}

#[tokio::test]
async fn a_key_that_github_takes_for_another_apps_makes_nothing_look_gone() {
    let running = settled().await;
    let before = running.items_by_key().await;
    let body = json!({"id": 3_003, "installations_count": 0}).to_string();
    let answer = |body: String| FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
    running.github().fail(Fault::get("/app", answer(body)));
    running.github().fail(Fault::get(INSTALLATIONS, answer("[]".to_owned())));
    running.github().fail(Fault::under(INSTALLATIONS, FaultKind::Status(StatusCode::NOT_FOUND)));
    let failure = running.try_run(true).await.expect_err("another App").to_string();
    assert!(failure.contains("3003") && failure.contains(&SANDBOX_APP_ID.to_string()), "{failure}");
    assert_eq!(running.items_by_key().await, before);
}

#[tokio::test]
async fn an_unsure_list_of_repositories_is_listed_anew_once_github_tells() {
    let running = settled().await;
    let acme = running.installation("acme");
    let (first, second) = running.github().world(|world| {
        let mut of = world.repositories.values().filter(|one| one.name != "notes").map(|one| one.id);
        (of.next().unwrap(), of.next().unwrap())
    });
    let chosen = |ids: &[_]| Selection::Selected(ids.iter().copied().collect::<BTreeSet<_>>());
    running.github().world(|world| world.select_repositories(acme, chosen(&[first])));
    running.github().drain().await;
    running.wait(60);
    running.github().deliveries(DeliveryFaults { hold: true, ..DeliveryFaults::default() });
    running.github().world(|world| {
        world.add_repository_to_installation(acme, second);
        world.remove_repository_from_installation(acme, second);
    });
    let mut events = running.github().take_undelivered();
    assert_eq!(events.len(), 2);
    events.reverse();
    for event in events {
        running.receive(event).await;
    }
    running.github().deliveries(DeliveryFaults::default());
    let table = &running.stack.service.table;
    let unsure = async || table.unsure_installations().await.unwrap();
    let reached = async |id: InstallationId| {
        let known = running.known(id.0).await.unwrap();
        let list = table.known_repositories(&known).await.unwrap().unwrap();
        list.reached().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!((unsure().await, reached(acme).await), (vec![acme.0], vec![second.0]), "and it is wrong");

    let owner = running.account("ann");
    running.github().world(|world| world.suspend(acme, owner));
    running.github().drain().await;
    let summary = running.changes().await;
    assert_eq!((summary.unsure, unsure().await), (0, vec![acme.0]), "GitHub does not tell");
    running.github().world(|world| world.unsuspend(acme));
    running.github().drain().await;
    let summary = running.changes().await;
    assert_eq!((summary.unsure, summary.github_calls), (1, 6));
    assert_eq!((unsure().await, reached(acme).await), (vec![], vec![first.0]));
    assert_eq!(running.changes().await.unsure, 0);
}
