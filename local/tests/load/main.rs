//! The load of `benches/load.rs` in miniature: every route, every kind of caller, sign-ins, webhooks and renewals at
//! once, each answer checked. How long it takes and how much memory is the benchmark's to say.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod mix;
mod run;
mod scene;
mod sign_ins;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use crate::mix::KINDS;
use crate::run::{Load, Memory, run};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_mixed_load_every_answer_is_the_right_one() {
    let scene = Arc::new(Scene::start().await);
    let load = Load {
        turns: KINDS * 8,
        at_once: 40,
        at_least: Duration::from_millis(1),
        leaps: 2,
        changes_every: Duration::from_millis(50),
    };
    let (took, Memory([start, .., end])) = run(&scene, load).await;
    let wrong = scene.tally.all_wrong();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", scene.tally.table());
    assert!(scene.tally.answered() > load.turns, "{}", scene.tally.table());
    let unasked: Vec<u16> = scene.tally.statuses().into_keys().filter(|status| *status >= 500).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
    assert!(took < Duration::from_secs(120), "{took:?}");
    assert!(end - start < 256.0, "{start} MiB became {end}");
    let refused = scene.stack.access.refused();
    assert!(refused.is_empty(), "template.yaml does not allow: {refused:#?}");
}
