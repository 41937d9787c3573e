//! Tries of a write that meets others' writes of the same items, and the pauses between them.
//! What a try reads and writes is its owner's business.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The first try at once, six more after pauses that grow from 5 ms and are drawn at random, so that those who have met
/// do not meet again: 0.3 to 0.6 s in all.
#[derive(Debug)]
pub(crate) struct Tries {
    begun: bool,
    pauses: ExponentialBackoff,
}

impl Tries {
    /// Nothing was tried yet.
    pub(crate) fn new() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_factor(2.0)
            .with_max_times(6)
            .with_jitter();
        Self { begun: false, pauses: pauses.build() }
    }

    /// Waits until the next try is due; false where all were in vain.
    pub(crate) async fn another(&mut self) -> bool {
        if !self.begun {
            self.begun = true;
            return true;
        }
        let Some(pause) = self.pauses.next() else { return false };
        tokio::time::sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_try_is_at_once_and_the_last_within_a_second() {
        let (begun, mut tries) = (Instant::now(), Tries::new());
        assert!(tries.another().await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let mut further = 0;
        while tries.another().await {
            further += 1;
        }
        assert_eq!(further, 6);
        let waited = begun.elapsed();
        assert!((Duration::from_millis(315)..Duration::from_secs(1)).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_have_met_wait_differently() {
        let mut waited = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let begun = Instant::now();
            let mut tries = Tries::new();
            while tries.another().await {}
            waited.insert(begun.elapsed());
        }
        assert!(waited.len() > 1);
    }
}
