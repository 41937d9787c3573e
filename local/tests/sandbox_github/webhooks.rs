//! Webhooks: their signature, their headers, their shapes, and that nothing changes without one.
//! Their log and what goes wrong on their way is tested in `deliveries`.

use local::sandbox_github::{RepositoryId, Selection, SignedDelivery, Target, World, webhook_signature};
use serde_json::Value;

use super::lab::{Lab, WEBHOOK_SECRET};
use super::receiver::Receiver;

/// Event and action of what waits, and its body.
fn waiting(lab: &Lab) -> Vec<(String, Value)> {
    lab.github.take_undelivered().iter().map(|one| (name(one), body(one))).collect()
}

fn body(delivery: &SignedDelivery) -> Value {
    serde_json::from_slice(&delivery.body).unwrap()
}

fn name(delivery: &SignedDelivery) -> String {
    let event = delivery.headers.iter().find(|(name, _)| name == "X-GitHub-Event").unwrap().1.clone();
    body(delivery)["action"].as_str().map_or(event.clone(), |action| format!("{event}.{action}"))
}

fn names(lab: &Lab) -> Vec<String> {
    waiting(lab).into_iter().map(|(name, _)| name).collect()
}

fn octo_org(world: &World) -> local::sandbox_github::Installation {
    let id = world.organization("octo-org").unwrap().id;
    world.installation_on(Target::Account(id)).unwrap().clone()
}

#[test]
fn the_signature_is_githubs_published_one() {
    assert_eq!(
        webhook_signature("It's a Secret to Everybody", b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}

#[tokio::test]
async fn a_delivery_has_githubs_headers_and_is_signed_over_its_bytes() {
    let (lab, receiver) = (Lab::new().await, Receiver::start().await);
    lab.github.set_webhook_url(Some(receiver.url.clone()));
    let id = lab.github.world(|world| {
        let newcomer = world.user("newcomer").unwrap().id;
        world.install(Target::Account(newcomer), Selection::All)
    });
    lab.github.drain().await;
    let received = receiver.take();
    let one = &received[0];
    assert_eq!((received.len(), one.json()["installation"]["id"].as_u64()), (1, Some(id.0)));
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-github-event", "installation"),
        ("x-github-hook-id", "501"),
        ("x-github-hook-installation-target-id", "4242"),
        ("x-github-hook-installation-target-type", "integration"),
    ] {
        assert_eq!(one.header(name), value, "{name}");
    }
    assert!(one.header("user-agent").starts_with("GitHub-Hookshot/"));
    assert_eq!(one.header("x-hub-signature-256"), webhook_signature(WEBHOOK_SECRET, &one.body));
    let guid = one.header("x-github-delivery");
    assert_eq!(guid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    lab.github.set_webhook_secret("another");
    lab.github.ping();
    lab.github.drain().await;
    let ping = receiver.take().remove(0);
    assert_eq!(ping.header("x-hub-signature-256"), webhook_signature("another", &ping.body));
}

/// The keys of every object, and what kind of value a date is; data inside is not compared.
fn shape(value: &Value, path: &str, lines: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            lines.push(format!("{path}: {{{}}}", {
                let mut keys: Vec<&str> = entries.keys().map(String::as_str).collect();
                keys.sort_unstable();
                keys.join(",")
            }));
            for (key, value) in entries.iter().filter(|(key, _)| *key != "permissions") {
                shape(value, &format!("{path}.{key}"), lines);
            }
        }
        Value::Array(values) => {
            if let Some(first) = values.first().filter(|first| first.is_object()) {
                shape(first, &format!("{path}[]"), lines);
            }
        }
        Value::String(text) if path.ends_with("_at") => lines.push(format!("{path}: {}", digits(text))),
        Value::Number(_) if path.ends_with("_at") => lines.push(format!("{path}: number")),
        _ => {}
    }
}

/// A date with its digits made equal; a sign is a sign.
fn digits(text: &str) -> String {
    text.chars().map(|one| if one.is_ascii_digit() { '0' } else { one }).collect()
}

fn shape_of(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    shape(value, "", &mut lines);
    lines.sort();
    lines
}

#[tokio::test]
async fn payloads_have_the_keys_and_dates_of_githubs_examples() {
    let lab = Lab::new().await;
    lab.github.world(|world| {
        let newcomer = world.user("newcomer").unwrap().id;
        let reader = world.user("reader").unwrap().id;
        let one = world.add_repository(newcomer, "one");
        let two = world.add_repository(newcomer, "two");
        let target = Target::Account(newcomer);
        let selection = Selection::Selected([one].into());
        let id = world.acting_as(newcomer).requested_by(reader).install(target, selection);
        world.suspend(id, newcomer);
        world.unsuspend(id);
        world.requested_by(reader).add_repository_to_installation(id, two);
        world.remove_repository_from_installation(id, one);
        world.app.permissions.insert("issues".to_owned(), "write".to_owned());
        world.accept_permissions(id);
        world.uninstall(id);
    });
    lab.github.revoke_grant("newcomer");
    let sent = waiting(&lab);
    let examples = [
        ("installation.created", include_str!("examples/installation.created.2.json")),
        ("installation.suspend", include_str!("examples/installation.suspend.5.json")),
        ("installation.unsuspend", include_str!("examples/installation.unsuspend.6.json")),
        ("installation_repositories.added", include_str!("examples/installation_repositories.added.1.json")),
        (
            "installation_repositories.removed",
            include_str!("examples/installation_repositories.removed.2.json"),
        ),
        (
            "installation.new_permissions_accepted",
            include_str!("examples/installation.new_permissions_accepted.4.json"),
        ),
        ("installation.deleted", include_str!("examples/installation.deleted.3.json")),
        (
            "github_app_authorization.revoked",
            include_str!("examples/github_app_authorization.revoked.0.json"),
        ),
    ];
    assert_eq!(sent.len(), examples.len());
    for ((name, payload), (expected, example)) in sent.iter().zip(examples) {
        assert_eq!(name, expected);
        assert_eq!(shape_of(payload), shape_of(&serde_json::from_str(example).unwrap()), "{name}");
    }
    assert_eq!(sent[0].1["requester"]["login"], "reader");
    assert_eq!(sent[0].1["repositories"][0]["full_name"], "newcomer/one");
    assert!(sent[1].1["installation"]["suspended_at"].as_str().unwrap().ends_with('Z'));
    assert!(sent[2].1["installation"]["suspended_at"].is_null());
    assert_eq!(sent[3].1["repositories_added"][0]["name"], "two");
    assert_eq!(sent[4].1["repositories_removed"][0]["name"], "one");
}

#[tokio::test]
async fn a_ping_names_the_hook_and_a_rename_both_logins() {
    let lab = Lab::new().await;
    lab.github.ping();
    let installation = lab.github.world(|world| {
        let id = world.organization("octo-org").unwrap().id;
        world.rename(id, "renamed-org");
        world.installation_on(Target::Account(id)).unwrap().id
    });
    let sent = waiting(&lab);
    let example: Value = serde_json::from_str(include_str!("examples/ping.ping.0.json")).unwrap();
    assert_eq!((sent[0].0.as_str(), sent[0].1["zen"].clone()), ("ping", example["zen"].clone()));
    for key in ["type", "id", "name", "active", "events", "config", "updated_at", "created_at"] {
        assert!(example["hook"].get(key).is_some() && sent[0].1["hook"].get(key).is_some(), "{key}");
    }
    let (name, renamed) = &sent[1];
    assert_eq!(name, "installation_target.renamed");
    assert_eq!(renamed["changes"]["login"]["from"], "octo-org");
    assert_eq!(renamed["account"]["login"], "renamed-org");
    assert_eq!(renamed["target_type"], "Organization");
    let keys: Vec<&String> = renamed["installation"].as_object().unwrap().keys().collect();
    assert_eq!((keys.len(), renamed["installation"]["id"].as_u64()), (2, Some(installation.0)));
    assert!(renamed["installation"]["node_id"].is_string());
}

#[tokio::test]
async fn nothing_changes_without_its_event_not_even_through_the_public_fields() {
    let lab = Lab::new().await;
    assert!(names(&lab).is_empty(), "what was there at the start has happened before");
    lab.github.world(|world| {
        let id = octo_org(world).id;
        world.installations.get_mut(&id).unwrap().selection = Selection::All;
    });
    assert_eq!(names(&lab), ["installation_repositories.added"]);
    lab.github.world(|world| {
        let (id, octocat) = (octo_org(world).id, world.user("octocat").unwrap().id);
        world.installations.remove(&id);
        world.users.get_mut(&octocat).unwrap().login = "octodog".to_owned();
    });
    assert_eq!(names(&lab), ["installation.deleted", "installation_target.renamed"]);
    lab.github.world(|world| {
        let (org, octocat) = (world.organization("octo-org").unwrap().id, world.user("octodog").unwrap().id);
        let mut installation = world.installations.values().next().unwrap().clone();
        installation.id.0 = 999_999;
        installation.target = Target::Account(org);
        world.installations.insert(installation.id, installation.clone());
        world.suspend(installation.id, octocat);
    });
    assert_eq!(names(&lab), ["installation.created", "installation.suspend"]);
    lab.github.world(|world| {
        let id = octo_org(world).id;
        world.installations.get_mut(&id).unwrap().permissions.clear();
        world.unsuspend(id);
    });
    assert_eq!(names(&lab), ["installation.unsuspend", "installation.new_permissions_accepted"]);
    lab.github.world(|world| world.user("reader").map(|user| user.id));
    assert!(names(&lab).is_empty(), "looking is not changing");
}

#[tokio::test]
async fn repositories_are_told_as_the_selection_changes() {
    let lab = Lab::new().await;
    let id = lab.github.world(|world| octo_org(world).id);
    let change = |selection| lab.github.world(|world| world.select_repositories(id, selection));
    change(Selection::All);
    let sent = waiting(&lab);
    assert_eq!(sent[0].1["repository_selection"], "all");
    let all: Vec<RepositoryId> = lab.github.world(|world| {
        let org = world.organization("octo-org").unwrap().id;
        world.repositories.values().filter(|one| one.owner == org).map(|one| one.id).collect()
    });
    change(Selection::Selected([all[0]].into()));
    change(Selection::Selected([all[1]].into()));
    let sent = waiting(&lab);
    assert_eq!(sent[0].1["repositories_removed"].as_array().unwrap().len(), all.len() - 1);
    assert_eq!(sent[0].1["repository_selection"], "selected");
    assert_eq!(
        sent.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        [
            "installation_repositories.removed",
            "installation_repositories.added",
            "installation_repositories.removed"
        ]
    );
    change(Selection::All);
    names(&lab);
    lab.github.world(|world| {
        let org = world.organization("octo-org").unwrap().id;
        world.add_repository(org, "first-new");
        let new = world.add_repository(org, "second-new");
        world.delete_repository(new);
    });
    let sent = waiting(&lab);
    assert_eq!(sent[0].1["repositories_added"].as_array().unwrap().len(), 2);
    assert_eq!(sent[1].1["repositories_removed"][0]["name"], "second-new");
}

#[tokio::test]
async fn a_change_moves_updated_at_and_the_choice_of_repositories_may() {
    let lab = Lab::new().await;
    let at = || lab.github.world(|world| octo_org(world).updated_at);
    let (id, all) = lab.github.world(|world| (octo_org(world).id, Selection::All));
    let before = at();
    lab.github.world(|world| {
        world.repositories_date_installations = false;
        world.select_repositories(id, all.clone());
    });
    assert_eq!(at(), before);
    lab.github.world(|world| {
        world.repositories_date_installations = true;
        world.select_repositories(id, Selection::Selected([].into()));
    });
    assert_ne!(at(), before);
    let before = at();
    lab.clock.advance(std::time::Duration::from_secs(1));
    lab.github.world(|world| {
        let octocat = world.user("octocat").unwrap().id;
        world.suspend(id, octocat);
    });
    assert_ne!(at(), before);
    assert!(at().ends_with('Z') && at().len() == "2024-01-01T00:00:00Z".len(), "to the second");
}
