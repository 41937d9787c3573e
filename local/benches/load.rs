//! 10,000 mixed requests and more, 200 at once through the gateway, for a minute at least: every route, four kinds of
//! callers, sign-ins at every host, webhooks while the world changes, all tokens renewed three times. Every answer is
//! checked; how long each took and what memory the process had is printed. Fails where an answer is wrong or memory
//! grows.
//!
//! `cargo bench -p local --bench load`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on says where")]

#[path = "../tests/load/mix.rs"]
mod mix;
#[path = "../tests/load/run.rs"]
mod run;
#[path = "../tests/load/scene.rs"]
mod scene;
#[path = "../tests/load/sign_ins.rs"]
mod sign_ins;
#[path = "../tests/load/tally.rs"]
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::run::{Load, Memory, run};
use crate::scene::Scene;

const LOAD: Load = Load {
    turns: 10_000,
    at_once: 200,
    at_least: Duration::from_secs(60),
    leaps: 3,
    changes_every: Duration::from_millis(250),
};

/// By how much the second half may leave more memory in use than the first, in MiB: the table is in this process
/// too, and has a session, a page or a kept answer more with every minute.
const FLAT: f64 = 16.0;

#[tokio::main]
async fn main() -> ExitCode {
    let scene = Arc::new(Scene::start().await);
    let (took, Memory([start, quarter, middle, end])) = run(&scene, LOAD).await;
    let answered = scene.tally.answered();
    println!(
        "{answered} requests, {} at once, in {:.1} s: {:.0} a second. Service, table and sandbox hosts are one process.\n",
        LOAD.at_once,
        took.as_secs_f64(),
        answered as f64 / took.as_secs_f64()
    );
    println!("{}\n", scene.tally.table());
    println!("Statuses: {:?}", scene.tally.statuses());
    println!(
        "Resident memory, MiB: {start:.0} at the start, {quarter:.0} after a quarter, {middle:.0} in the middle, {end:.0} at the end"
    );
    let mut wrong = scene.tally.all_wrong();
    if scene.tally.answered() < LOAD.turns {
        wrong.push(format!("{} requests only", scene.tally.answered()));
    }
    if end > middle + FLAT {
        wrong.push(format!("memory grew by {:.1} MiB in the second half", end - middle));
    }
    for what in &wrong {
        println!("WRONG: {what}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
