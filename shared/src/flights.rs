//! One piece of work for all in this process who want the same at the same time. Nobody is given the outcome of work
//! that had begun before they asked: what changed in between would be missing from it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::{Instant, timeout_at};

/// The work of one kind that is under way, by what is wanted.
pub struct Flights<K, V> {
    by_key: Mutex<HashMap<K, Weak<Flight<V>>>>,
}

/// What is wanted by somebody now, worked on by one at a time.
struct Flight<V> {
    /// How many pieces of work have begun.
    begun: AtomicU64,
    /// The last outcome, and the number of its work.
    last: tokio::sync::Mutex<Option<(u64, V)>>,
}

/// The deadline passed while somebody else's work was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { by_key: Mutex::default() }
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// The outcome of `work`, or of the same work of somebody else that began after this was called. An outcome that
    /// is not `shareable`, such as one for want of its own time, is nobody else's.
    ///
    /// # Errors
    /// [`TooLate`] when the work under way does not end before `deadline`; `work` itself keeps to its own.
    pub async fn join(
        &self,
        key: K,
        deadline: Instant,
        shareable: impl Fn(&V) -> bool,
        work: impl Future<Output = V>,
    ) -> Result<V, TooLate> {
        let flight = self.flight(&key);
        let arrived = flight.begun.load(Ordering::SeqCst);
        let outcome = Self::outcome(&flight, arrived, deadline, shareable, work).await;
        let mut by_key = self.by_key();
        if Arc::strong_count(&flight) == 1 {
            by_key.remove(&key);
        }
        outcome
    }

    async fn outcome(
        flight: &Arc<Flight<V>>,
        arrived: u64,
        deadline: Instant,
        shareable: impl Fn(&V) -> bool,
        work: impl Future<Output = V>,
    ) -> Result<V, TooLate> {
        let mut last = timeout_at(deadline, flight.last.lock()).await.map_err(|_| TooLate)?;
        if let Some((_, outcome)) = last.as_ref().filter(|(number, _)| *number > arrived) {
            return Ok(outcome.clone());
        }
        let number = flight.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = work.await;
        // Who can use it waits already: whoever comes from now on has come too late for it.
        let wanted = Arc::strong_count(flight) > 1 && shareable(&outcome);
        *last = wanted.then(|| (number, outcome.clone()));
        Ok(outcome)
    }

    fn flight(&self, key: &K) -> Arc<Flight<V>> {
        let mut by_key = self.by_key();
        if let Some(flight) = by_key.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::new(Flight { begun: AtomicU64::new(0), last: tokio::sync::Mutex::const_new(None) });
        by_key.insert(key.clone(), Arc::downgrade(&flight));
        flight
    }

    fn by_key(&self) -> MutexGuard<'_, HashMap<K, Weak<Flight<V>>>> {
        // Every change under the lock is complete.
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::{join_all, ready};
    use tokio::sync::{Barrier, Semaphore};

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Something that changes, and work that looks at it, counts itself, and ends when it is let.
    struct World {
        flights: Flights<&'static str, u64>,
        state: AtomicU64,
        works: AtomicU64,
        ends: Semaphore,
    }

    impl World {
        fn new() -> Self {
            let (flights, state, works) = Default::default();
            Self { flights, state, works, ends: Semaphore::new(0) }
        }

        async fn work(&self) -> u64 {
            self.works.fetch_add(1, Ordering::SeqCst);
            let seen = self.state.load(Ordering::SeqCst);
            self.ends.acquire().await.unwrap().forget();
            seen
        }

        async fn look(&self, deadline: Instant, shareable: bool) -> Result<u64, TooLate> {
            self.flights.join("key", deadline, |_| shareable, self.work()).await
        }

        fn works(&self) -> u64 {
            self.works.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn who_comes_while_work_goes_on_shares_the_next_and_sees_all_that_was_there() {
        let world = World::new();
        // All have asked when this is polled, the last of all.
        let change = async {
            world.state.store(1, Ordering::SeqCst);
            world.ends.add_permits(2);
        };
        let looks = join_all((0..50).map(|_| world.look(later(), true)));
        let (mut seen, ()) = futures::join!(looks, change);
        assert_eq!(seen.remove(0), Ok(0), "the first had begun");
        assert_eq!(seen, vec![Ok(1); 49]);
        assert_eq!(world.works(), 2);
        assert!(world.flights.by_key().is_empty(), "nothing is kept when nobody waits");
    }

    #[tokio::test]
    async fn what_is_wanted_with_another_key_is_other_work_at_the_same_time() {
        let (flights, all) = (Flights::default(), Barrier::new(5));
        let wanted = (0..5).map(|key| {
            flights.join(key, later(), |_| true, async {
                all.wait().await;
            })
        });
        assert_eq!(join_all(wanted).await, [Ok(()); 5]);
    }

    #[tokio::test]
    async fn who_cannot_wait_is_told_so_and_what_is_not_shareable_is_done_anew() {
        let world = World::new();
        let patient = futures::future::join(world.look(later(), true), world.look(later(), true));
        let hasty = async {
            let outcome = world.look(Instant::now(), true).await;
            world.ends.add_permits(2);
            outcome
        };
        let (patient, hasty) = futures::join!(patient, hasty);
        assert_eq!((patient, hasty), ((Ok(0), Ok(0)), Err(TooLate)));
        world.works.store(0, Ordering::SeqCst);
        world.ends.add_permits(3);
        join_all((0..3).map(|_| world.look(later(), false))).await;
        assert_eq!(world.works(), 3);
    }

    #[tokio::test]
    async fn who_goes_away_in_the_middle_holds_nobody_up() {
        let world = World::new();
        let gone = tokio::time::timeout(Duration::from_millis(1), world.look(later(), true)).await;
        assert!(gone.is_err());
        world.ends.add_permits(1);
        assert_eq!(world.look(later(), true).await, Ok(0));
        assert_eq!(world.works(), 2);
        assert!(world.flights.by_key().is_empty());
        assert_eq!(world.flights.join("key", later(), |_| true, ready(7)).await, Ok(7));
    }
}
