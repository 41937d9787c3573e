//! `/healthz`: that the service is there, for the operator's monitor.
//! Shallow on purpose: how the parts behind it are, the alarms tell.

use http::StatusCode;
use serde::Serialize;

use super::{Family, Response};

/// That the service is there.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Health<'a> {
    /// Always `ok`.
    status: &'a str,
    /// The version of the release.
    version: &'a str,
}

/// It is there, in this version.
#[must_use]
pub fn ok(version: &str) -> Response {
    Family::OpenHands.json(StatusCode::OK, &Health { status: "ok", version })
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Health<'_>>(generator);
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;

    use super::*;

    #[test]
    fn a_monitor_reads_two_words_and_keeps_neither() {
        let answer = ok("0.1.0");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.body(), &Body::Text(r#"{"status":"ok","version":"0.1.0"}"#.to_owned()));
    }
}
