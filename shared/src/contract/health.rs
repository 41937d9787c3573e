//! `/healthz`: that the service is there, for the operator's monitor.
//! Shallow on purpose: how the parts behind it are, the alarms tell.

use http::StatusCode;
use lambda_http::Body;
use serde::Serialize;

use super::{Family, Response};

#[derive(Serialize)]
struct Health<'a> {
    status: &'a str,
    version: &'a str,
}

/// It is there, in this version.
#[must_use]
pub fn ok(version: &str) -> Response {
    Family::OpenHands.json(StatusCode::OK, &Health { status: "ok", version })
}

/// The same to a HEAD (RFC 9110, 9.3.2): the headers of a GET, and nothing after them.
#[must_use]
pub fn ok_without_body(version: &str) -> Response {
    ok(version).map(|_| Body::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_reads_two_words_and_keeps_neither() {
        let answer = ok("0.1.0");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.body(), &Body::Text(r#"{"status":"ok","version":"0.1.0"}"#.to_owned()));
    }

    #[test]
    fn a_head_has_the_headers_and_no_body() {
        let (get, head) = (ok("0.1.0"), ok_without_body("0.1.0"));
        assert_eq!((get.status(), get.headers()), (head.status(), head.headers()));
        assert_eq!(head.body(), &Body::Empty);
    }
}
