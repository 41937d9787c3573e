//! What a test wants to have happened right before a certain call is answered: the world changes while somebody
//! reads it, between two pages of one listing.

use std::fmt;

use super::state::lock;
use super::world::World;
use super::{Github, SandboxGithub};

/// Changes that wait for their call.
#[derive(Default)]
pub(super) struct BetweenCalls(Vec<Waiting>);

struct Waiting {
    /// How many calls are answered before the one that this waits for.
    before: usize,
    change: Box<dyn FnOnce(&mut World) + Send>,
}

impl fmt::Debug for BetweenCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BetweenCalls({} waiting)", self.0.len())
    }
}

impl SandboxGithub {
    /// Changes the world right before the `n`-th call from now on is answered; the next one is the first. The calls
    /// before it are answered from the world as it was, this one and all behind it from the world as it is then.
    ///
    /// Calls of the REST API are counted, those too that an injected fault answers; the pages for people and the
    /// token endpoint are not. The change is made like one through [`SandboxGithub::world`]: dated, and told by
    /// webhooks. Several may wait; those of one call happen in the order in which they were given.
    pub fn before_call(&self, n: usize, change: impl FnOnce(&mut World) + Send + 'static) {
        let waiting = Waiting { before: n.saturating_sub(1), change: Box::new(change) };
        lock(&self.github.between_calls).0.push(waiting);
    }

    /// Forgets the changes whose call has not come, and tells how many there were.
    pub fn forget_before_calls(&self) -> usize {
        std::mem::take(&mut *lock(&self.github.between_calls)).0.len()
    }
}

impl Github {
    /// A call of the REST API is about to be answered.
    pub(super) fn before_answer(&self) {
        let mut now = Vec::new();
        {
            let mut waiting = lock(&self.between_calls);
            for mut one in std::mem::take(&mut waiting.0) {
                if let Some(before) = one.before.checked_sub(1) {
                    one.before = before;
                    waiting.0.push(one);
                } else {
                    now.push(one);
                }
            }
        }
        for Waiting { change, .. } in now {
            self.change(change);
        }
    }
}
