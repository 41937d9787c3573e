//! Every call that the service makes to a host, and every way in which it can go wrong: what becomes of it, seen over
//! HTTP through the whole service, with a front before each host. `docs/failures.md` is what was seen.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../end_to_end/behind.rs"]
mod behind;
mod cell;
mod drive;
mod fault;
mod front;
#[path = "../end_to_end/harness.rs"]
mod harness;
#[allow(dead_code, reason = "the rules of the policies use all of it")]
#[path = "../policies/requests.rs"]
mod requests;
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../end_to_end/sso_lab.rs"]
mod sso_lab;
mod table;
mod unreachable;
mod ways;
mod wire;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use crate::drive::Lab;
use crate::front::{Endpoint, Fronts, Seen};
use crate::harness::Setup;
use crate::requests::{Caller, ask, cases};
use crate::ways::{WAYS, Way, endpoints};

/// Stacks at the same time: most of what they do is waiting.
const AT_ONCE: usize = 12;

/// The calls of these that no way knows.
fn unknown(seen: &BTreeSet<Seen>) -> Vec<&Seen> {
    let known = endpoints();
    seen.iter().filter(|seen| !known.iter().any(|endpoint| endpoint.is(seen))).collect()
}

/// What becomes of all failures of one call, in a stack of its own.
async fn of_way(way: &'static Way) -> table::Seen {
    let started = Instant::now();
    let mut lab = Lab::start(way).await;
    let outcomes = cell::of_way(&mut lab).await;
    let seen = lab.fronts.seen();
    assert_eq!(unknown(&seen), Vec::<&Seen>::new(), "calls that are in no way");
    println!("{:?} {} {}: {}", started.elapsed(), way.endpoint.method, way.endpoint.path, way.title);
    lab.running.stack.stop().await;
    (way, outcomes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_of_every_call_has_its_answer_and_costs_nothing_else() {
    let only = std::env::var("FAULTS_OF").unwrap_or_default();
    let wanted = WAYS.iter().enumerate().filter(|(number, way)| {
        let name = format!("{number} {} {} {}", way.endpoint.method, way.endpoint.path, way.title);
        name.contains(&only)
    });
    let ways = stream::iter(wanted.collect::<Vec<_>>()).map(|(_, way)| async move {
        // One that breaks a rule keeps no other from being looked at; the panic's own words are in the output.
        let seen = AssertUnwindSafe(of_way(way)).catch_unwind().await;
        seen.map_err(|_| way.title)
    });
    let ways: Vec<Result<table::Seen, &str>> = ways.buffered(AT_ONCE).collect().await;
    let (seen, broken): (Vec<_>, Vec<_>) = ways.into_iter().partition(Result::is_ok);
    let broken: Vec<&str> = broken.into_iter().filter_map(Result::err).collect();
    let seen: Vec<table::Seen> = seen.into_iter().flatten().collect();
    if !broken.is_empty() {
        eprintln!("{}", table::matrix(&seen));
    }
    assert!(broken.is_empty(), "{broken:#?}");
    if only.is_empty() {
        insta::assert_snapshot!("matrix", table::matrix(&seen));
        table::hold(&table::document(&seen));
    } else {
        eprintln!("{}", table::matrix(&seen));
    }
}

#[tokio::test]
async fn no_route_makes_a_call_that_the_matrix_does_not_know() {
    let fronts = Fronts::new();
    let front = Some(Arc::new(fronts.clone()) as Arc<dyn local::front::Front>);
    let running = Setup { other_hosts: true, front, ..Setup::default() }.start().await;
    fronts.keep_time(&running.clock);
    let browser = running.browser();
    for (provider, login) in [("github", "octocat"), ("gitlab", "gitlab-cat"), ("bitbucket", "bitbucket-cat")]
    {
        browser.link(provider, login).await;
    }
    let user = browser.as_user().await;
    for caller in [Caller::ApiKey, Caller::Session, Caller::GithubUserToken, Caller::AppJwt] {
        let mut cases = cases(&user);
        // What takes the tokens away comes last: without them nothing is asked.
        cases.sort_by_key(|case| case.route.contains("unset") || case.route.contains("logout"));
        for case in cases {
            ask(&running, &user, &case, caller).await;
        }
    }
    let seen = fronts.seen();
    assert!(seen.len() > 8, "{seen:#?}");
    assert_eq!(unknown(&seen), Vec::<&Seen>::new(), "write a way for each of them");
}

#[test]
fn a_call_is_known_by_its_host_its_method_and_the_form_of_its_path() {
    let endpoint =
        Endpoint { host: shared::provider::ProviderType::Github, method: "GET", path: "/users/{}/x" };
    let seen = |method: &str, path: &str| Seen {
        host: shared::provider::ProviderType::Github,
        method: method.to_owned(),
        path: path.to_owned(),
    };
    assert!(endpoint.is(&seen("GET", "/users/octocat/x")));
    for (method, path) in
        [("POST", "/users/octocat/x"), ("GET", "/users/octocat"), ("GET", "/users/octocat/x/y")]
    {
        assert!(!endpoint.is(&seen(method, path)), "{method} {path}");
    }
}
