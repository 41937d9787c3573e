//! Every answer of `GET /user/installations` makes the user's rows true: adds, updates, and never takes one
//! away, because lists shrink for other reasons than uninstalling too (reference: GitHub 1.1).

use std::collections::HashSet;
use std::time::Duration;

use http::StatusCode;
use local::aws::hook::Fault as AwsFault;
use local::data_folder::DemoUser;
use local::sandbox_github::{FaultKind, InstallationId, Role, Selection, Target, World};
use serde_json::{Value, json};
use shared::store::Proof;

use crate::github_lab::LIST;
use crate::harness::{Running, Setup, start};

/// Something that happens at GitHub.
type Change<'a> = &'a dyn Fn(&mut World);

/// GitHub is asked, and so the rows are repaired.
async fn look(running: &Running, user: &DemoUser) {
    let answer = running.get(LIST).api_key(user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// What a row says, without its own number and dates.
fn says(row: &Value) -> Value {
    json!([
        row["github_account_name"],
        row["github_account_type"],
        row["repository_selection"],
        row["suspended_at"].is_string(),
    ])
}

#[tokio::test]
async fn a_new_installation_becomes_a_row_with_the_next_id() {
    let running = start().await;
    let user = running.sign_in("newcomer").await;
    assert_eq!(running.shown_rows(&user).await, [] as [Value; 0]);
    let account = running.account("newcomer");
    running.github().world(|world| world.install(Target::Account(account), Selection::All));
    look(&running, &user).await;
    let rows = running.shown_rows(&user).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(says(&rows[0]), json!(["newcomer", "User", "all", false]));
    assert!(rows[0]["id"].is_u64());
}

#[tokio::test]
async fn renames_suspensions_and_selections_are_noted_on_the_same_row() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let installation = running.installation("octo-org");
    let organization = running.account("octo-org");
    let before = running.row(&user, installation).await;
    assert_eq!(says(&before), json!(["octo-org", "Organization", "selected", false]));
    let owner = running.account("octocat");
    let steps: [(Change<'_>, Value); 4] = [
        (
            &|world| world.rename(organization, "octo-inc"),
            json!(["octo-inc", "Organization", "selected", false]),
        ),
        (&|world| world.suspend(installation, owner), json!(["octo-inc", "Organization", "selected", true])),
        (
            &|world| world.installations.get_mut(&installation).unwrap().selection = Selection::All,
            json!(["octo-inc", "Organization", "all", true]),
        ),
        (&|world| world.unsuspend(installation), json!(["octo-inc", "Organization", "all", false])),
    ];
    let mut updated_at = before["updated_at"].clone();
    for (change, expected) in steps {
        running.wait(60);
        running.github().world(change);
        look(&running, &user).await;
        let row = running.row(&user, installation).await;
        assert_eq!(says(&row), expected);
        assert_eq!((&row["id"], &row["created_at"]), (&before["id"], &before["created_at"]));
        assert!(row["updated_at"].as_str() > updated_at.as_str(), "{row}");
        updated_at = row["updated_at"].clone();
    }
}

#[tokio::test]
async fn what_is_not_shown_any_more_stays() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let before = running.shown_rows(&user).await;
    let (organization, octocat) = (running.account("octo-org"), running.account("octocat"));
    let uninstalled = running.installation("octo-labs");
    running.github().world(|world| {
        world.remove_member(organization, octocat);
        world.uninstall(uninstalled);
    });
    running.wait(60);
    look(&running, &user).await;
    assert_eq!(running.shown_rows(&user).await, before, "single sign-on that lapsed looks just like this");
}

#[tokio::test]
async fn an_enterprise_and_an_account_that_is_gone_have_rows_that_make_sense() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    look(&running, &octocat).await;
    let rows = running.shown_rows(&octocat).await;
    let enterprise = rows.iter().find(|row| row["github_account_type"] == "Enterprise").expect("a row");
    assert_eq!(says(enterprise), json!(["octo-business", "Enterprise", "all", false]));
    assert!(enterprise["github_account_avatar_url"].as_str().unwrap().contains("/avatars/b/"));

    let gone = running.sign_in("account-gone").await;
    look(&running, &gone).await;
    let rows = running.shown_rows(&gone).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(says(&rows[0]), json!([null, "Organization", "all", false]));
    assert_eq!(rows[0]["github_account_avatar_url"], Value::Null);
}

#[tokio::test]
async fn an_account_that_vanishes_keeps_the_name_it_had() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let installation = running.installation("octo-org");
    running.github().world(|world| {
        world.installations.get_mut(&installation).unwrap().account_is_null = true;
    });
    look(&running, &user).await;
    assert_eq!(running.row(&user, installation).await["github_account_name"], "octo-org");
}

#[tokio::test]
async fn an_answer_that_says_nothing_new_writes_no_row() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    look(&running, &user).await;
    let (rows, items) = (running.shown_rows(&user).await, running.items_by_key().await.len());
    running.wait(60);
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    for _ in 0..3 {
        look(&running, &user).await;
    }
    let written = ["TransactWriteItems", "UpdateItem", "DeleteItem"].map(|operation| hook.calls(operation));
    assert_eq!(written, [0, 0, 0]);
    assert_eq!(hook.calls("PutItem"), 0, "the copy is as good as new");
    assert_eq!((running.shown_rows(&user).await, running.items_by_key().await.len()), (rows, items));
}

#[tokio::test]
async fn a_page_repairs_what_it_shows_and_a_refusal_repairs_nothing() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let organizations =
        ["octo-org", "octo-labs"].map(|login| (running.account(login), running.installation(login)));
    running.github().world(|world| {
        for (account, _) in organizations {
            world.rename(account, &format!("renamed-{account}"));
        }
    });
    let names = async || {
        let mut names = Vec::new();
        for (_, installation) in organizations {
            names.push(running.row(&user, installation).await["github_account_name"].clone());
        }
        names
    };
    for kind in [FaultKind::Status(StatusCode::FORBIDDEN), FaultKind::TruncatedJson, FaultKind::Html] {
        running.break_github(LIST, kind);
        running.get(LIST).api_key(&user).send().await;
        assert_eq!(names().await, ["octo-org", "octo-labs"]);
    }
    running.github().clear_faults();
    let second = running.get("/user/installations?per_page=1&page=2").api_key(&user).send().await;
    let shown = second.json()["installations"][0]["id"].as_u64().unwrap();
    assert_eq!(InstallationId(shown), organizations[0].1, "the sandbox's order");
    let account = organizations[0].0;
    assert_eq!(names().await, [format!("renamed-{account}"), "octo-labs".to_owned()]);
}

#[tokio::test]
async fn an_answer_with_odd_items_is_passed_on_and_the_table_stays_as_it_is() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let before = running.shown_rows(&user).await;
    for body in [
        json!({"total_count": 1, "installations": [{"id": "text"}]}),
        json!({"total_count": 1}),
        json!([]),
        json!({"total_count": 1, "installations": [null]}),
    ] {
        running.break_github(
            LIST,
            FaultKind::Answer {
                status: StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: body.to_string(),
            },
        );
        let answer = running.get(LIST).api_key(&user).undocumented().send().await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, body));
    }
    assert_eq!(running.shown_rows(&user).await, before);
}

#[tokio::test]
async fn ids_never_repeat_when_many_users_repair_many_times_at_once() {
    let mut setup = Setup::default();
    let logins: Vec<String> = (0..4).map(|number| format!("parallel-{number}")).collect();
    let organizations: Vec<_> = (0..5)
        .map(|number| {
            let organization = setup.world.add_organization(&format!("shared-{number}"));
            setup.world.add_repository(organization, "something");
            organization
        })
        .collect();
    let users: Vec<_> = logins.iter().map(|login| setup.world.add_user(login, "One of many")).collect();
    let running = setup.start().await;
    let mut signed_in = Vec::new();
    for login in &logins {
        signed_in.push(running.sign_in(login).await);
    }
    running.github().world(|world| {
        for organization in organizations {
            for user in &users {
                world.add_member(organization, *user, Role::Member);
            }
            world.install(Target::Account(organization), Selection::All);
        }
    });
    // Three requests of each user at the same time.
    let requests = (0..3).flat_map(|_| &signed_in).map(|user| look(&running, user));
    futures_join(requests).await;

    let mut ids = HashSet::new();
    for user in &signed_in {
        let rows = running.shown_rows(user).await;
        assert_eq!(rows.len(), 5, "{}", user.user_id);
        for row in rows {
            assert!(ids.insert(row["id"].as_u64().expect("an integer")), "{row} repeats an id");
        }
    }
    assert_eq!(ids.len(), 20);
}

/// All at once on this task, which is enough: what they wait for is the service.
async fn futures_join(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn an_id_of_a_row_that_was_not_written_is_not_given_again() {
    let running = start().await;
    let first = running.sign_in("newcomer").await;
    let account = running.account("newcomer");
    running.github().world(|world| world.install(Target::Account(account), Selection::All));
    running.fail_dynamodb("TransactWriteItems", 0);
    look(&running, &first).await;
    running.stack.dynamodb.hook().reset();
    assert_eq!(running.shown_rows(&first).await, [] as [Value; 0]);
    let second = running.sign_in("reader").await;
    look(&running, &first).await;
    let mut ids = HashSet::new();
    for user in [&first, &second] {
        for row in running.shown_rows(user).await {
            assert!(ids.insert(row["id"].as_u64().unwrap()));
        }
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_rename_that_one_user_is_shown_is_noted_on_everybodys_row() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let reader = running.sign_in("reader").await;
    let installation = running.installation("octo-org");
    let organization = running.account("octo-org");
    let theirs = running.row(&reader, installation).await;
    running.wait(60);
    running.github().world(|world| world.rename(organization, "octo-inc"));
    look(&running, &octocat).await;
    assert_eq!(running.row(&octocat, installation).await["github_account_name"], "octo-inc");
    let row = running.row(&reader, installation).await;
    assert_eq!(row["github_account_name"], "octo-inc");
    assert_eq!((&row["id"], &row["created_at"]), (&theirs["id"], &theirs["created_at"]));
}

#[tokio::test]
async fn what_the_listing_shows_proves_membership_and_only_the_own_account_more() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    look(&running, &user).await;
    let own = running.account("octocat").to_string();
    let rows: Vec<Value> =
        running.items_by_key().await.into_values().filter(|item| item["proof"]["S"].is_string()).collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let expected = if row["account_id"]["N"] == *own { "admin" } else { "member" };
        assert_eq!(row["proof"]["S"], expected, "{row}");
    }
}

#[tokio::test]
async fn a_proof_that_is_taken_back_while_a_repair_is_under_way_stays_taken_back() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let (organization, installation) = (running.account("octo-org"), running.installation("octo-org"));
    let key = format!("\"USER#{}\" \"MAPPING#{:020}\"", user.user_id, installation.0);
    let proof = async || running.items_by_key().await[&key]["proof"]["S"].clone();
    let table = &running.stack.service.table;
    let id = serde_json::from_value(json!(user.user_id)).unwrap();
    let now = running.clock.unix();
    table.set_proof(&id, installation.0, Proof::Admin, now).await.unwrap();
    assert_eq!(proof().await, "admin");

    running.github().world(|world| world.rename(organization, "octo-inc"));
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    hook.fail_next("TransactWriteItems", 1, &AwsFault::delay(Duration::from_millis(200)));
    let taken_back = async {
        while hook.calls("TransactWriteItems") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        table.set_proof(&id, installation.0, Proof::Member, now).await.unwrap();
    };
    tokio::join!(look(&running, &user), taken_back);
    assert_eq!(proof().await, "member");
    assert_eq!(running.row(&user, installation).await["github_account_name"], "octo-inc");
}
