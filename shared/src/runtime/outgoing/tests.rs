//! Every answer on its way out: which are compressed and which never, what their tags are, and when 304 is enough.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, IF_NONE_MATCH};
use lambda_http::http;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::contract::{bytes, empty};

const LISTS: [Family; 3] = [Family::OpenHands, Family::Neptun, Family::Github];
const PATH: &str = "/api/user/repositories";

fn request(method: &Method, path: &str, headers: &[(http::HeaderName, &str)]) -> Request {
    let mut request = http::Request::builder().method(method).uri(format!("https://x.example{path}"));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(Body::Empty).unwrap().with_raw_http_path(path)
}

fn get(headers: &[(http::HeaderName, &str)]) -> Request {
    request(&Method::GET, PATH, headers)
}

fn gzipped() -> Request {
    get(&[(ACCEPT_ENCODING, "gzip")])
}

/// So many rows, which look alike.
fn list(family: Family, rows: usize) -> Response {
    let rows: Vec<_> = (0..rows).map(|n| json!({"id": n, "full_name": format!("octo-org/{n}")})).collect();
    family.json(StatusCode::OK, &rows)
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn unpacked(response: &Response) -> Vec<u8> {
    let Body::Binary(packed) = response.body() else { panic!("not compressed: {response:?}") };
    let mut body = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut body).unwrap();
    body
}

#[test]
fn a_list_is_compressed_for_who_takes_it_and_says_so() {
    for family in LISTS {
        let plain = outgoing(family, &get(&[]), list(family, 100)).unwrap();
        assert_eq!(header(&plain, "content-encoding"), None);
        let packed = outgoing(family, &gzipped(), list(family, 100)).unwrap();
        assert_eq!(header(&packed, "content-encoding"), Some("gzip"));
        assert_eq!(unpacked(&packed), plain.body().as_ref());
        for response in [&plain, &packed] {
            let vary = Some("Cookie, Authorization, X-Session-API-Key, Accept-Encoding");
            assert_eq!(header(response, "vary"), vary, "{family:?}");
        }
        assert_eq!(header(&packed, "etag"), header(&plain, "etag"), "one tag for both forms");
        assert_eq!(header(&packed, "content-type"), header(&plain, "content-type"));
    }
}

#[test]
fn a_small_body_stays_as_it_is_unless_that_was_refused() {
    let small = || list(Family::OpenHands, 5);
    assert!(small().body().len() < WORTH_COMPRESSING);
    let plain = outgoing(Family::OpenHands, &gzipped(), small()).unwrap();
    assert_eq!(plain.body(), small().body());
    assert!(header(&plain, "vary").unwrap().ends_with("Accept-Encoding"));
    let only = get(&[(ACCEPT_ENCODING, "gzip, identity;q=0")]);
    assert_eq!(unpacked(&outgoing(Family::OpenHands, &only, small()).unwrap()), small().body().as_ref());
}

#[test]
fn what_base64_would_make_longer_stays_as_it_is() {
    // Random letters carry six bits each: gzip takes a quarter off them, base64 adds a third.
    let noise: String = crate::clock::random::<3000>()
        .unwrap()
        .iter()
        .map(|byte| {
            char::from(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[usize::from(byte % 64)],
            )
        })
        .collect();
    let response = || Family::OpenHands.json(StatusCode::OK, &noise);
    assert!(gzip(response().body()).unwrap().len() < response().body().len());
    let plain = outgoing(Family::OpenHands, &gzipped(), response()).unwrap();
    assert_eq!((plain.body(), header(&plain, "content-encoding")), (response().body(), None));
}

#[test]
fn what_may_hold_a_secret_beside_what_somebody_chose_is_never_compressed() {
    let text = || bytes(StatusCode::OK, HeaderValue::from_static("text/html"), vec![b'a'; 5000]);
    for (family, method) in [
        (Family::Auth, Method::GET),
        (Family::Auth, Method::POST),
        (Family::Webhook, Method::POST),
        (Family::OpenHands, Method::POST),
        (Family::OpenHands, Method::DELETE),
        (Family::Neptun, Method::DELETE),
    ] {
        for headers in [&[(ACCEPT_ENCODING, "gzip")][..], &[(ACCEPT_ENCODING, "gzip, identity;q=0")]] {
            let sent = outgoing(family, &request(&method, "/api/keys", headers), text()).unwrap();
            assert_eq!(sent.body(), text().body(), "{family:?} {method}");
            assert_eq!(sent.headers(), text().headers(), "{family:?} {method}");
        }
    }
    let mut with_cookie = text();
    with_cookie.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("a=1"));
    let sent = outgoing(Family::OpenHands, &gzipped(), with_cookie).unwrap();
    assert_eq!((header(&sent, "content-encoding"), header(&sent, "etag")), (None, None));
}

#[test]
fn failures_and_what_is_no_text_are_left_as_they_are() {
    let long = Family::OpenHands.json(StatusCode::UNPROCESSABLE_ENTITY, &vec![1; 5000]);
    let sent = outgoing(Family::OpenHands, &gzipped(), long).unwrap();
    assert!(matches!(sent.body(), Body::Text(_)));
    assert_eq!(header(&sent, "vary"), Some("Cookie, Authorization, X-Session-API-Key"));
    let picture = bytes(StatusCode::OK, HeaderValue::from_static("image/png"), vec![0xff; 5000]);
    let sent = outgoing(Family::OpenHands, &gzipped(), picture).unwrap();
    assert_eq!((sent.body().len(), header(&sent, "content-encoding")), (5000, None));
}

#[test]
fn our_own_lists_have_a_tag_and_who_knows_it_is_told_nothing_else() {
    for family in [Family::OpenHands, Family::Neptun] {
        let mut first = list(family, 100);
        first.headers_mut().insert("x-total-count", HeaderValue::from_static("100"));
        let first = outgoing(family, &get(&[]), first).unwrap();
        let tag = header(&first, "etag").unwrap();
        assert!(tag.starts_with("W/\"") && tag.len() == 36, "{tag}");
        for known in [tag, tag.trim_start_matches("W/"), &format!("\"x\", {tag}"), "*"] {
            for coding in ["gzip", "identity"] {
                let again = get(&[(IF_NONE_MATCH, known), (ACCEPT_ENCODING, coding)]);
                let mut now = list(family, 100);
                now.headers_mut().insert("x-total-count", HeaderValue::from_static("101"));
                let answer = outgoing(family, &again, now).unwrap();
                assert_eq!(
                    (answer.status(), answer.body()),
                    (StatusCode::NOT_MODIFIED, &Body::Empty),
                    "{known}"
                );
                for name in ["etag", "vary", CACHE_CONTROL.as_str()] {
                    assert_eq!(header(&answer, name), header(&first, name), "{name}");
                }
                assert_eq!(header(&answer, "x-total-count"), Some("101"));
                assert_eq!(
                    (header(&answer, "content-type"), header(&answer, "content-encoding")),
                    (None, None)
                );
            }
        }
        let changed = outgoing(family, &get(&[(IF_NONE_MATCH, tag)]), list(family, 101)).unwrap();
        assert_eq!(changed.status(), StatusCode::OK);
        assert_ne!(header(&changed, "etag"), Some(tag));
    }
}

#[test]
fn no_tag_stands_on_what_is_not_whole_not_ours_not_read_or_not_a_success() {
    let of = |family, request: &Request, response| {
        let answer = outgoing(family, request, response).unwrap();
        (answer.status(), header(&answer, "etag").map(str::to_owned))
    };
    let any = [(IF_NONE_MATCH, "*")];
    let mut partial = list(Family::OpenHands, 3);
    partial.headers_mut().insert(PARTIAL_RESULT, HeaderValue::from_static("github/5002=403"));
    assert_eq!(of(Family::OpenHands, &get(&any), partial), (StatusCode::OK, None));
    let health = request(&Method::GET, "/healthz", &any);
    assert_eq!(of(Family::OpenHands, &health, list(Family::OpenHands, 1)), (StatusCode::OK, None));
    assert_eq!(of(Family::Github, &get(&any), list(Family::Github, 3)), (StatusCode::OK, None));
    let post = request(&Method::POST, PATH, &any);
    assert_eq!(of(Family::OpenHands, &post, list(Family::OpenHands, 3)), (StatusCode::OK, None));
    let wrong = Family::OpenHands.json(StatusCode::UNPROCESSABLE_ENTITY, &1);
    assert_eq!(of(Family::OpenHands, &get(&any), wrong), (StatusCode::UNPROCESSABLE_ENTITY, None));
    let deleted = empty(StatusCode::NO_CONTENT);
    assert_eq!(of(Family::OpenHands, &get(&any), deleted), (StatusCode::NO_CONTENT, None));
}

#[test]
fn githubs_tag_stays_githubs_and_is_weak_where_the_bytes_are_not_githubs() {
    let answered = |status, rows, coding| {
        let mut response = list(Family::Github, rows);
        *response.status_mut() = status;
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"abc\""));
        if status == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::Empty;
        }
        let request = get(&[(ACCEPT_ENCODING, coding), (IF_NONE_MATCH, "\"abc\"")]);
        let answer = outgoing(Family::Github, &request, response).unwrap();
        assert_eq!(answer.status(), status, "GitHub has looked at the condition");
        assert!(header(&answer, "vary").unwrap().ends_with("Accept-Encoding"));
        header(&answer, "etag").unwrap().to_owned()
    };
    assert_eq!(answered(StatusCode::OK, 100, "identity"), "\"abc\"");
    assert_eq!(answered(StatusCode::OK, 2, "gzip"), "\"abc\"", "too small to be compressed");
    assert_eq!(answered(StatusCode::OK, 100, "gzip"), "W/\"abc\"");
    assert_eq!(answered(StatusCode::NOT_MODIFIED, 0, "gzip"), "W/\"abc\"");
    assert_eq!(answered(StatusCode::NOT_MODIFIED, 0, "identity"), "\"abc\"");
}

#[test]
fn a_head_has_the_headers_of_a_get_and_no_body() {
    for headers in [&[(ACCEPT_ENCODING, "gzip")][..], &[]] {
        let sent = |method: &Method| {
            let request = request(method, PATH, headers);
            let sent = outgoing(Family::OpenHands, &request, list(Family::OpenHands, 100)).unwrap();
            without_body_for_head(&request, sent)
        };
        let (get, head) = (sent(&Method::GET), sent(&Method::HEAD));
        assert_eq!((get.status(), get.headers()), (head.status(), head.headers()));
        assert!(head.body() == &Body::Empty && get.body() != &Body::Empty);
    }
}

#[test]
fn what_lambda_would_not_carry_is_refused_with_advice_unless_it_can_be_compressed() {
    let huge = || Family::OpenHands.json(StatusCode::OK, &vec!["x".repeat(99); 62_000]);
    assert!(huge().body().len() > CARRIED);
    let refused = outgoing(Family::OpenHands, &get(&[]), huge()).unwrap_err();
    assert!(matches!(refused, Failure::TooLarge));
    let answer = Family::OpenHands.failure(&refused);
    assert_eq!(answer.status(), StatusCode::NOT_ACCEPTABLE);
    let packed = outgoing(Family::OpenHands, &gzipped(), huge()).unwrap();
    assert_eq!(unpacked(&packed), huge().body().as_ref());
    let known = header(&packed, "etag").unwrap().to_owned();
    let again = outgoing(Family::OpenHands, &get(&[(IF_NONE_MATCH, &known)]), huge()).unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "nothing is to be carried");
}

#[test]
fn the_largest_answer_that_is_let_through_fits_into_lambdas() {
    let largest = |length: usize| Body::Text("\"".repeat(length));
    assert!(carried(&largest(CARRIED / 2)) <= CARRIED && carried(&largest(CARRIED / 2 + 1)) > CARRIED);
    let carried_as = serde_json::to_string(&largest(CARRIED / 2)).unwrap().len();
    assert!(carried_as + 10_240 < 6_291_556, "{carried_as}");
}

proptest! {
    #[test]
    fn what_a_body_takes_up_is_what_json_makes_of_it(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}", bytes in any::<Vec<u8>>()) {
        for body in [Body::Text(text), Body::Binary(bytes), Body::Empty] {
            let json = serde_json::to_string(&body).unwrap();
            let empty = matches!(body, Body::Empty);
            prop_assert_eq!(carried(&body) + 2, if empty { 2 } else { json.len() });
        }
    }

    #[test]
    fn whatever_the_client_takes_it_reads_the_same_body(rows in 0_usize..200, coding in "(gzip|\\*|identity|br|gzip;q=0|identity;q=0|, )*") {
        let request = get(&[(ACCEPT_ENCODING, &coding)]);
        let sent = outgoing(Family::OpenHands, &request, list(Family::OpenHands, rows)).unwrap();
        let body = if header(&sent, "content-encoding").is_some() { unpacked(&sent) } else { sent.body().to_vec() };
        prop_assert_eq!(body, list(Family::OpenHands, rows).body().to_vec());
    }
}
