//! The primary rate limit: how many calls each user, installation and the App have left.
//! What an exhausted caller is told lives in `answers`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::world::{AccountId, InstallationId};

/// Seconds until a limit starts anew.
const WINDOW: i64 = 3_600;

/// Who shares a limit (reference/github.md 1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    User(AccountId),
    Installation(InstallationId),
    App(u64),
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user ID {id}"),
            Self::Installation(id) => write!(f, "installation ID {id}"),
            Self::App(id) => write!(f, "app ID {id}"),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Window {
    used: u64,
    reset: i64,
}

/// What the rate-limit headers say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) limit: u64,
    pub(super) used: u64,
    pub(super) reset: i64,
}

impl Standing {
    pub(super) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// The counters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Limits(BTreeMap<String, Window>);

impl Limits {
    /// Where a bucket stands, without counting.
    pub(super) fn standing(&self, bucket: Bucket, limit: u64, now: i64) -> Standing {
        let window = self.0.get(&bucket.to_string()).filter(|window| window.reset > now);
        let (used, reset) = window.map_or((0, now + WINDOW), |window| (window.used, window.reset));
        Standing { limit, used: used.min(limit), reset }
    }

    /// Counts one call.
    pub(super) fn count(&mut self, bucket: Bucket, limit: u64, now: i64) -> Standing {
        self.0.retain(|_, window| window.reset > now);
        let window = self.0.entry(bucket.to_string()).or_insert(Window { used: 0, reset: now + WINDOW });
        window.used += 1;
        Standing { limit, used: window.used.min(limit), reset: window.reset }
    }

    /// Forgets all counts.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
