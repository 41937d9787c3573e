//! What was seen under load: how long each route took, what was wrong, how much memory the process had.
//! What is right is decided in `mix`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of what is wrong so many are kept; the others are counted.
const KEPT: usize = 20;

#[derive(Default)]
pub(crate) struct Tally {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    routes: BTreeMap<&'static str, Vec<Duration>>,
    statuses: BTreeMap<u16, usize>,
    wrong: Vec<String>,
    more_wrong: usize,
}

impl Tally {
    pub(crate) fn took(&self, route: &'static str, status: u16, time: Duration) {
        self.with(|seen| {
            seen.routes.entry(route).or_default().push(time);
            *seen.statuses.entry(status).or_default() += 1;
        });
    }

    pub(crate) fn wrong(&self, what: String) {
        self.with(|seen| {
            if seen.wrong.len() < KEPT {
                seen.wrong.push(what);
            } else {
                seen.more_wrong += 1;
            }
        });
    }

    /// Everything that was wrong, in words.
    pub(crate) fn all_wrong(&self) -> Vec<String> {
        self.with(|seen| {
            let more = (seen.more_wrong > 0).then(|| format!("and {} more", seen.more_wrong));
            seen.wrong.iter().cloned().chain(more).collect()
        })
    }

    /// How many requests were answered.
    pub(crate) fn answered(&self) -> usize {
        self.with(|seen| seen.statuses.values().sum())
    }

    /// How many answers had each status.
    pub(crate) fn statuses(&self) -> BTreeMap<u16, usize> {
        self.with(|seen| seen.statuses.clone())
    }

    /// A table: a line for each route, and one for all.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![
            "| what | requests | p50 ms | p90 ms | p99 ms | max ms |".to_owned(),
            "|---|---|---|---|---|---|".to_owned(),
        ];
        self.with(|seen| {
            let mut all: Vec<Duration> = seen.routes.values().flatten().copied().collect();
            for (route, times) in &mut seen.routes {
                lines.push(line(route, times));
            }
            lines.push(line("all", &mut all));
        });
        lines.join("\n")
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        // Whatever a task did that panicked, every change under the lock is complete.
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn line(name: &str, times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| {
        let index = (times.len() * share / 100).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let count = times.len();
    format!("| {name} | {count} | {:.1} | {:.1} | {:.1} | {:.1} |", at(50), at(90), at(99), at(100))
}

/// Resident memory of this process, in MiB.
pub(crate) fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
