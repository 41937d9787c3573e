//! A run that does not come to its end: no time is left, the table or GitHub fails. What was done stays done,
//! and the next run goes on there.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::aws::hook::Fault as AwsFault;
use local::sandbox_github::{AccountId, Fault, FaultKind, Selection, Target};
use serde_json::{Value, json};
use shared::store::{InstallationChange, Proof, RowWanted};

use crate::behind::user;
use crate::github_lab::{ATTEMPTS, app_jwt, claims, unavailable};
use crate::harness::Running;
use crate::reconcile_lab::{INSTALLATIONS, crowd, kinds, run, small_world, start_in};

/// What the run itself keeps back of its time.
const RESERVE: Duration = Duration::from_secs(10);

impl Running {
    /// A run that has so much time to work in.
    async fn run_for(&self, full: bool, time: Duration) -> shared::github_app::reconcile::Summary {
        self.github().clear_calls();
        run(self.reconcile(), full, RESERVE + time).await.expect("no time left is no failure")
    }

    fn stall(&self, page: u32) {
        let stall = FaultKind::Stall(Duration::from_secs(600));
        self.github().fail(Fault::get(INSTALLATIONS, stall).where_query(&format!("&page={page}")));
    }

    async fn rename(&self, account: AccountId, login: &str) {
        self.unnoticed(|world| world.rename(account, login)).await;
    }
}

#[tokio::test]
async fn a_full_run_that_is_cut_off_goes_on_with_its_next_page() {
    let running = start_in(crowd(1_600)).await;
    running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    let acme = running.installation("acme");
    let (early, late) = (running.account("crowd-0100"), running.account("crowd-1500"));
    running.unnoticed(|world| world.uninstall(acme)).await;
    running.rename(early, "early").await;
    running.rename(late, "late").await;

    running.stall(8);
    let cut = running.run_for(true, Duration::from_secs(4)).await;
    assert_eq!((cut.run, cut.finished, cut.drift), ("full", false, kinds([("renamed", 1)])));
    assert_eq!(running.pages(), (1..=11).collect::<Vec<_>>(), "five at once, and the first alone");
    let sweep = running.state().await.sweep.expect("under way");
    assert_eq!(sweep.next_page, Some(7), "the batch of the page that did not come");

    running.github().clear_faults();
    running.wait(900);
    let rest = running.changes().await;
    assert_eq!((rest.run, rest.drift), ("full", kinds([("deleted", 1), ("renamed", 1)])));
    assert_eq!(running.pages(), (7..=17).collect::<Vec<_>>());
    assert_eq!(running.state().await.sweep, None);
    running.assert_tombstone(acme.0).await;
    running.assert_repaired("in two runs").await;
    running.wait(900);
    assert_eq!(running.changes().await.run, "changes");
}

#[tokio::test]
async fn a_first_run_that_is_cut_off_goes_on_though_nothing_is_known_of_changes_yet() {
    let running = start_in(crowd(350)).await;
    running.stall(3);
    let cut = running.run_for(false, Duration::from_secs(4)).await;
    assert!(!cut.finished);
    let state = running.state().await;
    assert_eq!((state.since, state.full_at), (None, None));
    assert_eq!(state.sweep.expect("under way").next_page, Some(2));
    running.github().clear_faults();
    running.wait(900);
    assert_eq!(running.changes().await.run, "full");
    assert_eq!(running.pages(), [2, 3, 4]);
    running.assert_repaired("in two runs").await;
    running.wait(900);
    assert_eq!(running.changes().await.run, "changes");
}

#[tokio::test]
async fn however_little_time_each_run_has_all_is_done_in_the_end() {
    let running = start_in(crowd(350)).await;
    running.sign_in("ann").await;
    // Not even time to begin.
    let none = run(running.reconcile(), true, Duration::from_millis(500)).await.expect("no failure");
    assert_eq!((none.finished, none.installations), (false, 0));
    let mut runs = 0;
    loop {
        running.wait(900);
        runs += 1;
        assert!(runs < 100, "no progress");
        // A machine that is busy with other things needs longer for the smallest step.
        if running.run_for(false, Duration::from_millis(200 + 50 * runs)).await.finished {
            break;
        }
    }
    assert!(runs > 1, "it was to be cut off");
    running.assert_repaired("step by step").await;
}

#[tokio::test]
async fn a_full_run_that_has_been_under_way_for_half_a_day_begins_anew() {
    let running = start_in(crowd(350)).await;
    running.stall(3);
    assert!(!running.run_for(false, Duration::from_secs(2)).await.finished);
    running.github().clear_faults();
    running.wait(12 * 3_600 + 60);
    assert_eq!(running.changes().await.run, "full");
    assert_eq!(running.pages(), [1, 2, 3, 4]);
    running.assert_repaired("anew").await;
}

#[tokio::test]
async fn a_page_that_fails_ends_the_run_and_the_next_one_goes_on_there() {
    let running = start_in(crowd(620)).await;
    running.full().await;
    let accounts = [running.account("globex"), running.account("crowd-0619")];
    let status = |status| FaultKind::Status(StatusCode::from_u16(status).unwrap());
    let failures = [
        status(500),
        status(502),
        status(504),
        status(403),
        status(404),
        FaultKind::PrimaryRateLimit { reset_in: 60 },
        FaultKind::SecondaryRateLimit { retry_after: 60 },
        FaultKind::TooManyRequests { retry_after: 60 },
        FaultKind::TruncatedJson,
        FaultKind::Html,
        FaultKind::CutOff { after: 0 },
    ];
    for (number, kind) in failures.into_iter().enumerate() {
        running.wait(3_600);
        let why = format!("{kind:?}");
        for (account, name) in accounts.iter().zip(["early", "late"]) {
            running.rename(*account, &format!("{name}-{number}")).await;
        }
        running.github().fail(Fault::get(INSTALLATIONS, kind).where_query("&page=7"));
        running.try_run(true).await.expect_err(&why);
        assert_eq!(running.state().await.sweep.expect("under way").next_page, Some(7), "{why}");
        running.github().clear_faults();
        running.wait(900);
        let rest = running.changes().await;
        assert_eq!((rest.run, rest.drift), ("full", kinds([("renamed", 1)])), "{why}");
        assert_eq!(running.pages(), [7], "{why}");
        running.assert_repaired(&why).await;
    }
}

#[tokio::test]
async fn a_page_of_changes_that_fails_is_read_again_and_no_change_is_lost() {
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
    running.github().fail(Fault::get(INSTALLATIONS, FaultKind::TruncatedJson).where_query("&page=3"));
    let since = running.state().await.since;
    running.try_run(false).await.expect_err("half a page");
    assert_eq!(running.state().await.since, since);
    running.github().clear_faults();
    // Longer than what each run looks back.
    running.wait(7_200);
    let rest = running.changes().await;
    assert_eq!((rest.run, rest.drift), ("changes", kinds([("suspended", 33)])));
    running.assert_repaired("all suspended").await;
}

#[tokio::test]
async fn an_item_that_cannot_be_read_costs_neither_its_page_nor_its_rows() {
    let running = start_in(small_world()).await;
    let ann = running.sign_in("ann").await;
    running.full().await;
    running.wait(3_600);
    let (acme, globex) = (running.installation("acme"), running.account("globex"));
    running.rename(globex, "globex-inc").await;
    let token = format!("Bearer {}", app_jwt(&claims(&running.clock)));
    let mut page = running.directly(&format!("{INSTALLATIONS}?per_page=100"), &token).await.json();
    for item in page.as_array_mut().unwrap() {
        if item["id"] == acme.0 {
            *item = json!({"id": acme.0.to_string(), "account": 5});
        }
    }
    let answer = |body: &Value| FaultKind::Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.to_string(),
    };
    running.github().fail(Fault::get(INSTALLATIONS, answer(&page)).where_query("per_page=100&page=1"));
    let summary = running.full().await;
    assert_eq!(summary.drift, kinds([("renamed", 1)]));
    // The one page answers the question for changes too.
    assert_eq!(summary.unreadable, 2);
    let by_number = format!("GET {INSTALLATIONS}/{acme}?");
    assert_eq!(running.requests().into_iter().filter(|call| *call == by_number).count(), 1);
    assert_eq!(running.rows(&ann.user_id).await.len(), 3);
    running.assert_repaired("one cannot be read").await;

    // Not by its number either.
    running.github().fail(Fault::get(&format!("{INSTALLATIONS}/{acme}"), answer(&json!({"id": "text"}))));
    let summary = running.full().await;
    assert_eq!((summary.drift, summary.unreadable), (BTreeMap::new(), 3));
    running.assert_repaired("not at all").await;
}

/// The operations of DynamoDB that a run makes.
const OPERATIONS: [&str; 7] =
    ["GetItem", "PutItem", "Query", "BatchGetItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];

/// For every call of a run to the table: it goes wrong there, and the next run makes everything right.
async fn goes_wrong_everywhere(fault: &AwsFault, times: usize) {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    let ben = running.sign_in("ben").await;
    running.full().await;
    let (account, owner) = (running.account("ben"), running.account("ann"));
    let (acme, globex) = (running.installation("acme"), running.account("globex"));
    let hook = running.stack.dynamodb.hook();
    let mut number = 0;
    for operation in OPERATIONS {
        for passing in 0.. {
            number += 1;
            let why = format!("{operation} {passing}");
            running.wait(3_600);
            let own = running
                .failing(|world| {
                    if let Some(id) = world.installation_on(Target::Account(account)).map(|one| one.id) {
                        world.uninstall(id);
                    }
                    world.rename(globex, &format!("globex-{number}"));
                    match world.installations[&acme].suspended {
                        Some(_) => world.unsuspend(acme),
                        None => world.suspend(acme, owner),
                    }
                    world.install(Target::Account(account), Selection::All)
                })
                .await;
            hook.reset();
            hook.fail_next(operation, passing, &AwsFault::default());
            hook.fail_next(operation, times, fault);
            // It fails, or somebody else is said to have been faster, or it was only the lease's end.
            let _ = running.try_run(true).await;
            running.github().drain().await;
            let reached = hook.calls(operation) > passing;
            hook.reset();
            running.wait(900);
            let next = running.try_run(true).await.expect(&why);
            assert_eq!((next.run, next.finished, next.given_up), ("full", true, 0), "{why}");
            running.github().drain().await;
            running.assert_repaired(&why).await;
            assert_eq!(running.rows(&ben.user_id).await.len(), 1, "{why}");
            assert_eq!(running.proof(&ben.user_id, own.0).await, Some(Proof::Admin), "{why}");
            if !reached {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_run_that_the_table_fails_at_any_call_is_made_good_by_the_next_one() {
    goes_wrong_everywhere(&unavailable(), ATTEMPTS).await;
}

#[tokio::test]
async fn an_answer_of_the_table_that_is_lost_at_any_call_does_no_harm() {
    goes_wrong_everywhere(&AwsFault::lost_answer(), 1).await;
}

#[tokio::test]
async fn rows_that_a_run_did_not_get_to_are_written_by_the_next_one() {
    let running = start_in(small_world()).await;
    running.full().await;
    let (account, acme) = (running.account("acme"), running.installation("acme"));
    let table = &running.stack.service.table;
    let loaded = table.installation(acme.0).await.unwrap();
    let known = loaded.known.clone().unwrap();
    let users = (0..120).map(|number| user(&format!("usr_01ARZ3NDEKTSV4RRFFQ69G5{number:03}")));
    let rows = users.map(|user| RowWanted { user, proof: Proof::Member, row: None }).collect();
    let change = InstallationChange { loaded, known, rows, repositories: None, delivery: None };
    assert_eq!(table.change_installation(change, running.clock.unix()).await.unwrap(), 120);
    running.wait(3_600);
    running.rename(account, "acme-inc").await;
    // The installation itself is written first, then so many rows at once as fit.
    running.fail_dynamodb("TransactWriteItems", 1);
    running.try_run(true).await.expect_err("the table fails between the rows");
    running.stack.dynamodb.hook().reset();
    let known = running.known(acme.0).await.unwrap();
    assert!(known.facts.account_name.as_deref() == Some("acme-inc") && known.rows_at < known.version);
    running.wait(900);
    let next = running.changes().await;
    assert_eq!((next.run, next.drift, next.rows), ("full", BTreeMap::new(), 120));
    running.assert_repaired("all rows").await;
}
