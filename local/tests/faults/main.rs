//! Every call that the service makes to a host, and every way in which it can go wrong: what becomes of it, seen over
//! HTTP through the whole service, with a front before each host. `docs/failures.md` is what was seen.
//!
//! By default each call goes wrong in some of the ways, and each way with some of the calls; `HOST_FAULTS=all` tries
//! everything, `HOST_FAULTS=<part of a call or of how it is caused>` everything of those calls, and `WRITE_FAILURES=1`
//! everything, and writes the document anew.
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
use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};

use crate::drive::Lab;
use crate::fault::Fault;
use crate::front::{Endpoint, Fronts, Seen};
use crate::harness::Setup;
use crate::requests::{Caller, ask, cases};
use crate::ways::{WAYS, Way, endpoints};

/// Stacks at the same time: most of what they do is waiting.
const AT_ONCE: usize = 12;
/// By default one in so many failures of a call is tried, and each with one in so many calls.
const SAMPLE: usize = 5;

/// The calls of these that no way knows.
fn unknown(seen: &BTreeSet<Seen>) -> Vec<&Seen> {
    let known = endpoints();
    seen.iter().filter(|seen| !known.iter().any(|endpoint| endpoint.is(seen))).collect()
}

/// What becomes of those failures of one call, in a stack of its own.
async fn of_way(way: &'static Way, faults: Vec<Fault>) -> table::Seen {
    let started = Instant::now();
    let mut lab = Lab::start(way).await;
    let outcomes = cell::of_way(&mut lab, &faults).await;
    let seen = lab.fronts.seen();
    assert_eq!(unknown(&seen), Vec::<&Seen>::new(), "calls that are in no way");
    println!("{:?} {}", started.elapsed(), way.name());
    lab.running.stack.stop().await;
    (way, outcomes)
}

/// The failures that are tried, by the numbers of their ways, which a part of the ways' names may narrow.
fn wanted(of: &str, whole: bool) -> Vec<(usize, Vec<Fault>)> {
    let all = WAYS.iter().enumerate().filter(|(_, way)| way.name().contains(of));
    all.map(|(number, way)| {
        let is_tried = |at: usize| whole || (number + at).is_multiple_of(SAMPLE);
        let faults = Fault::ALL.into_iter().enumerate().filter(|(at, _)| is_tried(*at));
        let faults = faults.map(|(_, fault)| fault);
        (number, faults.filter(|fault| !fault.is_of_host() || way.first.is_some()).collect())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_of_every_call_has_its_answer_and_costs_nothing_else() {
    let started = Instant::now();
    let asked = std::env::var("HOST_FAULTS").unwrap_or_default();
    let writes = std::env::var_os("WRITE_FAILURES").is_some();
    let (of, whole) = match &*asked {
        _ if writes => ("", true),
        "" => ("", false),
        "all" => ("", true),
        of => (of, true),
    };
    let ways = stream::iter(wanted(of, whole)).map(|(number, faults)| async move {
        // One that breaks a rule keeps no other from being looked at; the panic's own words are in the output.
        let seen = tokio::spawn(of_way(&WAYS[number], faults)).await;
        (number, seen.map_err(|_| WAYS[number].name()))
    });
    let mut ways: Vec<_> = ways.buffer_unordered(AT_ONCE).collect().await;
    assert!(!ways.is_empty(), "no call and no way to cause one is called so");
    ways.sort_by_key(|(number, _)| *number);
    let (mut seen, mut broken) = (Vec::new(), Vec::new());
    for (_, outcome) in ways {
        match outcome {
            Ok(outcomes) => seen.push(outcomes),
            Err(name) => broken.push(name),
        }
    }
    let failures: usize = seen.iter().map(|(_, outcomes)| outcomes.len()).sum();
    println!("{} ways, {failures} failures, {:.0?}", seen.len(), started.elapsed());
    assert!(broken.is_empty(), "{broken:#?}");
    if writes {
        table::write(&seen);
    }
    table::hold(&seen, whole && of.is_empty());
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
