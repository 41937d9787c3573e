//! In which ways a call can fail, how often, and to which calls it can happen.

use std::time::Duration;

use http::StatusCode;
use local::aws::call_names::NamedCall;
use local::aws::hook;

/// Longer than the SDK waits for one answer.
const SLOW: Duration = Duration::from_millis(1_700);
/// More calls than any flow makes.
const FOR_EVER: usize = 10_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Trouble {
    /// AWS fails, and does nothing.
    Error,
    /// It is too much, and nothing is done.
    Throttled,
    /// No answer within the time that an attempt has.
    Slow,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// Somebody else is at the item, or has changed it.
    Conflict,
    /// Of a batch nothing is done, and it is said so.
    Unprocessed,
}

impl Trouble {
    pub(crate) const ALL: [Self; 6] =
        [Self::Error, Self::Throttled, Self::Slow, Self::AnswerLost, Self::Conflict, Self::Unprocessed];

    /// Whether a call can have it.
    pub(crate) fn happens_to(self, call: &NamedCall) -> bool {
        match self {
            Self::Conflict => call.conditional || call.name.starts_with("TransactWriteItems"),
            Self::Unprocessed => call.name.starts_with("Batch"),
            _ => true,
        }
    }

    pub(crate) fn fault(self) -> hook::Fault {
        match self {
            Self::Error => hook::Fault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
            Self::Throttled => {
                hook::Fault::error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException")
            }
            Self::Slow => hook::Fault::delay(SLOW),
            Self::AnswerLost => hook::Fault::lost_answer(),
            Self::Conflict => hook::Fault::conflict(),
            Self::Unprocessed => hook::Fault::partly_done(0),
        }
    }
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Often {
    Once,
    ForEver,
}

impl Often {
    pub(crate) const ALL: [Self; 2] = [Self::Once, Self::ForEver];

    pub(crate) const fn times(self) -> usize {
        match self {
            Self::Once => 1,
            Self::ForEver => FOR_EVER,
        }
    }
}
