//! `Cookie` headers: which values of a name are found among what other sites' and browsers' habits leave there.
//! Whether a value is a session's, the table knows.

use http::header::COOKIE;
use http::{HeaderValue, Request};
use lambda_http::Body;
use shared::identity::session::cookie_values;

const NAME: &str = "neptun-session";
const OURS: &[u8] = b"neptun-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What is found stands in the header, and no other cookie takes ours away.
pub fn run(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let request = with(&lines);
    for value in cookie_values(&request, NAME) {
        assert!(!value.contains(';'));
        let pair = format!("{NAME}={value}");
        assert!(data.windows(pair.len()).any(|part| part == pair.as_bytes()), "{value:?} stands nowhere");
    }
    let before = cookie_values(&request, NAME).count();
    // In a line with whatever else there is, in front and behind, as `lambda_http` joins them.
    for line in &lines {
        let Ok(line) = HeaderValue::from_bytes(line) else { continue };
        for together in [[OURS, line.as_bytes()].join(&b"; "[..]), [line.as_bytes(), OURS].join(&b"; "[..])] {
            let request = with(&[&together]);
            let ours = cookie_values(&request, NAME).filter(|value| value.len() == 43).count();
            assert!(ours >= 1, "a cookie hides another");
        }
    }
    let mut more = lines.clone();
    more.push(OURS);
    assert_eq!(cookie_values(&with(&more), NAME).count(), before + 1);
}

fn with(lines: &[&[u8]]) -> Request<Body> {
    let mut request = Request::new(Body::Empty);
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            request.headers_mut().append(COOKIE, value);
        }
    }
    request
}
