//! Fields of a host's JSON that are found first and read one by one, so that an odd one costs itself only.
//! Which fields there are, the hosts' modules know.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a field holds, if that is of the expected type.
pub(crate) fn value<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}
