//! Which headers go up to GitHub and which come back down, and GitHub's own answer as ours.
//! Everything not named here stays behind: cookies, server names, security policies of another site.

use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LAST_MODIFIED, LINK, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::link::rewrite_link;
use crate::contract::{JSON_UTF8, Response, bytes, empty};

/// Request headers that are carried on to GitHub (DESIGN 4). The old machine-man preview is an `Accept` value.
pub const REQUEST_HEADERS: [HeaderName; 3] =
    [ACCEPT, HeaderName::from_static("x-github-api-version"), IF_NONE_MATCH];

/// Headers of GitHub's answer that are carried back; `Link` is rewritten first.
///
/// The URL in `X-GitHub-SSO` leads to GitHub: that is its documented purpose (reference: GitHub, 1.5).
pub const ANSWER_HEADERS: [HeaderName; 15] = [
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-used"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("x-ratelimit-resource"),
    HeaderName::from_static("x-github-request-id"),
    HeaderName::from_static("x-github-media-type"),
    HeaderName::from_static("x-github-sso"),
    HeaderName::from_static("x-github-api-version-selected"),
    HeaderName::from_static("deprecation"),
    HeaderName::from_static("sunset"),
];

/// What of a caller's request goes on to GitHub.
#[must_use]
pub fn forwarded_request_headers(request: &HeaderMap) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    copy(request, &REQUEST_HEADERS, &mut forwarded);
    forwarded
}

/// GitHub's answer as ours: its status, its bytes, its headers as far as they are carried on, and `Link` with our
/// own URLs of `path`.
#[must_use]
pub fn passed_through(
    status: StatusCode,
    upstream: &HeaderMap,
    body: Vec<u8>,
    public_url: &Url,
    path: &str,
) -> Response {
    let mut response = if body.is_empty() { empty(status) } else { bytes(status, JSON_UTF8, body) };
    copy(upstream, &ANSWER_HEADERS, response.headers_mut());
    let link = upstream
        .get(LINK)
        .and_then(|link| link.to_str().ok())
        .and_then(|link| rewrite_link(link, public_url, path))
        .and_then(|link| HeaderValue::try_from(link).ok());
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    response
}

fn copy(from: &HeaderMap, names: &[HeaderName], to: &mut HeaderMap) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};
    use url::Url;

    use super::{forwarded_request_headers, passed_through};
    use crate::contract::testing::wire;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
            .collect()
    }

    fn ours() -> Url {
        Url::parse("https://installations.example").expect("a URL")
    }

    #[test]
    fn only_the_named_request_headers_go_to_github() {
        let forwarded = forwarded_request_headers(&headers(&[
            ("accept", "application/vnd.github.machine-man-preview+json"),
            ("x-github-api-version", "2026-03-10"),
            ("if-none-match", "W/\"abc\""),
            ("authorization", "Bearer gi_key"),
            ("cookie", "neptun-session=secret"),
            ("x-session-api-key", "gi_key"),
            ("x-forwarded-for", "192.0.2.1"),
        ]));
        insta::assert_debug_snapshot!(forwarded, @r#"
        {
            "accept": "application/vnd.github.machine-man-preview+json",
            "x-github-api-version": "2026-03-10",
            "if-none-match": "W/\"abc\"",
        }
        "#);
    }

    #[test]
    fn githubs_bytes_and_headers_pass_and_its_link_becomes_ours() {
        let upstream = headers(&[
            ("content-type", "application/json; charset=utf-8"),
            ("etag", "W/\"abc\""),
            ("last-modified", "Thu, 05 Jul 2012 15:31:30 GMT"),
            ("link", "<https://api.github.com/user/installations?per_page=2&page=2>; rel=\"next\""),
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4999"),
            ("x-ratelimit-used", "1"),
            ("x-ratelimit-reset", "1710928800"),
            ("x-ratelimit-resource", "core"),
            ("x-github-request-id", "C0DE:1"),
            ("x-github-media-type", "github.v3; format=json"),
            ("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=A"),
            ("retry-after", "60"),
            ("deprecation", "Thu, 05 Jul 2029 15:31:30 GMT"),
            ("sunset", "Thu, 05 Jul 2030 15:31:30 GMT"),
            ("cache-control", "private, max-age=60, s-maxage=60"),
            ("vary", "Accept, Authorization"),
            ("set-cookie", "_octo=1"),
            ("server", "github.com"),
            ("content-security-policy", "default-src 'none'"),
            ("access-control-allow-origin", "*"),
        ]);
        let body = b"{\"total_count\":0,\n  \"installations\": [], \"new_field\": 1}".to_vec();
        let response = passed_through(StatusCode::OK, &upstream, body, &ours(), "/user/installations");
        insta::assert_snapshot!(wire(&response), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json; charset=utf-8
        deprecation: Thu, 05 Jul 2029 15:31:30 GMT
        etag: W/"abc"
        last-modified: Thu, 05 Jul 2012 15:31:30 GMT
        link: <https://installations.example/user/installations?per_page=2&page=2>; rel="next"
        retry-after: 60
        sunset: Thu, 05 Jul 2030 15:31:30 GMT
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff
        x-github-media-type: github.v3; format=json
        x-github-request-id: C0DE:1
        x-github-sso: required; url=https://github.com/orgs/acme/sso?authorization_request=A
        x-ratelimit-limit: 5000
        x-ratelimit-remaining: 4999
        x-ratelimit-reset: 1710928800
        x-ratelimit-resource: core
        x-ratelimit-used: 1

        {"total_count":0,
          "installations": [], "new_field": 1}
        "#);
    }

    #[test]
    fn not_modified_has_no_body_and_keeps_the_etag() {
        let upstream = headers(&[("etag", "\"abc\"")]);
        let response =
            passed_through(StatusCode::NOT_MODIFIED, &upstream, Vec::new(), &ours(), "/user/installations");
        insta::assert_snapshot!(wire(&response), @r#"
        304 Not Modified
        cache-control: no-store
        etag: "abc"
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff
        "#);
    }

    #[test]
    fn a_body_that_is_no_text_keeps_its_bytes() {
        let response = passed_through(
            StatusCode::OK,
            &HeaderMap::new(),
            vec![0xff, 0x00],
            &ours(),
            "/user/installations",
        );
        assert_eq!(response.body().as_ref(), [0xff, 0x00]);
    }
}
