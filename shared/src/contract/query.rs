//! Reading a query string: `application/x-www-form-urlencoded`, as Starlette and Rack read it.
//! Names are case-sensitive, unknown ones do no harm, and of a repeated one the last counts.

use std::borrow::Cow;

/// A decoded query string.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    raw: &'a str,
}

impl<'a> Query<'a> {
    /// Reads the part of a URL behind `?`; decoding never fails (bad escapes stay, bad UTF-8 is replaced).
    #[must_use]
    pub const fn new(raw: &'a str) -> Self {
        Self { raw }
    }

    /// The last value of that name, `""` for a name without `=`.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<Cow<'a, str>> {
        form_urlencoded::parse(self.raw.as_bytes())
            .filter_map(|(key, value)| (key == name).then_some(value))
            .last()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Query;

    #[test]
    fn the_last_value_wins_and_names_are_case_sensitive() {
        let query = Query::new("page=1&Page=7&page=2&other=x");
        assert_eq!(query.last("page").as_deref(), Some("2"));
        assert_eq!(query.last("PAGE"), None);
    }

    #[test]
    fn a_name_without_a_value_is_empty_and_escapes_are_decoded() {
        let query = Query::new("sort&a=git+hub%21&b=%zz&c=%FF");
        assert_eq!(query.last("sort").as_deref(), Some(""));
        assert_eq!(query.last("a").as_deref(), Some("git hub!"));
        assert_eq!(query.last("b").as_deref(), Some("%zz"));
        assert_eq!(query.last("c").as_deref(), Some("\u{fffd}"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(raw in ".*", name in "[a-z%+=&]{0,4}") {
            let _ = Query::new(&raw).last(&name);
        }

        #[test]
        fn what_was_encoded_is_read_back(value in ".*") {
            let raw = form_urlencoded::Serializer::new(String::new())
                .append_pair("x", "first").append_pair("x", &value).finish();
            let read = Query::new(&raw).last("x");
            prop_assert_eq!(read.as_deref(), Some(value.as_str()));
        }
    }
}
