//! Dates as Neptun's and our own JSON write them: ISO 8601 in UTC, to the second.
//! For `#[serde(serialize_with = "...")]`.

use serde::Serializer;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::{format_description, offset};

const ISO_8601_UTC: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// `2024-03-20T10:00:00Z`, whatever offset the moment was given in.
#[must_use]
pub fn iso(moment: OffsetDateTime) -> String {
    // Formatting into memory with a constant description of existing components does not fail.
    moment.to_offset(offset!(UTC)).format(ISO_8601_UTC).unwrap_or_default()
}

/// Writes a moment as [`iso`] does.
///
/// # Errors
/// The serializer's own.
pub fn moment<S: Serializer>(moment: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*moment))
}

/// Writes a moment as [`iso`] does, or `null`.
///
/// # Errors
/// The serializer's own.
pub fn optional<S: Serializer>(moment: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => serializer.serialize_str(&iso(*moment)),
        None => serializer.serialize_none(),
    }
}

/// How [`iso`] writes a moment, for the API's document.
#[cfg(feature = "openapi")]
pub(crate) struct Moment;

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::iso;

    #[test]
    fn a_date_is_utc_to_the_second() {
        assert_eq!(iso(datetime!(2024-03-20 10:00:00 UTC)), "2024-03-20T10:00:00Z");
        assert_eq!(iso(datetime!(2017-07-08 16:18:44.987 -04:00)), "2017-07-08T20:18:44Z");
    }
}
