//! What keeping the mapping true costs: 10,000 signed deliveries through the webhook's handler, one large one,
//! and reconciling 5,000 installations with 10 differences; time, DynamoDB calls, GitHub calls.
//!
//! `cargo bench -p local --bench mapping`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on says where")]

use std::time::{Duration, Instant};

use local::sandbox_github::{AccountId, InstallationId, Role, Selection, SignedDelivery, Target, World};
use local::stack::{Options, Stack};
use shared::clock::Clock;
use shared::contract::Request;
use shared::runtime::Scheduled;

const INSTALLATIONS: usize = 1_000;
const LARGE: usize = 40_000;
const RECONCILED: usize = 5_000;

#[tokio::main]
async fn main() {
    deliveries().await;
    large().await;
    reconciliation().await;
}

async fn start(world: World) -> (Stack, Clock) {
    let clock = Clock::system();
    let stack = Stack::start(Options::in_memory(world, clock.clone()));
    (stack.await.expect("the stack starts"), clock)
}

fn organizations(world: &mut World, count: usize, repositories: usize) -> Vec<AccountId> {
    let owner = world.add_user("owner", "Owns them all");
    (0..count)
        .map(|number| {
            let organization = world.add_organization(&format!("org-{number}"));
            world.add_member(organization, owner, Role::Admin);
            for name in 0..repositories {
                world.add_repository(organization, &format!("repository-{name}"));
            }
            organization
        })
        .collect()
}

fn request(delivery: SignedDelivery) -> Request {
    let mut request = http::Request::post("/webhooks/github");
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    let body = String::from_utf8(delivery.body).expect("JSON");
    request.body(lambda_http::Body::Text(body)).expect("a request")
}

/// What happens to one of the installations, with its place among them.
type Step = fn(&mut World, InstallationId, usize);

/// Ten things happen to each installation, a second apart, and are told in their order.
async fn deliveries() {
    let mut world = World::new();
    world.repositories_date_installations = true;
    let accounts = organizations(&mut world, INSTALLATIONS, 3);
    let (stack, clock) = start(world).await;
    let github = stack.github.clone().expect("the sandbox");
    let steps: [(&str, Step); 9] = [
        ("suspend", |world, id, _| world.suspend_by_owner(id)),
        ("unsuspend", |world, id, _| world.unsuspend(id)),
        ("repositories added", |world, id, _| {
            let one = *world.repositories.keys().nth_back(0).unwrap();
            world.add_repository_to_installation(id, one);
        }),
        ("repositories added (all)", |world, id, _| world.select_repositories(id, Selection::All)),
        ("suspend", |world, id, _| world.suspend_by_owner(id)),
        ("unsuspend", |world, id, _| world.unsuspend(id)),
        ("renamed", |world, id, number| {
            let Target::Account(account) = world.installations[&id].target else { return };
            world.rename(account, &format!("renamed-{number}"));
        }),
        ("suspend", |world, id, _| world.suspend_by_owner(id)),
        ("deleted", |world, id, _| world.uninstall(id)),
    ];
    let ids: Vec<InstallationId> = github.world(|world| {
        accounts
            .iter()
            .map(|account| {
                let owned: Vec<_> = world
                    .repositories
                    .values()
                    .filter(|one| one.owner == *account)
                    .map(|one| one.id)
                    .collect();
                world.install(Target::Account(*account), Selection::Selected([owned[0], owned[1]].into()))
            })
            .collect()
    });
    println!(
        "{} deliveries of {INSTALLATIONS} installations, one after the other",
        (steps.len() + 1) * INSTALLATIONS
    );
    let mut spent = deliver(&stack, "created", github.take_undelivered()).await;
    for (name, step) in steps {
        clock.advance(Duration::from_secs(1));
        github.world(|world| {
            for (number, id) in ids.iter().enumerate() {
                step(world, *id, number);
            }
        });
        spent += deliver(&stack, name, github.take_undelivered()).await;
    }
    println!("  all: {:.2} s\n", spent.as_secs_f64());
    stack.stop().await;
}

async fn deliver(stack: &Stack, name: &str, some: Vec<SignedDelivery>) -> Duration {
    assert_eq!(some.len(), INSTALLATIONS, "{name}");
    let hook = stack.dynamodb.hook();
    hook.reset();
    let started = Instant::now();
    for delivery in some {
        let answer =
            github_webhook::handle(stack.functions["github-webhook"].clone(), request(delivery)).await;
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let spent = started.elapsed();
    let each = |times: usize| times as f64 / INSTALLATIONS as f64;
    let calls: Vec<String> = hook
        .all_calls()
        .iter()
        .map(|(operation, times)| format!("{operation} {:.2}", each(*times)))
        .collect();
    let micros = spent.as_secs_f64() * 1e6 / INSTALLATIONS as f64;
    println!("  {name:<26} {micros:>7.0} us each   {}", calls.join(", "));
    spent
}

/// As many repositories as a delivery of Lambda's 6 MB can name.
async fn large() {
    let mut world = World::new();
    let account = organizations(&mut world, 1, LARGE)[0];
    let (stack, _) = start(world).await;
    let github = stack.github.clone().expect("the sandbox");
    github.world(|world| world.install(Target::Account(account), Selection::All));
    let delivery = github.take_undelivered().remove(0);
    let bytes = delivery.body.len();
    let hook = stack.dynamodb.hook();
    hook.reset();
    let request = request(delivery);
    let started = Instant::now();
    let answer = github_webhook::handle(stack.service.clone(), request).await;
    let elapsed = started.elapsed();
    assert!(answer.status().is_success(), "{answer:?}");
    println!("created with {LARGE} repositories, {bytes} bytes: {elapsed:.0?}, {:?}", hook.all_calls());
    github.world(|world| world.add_repository(account, "one-more"));
    let delivery = github.take_undelivered().remove(0);
    let request = self::request(delivery);
    let started = Instant::now();
    let answer = github_webhook::handle(stack.service.clone(), request).await;
    let elapsed = started.elapsed();
    assert!(answer.status().is_success(), "{answer:?}");
    println!("one repository added to them: {elapsed:.0?}\n");
    stack.stop().await;
}

async fn reconciliation() {
    let mut world = World::new();
    let accounts = organizations(&mut world, RECONCILED + 2, 0);
    for account in &accounts[..RECONCILED] {
        world.install(Target::Account(*account), Selection::All);
    }
    let (stack, clock) = start(world).await;
    let github = stack.github.clone().expect("the sandbox");
    println!("{RECONCILED} installations");
    reconcile(&stack, true, "first run").await;
    let ids: Vec<InstallationId> = github.world(|world| world.installations.keys().copied().collect());
    reconcile(&stack, false, "changes, no difference").await;
    reconcile(&stack, true, "full, no difference").await;
    clock.advance(Duration::from_secs(60));
    github.world(|world| {
        for id in &ids[..5] {
            world.suspend_by_owner(*id);
        }
        for id in &ids[5..10] {
            world.accept_permissions(*id);
            world.suspend_by_owner(*id);
        }
    });
    drop(github.take_undelivered());
    reconcile(&stack, false, "changes, 10 suspended").await;
    clock.advance(Duration::from_secs(60));
    github.world(|world| {
        for id in &ids[..3] {
            world.unsuspend(*id);
        }
        for account in &accounts[RECONCILED..] {
            world.install(Target::Account(*account), Selection::All);
        }
        for id in &ids[10..15] {
            world.uninstall(*id);
        }
    });
    drop(github.take_undelivered());
    reconcile(&stack, false, "changes, 10 of 3 kinds, 5 of them deleted").await;
    stack.stop().await;
}

async fn reconcile(stack: &Stack, full: bool, name: &str) {
    let hook = stack.dynamodb.hook();
    hook.reset();
    let started = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    let budget = stack.service.budget_until(deadline);
    let summary = reconcile::handle(stack.functions["reconcile"].clone(), Scheduled { full }, budget).await;
    let summary = summary.expect("GitHub answers");
    assert!(summary.finished, "{summary:?}");
    println!(
        "  {name:<44} {:>4} GitHub calls, {:>5.2} s, {:?}, DynamoDB {:?}",
        summary.github_calls,
        started.elapsed().as_secs_f64(),
        summary.drift,
        hook.all_calls()
    );
}
