//! Where a browser goes after a sign-in: a path of ours and nothing else (DESIGN 4; reference: GitHub, 5.1).
//! A browser reads more texts as another host than one would think: `//evil`, `/\evil`, `/<tab>/evil`.

use std::fmt;

use serde_json::Value;

use crate::failure::{Failure, FieldProblem, Location};

/// Longer ones do not fit the cookies and headers they travel in.
const MAX_LENGTH: usize = 2048;

/// A relative reference with an absolute path, which every browser resolves to our own origin (WHATWG URL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Reads the decoded parameter `return_to`.
    ///
    /// Refused are control characters, white space and non-ASCII (they have to be percent-encoded), backslashes, and
    /// in the path empty segments and encoded slashes, backslashes and control characters, because a proxy that
    /// decodes them makes them the real thing.
    ///
    /// # Errors
    /// [`Failure::Invalid`] that names `return_to`; the auth family answers it with 400.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if is_path_of_ours(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::Invalid(vec![FieldProblem {
            kind: "value_error",
            location: vec![Location::Name("query".to_owned()), Location::Name("return_to".to_owned())],
            message: "must be a path on this site that starts with a single slash".to_owned(),
            input: Value::from(text),
            context: None,
        }]))
    }

    /// The path, its query and fragment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ReturnTo {
    /// Who is signed in.
    fn default() -> Self {
        Self("/auth/session".to_owned())
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_path_of_ours(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    text.len() <= MAX_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && path.starts_with('/')
        && !path.contains("//")
        && !hides_a_separator(path)
}

/// Whether decoding the path once would bring up a slash, a backslash or a control character.
fn hides_a_separator(path: &str) -> bool {
    path.split('%').skip(1).any(|escape| {
        let byte = escape.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| matches!(byte, b'/' | b'\\') || byte.is_ascii_control())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::ReturnTo;

    #[test]
    fn paths_of_ours_are_taken() {
        for path in ["/", "/conversations/1", "/a?next=//evil&b=%2F%2f#c", "/a%20b/~c", "/@x:y", "/a;b,c"] {
            assert_eq!(ReturnTo::parse(path).expect(path).as_str(), path);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let long = format!("/{}", "a".repeat(2048));
        for text in [
            "",
            "a",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "\\/evil",
            "https:evil",
            "https://evil",
            "javascript:alert(1)",
            "/\t/evil",
            "/\n/evil",
            "/\r\nset-cookie: x",
            " /a",
            "/a b",
            "/é",
            "/\u{2028}",
            "/%2f%2fevil",
            "/%2Fevil",
            "/%5cevil",
            "/%5Cevil",
            "/a/%2fb",
            "/%0d%0ax",
            "/%00",
            "/%7f",
            "/.//evil",
            "/a/..//evil",
            "?a",
            "#a",
            &long,
        ] {
            assert!(ReturnTo::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_browser_stays_on_our_origin(text in r"[/\\]{0,3}[a-z.:@?#%25fFcC\t\r\n é/\\-]{0,12}") {
            if let Ok(path) = ReturnTo::parse(&text) {
                for base in ["https://ours.example/auth/github/callback?x=1", "http://localhost:3000/"] {
                    let base = Url::parse(base).expect("a URL");
                    let target = base.join(path.as_str()).expect("a reference");
                    prop_assert_eq!(target.origin(), base.origin());
                    let decoded = percent_encoding::percent_decode_str(target.path()).decode_utf8_lossy().into_owned();
                    if let Ok(again) = base.join(&decoded) {
                        prop_assert_eq!(again.origin(), base.origin(), "after a proxy decoded it: {}", decoded);
                    }
                }
            }
        }
    }
}
