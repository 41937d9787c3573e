//! What the service asks GitHub as the App, without any request of a client: its installations, its failed
//! deliveries, what an installation reaches.

use std::collections::HashSet;
use std::time::Duration;

use http::{Method, StatusCode};
use local::sandbox_github::{
    AuthorizationKind, DeliveryFaults, Fault, FaultKind, HowMany, InstallationId, Selection, Target, World,
    demo_world,
};
use shared::clock::Clock;
use shared::failure::Failure;
use shared::github_app::{DeliveriesPage, InstallationReach, InstallationsPage};
use shared::provider::ProviderError;
use shared::provider::upstream::Budget;
use tokio::time::Instant;

use crate::harness::{Running, Setup, start};

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9/webhooks/github";

fn budget() -> Budget {
    Budget::new(Instant::now() + Duration::from_secs(25), 32)
}

/// The usual world and so many organisations more, each with an installation.
fn with_organizations(count: usize) -> World {
    let mut world = demo_world();
    for number in 0..count {
        let organization = world.add_organization(&format!("further-org-{number:03}"));
        world.install(Target::Account(organization), Selection::All);
    }
    world
}

fn ids(page: &InstallationsPage) -> Vec<u64> {
    page.installations.iter().map(|installation| installation.id).collect()
}

impl Running {
    async fn page(&self, since: Option<i64>, page: u32) -> Result<InstallationsPage, Failure> {
        let service = &self.stack.service;
        service.github_app.installations_page(&service.github, since, page, &budget()).await
    }

    async fn failed(&self, cursor: Option<&str>) -> DeliveriesPage {
        let service = &self.stack.service;
        service.github_app.failed_deliveries(&service.github, cursor, &budget()).await.unwrap()
    }

    async fn redeliver(&self, id: u64) -> Result<(), Failure> {
        let service = &self.stack.service;
        service.github_app.redeliver(&service.github, id, &budget()).await
    }

    async fn reach(&self, id: u64) -> Result<InstallationReach, Failure> {
        let service = &self.stack.service;
        service.github_app.installation_repositories(&service.github, id, &budget()).await
    }

    /// So many webhooks that GitHub sends in vain.
    async fn fail_pings(&self, count: usize) {
        self.github().deliveries(DeliveryFaults { fail: HowMany::Always(true), ..DeliveryFaults::default() });
        self.github().set_webhook_url(Some(NOWHERE.to_owned()));
        (0..count).for_each(|_| self.github().ping());
        self.github().drain().await;
    }

    fn statuses(&self) -> Vec<u16> {
        let calls = self.github().calls();
        calls.iter().map(|call| call.status.map_or(0, |status| status.as_u16())).collect()
    }
}

#[tokio::test]
async fn all_pages_of_many_installations_hold_each_of_them_once() {
    let running = Setup { world: with_organizations(230), ..Setup::default() }.start().await;
    let all: Vec<u64> = running.github().world(|world| world.installations.keys().map(|id| id.0).collect());
    let service = &running.stack.service;
    let app = service.github_app.app(&service.github, &budget()).await.unwrap();
    assert_eq!(app.installations_count, Some(all.len() as u64));
    assert!((app.date.unwrap() - running.clock.unix()).abs() <= 2);

    let first = running.page(None, 1).await.unwrap();
    assert_eq!((first.installations.len(), first.unreadable, first.next), (100, 0, true));
    assert_eq!(first.last_page as usize, all.len().div_ceil(100));
    assert!((first.date.unwrap() - running.clock.unix()).abs() <= 2);
    let mut found = ids(&first);
    for number in 2..=first.last_page {
        let page = running.page(None, number).await.unwrap();
        assert_eq!((page.last_page, page.next), (first.last_page, number < first.last_page), "{number}");
        found.extend(ids(&page));
    }
    let each: HashSet<u64> = found.iter().copied().collect();
    assert_eq!((found.len(), each), (all.len(), all.into_iter().collect()));
    assert!(running.github().calls().iter().all(|call| call.authorization == AuthorizationKind::Jwt));
}

#[tokio::test]
async fn installations_that_changed_since_a_time_are_listed_alone() {
    let running = start().await;
    let since = running.clock.unix() - 5;
    assert_eq!(ids(&running.page(Some(since), 1).await.unwrap()), [0; 0]);
    let (owner, octo_org) = (running.account("octocat"), running.installation("octo-org"));
    running.github().world(|world| world.suspend(octo_org, owner));
    let changed = running.page(Some(since), 1).await.unwrap();
    assert_eq!((ids(&changed), changed.last_page, changed.next), (vec![octo_org.0], 1, false));
    assert!(changed.installations[0].suspended_at.is_some());
    assert_eq!(ids(&running.page(Some(running.clock.unix() + 60), 1).await.unwrap()), [0; 0]);
    assert!(matches!(running.page(Some(i64::MAX), 1).await, Err(Failure::Internal(_))));
}

#[tokio::test]
async fn an_installation_is_none_only_where_github_says_that_there_is_none() {
    let running = start().await;
    let service = &running.stack.service;
    let ask =
        async |id: InstallationId| service.github_app.installation(&service.github, id.0, &budget()).await;
    let octo_org = running.installation("octo-org");
    let found = ask(octo_org).await.unwrap().unwrap();
    assert_eq!((found.id, found.account.unwrap().login.as_deref()), (octo_org.0, Some("octo-org")));
    let path = format!("/app/installations/{octo_org}");
    for (status, expected) in [(403, 403), (410, 502), (500, 502), (503, 502)] {
        running.break_github(&path, FaultKind::Status(StatusCode::from_u16(status).unwrap()));
        match ask(octo_org).await {
            Err(Failure::Provider { error, .. }) => assert_eq!(error.status(), expected, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
    for kind in [FaultKind::Html, FaultKind::TruncatedJson] {
        running.break_github(&path, kind);
        assert!(ask(octo_org).await.is_err());
    }
    running.github().clear_faults();
    running.github().world(|world| world.uninstall(octo_org));
    assert_eq!(ask(octo_org).await.unwrap(), None);
}

#[tokio::test]
async fn failed_deliveries_are_read_page_by_page_and_the_others_are_not() {
    let running = start().await;
    running.fail_pings(130).await;
    let first = running.failed(None).await;
    assert_eq!((first.deliveries.len(), first.unreadable), (100, 0));
    // What fails in the meantime moves no page.
    running.fail_pings(1).await;
    let second = running.failed(first.next.as_deref()).await;
    assert_eq!((second.deliveries.len(), &second.next), (30, &None));
    let mut logged = running.github().delivery_log();
    logged.truncate(130);
    let found: Vec<u64> = first.deliveries.iter().chain(&second.deliveries).map(|one| one.id).collect();
    assert_eq!(found, logged.iter().rev().map(|one| one.id).collect::<Vec<_>>(), "newest first");
    let newest = &first.deliveries[0];
    assert_eq!((newest.event.as_str(), newest.status_code, newest.redelivery), ("ping", Some(502), false));
    assert_eq!(newest.guid, logged[129].guid);
    assert!((newest.delivered_at - running.clock.unix()).abs() <= 30);
}

#[tokio::test]
async fn a_failed_delivery_is_sent_again_when_asked_for_and_refused_when_it_is_too_old() {
    let running = start().await;
    running.fail_pings(1).await;
    let failed = running.failed(None).await.deliveries.remove(0);
    running.redeliver(failed.id).await.unwrap();
    running.github().drain().await;
    let log = running.github().delivery_log();
    assert_eq!((log.len(), log[1].redelivery, &log[1].guid), (2, true, &failed.guid));

    let unknown = running.redeliver(1).await;
    assert!(matches!(unknown, Err(Failure::Provider { error: ProviderError::NotFound, .. })), "{unknown:?}");
    running.wait(3 * 86_400 + 1);
    let old = running.redeliver(failed.id).await;
    let error = ProviderError::BadResponse { status: 422 };
    assert!(matches!(old, Err(Failure::Provider { error: found, .. }) if found == error), "{old:?}");
}

#[tokio::test]
async fn an_attempt_that_may_have_reached_github_is_not_made_twice() {
    let running = start().await;
    running.fail_pings(1).await;
    let failed = running.failed(None).await.deliveries.remove(0);
    running.github().clear_calls();
    let path = format!("/app/hook/deliveries/{}/attempts", failed.id);
    running.github().fail(Fault::post(&path, FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE)));
    assert!(running.redeliver(failed.id).await.is_err());
    assert_eq!(running.statuses(), [503]);
}

#[tokio::test]
async fn all_repositories_of_an_installation_come_in_small_batches() {
    let running = start().await;
    let id = running.installation("big-installation").0;
    let InstallationReach::Repositories(found) = running.reach(id).await.unwrap() else { panic!("reached") };
    let each: HashSet<u64> = found.iter().map(|repository| repository.id).collect();
    assert_eq!((found.len(), each.len()), (1_500, 1_500));
    let calls = running.github().calls();
    assert_eq!(calls.len(), 16);
    assert_eq!((&calls[0].method, calls[0].authorization), (&Method::POST, AuthorizationKind::Jwt));
    assert!(calls[1..].iter().all(|call| call.authorization == AuthorizationKind::Installation));
    assert!(calls.iter().all(|call| call.in_flight <= 5), "GitHub asks for small batches");

    let id = running.installation("octo-org").0;
    let InstallationReach::Repositories(found) = running.reach(id).await.unwrap() else { panic!("reached") };
    let names: Vec<_> = found.iter().map(|one| (one.full_name.as_str(), one.private)).collect();
    assert_eq!(names, [("octo-org/api", true), ("octo-org/web", true), ("octo-org/docs", false)]);
}

#[tokio::test]
async fn suspended_and_gone_installations_reach_nothing_and_are_told_apart_from_failures() {
    let running = start().await;
    let suspended = running.installation("octo-labs").0;
    assert_eq!(running.reach(suspended).await.unwrap(), InstallationReach::Suspended);
    let octo_org = running.installation("octo-org");
    let list = "/installation/repositories";
    for kind in [
        FaultKind::Status(StatusCode::FORBIDDEN),
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FaultKind::SecondaryRateLimit { retry_after: 60 },
        FaultKind::TruncatedJson,
    ] {
        running.break_github(list, kind.clone());
        let failed = running.reach(octo_org.0).await;
        assert!(matches!(failed, Err(Failure::Provider { .. })), "{kind:?}: {failed:?}");
    }
    running.github().clear_faults();
    running.github().world(|world| world.uninstall(octo_org));
    assert_eq!(running.reach(octo_org.0).await.unwrap(), InstallationReach::Gone);
}

#[tokio::test]
async fn a_list_with_a_page_that_fails_is_no_list() {
    let running = start().await;
    let id = running.installation("big-installation").0;
    let fault = Fault::get("/installation/repositories", FaultKind::Status(StatusCode::BAD_GATEWAY));
    running.github().fail(fault.where_query("page=9"));
    assert!(matches!(running.reach(id).await, Err(Failure::Provider { .. })));
}

#[tokio::test]
async fn a_token_that_github_does_not_know_everywhere_yet_is_tried_once_more() {
    let running = start().await;
    let id = running.installation("octo-org").0;
    let unknown = || Fault::get("/installation/repositories", FaultKind::Status(StatusCode::UNAUTHORIZED));
    running.github().fail(unknown().times(1));
    assert!(matches!(running.reach(id).await.unwrap(), InstallationReach::Repositories(_)));
    assert_eq!(running.statuses(), [201, 401, 200]);

    running.github().clear_calls();
    running.github().fail(unknown());
    assert!(running.reach(id).await.is_err());
    assert_eq!(running.statuses(), [201, 401, 401]);
}

#[tokio::test]
async fn a_wrong_clock_is_repaired_for_what_changes_something_too() {
    for (github_ahead, we_ahead) in [(1_200, 0), (0, 1_200)] {
        let github_clock = Clock::system();
        github_clock.advance(Duration::from_secs(github_ahead));
        let running = Setup { github_clock: Some(github_clock), ..Setup::default() }.start().await;
        running.wait(we_ahead);
        running.fail_pings(1).await;
        let id = running.github().delivery_log()[0].id;
        running.redeliver(id).await.unwrap();
        running.github().drain().await;
        assert_eq!(running.statuses(), [401, 202], "{github_ahead} {we_ahead}");
        assert_eq!(running.github().delivery_log().len(), 2, "sent again once");
    }
}

#[tokio::test]
async fn a_rate_limit_is_a_failure_that_says_how_long_to_wait() {
    let running = start().await;
    let limit = async |fault: Fault| {
        running.github().clear_faults();
        running.github().fail(fault);
        let reached = running.reach(running.installation("octo-org").0).await;
        let listed = running.page(None, 1).await;
        let found = [reached.err(), listed.err()].into_iter().flatten().next();
        match found {
            Some(Failure::Provider { error: ProviderError::RateLimited { retry_after }, .. }) => retry_after,
            other => panic!("{other:?}"),
        }
    };
    let list = "/app/installations";
    let secondary = FaultKind::SecondaryRateLimit { retry_after: 7 };
    assert_eq!(limit(Fault::get(list, secondary)).await, Some(7));
    assert_eq!(limit(Fault::get(list, FaultKind::TooManyRequests { retry_after: 8 })).await, Some(8));
    let primary = limit(Fault::get(list, FaultKind::PrimaryRateLimit { reset_in: 600 })).await;
    assert!(primary.is_some_and(|seconds| (590..=600).contains(&seconds)), "{primary:?}");
    let token = format!("{list}/{}/access_tokens", running.installation("octo-org"));
    let creating = Fault::post(&token, FaultKind::SecondaryRateLimit { retry_after: 9 });
    assert_eq!(limit(creating).await, Some(9));
}
