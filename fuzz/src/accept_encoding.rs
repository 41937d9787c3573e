//! `Accept-Encoding`: which form of a body a client takes.
//! Which answers may be compressed is decided by the service.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use shared::fuzzing::wanted;

/// Nobody is sent gzip who does not name it or all codings, and order and repetition change nothing.
pub fn run(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let values: Vec<http::HeaderValue> =
        lines.filter_map(|line| http::HeaderValue::from_bytes(line).ok()).collect();
    let of = |values: &mut dyn Iterator<Item = http::HeaderValue>| {
        let headers: HeaderMap = values.map(|value| (ACCEPT_ENCODING, value)).collect();
        wanted(&headers)
    };
    let found = of(&mut values.iter().cloned());
    let text = data.to_ascii_lowercase();
    let says = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    if found != "Plain" {
        assert!(says(b"gzip") || says(b"*"), "{found}");
    }
    if found == "GzipOnly" {
        assert!(says(b"q"), "only a weight, of nothing or unreadable, refuses the body as it is");
    }
    assert_eq!(found, of(&mut values.iter().rev().cloned()));
    assert_eq!(found, of(&mut values.iter().chain(&values).cloned()));
}
