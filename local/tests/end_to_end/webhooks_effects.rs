//! What each kind of webhook does to the rows that users see, once, and what is none of our business.

use http::StatusCode;
use local::sandbox_github::{InstallationId, Selection, Target, webhook_signature};
use local::stack::SANDBOX_WEBHOOK_SECRET;
use serde_json::{Value, json};
use shared::metrics::Metric;
use shared::store::Proof;

use crate::github_lab::LIST;
use crate::harness::{Running, Setup, start};
use crate::webhooks::{
    SIGNATURE, TARGET, assert_refused, body_of, described, message, with_body, with_header,
};

const PUBLISHED: [(&str, &str); 13] = [
    (
        "github_app_authorization",
        include_str!("../../../shared/fixtures/webhooks/github_app_authorization.revoked.0.json"),
    ),
    (
        "github_app_authorization",
        include_str!("../../../shared/fixtures/webhooks/github_app_authorization.revoked.1.json"),
    ),
    ("installation", include_str!("../../../shared/fixtures/webhooks/installation.created.1.json")),
    ("installation", include_str!("../../../shared/fixtures/webhooks/installation.created.2.json")),
    ("installation", include_str!("../../../shared/fixtures/webhooks/installation.deleted.0.json")),
    ("installation", include_str!("../../../shared/fixtures/webhooks/installation.deleted.3.json")),
    (
        "installation",
        include_str!("../../../shared/fixtures/webhooks/installation.new_permissions_accepted.4.json"),
    ),
    ("installation", include_str!("../../../shared/fixtures/webhooks/installation.suspend.5.json")),
    ("installation", include_str!("../../../shared/fixtures/webhooks/installation.unsuspend.6.json")),
    (
        "installation_repositories",
        include_str!("../../../shared/fixtures/webhooks/installation_repositories.added.0.json"),
    ),
    (
        "installation_repositories",
        include_str!("../../../shared/fixtures/webhooks/installation_repositories.added.1.json"),
    ),
    (
        "installation_repositories",
        include_str!("../../../shared/fixtures/webhooks/installation_repositories.removed.2.json"),
    ),
    ("ping", include_str!("../../../shared/fixtures/webhooks/ping.ping.0.json")),
];

async fn delivering() -> Running {
    Setup { webhooks: true, ..Setup::default() }.start().await
}

/// Something happens at GitHub, and its webhooks are delivered; each must succeed.
async fn happens<R>(running: &Running, change: impl FnOnce(&mut local::sandbox_github::World) -> R) -> R {
    running.wait(60);
    let result = running.github().world(change);
    running.github().drain().await;
    for delivery in running.github().delivery_log() {
        assert_eq!(delivery.status_code(), 200, "{delivery:?}");
    }
    result
}

#[tokio::test]
async fn an_installation_on_the_own_account_makes_its_owner_an_admin_of_it() {
    let running = delivering().await;
    let user = running.sign_in("newcomer").await;
    let account = running.account("newcomer");
    let id = happens(&running, |world| world.install(Target::Account(account), Selection::All)).await;
    assert_eq!(running.proof(&user.user_id, id.0).await, Some(Proof::Admin));
    let row = running.row(&user, id).await;
    assert_eq!(
        (&row["github_account_name"], &row["repository_selection"]),
        (&json!("newcomer"), &json!("all"))
    );
    assert_eq!(running.reached(id.0).await.into_values().collect::<Vec<_>>(), ["newcomer/sketches"]);
    assert_eq!(running.paths(), Vec::<String>::new(), "nothing was asked");
}

#[tokio::test]
async fn who_installs_on_an_organisation_becomes_a_member_of_it_and_nobody_else_does() {
    let running = delivering().await;
    let user = running.sign_in("newcomer").await;
    let other = running.sign_in("reader").await;
    let organization = running.account("new-org");
    let sender = running.account("newcomer");
    let id = happens(&running, |world| {
        world.acting_as(sender).install(Target::Account(organization), Selection::All)
    })
    .await;
    assert_eq!(
        running.proof(&user.user_id, id.0).await,
        Some(Proof::Member),
        "association is all that is proved"
    );
    assert_eq!(running.proof(&other.user_id, id.0).await, None);
}

#[tokio::test]
async fn a_stranger_installs_on_a_users_account_and_only_the_owner_gets_a_row() {
    let running = delivering().await;
    let user = running.sign_in("newcomer").await;
    let (account, stranger) = (running.account("newcomer"), running.account("lab-manager"));
    let id = happens(&running, |world| {
        world.acting_as(stranger).install(Target::Account(account), Selection::All)
    })
    .await;
    assert_eq!(running.proof(&user.user_id, id.0).await, Some(Proof::Admin));
    assert_eq!(running.stack.service.table.installation(id.0).await.unwrap().users.len(), 1);
}

#[tokio::test]
async fn an_installation_of_people_nobody_knows_is_known_and_has_no_row() {
    let running = delivering().await;
    let account = running.account("newcomer");
    let id = happens(&running, |world| world.install(Target::Account(account), Selection::All)).await;
    assert_eq!(running.items_of("MAPPING#").await.len(), 0);
    assert_eq!(running.known(id.0).await.unwrap().facts.account_name.as_deref(), Some("newcomer"));
    let user = running.sign_in("newcomer").await;
    assert_eq!(running.proof(&user.user_id, id.0).await, Some(Proof::Admin), "after the sign-in");
}

#[tokio::test]
async fn suspended_and_back_again_stands_in_all_users_rows() {
    let running = delivering().await;
    let users = [running.sign_in("octocat").await, running.sign_in("reader").await];
    let id = running.installation("octo-org");
    let before = running.row(&users[1], id).await;
    for suspended in [true, false] {
        happens(&running, |world| if suspended { world.suspend_by_owner(id) } else { world.unsuspend(id) })
            .await;
        for user in &users {
            assert_eq!(running.row(user, id).await["suspended_at"].is_string(), suspended);
        }
    }
    let after = running.row(&users[1], id).await;
    assert_eq!((&after["id"], &after["created_at"]), (&before["id"], &before["created_at"]));
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
}

#[tokio::test]
async fn renamed_accounts_have_their_new_name_in_all_users_rows() {
    let running = delivering().await;
    let users = [running.sign_in("octocat").await, running.sign_in("reader").await];
    let (id, organization) = (running.installation("octo-org"), running.account("octo-org"));
    happens(&running, |world| world.rename(organization, "octo-inc")).await;
    for user in &users {
        assert_eq!(running.row(user, id).await["github_account_name"], "octo-inc");
    }
    assert_eq!(running.paths(), [format!("/app/installations/{id}")], "only GitHub knows the name of today");
}

#[tokio::test]
async fn accepted_permissions_and_chosen_repositories_are_noted() {
    let running = delivering().await;
    let user = running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    let organization = running.account("octo-org");
    running.github().world(|world| {
        world.app.permissions.insert("issues".to_owned(), "write".to_owned());
    });
    happens(&running, |world| world.accept_permissions(id)).await;
    let names = ["octo-org/api", "octo-org/docs", "octo-org/web"];
    let reached = async || {
        let mut names: Vec<_> = running.reached(id.0).await.into_values().collect();
        names.sort();
        names
    };
    assert_eq!(reached().await, names);
    let new = happens(&running, |world| {
        let new = world.add_repository(organization, "added");
        world.add_repository_to_installation(id, new);
        new
    })
    .await;
    assert_eq!(reached().await, ["octo-org/added", names[0], names[1], names[2]]);
    happens(&running, |world| world.remove_repository_from_installation(id, new)).await;
    assert_eq!(reached().await, names);
    happens(&running, |world| world.select_repositories(id, Selection::All)).await;
    assert_eq!(running.row(&user, id).await["repository_selection"], "all");
    assert_eq!(reached().await.len(), 6);
}

#[tokio::test]
async fn repositories_that_are_told_before_the_installation_are_not_lost() {
    let running = start().await;
    running.sign_in("newcomer").await;
    let account = running.account("newcomer");
    let id = running.github().world(|world| world.install(Target::Account(account), Selection::All));
    let created = running.taken();
    running.wait(60);
    running.github().world(|world| world.add_repository(account, "later"));
    let added = running.taken();
    assert_eq!(running.dealt(&added).await, "applied");
    assert_eq!(running.dealt(&created).await, "applied");
    let names: Vec<_> = running.reached(id.0).await.into_values().collect();
    assert_eq!(names, ["newcomer/sketches", "newcomer/later"]);
}

#[tokio::test]
async fn what_is_uninstalled_is_gone_for_everybody_and_nothing_late_brings_it_back() {
    let running = start().await;
    let users = [running.sign_in("octocat").await, running.sign_in("reader").await];
    let id = running.installation("octo-org");
    let owner = running.account("octocat");
    running.wait(60);
    running.github().world(|world| world.suspend(id, owner));
    let suspend = running.taken();
    running.wait(60);
    let token = running.github().mint_user_token("octocat").access_token;
    let listing = running.directly(LIST, &format!("Bearer {token}")).await;
    running.github().world(|world| world.uninstall(id));
    let deleted = running.taken();
    let mut created = body_of(&deleted);
    created["action"] = json!("created");
    created["installation"]["updated_at"] = json!(running.clock.unix() + 60);
    let created = message("installation", created.to_string());

    assert_eq!(running.dealt(&deleted).await, "applied");
    let before = running.items_of("MAPPING#").await;
    for delivery in [&suspend, &created] {
        assert_eq!(running.dealt(delivery).await, "unchanged");
    }
    // A replica of GitHub's that has not heard of it.
    running.github().fail(local::sandbox_github::Fault::get(
        LIST,
        local::sandbox_github::FaultKind::Answer {
            status: StatusCode::OK,
            headers: http::HeaderMap::new(),
            body: listing.body.clone(),
        },
    ));
    let shown = running.get(LIST).api_key(&users[0]).send().await;
    assert!(shown.body.contains("octo-org"), "{shown:?}");
    assert_eq!(running.items_of("MAPPING#").await, before);
    for user in &users {
        assert_eq!(running.proof(&user.user_id, id.0).await, None);
    }
    let known = running.known(id.0).await.unwrap();
    assert!(known.is_gone() && known.facts.account_name.is_none(), "{known:?}");
    assert!(
        running
            .stack
            .service
            .table
            .all_installations()
            .await
            .unwrap()
            .iter()
            .all(|k| k.installation_id != id.0)
    );
    assert_eq!(running.dealt(&deleted).await, "repeated");
    let again = message("installation", deleted.body.clone());
    assert_eq!(running.dealt(&again).await, "unchanged", "the same under another GUID");
}

#[tokio::test]
async fn an_installation_that_was_never_known_is_remembered_as_gone() {
    let running = start().await;
    running.sign_in("newcomer").await;
    let account = running.account("newcomer");
    let id = running.github().world(|world| world.install(Target::Account(account), Selection::All));
    let created = running.taken();
    running.github().world(|world| world.uninstall(id));
    running.dealt(&running.taken()).await;
    assert_eq!(running.dealt(&created).await, "unchanged");
    assert_eq!(running.items_of("MAPPING#").await.len(), 0);
}

#[tokio::test]
async fn everything_that_github_publishes_is_read_and_written_with_either_kind_of_date() {
    for (event, body) in PUBLISHED {
        let running = start().await;
        let mut body: Value = serde_json::from_str(body).unwrap();
        let other = message(event, body.to_string());
        let of_another_app = body["installation"]["app_id"].is_u64();
        let before = running.items().await;
        if of_another_app {
            let answer = running.deliver(&other).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{event}: {answer:?}");
            assert_eq!(running.items().await, before, "{event}");
            assert_eq!(running.counted(Metric::WebhookOtherApp), 1);
            body["installation"]["app_id"] = json!(local::stack::SANDBOX_APP_ID);
        }
        let id = body["installation"]["id"].as_u64();
        let answer = running.deliver(&message(event, body.to_string())).await;
        assert_eq!(answer.status, StatusCode::OK, "{event}: {answer:?}");
        let Some(id) = id else { continue };
        let known = running.known(id).await.expect("it is known now");
        let moment = match &body["installation"]["updated_at"] {
            Value::Number(number) => number.as_i64().unwrap(),
            text => time_of(text.as_str().unwrap()),
        };
        if body["action"] != "deleted" {
            assert_eq!(known.changed_at, moment, "{event}");
            let suspended = body["installation"]["suspended_at"].as_str().map(time_of);
            assert_eq!(known.facts.suspended_at, suspended, "{event}");
        }
    }
}

fn time_of(text: &str) -> i64 {
    match text {
        "2021-04-28T22:32:50.000-04:00" | "2021-04-29T02:32:50Z" => 1_619_663_570,
        other => panic!("a date that the fixtures did not have: {other}"),
    }
}

#[tokio::test]
async fn what_is_not_ours_or_not_known_is_accepted_and_changes_nothing() {
    let running = start().await;
    running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.github().world(|world| world.uninstall(id));
    let deleted = running.taken();
    let mut of_another = body_of(&deleted);
    of_another["installation"]["app_id"] = json!(29_310);
    let mut repositories = of_another.clone();
    repositories["action"] = json!("removed");
    let action = |name: &str| {
        let mut body = body_of(&deleted);
        body["action"] = json!(name);
        body.to_string()
    };
    // That a delivery of ours was dealt with is noted, and nothing else.
    let items = async || {
        let mut items = running.items().await;
        items.retain(|item| item["sk"]["S"] != "DELIVERY");
        items
    };
    let before = items().await;
    for (number, delivery) in (1..).zip([
        with_header(&deleted, TARGET, Some("29310")),
        with_body(&deleted, of_another.to_string()),
        with_body(&message("installation_repositories", ""), repositories.to_string()),
        with_header(&message("installation", "{}"), TARGET, Some("29310")),
    ]) {
        let answer = running.deliver(&delivery).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(running.counted(Metric::WebhookOtherApp), number);
    }
    for (number, delivery) in (1..).zip([
        message("installation", action("transferred")),
        message("installation", action("Deleted")),
        message("installation", action("")),
        message("Installation", action("deleted")),
        message("push", "{\"ref\":\"refs/heads/main\"}"),
        message("installation_target", "{\"action\":\"moved\"}"),
        message("github_app_authorization", "{\"action\":\"granted\"}"),
        message("meta", "{\"action\":\"deleted\"}"),
    ]) {
        let answer = running.deliver(&delivery).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(running.counted(Metric::WebhookUnknown), number);
    }
    assert_eq!(items().await, before);
    assert_eq!(running.dealt(&deleted).await, "applied", "it was not taken for done");
}

#[tokio::test]
async fn forms_missing_headers_and_bodies_of_another_form_are_refused() {
    let running = start().await;
    running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.github().world(|world| world.uninstall(id));
    let deleted = running.taken();
    let before = running.items().await;
    for value in [Some("application/x-www-form-urlencoded"), Some("text/plain"), None] {
        let answer = running.deliver(&with_header(&deleted, "Content-Type", value)).await;
        assert_refused(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type");
    }
    for (name, value) in [
        ("X-GitHub-Event", None),
        ("X-GitHub-Event", Some("")),
        ("X-GitHub-Delivery", None),
        ("X-GitHub-Delivery", Some("a#b")),
        ("X-GitHub-Delivery", Some(&*"a".repeat(65))),
        (TARGET, None),
        (TARGET, Some("x")),
        (TARGET, Some("-1")),
    ] {
        let answer = running.deliver(&with_header(&deleted, name, value)).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "header");
        assert!(answer.body.contains(name), "{answer:?}");
    }
    for change in [
        json!({"action": "deleted"}),
        json!({"action": "deleted", "installation": null}),
        json!({"action": "deleted", "installation": {"id": "5001"}}),
        json!({"action": "deleted", "installation": {"id": -1}}),
        json!({"action": "suspend", "installation": {"id": 5001, "updated_at": "yesterday"}}),
        json!({"action": 7}),
    ] {
        let answer = running.deliver(&with_body(&deleted, change.to_string())).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "body");
    }
    assert_eq!(running.items().await, before);
    let charset = with_header(&deleted, "Content-Type", Some("Application/JSON; charset=utf-8"));
    assert_eq!(running.dealt(&charset).await, "applied");
}

#[tokio::test]
async fn the_same_delivery_ten_times_at_once_is_applied_once() {
    let running = start().await;
    let user = running.sign_in("newcomer").await;
    let account = running.account("newcomer");
    let id = running.github().world(|world| world.install(Target::Account(account), Selection::All));
    let created = running.taken();
    let answers = futures::future::join_all((0..10).map(|_| running.dealt(&created))).await;
    let applied = answers.iter().filter(|answer| *answer == "applied").count();
    let repeated = answers.iter().filter(|answer| *answer == "repeated").count();
    assert_eq!((applied, repeated), (1, 9), "{answers:?}");
    assert_eq!(running.shown_rows(&user).await.len(), 1);
    let before = running.items().await;
    assert_eq!(running.dealt(&created).await, "repeated");
    assert_eq!(running.items().await, before);
    assert_eq!(running.counted(Metric::WebhookRepeated), 10);
    running.github().world(|world| world.uninstall(id));
    let deleted = running.taken();
    let answers = futures::future::join_all((0..10).map(|_| running.dealt(&deleted))).await;
    assert_eq!(answers.iter().filter(|answer| *answer == "applied").count(), 1, "{answers:?}");
    assert_eq!(running.shown_rows(&user).await.len(), 0);
}

#[tokio::test]
async fn the_guid_of_one_app_says_nothing_of_another_and_a_ping_is_answered_each_time() {
    let running = start().await;
    let ping = message("ping", "{\"zen\":\"Keep it logically awesome.\"}");
    for _ in 0..2 {
        assert_eq!(running.dealt(&ping).await, "pong");
    }
    let body = json!({"action": "created", "installation": described(77, (5, "a", "User"), 1_700_000_000)});
    let created = message("installation", body.to_string());
    assert_eq!(
        running.deliver(&with_header(&created, TARGET, Some("77"))).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(running.dealt(&created).await, "applied");
    assert_eq!(running.known(77).await.unwrap().installation_id, InstallationId(77).0);
    let signed =
        with_header(&created, SIGNATURE, Some(&webhook_signature(SANDBOX_WEBHOOK_SECRET, &created.body)));
    assert_eq!(running.dealt(&signed).await, "repeated");
}
