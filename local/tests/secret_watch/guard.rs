//! What was heard that nobody may hear, until the test that caused it ends and fails by it.
//! How it is heard is `listener`'s business.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::finder;

#[derive(Default)]
struct Heard {
    leaks: Vec<Leak>,
    guards: usize,
}

struct Leak {
    thread: ThreadId,
    told: String,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard { leaks: Vec::new(), guards: 0 });

fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held by whoever has a service running: when it goes, what was heard fails its test.
#[derive(Debug)]
pub(crate) struct Guard(());

impl Guard {
    /// From here on everything is listened to.
    pub(crate) fn new() -> Self {
        super::install();
        heard().guards += 1;
        Self(())
    }
}

impl Drop for Guard {
    /// A test's tasks run on its own thread, so its own leaks are those of this thread. What other threads said, such
    /// as a process that a test has killed, fails the last test that is still there.
    fn drop(&mut self) {
        let mut heard = heard();
        heard.guards -= 1;
        let (last, own) = (heard.guards == 0, thread::current().id());
        let (told, others) = std::mem::take(&mut heard.leaks)
            .into_iter()
            .partition::<Vec<_>, _>(|leak| last || leak.thread == own);
        heard.leaks = others;
        drop(heard);
        if told.is_empty() {
            return;
        }
        let told: Vec<String> = told.into_iter().map(|leak| leak.told).collect();
        let told = format!("secrets were told:\n{}", told.join("\n"));
        if thread::panicking() {
            eprintln!("{told}");
        } else {
            panic!("{told}");
        }
    }
}

/// Notes a text that holds a secret, which is not repeated.
pub(crate) fn report(whence: &str, reason: &str, text: &str) {
    let told = format!("{whence}: {reason}: {}", finder::redacted(text));
    let mut heard = heard();
    if heard.guards > 0 {
        heard.leaks.push(Leak { thread: thread::current().id(), told });
        return;
    }
    // Nobody is left who would fail by it.
    let _ = writeln!(std::io::stderr(), "{told}");
    std::process::abort();
}
