//! What goes wrong on a webhook's way: lost, refused, repeated, late, out of order.
//! The way itself lives in `hookshot`; faults of the API live in `faults`.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many deliveries something happens to: `true`, `false`, or the next so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HowMany {
    /// All or none.
    Always(bool),
    /// The next ones only.
    Next(u32),
}

impl Default for HowMany {
    fn default() -> Self {
        Self::Always(false)
    }
}

impl HowMany {
    /// Whether it happens to this delivery, which is then counted.
    fn take(&mut self) -> bool {
        match self {
            Self::Always(always) => *always,
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// How webhooks are delivered; by default at once, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFaults {
    /// Lost without a trace: not even the log knows of them.
    pub drop: HowMany,
    /// Not sent, and in the log as failed: what a redelivery heals.
    pub fail: HowMany,
    /// Sent so many times more, with the same GUID.
    pub repeat: u32,
    /// Waited before each delivery; others gather in the meantime.
    pub delay_ms: u64,
    /// The next one is drawn from all that wait, by this seed. It needs some that wait: hold or delay them.
    pub reorder: Option<u64>,
    /// Nothing is sent until [`super::SandboxGithub::deliver_now`].
    pub hold: bool,
}

/// What happens to one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Failed,
    /// Sent so many times.
    Sent(u32),
}

impl DeliveryFaults {
    /// With so long a wait before each delivery.
    #[must_use]
    pub fn delayed(self, delay: Duration) -> Self {
        Self { delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    pub(super) fn fate(&mut self) -> Fate {
        if self.drop.take() {
            Fate::Lost
        } else if self.fail.take() {
            Fate::Failed
        } else {
            Fate::Sent(self.repeat.saturating_add(1))
        }
    }

    /// Which of those that wait is next.
    pub(super) fn draw(&mut self, waiting: usize) -> usize {
        let Some(seed) = &mut self.reorder else { return 0 };
        // SplitMix64: each draw moves the seed on.
        *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % waiting.max(1) as u64).unwrap_or_default()
    }
}
