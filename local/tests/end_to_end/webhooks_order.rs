//! Webhooks out of order, in the same second, and at once with other news: the rows say what is true at
//! GitHub, whatever comes first (reference: GitHub 2.2).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::aws::hook::Fault as AwsFault;
use local::sandbox_github::{Fault, FaultKind, InstallationId, Selection, SignedDelivery};
use serde_json::json;

use crate::behind::user;
use crate::github_lab::LIST;
use crate::harness::{Running, Setup, start};
use crate::webhooks::{body_of, message};

fn all_down(running: &Running) {
    running.github().clear_faults();
    running.github().fail(Fault::under("/", FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)));
}

/// Suspended in a second and not any more in the same one: two deliveries of one date.
fn back_and_forth(running: &Running) -> (SignedDelivery, SignedDelivery) {
    let id = running.installation("octo-org");
    running.wait(60);
    running.github().world(|world| {
        world.suspend_by_owner(id);
        world.unsuspend(id);
    });
    let mut waiting = running.github().take_undelivered();
    let mut unsuspend = waiting.pop().unwrap();
    let mut suspend = waiting.pop().unwrap();
    // The second may have ended in between.
    for delivery in [&mut suspend, &mut unsuspend] {
        let mut body = body_of(delivery);
        let at = running.clock.unix();
        body["installation"]["updated_at"] = json!(at);
        if body["action"] == "suspend" {
            body["installation"]["suspended_at"] = json!(at);
        }
        *delivery = message("installation", body.to_string());
    }
    (suspend, unsuspend)
}

fn asked(running: &Running) -> usize {
    let path = format!("/app/installations/{}", running.installation("octo-org"));
    running.paths().iter().filter(|other| **other == path).count()
}

#[tokio::test]
async fn what_is_older_than_what_is_known_changes_nothing() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.wait(60);
    running.github().world(|world| world.suspend_by_owner(id));
    let suspend = running.taken();
    running.wait(60);
    running.github().world(|world| world.unsuspend(id));
    let unsuspend = running.taken();
    running.dealt(&unsuspend).await;
    let rows = running.items_of("MAPPING#").await;
    assert_eq!(running.dealt(&suspend).await, "unchanged");
    assert_eq!(running.items_of("MAPPING#").await, rows);
    assert!(!running.row(&octocat, id).await["suspended_at"].is_string());
    assert_eq!(asked(&running), 0);
}

#[tokio::test]
async fn contradictions_of_one_second_are_githubs_to_decide_in_either_order() {
    for reversed in [false, true] {
        let running = start().await;
        let octocat = running.sign_in("octocat").await;
        let id = running.installation("octo-org");
        let (suspend, unsuspend) = back_and_forth(&running);
        let (first, second) = if reversed { (unsuspend, suspend) } else { (suspend, unsuspend) };
        running.deliver(&first).await;
        assert_eq!(running.deliver(&second).await.status, StatusCode::OK);
        assert_eq!(asked(&running), 1, "reversed: {reversed}");
        assert!(!running.row(&octocat, id).await["suspended_at"].is_string(), "reversed: {reversed}");
    }
}

#[tokio::test]
async fn without_github_equal_weight_changes_nothing_until_github_can_be_asked() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    let (suspend, unsuspend) = back_and_forth(&running);
    assert_eq!(running.dealt(&suspend).await, "applied");
    all_down(&running);
    let rows = running.items_of("MAPPING#").await;
    running.dealt(&unsuspend).await;
    assert_eq!(running.items_of("MAPPING#").await, rows);
    assert_eq!(running.stack.service.table.unsure_installations().await.unwrap(), [id.0]);
    running.github().clear_faults();
    running.changes().await;
    assert!(!running.row(&octocat, id).await["suspended_at"].is_string());
    assert!(running.stack.service.table.unsure_installations().await.unwrap().is_empty());
}

#[tokio::test]
async fn without_github_a_suspension_outweighs_the_rest_of_its_second() {
    for suspension_first in [true, false] {
        let running = start().await;
        let octocat = running.sign_in("octocat").await;
        let id = running.installation("octo-org");
        let (suspend, unsuspend) = back_and_forth(&running);
        // The same second, and nothing about a suspension in it.
        let mut permissions = body_of(&unsuspend);
        permissions["action"] = json!("new_permissions_accepted");
        let permissions = message("installation", permissions.to_string());
        all_down(&running);
        let (first, second) =
            if suspension_first { (&suspend, &permissions) } else { (&permissions, &suspend) };
        running.dealt(first).await;
        running.dealt(second).await;
        assert!(running.row(&octocat, id).await["suspended_at"].is_string(), "{suspension_first}");
    }
}

#[tokio::test]
async fn a_rename_waits_for_github() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let (id, organization) = (running.installation("octo-org"), running.account("octo-org"));
    running.github().world(|world| world.rename(organization, "octo-inc"));
    let first = running.taken();
    running.github().world(|world| world.rename(organization, "octo-corp"));
    let second = running.taken();
    all_down(&running);
    let rows = running.items_of("MAPPING#").await;
    running.dealt(&second).await;
    assert_eq!(running.items_of("MAPPING#").await, rows, "nobody knows the name of today");
    running.github().clear_faults();
    running.dealt(&first).await;
    assert_eq!(running.row(&octocat, id).await["github_account_name"], "octo-corp", "the older one asks too");
    assert!(running.stack.service.table.unsure_installations().await.unwrap().is_empty());
    assert_eq!(running.row(&octocat, id).await["github_account_name"], "octo-corp");
}

/// Another user gets a row of octo-org while that delivery is between reading and writing.
async fn joined_meanwhile(running: &Running, id: InstallationId, delivery: &SignedDelivery) -> String {
    let table = &running.stack.service.table;
    let known = running.known(id.0).await.expect("octo-org is known");
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    hook.fail_next("TransactWriteItems", 1, &AwsFault::delay(Duration::from_millis(300)));
    let joined = "usr_00000000000000000000JOINED".to_owned();
    let joining = async {
        while hook.calls("TransactWriteItems") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rows = [(known, shared::store::Proof::Member)];
        table.add_rows(&user(&joined), &rows, running.clock.unix()).await.expect("the row is written");
    };
    let (result, ()) = tokio::join!(running.dealt(delivery), joining);
    assert_eq!(result, "applied");
    joined
}

#[tokio::test]
async fn a_user_who_is_mapped_while_an_uninstall_is_written_has_no_row_afterwards() {
    let running = start().await;
    running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.github().world(|world| world.uninstall(id));
    let joined = joined_meanwhile(&running, id, &running.taken()).await;
    assert_eq!(running.proof(&joined, id.0).await, None);
}

#[tokio::test]
async fn a_user_who_is_mapped_while_a_suspension_is_written_sees_it() {
    let running = start().await;
    running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.wait(60);
    running.github().world(|world| world.suspend_by_owner(id));
    let joined = joined_meanwhile(&running, id, &running.taken()).await;
    let rows = running.rows(&joined).await;
    assert!(rows[0].facts.suspended_at.is_some(), "{rows:?}");
}

#[tokio::test]
async fn after_an_uninstall_no_kept_answer_is_served_while_github_is_down() {
    let running = start().await;
    let users = [running.sign_in("octocat").await, running.sign_in("reader").await];
    let id = running.installation("octo-org");
    for user in &users {
        assert!(running.get(LIST).api_key(user).send().await.body.contains("octo-org"));
    }
    // In the same second.
    running.github().world(|world| world.uninstall(id));
    assert_eq!(running.dealt(&running.taken()).await, "applied");
    all_down(&running);
    for user in &users {
        let answer = running.get(LIST).api_key(user).send().await;
        assert!(!answer.status.is_success() && !answer.body.contains("octo-org"), "{answer:?}");
    }
}

/// Makes GitHub answer with that listing once more, as a replica does that lags.
fn answers_with(running: &Running, listing: &str) {
    let (status, headers, body) = (StatusCode::OK, HeaderMap::new(), listing.to_owned());
    running.github().clear_faults();
    running.github().fail(Fault::get(LIST, FaultKind::Answer { status, headers, body }));
}

#[tokio::test]
async fn an_answer_on_its_way_during_an_uninstall_is_not_served_again() {
    let running = Setup { latency: Duration::from_millis(500), ..Setup::default() }.start().await;
    for (login, seconds) in [("octo-org", 0), ("octo-labs", 3)] {
        running.github().clear_faults();
        let octocat = running.sign_in("octocat").await;
        let id = running.installation(login);
        let listing = running.get(LIST).api_key(&octocat).send().await.body;
        running.wait(10);
        answers_with(&running, &listing);
        let uninstalled = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            running.github().world(|world| world.uninstall(id));
            assert_eq!(running.dealt(&running.taken()).await, "applied");
            running.wait(seconds);
        };
        let (late, ()) = tokio::join!(running.get(LIST).api_key(&octocat).send(), uninstalled);
        assert!(late.body.contains(login), "GitHub had answered before: {late:?}");
        all_down(&running);
        let answer = running.get(LIST).api_key(&octocat).send().await;
        assert!(!answer.body.contains(login), "{seconds}: {answer:?}");
    }
}

#[tokio::test]
async fn what_a_lagging_replica_shows_after_an_uninstall_is_not_served_again() {
    let running = start().await;
    let users = [running.sign_in("octocat").await, running.sign_in("reader").await];
    let id = running.installation("octo-org");
    let table = &running.stack.service.table;
    let row =
        running.rows(&users[1].user_id).await.iter().find(|row| row.installation_id == id.0).unwrap().id;
    table.remove_mapping_row(&user(&users[1].user_id), row, running.clock.unix()).await.unwrap();
    let listing = running.get(LIST).api_key(&users[0]).send().await.body;
    running.wait(10);
    running.github().world(|world| world.uninstall(id));
    assert_eq!(running.dealt(&running.taken()).await, "applied");
    running.wait(5);
    for user in &users {
        answers_with(&running, &listing);
        assert_eq!(running.get(LIST).api_key(user).send().await.body, listing);
        all_down(&running);
        let answer = running.get(LIST).api_key(user).send().await;
        assert!(!answer.body.contains("octo-org"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_uninstall_ends_the_kept_answers_of_a_user_who_has_removed_the_row() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    assert!(running.get(LIST).api_key(&octocat).send().await.body.contains("octo-org"));
    let row = running.row(&octocat, id).await["id"].to_string();
    let path = format!("/api/users/{}/installations/{row}", octocat.user_id);
    assert_eq!(running.delete(&path).api_key(&octocat).send().await.status, StatusCode::OK);
    running.wait(10);
    running.github().world(|world| world.uninstall(id));
    assert_eq!(running.dealt(&running.taken()).await, "applied");
    all_down(&running);
    let answer = running.get(LIST).api_key(&octocat).send().await;
    assert!(!answer.body.contains("octo-org"), "{answer:?}");
}

#[tokio::test]
async fn contradicting_lists_of_one_second_are_noted_as_unsure() {
    let running = start().await;
    running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.wait(60);
    running.github().world(|world| world.select_repositories(id, Selection::All));
    let added = running.github().take_undelivered();
    let mut removed = body_of(&added[0]);
    let list = removed["repositories_added"].take();
    removed["action"] = json!("removed");
    removed["repositories_added"] = json!([]);
    removed["repositories_removed"] = list;
    running.dealt(&added[0]).await;
    running.dealt(&message("installation_repositories", removed.to_string())).await;
    assert_eq!(running.stack.service.table.unsure_installations().await.unwrap(), [id.0]);
}
