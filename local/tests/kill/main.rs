//! The local service, killed with SIGKILL at random moments under load: after each start every write that was
//! acknowledged is there, nothing that was ended has come back, and everything that must hold in the table holds.
//! KILLS sets how often, KILL_SEED which moments; the seed is printed.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod chance;
mod client;
mod ledger;
mod load;
mod look;
mod service;

use std::sync::Arc;
use std::time::Duration;

use crate::chance::Chance;
use crate::client::Client;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::service::Place;

/// The longest that there is load before a kill, in milliseconds.
const LONGEST_ROUND: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_every_kill() {
    let seed = number("KILL_SEED").unwrap_or_else(|| {
        let clock = shared::clock::Clock::system();
        clock.unix_millis()
    });
    let kills = number("KILLS").unwrap_or(5);
    println!("KILL_SEED={seed} KILLS={kills}");
    let mut chance = Chance::new(seed);
    let parent = tempfile::tempdir().unwrap();
    let place = Place::new(&parent.path().join("data"), &mut chance);
    let client = Client::of(&place);
    let ledger = Arc::new(Ledger::default());
    let mut service = place.start().await;
    let load = Load::prepare(&client, ledger.clone()).await;
    for round in 0..kills {
        let workers = load.begin(&client, &mut chance);
        tokio::time::sleep(Duration::from_millis(chance.below(LONGEST_ROUND))).await;
        drop(service);
        for worker in workers {
            worker.await.expect("no worker has found anything wrong");
        }
        if chance.one_in(8) {
            // A start that does not come to its end.
            let starting = place.begin();
            tokio::time::sleep(Duration::from_millis(chance.below(500))).await;
            drop(starting);
        }
        service = place.start().await;
        let last = round + 1 == kills;
        look::at_everything(&place, &client, &load, &ledger, (!last).then_some(round)).await;
        if (round + 1) % 25 == 0 {
            println!("{} kills; {}", round + 1, ledger.counts());
        }
    }
    println!("{}", ledger.counts());
}
