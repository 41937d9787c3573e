//! What the tests of reconciliation share: runs, lost webhooks, worlds of a known size, and the question
//! whether the table says what GitHub says.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use local::sandbox_github::{DeliveryFaults, HowMany, Installation, Role, Selection, Target, World};
use local::stack::service_of;
use serde_json::Value;
use shared::failure::Failure;
use shared::github_app::reconcile::Summary;
use shared::runtime::Scheduled;
use shared::service::Service;
use shared::store::{KnownInstallation, ReconcileState};
use tokio::time::Instant;

use crate::behind::text;
use crate::harness::{Running, Setup};

/// The App's list of its installations.
pub(crate) const INSTALLATIONS: &str = "/app/installations";
/// The App's failed deliveries.
pub(crate) const DELIVERIES: &str = "/app/hook/deliveries";
/// More than any run of these tests takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// ann owns acme and globex; the App is installed on all three; ben has nothing yet.
pub(crate) fn small_world() -> World {
    let mut world = World::new();
    let ann = world.add_user("ann", "Owns everything");
    world.add_user("ben", "Has nothing yet");
    world.add_repository(ann, "notes");
    world.install(Target::Account(ann), Selection::All);
    for login in ["acme", "globex"] {
        let organization = world.add_organization(login);
        world.add_member(organization, ann, Role::Admin);
        world.add_repository(organization, "first");
        world.add_repository(organization, "second");
        world.install(Target::Account(organization), Selection::All);
    }
    world
}

/// The small world, and so many organisations more, each with an installation.
pub(crate) fn crowd(count: usize) -> World {
    let mut world = small_world();
    for number in 0..count {
        let organization = world.add_organization(&format!("crowd-{number:04}"));
        world.install(Target::Account(organization), Selection::All);
    }
    world
}

/// A service over that world, to which GitHub sends its webhooks by itself.
pub(crate) async fn start_in(world: World) -> Running {
    Setup { world, webhooks: true, ..Setup::default() }.start().await
}

/// What is counted, by kind.
pub(crate) fn kinds<const N: usize>(expected: [(&'static str, u64); N]) -> BTreeMap<&'static str, u64> {
    BTreeMap::from(expected)
}

/// One run of a service, with so much time.
pub(crate) async fn run(service: &Arc<Service>, full: bool, time: Duration) -> Result<Summary, Failure> {
    let deadline = Instant::now() + time;
    let result = reconcile::handle(service.clone(), Scheduled { full }, service.budget_until(deadline)).await;
    assert!(Instant::now() < deadline, "Lambda would have ended it");
    result
}

impl Running {
    /// A run of the usual kind that comes to its end.
    pub(crate) async fn changes(&self) -> Summary {
        self.finished(false).await
    }

    /// A full run that comes to its end.
    pub(crate) async fn full(&self) -> Summary {
        let summary = self.finished(true).await;
        assert_eq!(summary.run, "full");
        summary
    }

    async fn finished(&self, full: bool) -> Summary {
        let summary = self.try_run(full).await.expect("a run without a failure");
        assert!(summary.finished, "{summary:?}");
        assert_eq!(summary.github_calls, self.github().calls().len() as u64, "{:?}", self.requests());
        summary
    }

    /// A run, whatever becomes of it; only its own calls are remembered.
    pub(crate) async fn try_run(&self, full: bool) -> Result<Summary, Failure> {
        self.github().clear_calls();
        run(self.reconcile(), full, PATIENCE).await
    }

    /// Another process of the service: nothing cached, no connection open.
    pub(crate) fn another_service(&self) -> Arc<Service> {
        service_of("reconcile", &self.stack.settings, &self.clock).expect("valid settings")
    }

    /// The function's own service.
    pub(crate) fn reconcile(&self) -> &Arc<Service> {
        &self.stack.functions["reconcile"]
    }

    /// Something happens at GitHub, and its webhooks are lost.
    pub(crate) async fn unnoticed<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        let faults = DeliveryFaults { drop: HowMany::Always(true), ..DeliveryFaults::default() };
        self.with_webhooks(faults, change).await
    }

    /// Something happens at GitHub, and its webhooks reach nobody, which GitHub remembers.
    pub(crate) async fn failing<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        let faults = DeliveryFaults { fail: HowMany::Always(true), ..DeliveryFaults::default() };
        self.with_webhooks(faults, change).await
    }

    async fn with_webhooks<R>(&self, faults: DeliveryFaults, change: impl FnOnce(&mut World) -> R) -> R {
        self.github().deliveries(faults);
        let result = self.github().world(change);
        self.github().drain().await;
        self.github().deliveries(DeliveryFaults::default());
        result
    }

    /// The calls that reached GitHub, with their queries.
    pub(crate) fn requests(&self) -> Vec<String> {
        let calls = self.github().calls().into_iter();
        calls.map(|call| format!("{} {}?{}", call.method, call.path, call.query)).collect()
    }

    /// The pages of the whole list that GitHub was asked for.
    pub(crate) fn pages(&self) -> Vec<u32> {
        let calls = self.github().calls().into_iter();
        let listing = calls.filter(|call| call.path == INSTALLATIONS && !call.query.contains("since="));
        let page = |query: &str| query.rsplit_once("&page=").and_then(|(_, page)| page.parse().ok());
        let mut pages: Vec<u32> = listing.map(|call| page(&call.query).expect("a page")).collect();
        pages.sort_unstable();
        pages
    }

    pub(crate) async fn state(&self) -> ReconcileState {
        self.stack.service.table.reconcile_state().await.expect("the table answers")
    }

    /// Every item but those of reconciliation itself.
    pub(crate) async fn items_of_others(&self) -> BTreeMap<String, Value> {
        let mut items = self.items_by_key().await;
        items.retain(|key, _| !key.starts_with("\"RECONCILE\""));
        items
    }

    /// The table knows exactly the installations of GitHub, as GitHub has them; all rows say what is known
    /// and have their pointers; nothing is left of what is gone, and nothing is half done.
    pub(crate) async fn assert_repaired(&self, why: &str) {
        let there: BTreeMap<u64, _> = self.github().world(|world| {
            world.installations.values().map(|one| (one.id.0, facts_there(world, one))).collect()
        });
        let known = self.stack.service.table.all_installations().await.expect("the table answers");
        let here: BTreeMap<u64, _> = known.iter().map(|one| (one.installation_id, facts_here(one))).collect();
        assert_eq!((known.len(), &here), (there.len(), &there), "{why}");
        assert!(known.iter().all(|one| one.rows_at == one.version), "half done, {why}");

        let items = self.items().await;
        let of = |kind: &str| -> Vec<&Value> {
            items.iter().filter(|item| text(item, "sk").starts_with(kind)).collect()
        };
        let number = |item: &Value, name: &str| -> Option<u64> { item[name]["N"].as_str()?.parse().ok() };
        let by_id: BTreeMap<u64, _> = known.iter().map(|one| (one.installation_id, &one.facts)).collect();
        let (mut rows, mut ids) = (BTreeSet::new(), HashSet::new());
        for row in of("MAPPING#") {
            let installation = number(row, "installation_id").expect("a row has an installation");
            let facts = by_id.get(&installation).unwrap_or_else(|| panic!("{why}: of nothing: {row}"));
            assert_eq!(
                (row["account_name"]["S"].as_str(), row["repository_selection"]["S"].as_str()),
                (facts.account_name.as_deref(), facts.repository_selection.as_deref()),
                "{why}"
            );
            assert_eq!(number(row, "suspended_at").is_some(), facts.suspended_at.is_some(), "{why}: {row}");
            assert!(ids.insert(number(row, "id")), "{why}: two rows have the same number");
            rows.insert(format!("{installation} {}", text(row, "user_id")));
        }
        let pointers: BTreeSet<String> = of("INSTALLATION#USER#")
            .into_iter()
            .map(|item| {
                format!("{} {}", text(item, "pk").replace("INSTALLATION#", ""), text(item, "user_id"))
            })
            .collect();
        assert_eq!(rows, pointers, "{why}");
    }

    /// Nothing is left of it but that it was there.
    pub(crate) async fn assert_tombstone(&self, id: u64) {
        let loaded = self.stack.service.table.installation(id).await.expect("the table answers");
        let known = loaded.known.expect("it is remembered");
        assert!(known.is_gone() && known.expires_at.is_some(), "{known:?}");
        assert_eq!((known.facts, known.repositories, loaded.users), Default::default());
        let rows = self.items_of(&format!("MAPPING#{id:020}")).await;
        assert!(rows.is_empty(), "{rows:?}");
    }
}

type Facts = (Option<String>, bool, Option<String>);

fn facts_there(world: &World, installation: &Installation) -> Facts {
    let name = match installation.target {
        Target::Account(account) => world.login(account).map(str::to_owned),
        Target::Enterprise(id) => world.enterprises.get(&id).map(|enterprise| enterprise.slug.clone()),
    };
    let selection = if installation.selection == Selection::All { "all" } else { "selected" };
    let name = name.filter(|_| !installation.account_is_null);
    (name, installation.suspended.is_some(), Some(selection.to_owned()))
}

fn facts_here(known: &KnownInstallation) -> Facts {
    let facts = &known.facts;
    (facts.account_name.clone(), facts.suspended_at.is_some(), facts.repository_selection.clone())
}
