//! `If-None-Match` and the entity tags in it (RFC 9110, 8.8.3 and 13.1.2), for our own tags and for GitHub's.
//! What a tag is made of is its maker's business.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};

/// Whether two tags name the same body, by weak comparison (RFC 9110, 8.8.3.2): `W/` makes no difference.
#[must_use]
pub fn same(one: &HeaderValue, other: &HeaderValue) -> bool {
    opaque(one.as_bytes()) == opaque(other.as_bytes())
}

/// The tag as a weak one: of the same meaning, not of the same bytes.
#[must_use]
pub fn weak(tag: &HeaderValue) -> HeaderValue {
    if tag.as_bytes().starts_with(b"W/") {
        return tag.clone();
    }
    // What was a header's value is one with two letters before it.
    HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).unwrap_or_else(|_| tag.clone())
}

/// Whether the request is conditional at all.
#[must_use]
pub fn is_there(request: &HeaderMap) -> bool {
    elements(request).next().is_some()
}

/// Whether the request names this tag.
#[must_use]
pub fn names(request: &HeaderMap, tag: &HeaderValue) -> bool {
    elements(request).any(|element| opaque(element) == opaque(tag.as_bytes()))
}

/// Whether the request means whatever there is: `*`.
#[must_use]
pub fn is_wildcard(request: &HeaderMap) -> bool {
    elements(request).any(|element| element == b"*")
}

/// How many tags the request names.
#[must_use]
pub fn count(request: &HeaderMap) -> usize {
    elements(request).count()
}

/// Adds a tag to those that the request names.
pub fn add(request: &mut HeaderMap, tag: &HeaderValue) {
    let mut tags: Vec<&[u8]> = request.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes).collect();
    tags.push(tag.as_bytes());
    // Values of headers, and a comma between them, are a value again.
    if let Ok(tags) = HeaderValue::from_bytes(&tags.join(&b", "[..])) {
        request.insert(IF_NONE_MATCH, tags);
    }
}

/// The tags of all lines; between its quotes a tag may have commas.
fn elements(request: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    request.get_all(IF_NONE_MATCH).iter().flat_map(|line| {
        let mut quoted = false;
        let outside = move |byte: &u8| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        };
        line.as_bytes().split(outside).map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
    })
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (IF_NONE_MATCH, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn tag(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    #[test]
    fn a_tag_is_found_in_every_list_weak_or_strong() {
        for lines in [
            &["\"a\""][..],
            &["W/\"a\""],
            &["\"b\", \"a\""],
            &["\"b\",W/\"a\",\"c\""],
            &["\"b\"", "\"a\""],
            &[" , ,\"a\" ,"],
            &["\"b,c\", \"a\""],
        ] {
            for known in ["\"a\"", "W/\"a\""] {
                assert!(names(&request(lines), &tag(known)), "{lines:?} {known}");
            }
        }
    }

    #[test]
    fn another_tag_is_not_found() {
        for line in
            ["\"b\"", "a", "\"a", "a\"", "\"A\"", "\"b, \"a\"", "*", "", "w/\"a\"", "\"\"", "\"a\"\"b\""]
        {
            assert!(!names(&request(&[line]), &tag("\"a\"")), "{line}");
        }
        assert!(!names(&HeaderMap::new(), &tag("\"a\"")));
        assert!(names(&request(&["\"b,a\""]), &tag("\"b,a\"")), "a comma between quotes is no end");
    }

    #[test]
    fn a_wildcard_is_one_without_quotes() {
        for (line, wildcard) in
            [("*", true), (" * ", true), ("\"x\", *", true), ("\"*\"", false), ("**", false)]
        {
            assert_eq!(is_wildcard(&request(&[line])), wildcard, "{line}");
        }
        assert!(!is_there(&HeaderMap::new()) && !is_there(&request(&[" , "])) && is_there(&request(&["*"])));
    }

    #[test]
    fn a_weak_tag_stays_and_a_strong_one_becomes_weak() {
        for text in ["\"a\"", "W/\"a\""] {
            assert_eq!(weak(&tag(text)), "W/\"a\"");
            assert!(same(&weak(&tag(text)), &tag("\"a\"")));
        }
        assert!(!same(&tag("W/\"a\""), &tag("\"b\"")));
    }

    #[test]
    fn an_added_tag_stands_behind_those_of_the_client() {
        let mut headers = HeaderMap::new();
        add(&mut headers, &tag("\"a\""));
        assert_eq!(headers[IF_NONE_MATCH], "\"a\"");
        let mut headers = request(&["W/\"b\", \"c\"", "\"d\""]);
        add(&mut headers, &tag("\"a\""));
        assert_eq!(headers[IF_NONE_MATCH], "W/\"b\", \"c\", \"d\", \"a\"");
        assert_eq!(count(&headers), 4);
    }

    proptest! {
        #[test]
        fn every_tag_of_a_list_is_found_and_none_besides(
            tags in proptest::collection::vec("(W/)?\"[!#-~]{0,12}\"", 1..6),
            other in "\"[!#-~]{0,12}\"",
        ) {
            let headers = request(&[&tags.join(", ")]);
            prop_assert_eq!(count(&headers), tags.len());
            for one in &tags {
                prop_assert!(names(&headers, &tag(one)));
            }
            let known = tags.iter().any(|one| one.trim_start_matches("W/") == other);
            prop_assert_eq!(names(&headers, &tag(&other)), known);
        }

        #[test]
        fn nothing_that_a_client_sends_is_too_odd(line in "[ -~]{0,60}") {
            let headers = request(&[&line]);
            let _ = (names(&headers, &tag("\"a\"")), is_wildcard(&headers), count(&headers));
        }
    }
}
