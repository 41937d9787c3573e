//! The ETag that GitHub would give to a body that is known, under any token: a hash over request headers and body
//! (reference: GitHub 1.6). Nowhere documented, so of use for guesses only: a wrong one costs an ordinary 200, and a
//! 304 to a right one proves that this very token sees these very bytes.

use http::header::{ACCEPT, AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use ring::digest::{Context, SHA256};

use crate::hex::hex;

/// The ETag of `body` for a request with these headers, `Authorization` among them, in its strong form:
/// `"sha256_hex(for each of Accept, Authorization, Cookie that Vary names and the request has: value ':' … then body)"`.
///
/// `vary` is the `Vary` of the answer that the body came with, `body` its bytes uncompressed. GitHub compares weakly,
/// so that it takes this for the weak tag of a compressed answer too. None where the answer depends on what no header
/// names (`Vary: *`).
#[must_use]
pub fn predict(vary: &str, sent: &HeaderMap, body: &[u8]) -> Option<HeaderValue> {
    let named = |name: &str| vary.split(',').any(|varied| varied.trim().eq_ignore_ascii_case(name));
    if named("*") {
        return None;
    }
    let mut hash = Context::new(&SHA256);
    for name in [ACCEPT, AUTHORIZATION, COOKIE] {
        for value in sent.get_all(&name).iter().filter(|_| named(name.as_str())) {
            hash.update(value.as_bytes());
            hash.update(b":");
        }
    }
    hash.update(body);
    HeaderValue::try_from(format!("\"{}\"", hex(hash.finish().as_ref()))).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;
    use ring::digest::digest;

    use super::*;

    /// GitHub's own, to whom has signed in.
    const VARY: &str =
        "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With";
    const BODY: &[u8] = br#"{"total_count":0,"installations":[]}"#;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn tag_of(text: &[u8]) -> String {
        let hex: String = digest(&SHA256, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hex}\"")
    }

    fn predicted(vary: &str, sent: &HeaderMap, body: &[u8]) -> String {
        predict(vary, sent, body).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn headers_stand_in_githubs_order_each_with_a_colon_and_the_body_last() {
        let sent = headers(&[
            ("cookie", "c=1"),
            ("user-agent", "git-installations"),
            ("authorization", "Bearer ghu_1"),
            ("x-github-api-version", "2022-11-28"),
            ("accept", "application/vnd.github+json"),
        ]);
        let text = [b"application/vnd.github+json:Bearer ghu_1:c=1:", BODY].concat();
        assert_eq!(predicted(VARY, &sent, BODY), tag_of(&text));
    }

    #[test]
    fn without_any_header_it_is_the_hash_of_the_body() {
        let empty = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
        assert_eq!(predicted(VARY, &HeaderMap::new(), b""), empty);
        let sent = headers(&[("accept", "a"), ("authorization", "b"), ("cookie", "c")]);
        for vary in ["", "Accept-Encoding", "X-Accept", "Accept Authorization"] {
            assert_eq!(predicted(vary, &sent, b""), empty, "{vary:?} names none of them");
        }
    }

    #[test]
    fn only_what_vary_names_counts_however_it_is_written() {
        let sent = headers(&[("accept", "a"), ("authorization", "b"), ("cookie", "c")]);
        for (vary, text) in [
            ("Accept", "a:"),
            ("accept,AUTHORIZATION", "a:b:"),
            (" Cookie ,Accept", "a:c:"),
            ("Authorization, Accept-Encoding, Accept", "a:b:"),
        ] {
            assert_eq!(predicted(vary, &sent, BODY), tag_of(&[text.as_bytes(), BODY].concat()), "{vary}");
        }
    }

    #[test]
    fn nothing_is_predicted_where_the_answer_depends_on_more_than_headers() {
        for vary in ["*", "Accept, *", " * "] {
            assert_eq!(predict(vary, &HeaderMap::new(), BODY), None, "{vary:?}");
        }
    }

    proptest! {
        #[test]
        fn another_token_another_body_or_another_accept_is_another_tag(
            tokens in proptest::array::uniform2("[a-z0-9_]{1,40}"),
            accepts in proptest::array::uniform2("[a-z/+.]{1,20}"),
            bodies in proptest::array::uniform2(proptest::collection::vec(any::<u8>(), 0..200)),
        ) {
            let tag = |token: usize, accept: usize, body: usize| {
                let sent = headers(&[("accept", &accepts[accept]), ("authorization", &tokens[token])]);
                predicted(VARY, &sent, &bodies[body])
            };
            let first = tag(0, 0, 0);
            prop_assert_eq!(&first, &tag(0, 0, 0));
            prop_assert_eq!(first == tag(1, 0, 0), tokens[0] == tokens[1]);
            prop_assert_eq!(first == tag(0, 1, 0), accepts[0] == accepts[1]);
            prop_assert_eq!(first == tag(0, 0, 1), bodies[0] == bodies[1]);
        }

        #[test]
        fn whatever_is_given_the_tag_is_one_and_holds_nothing_of_it(
            vary in "[ -~]{0,40}",
            value in "[ -~]{0,40}",
            body in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let sent = headers(&[("authorization", &value), ("accept", &value), ("cookie", &value)]);
            if let Some(tag) = predict(&vary, &sent, &body) {
                let hex = tag.to_str().unwrap().trim_matches('"').to_owned();
                prop_assert_eq!(tag.len(), 66);
                prop_assert!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
    }
}
