//! One real item of every kind, out of the flows that write it: held against the kinds that the store knows, and
//! written to `shared/fixtures/items` where a release is to add its own. That they are read is tested in `shared`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use local::aws::hook;
use local::sandbox_github::Selection;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shared::store::kinds::{KINDS, kind_of};

use crate::behind::text;
use crate::harness::{Running, Setup};
use crate::reconcile_lab::{small_world, start_in};
use crate::webhooks::{body_of, message};

/// Set to have the items written; any value will do.
const WRITE: &str = "WRITE_ITEMS";

/// The items that have been seen, by the name of their fixture.
#[derive(Default)]
struct Seen(BTreeMap<String, Items>);

/// What was seen of one kind.
#[derive(Default)]
struct Items {
    /// The item that has the most attributes.
    richest: Value,
    /// The attributes that any of them has.
    attributes: BTreeSet<String>,
}

fn names(item: &Value) -> impl Iterator<Item = &String> {
    item.as_object().into_iter().flat_map(serde_json::Map::keys)
}

impl Seen {
    /// Looks at the whole table.
    async fn look(&mut self, running: &Running) {
        for item in running.items().await {
            let (pk, sk) = (text(&item, "pk"), text(&item, "sk"));
            let kind = kind_of(pk, sk).unwrap_or_else(|| panic!("an item of no kind that is known: {item}"));
            let brokered = item["brokered"]["BOOL"] == true;
            let name = if brokered { format!("{}-brokered", kind.name) } else { kind.name.to_owned() };
            let items = self.0.entry(name).or_default();
            items.attributes.extend(names(&item).cloned());
            if names(&item).count() > names(&items.richest).count() {
                items.richest = item;
            }
        }
    }
}

/// What is given back or taken away stays in the table while this holds.
fn nothing_is_deleted(running: &Running) {
    let denied = hook::Fault::error(StatusCode::BAD_REQUEST, "AccessDeniedException");
    running.stack.dynamodb.hook().fail_next("DeleteItem", 10_000, &denied);
}

/// Users who sign in at GitHub and the enterprise SSO, ask, renew a token, and sign out.
async fn users(seen: &mut Seen) {
    let running = Setup { other_hosts: true, ..Setup::default() }.start().await;
    let octocat = running.sign_in("octocat").await;
    running.get("/user/installations").api_key(&octocat).send().await;
    running.get("/api/user/repositories").api_key(&octocat).send().await;
    let jwt = running.stack.service.github_app.jwt().await.unwrap();
    running.get("/users/octocat/installation").bearer(jwt.token().expose_secret()).send().await;
    seen.look(&running).await;

    // The list grows and shrinks within a second, and GitHub cannot say which came first.
    let id = running.installation("octo-org");
    running.clock.advance(Duration::from_secs(60));
    running.github().world(|world| world.select_repositories(id, Selection::All));
    let added = running.github().take_undelivered();
    let mut removed = body_of(&added[0]);
    let list = removed["repositories_added"].take();
    removed["action"] = json!("removed");
    removed["repositories_added"] = json!([]);
    removed["repositories_removed"] = list;
    running.dealt(&added[0]).await;
    running.dealt(&message("installation_repositories", removed.to_string())).await;
    seen.look(&running).await;

    let browser = running.browser();
    browser.sso_user("sso-cat").await;
    seen.look(&running).await;
    running.openid().backchannel_logout("sso-cat").await.expect("it is sent");
    nothing_is_deleted(&running);
    running.clock.advance(Duration::from_secs(8 * 3600 + 1));
    running.get("/user/installations").api_key(&octocat).send().await;
    running.stack.dynamodb.hook().reset();
    seen.look(&running).await;
    running.stack.stop().await;
}

/// Webhooks that fail, and a full run of reconciliation.
async fn reconciliation(seen: &mut Seen) {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    nothing_is_deleted(&running);
    running.try_run(true).await.unwrap();
    seen.look(&running).await;
    running.stack.dynamodb.hook().reset();
    running.wait(3_600);
    let acme = running.installation("acme");
    running.failing(|world| world.uninstall(acme)).await;
    running.try_run(false).await.unwrap();
    running.github().drain().await;
    seen.look(&running).await;
    running.stack.stop().await;
}

#[tokio::test]
async fn an_item_of_a_newer_version_fails_its_request_and_one_without_a_version_is_of_the_first() {
    let running = Setup::default().start().await;
    let octocat = running.sign_in("octocat").await;
    let mut session = running.items().await;
    session.retain(|item| text(item, "sk") == "SESSION");
    let [session] = &mut session[..] else { panic!("{session:?}") };
    session["v"] = json!({"N": "2"});
    running.put_item(session).await;
    let answer = running.get("/api/keys").session(&octocat).send().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    assert!(!answer.body.contains("newer"), "for the log only: {answer:?}");
    session.as_object_mut().unwrap().remove("v");
    running.put_item(session).await;
    assert_eq!(running.get("/api/keys").session(&octocat).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn there_is_a_real_item_of_every_kind_and_the_release_has_its_fixture() {
    let mut seen = Seen::default();
    users(&mut seen).await;
    reconciliation(&mut seen).await;
    let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.0.contains_key(kind.name)).collect();
    assert!(missing.is_empty(), "no flow has written {missing:?}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = root.join("shared/fixtures/items").join(env!("CARGO_PKG_VERSION"));
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, items) in &seen.0 {
            let text = serde_json::to_string_pretty(&items.richest).unwrap() + "\n";
            std::fs::write(folder.join(format!("{name}.json")), text).unwrap();
        }
    }
    for (name, items) in &seen.0 {
        let file = folder.join(format!("{name}.json"));
        let fixture = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let fixture: Value = serde_json::from_slice(&fixture).unwrap();
        assert_eq!(fixture["v"], items.richest["v"], "{name}: the schema has changed since");
        let unwritten: Vec<_> = names(&fixture).filter(|name| !items.attributes.contains(*name)).collect();
        assert!(unwritten.is_empty(), "{name}: {unwritten:?} is not written any more");
    }
}
