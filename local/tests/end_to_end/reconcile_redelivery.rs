//! Failed deliveries are asked for again: once for each event, with patience and not for ever, and only those
//! that change the mapping and have not arrived meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use http::{Method, StatusCode};
use local::sandbox_github::{DeliveryFaults, Fault, FaultKind, HowMany, InstallationId};
use shared::github_app::reconcile::Summary;
use shared::metrics::Metric;
use shared::store::Proof;

use crate::harness::Running;
use crate::reconcile_lab::{DELIVERIES, small_world, start_in};

/// A service that knows everything, and has heard of nothing for an hour.
async fn settled() -> Running {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    running
}

impl Running {
    /// The events of which GitHub was asked to send a webhook again, by the attempts that it was asked about.
    fn asked_again(&self) -> Vec<String> {
        let log: BTreeMap<String, String> =
            self.github().delivery_log().into_iter().map(|one| (one.id.to_string(), one.guid)).collect();
        let posts = self.github().calls().into_iter().filter(|call| call.method == Method::POST);
        let number = |path: &str| path.split('/').nth(4).expect("a delivery's number").to_owned();
        posts.map(|call| log[&number(&call.path)].clone()).collect()
    }

    /// The GUIDs of all that was delivered or not, oldest first, each once.
    fn guids(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let log = self.github().delivery_log().into_iter().map(|one| one.guid);
        log.filter(|guid| seen.insert(guid.clone())).collect()
    }

    fn fail_deliveries(&self) {
        let faults = DeliveryFaults { fail: HowMany::Always(true), ..DeliveryFaults::default() };
        self.github().deliveries(faults);
    }

    fn hold_deliveries(&self) {
        self.github().deliveries(DeliveryFaults { hold: true, ..DeliveryFaults::default() });
    }

    /// Renames an account so often: a webhook each, of which nothing else tells.
    async fn fail_renames(&self, times: usize) {
        self.failing(|world| {
            let acme = *world.organizations.keys().next().unwrap();
            for _ in 0..times {
                let login = world.organizations[&acme].login.clone();
                let other = login.strip_suffix("-inc").map_or(format!("{login}-inc"), str::to_owned);
                world.rename(acme, &other);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_failed_is_sent_again_and_then_applied() {
    let running = settled().await;
    let ben = running.sign_in("ben").await;
    let (acme, account) = (running.installation("acme"), running.account("ben"));
    running.fail_renames(1).await;
    let own = running
        .failing(|world| {
            world.uninstall(acme);
            world.install(
                local::sandbox_github::Target::Account(account),
                local::sandbox_github::Selection::All,
            )
        })
        .await;
    // The table has to hear of it from the webhooks alone.
    running.hold_deliveries();
    let summary = running.changes().await;
    assert_eq!(summary.redelivered, 3);
    assert_eq!(running.asked_again(), running.guids(), "the oldest first");
    assert_eq!(running.reconcile().metrics.total(Metric::RedeliveryRequested), 3);
    running.github().deliver_now().await;
    let log = running.github().delivery_log();
    let again: Vec<_> = log.iter().filter(|one| one.redelivery).map(|one| one.status_code()).collect();
    assert_eq!(again, [200, 200, 200]);
    running.assert_tombstone(acme.0).await;
    assert_eq!(running.proof(&ben.user_id, own.0).await, Some(Proof::Admin));
    running.assert_repaired("redelivered").await;

    running.wait(900);
    let summary = running.changes().await;
    assert_eq!((summary.run, summary.redelivered, summary.github_calls), ("changes", 0, 3), "they arrived");
}

#[tokio::test]
async fn an_event_that_failed_several_times_is_asked_for_once_and_by_its_last_attempt() {
    let running = settled().await;
    running.fail_renames(2).await;
    running.fail_deliveries();
    for expected in [2, 2] {
        assert_eq!(running.changes().await.redelivered, expected);
        running.github().drain().await;
        running.wait(301);
    }
    let attempts = running.github().delivery_log();
    assert_eq!(attempts.len(), 6, "three of each");
    assert_eq!(running.changes().await.redelivered, 2);
    let posts = running.requests().into_iter().filter(|call| call.starts_with("POST"));
    let last = attempts[4..].iter().map(|one| format!("POST {DELIVERIES}/{}/attempts?", one.id));
    assert_eq!(posts.collect::<Vec<_>>(), last.collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_is_asked_for_three_times_with_pauses_and_then_given_up_once() {
    let running = settled().await;
    running.fail_renames(1).await;
    running.fail_deliveries();
    let mut runs = Vec::new();
    for pause in [240, 61, 301, 301, 301, 3_600] {
        let Summary { redelivered, given_up, .. } = running.changes().await;
        running.github().drain().await;
        runs.push((redelivered, given_up));
        running.wait(pause);
    }
    assert_eq!(runs, [(1, 0), (0, 0), (1, 0), (1, 0), (0, 1), (0, 0)]);
    let metrics = &running.reconcile().metrics;
    let counted = [Metric::RedeliveryRequested, Metric::RedeliveryGivenUp].map(|one| metrics.total(one));
    assert_eq!(counted, [3, 1]);
    assert_eq!(running.github().delivery_log().len(), 4);
}

#[tokio::test]
async fn what_is_older_than_three_days_is_left_alone() {
    let running = settled().await;
    running.fail_renames(1).await;
    running.wait(2 * 86_400);
    running.fail_renames(1).await;
    running.wait(86_400 + 60);
    running.hold_deliveries();
    let summary = running.changes().await;
    assert_eq!(summary.redelivered, 1);
    assert_eq!(running.asked_again(), running.guids()[1..]);
}

#[tokio::test]
async fn more_failed_deliveries_than_a_page_holds_are_all_asked_for() {
    let running = settled().await;
    running.fail_renames(230).await;
    running.hold_deliveries();
    let summary = running.changes().await;
    assert_eq!((summary.redelivered, summary.github_calls), (230, 1 + 1 + 3 + 230));
    let asked: BTreeSet<_> = running.asked_again().into_iter().collect();
    assert_eq!(asked, running.guids().into_iter().collect());
    let cursors = running.requests().into_iter().filter(|call| call.contains("cursor=")).count();
    assert_eq!(cursors, 2);
}

#[tokio::test]
async fn events_that_change_no_mapping_are_left_alone() {
    let running = settled().await;
    running.fail_deliveries();
    running.github().ping();
    running.github().drain().await;
    running.github().revoke_grant("ann");
    running.github().drain().await;
    let events: Vec<_> = running.github().delivery_log().into_iter().map(|one| one.event).collect();
    assert_eq!(events, ["ping", "github_app_authorization"]);
    assert_eq!(running.changes().await.redelivered, 1);
    assert_eq!(running.asked_again(), running.guids()[1..]);
}

#[tokio::test]
async fn one_that_github_does_not_send_again_stops_no_other() {
    let running = settled().await;
    for status in [StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY] {
        running.fail_renames(3).await;
        running.hold_deliveries();
        let id = running.github().delivery_log().iter().rev().nth(1).unwrap().id;
        let path = format!("{DELIVERIES}/{id}/attempts");
        running.github().fail(Fault::post(&path, FaultKind::Status(status)));
        let summary = running.changes().await;
        assert_eq!(summary.redelivered, 2, "{status}");
        assert_eq!(running.asked_again().len(), 3, "{status}");
        running.github().deliver_now().await;
        running.github().clear_faults();
        running.wait(4 * 86_400);
    }
}

#[tokio::test]
async fn an_attempt_counts_though_githubs_answer_is_lost() {
    let running = settled().await;
    running.fail_renames(1).await;
    running.fail_deliveries();
    let id = running.github().delivery_log()[0].id;
    let path = format!("{DELIVERIES}/{id}/attempts");
    running.github().fail(Fault::post(&path, FaultKind::CutOff { after: 0 }));
    running.try_run(false).await.expect_err("GitHub hung up");
    running.github().drain().await;
    let attempts = async || {
        let item = running.items_of("REDELIVERY").await.remove(0);
        item["attempts"]["N"].as_str().unwrap().to_owned()
    };
    assert_eq!(attempts().await, "1");
    assert_eq!(running.changes().await.redelivered, 0, "it may be under way");
    running.github().clear_faults();
    for expected in ["2", "3", "3"] {
        running.wait(301);
        running.changes().await;
        running.github().drain().await;
        assert_eq!(attempts().await, expected);
    }
}

#[tokio::test]
async fn those_that_were_given_up_do_not_keep_others_from_their_turn() {
    let running = settled().await;
    running.fail_renames(500).await;
    let now = running.clock.unix();
    let table = &running.stack.service.table;
    for guid in running.guids() {
        let new = shared::store::Redelivery::new(&guid, now);
        let given_up =
            shared::store::Redelivery { attempts: 3, asked_at: now, given_up: true, ..new.clone() };
        assert!(table.keep_redelivery(&new, &given_up).await.unwrap());
    }
    running.wait(60);
    running.fail_renames(1).await;
    assert_eq!(running.changes().await.redelivered, 1);
}

#[tokio::test]
async fn an_event_that_arrives_by_itself_is_not_asked_for() {
    let running = settled().await;
    let (acme, owner) = (running.installation("acme"), running.account("ann"));
    // GitHub gives up waiting though the service has done it: the log says failed, the table has the record.
    running.hold_deliveries();
    running.github().world(|world| world.suspend(acme, owner));
    let signed = running.github().take_undelivered().remove(0);
    running.failing(|world| world.unsuspend(acme)).await;
    let mut request = running.post("/webhooks/github");
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    assert_eq!(request.body(signed.body).send().await.status, StatusCode::OK);
    let failed = running.guids();
    assert_eq!(failed.len(), 1);
    let record = shared::store::DeliveryRecord::new(
        local::stack::SANDBOX_APP_ID,
        &failed[0],
        "installation",
        running.clock.unix(),
    );
    running.stack.service.table.note_delivery(&record).await.unwrap();
    assert_eq!(running.changes().await.redelivered, 0);
    running.assert_repaired("the listing has told").await;
    assert!(running.known(InstallationId(acme.0).0).await.unwrap().facts.suspended_at.is_none());
}
