//! So many requests at so many at once for so long, while the world changes, tokens end and webhooks come.
//! What each request is answered is judged in `mix`; here is what holds at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::scene::{OBSERVER, Scene};
use crate::tally::resident;

/// How much there is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Turns of the mix at least; most have several requests.
    pub(crate) turns: usize,
    pub(crate) at_once: usize,
    pub(crate) at_least: Duration,
    /// How often all access tokens end.
    pub(crate) leaps: u32,
    /// Between two changes at GitHub.
    pub(crate) changes_every: Duration,
}

/// Resident memory in MiB: before the first request, after a quarter, in the middle, at the end.
pub(crate) struct Memory(pub(crate) [f64; 4]);

/// Does it all; what is wrong is in the tally.
pub(crate) async fn run(scene: &Arc<Scene>, load: Load) -> (Duration, Memory) {
    let begun = Instant::now();
    let start = resident();
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..load.at_once)
        .map(|_| {
            let (scene, next) = (Arc::clone(scene), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.turns && begun.elapsed() >= load.at_least {
                        return;
                    }
                    if let Err(what) = scene.one(number).await {
                        scene.tally.wrong(what);
                    }
                }
            })
        })
        .collect();
    let progress = || {
        let turns = next.load(Ordering::Relaxed) as f64 / load.turns as f64;
        turns.min(begun.elapsed().as_secs_f64() / load.at_least.as_secs_f64())
    };
    let (mut quarter, mut middle) = (None, None);
    let (mut leaps, mut step) = (0, 0);
    while workers.iter().any(|worker| !worker.is_finished()) {
        tokio::time::sleep(load.changes_every).await;
        let so_far = progress();
        if so_far < 1.0 {
            scene.change(step);
            step += 1;
        }
        scene.forget_calls();
        if leaps < load.leaps && so_far * f64::from(load.leaps + 1) > f64::from(leaps + 1) {
            scene.leap().await;
            leaps += 1;
        }
        if so_far > 0.25 {
            quarter.get_or_insert_with(resident);
        }
        if so_far > 0.5 {
            middle.get_or_insert_with(resident);
        }
    }
    for worker in workers {
        if let Err(error) = worker.await {
            scene.tally.wrong(format!("a worker panicked: {error}"));
        }
    }
    let (took, end) = (begun.elapsed(), resident());
    if leaps < load.leaps {
        scene.tally.wrong(format!("tokens ended {leaps} times only"));
    }
    settle(scene).await;
    (took, Memory([start, quarter.unwrap_or(start), middle.unwrap_or(start), end]))
}

/// Every webhook was taken, and the rows say what GitHub says.
async fn settle(scene: &Scene) {
    scene.github().drain().await;
    let deliveries = scene.github().delivery_log();
    for delivery in &deliveries {
        if !(200..300).contains(&delivery.status_code()) {
            scene.tally.wrong(format!("a webhook was answered {}: {delivery:?}", delivery.status_code()));
        }
    }
    if deliveries.is_empty() {
        scene.tally.wrong("no webhook was sent".to_owned());
    }
    let token = scene.github().mint_user_token(OBSERVER).access_token;
    let url = format!("{}/user/installations", scene.github().api_url());
    let there = scene.ask("GitHub itself", scene.http.get(url).bearer_auth(token), 200).await;
    let path = format!("/api/users/{}/installations", scene.observer.user_id);
    let rows = scene.request(Method::GET, &path).header("x-session-api-key", &scene.observer.api_key);
    let rows = scene.ask("GET /api/users/{user_id}/installations, changing", rows, 200).await;
    let facts = |found: Result<crate::mix::Answer, String>, pointer: &str, name: &str, id: &str| {
        let json = found.and_then(|answer| answer.json())?;
        let item = json.pointer(pointer).cloned().unwrap_or_default();
        let number = match item.pointer(id) {
            Some(Value::String(text)) => text.clone(),
            other => other.cloned().unwrap_or_default().to_string(),
        };
        let suspended = item["suspended_at"].as_str().map(|date| date.chars().take(19).collect::<String>());
        Ok::<_, String>((number, item.pointer(name).cloned(), suspended))
    };
    let there = facts(there, "/installations/0", "/account/login", "/id");
    let here = facts(rows, "/0", "/github_account_name", "/github_installation_id");
    if there.is_err() || there != here {
        scene.tally.wrong(format!("the rows say {here:?}, GitHub says {there:?}"));
    }
}
