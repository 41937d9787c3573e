//! Answers of the REST API: bodies of errors, pages with their `Link`, headers, ETags.
//! Who is counted and refused before an endpoint is asked is decided in `serve`.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::digest::{Context, SHA256};

use super::asking::Ask;
use super::json::{Json, object};
use super::limits::{Bucket, Standing};
use super::tokens::hex;
use super::world::Organization;

const DOCS: &str = "https://docs.github.com/rest";
const DEFAULT_PAGE_SIZE: usize = 30;
const LARGEST_PAGE: usize = 100;

/// What an endpoint answers; `serve` gives it its headers and its bytes.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `None`: no body at all.
    pub(super) body: Option<Json>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Json) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub(super) fn ok(body: Json) -> Self {
        Self::new(StatusCode::OK, body)
    }

    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, headers: Vec::new() }
    }

    /// With one more header; a value that no header can carry is left out.
    pub(super) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// GitHub's form of an error.
    pub(super) fn error(status: StatusCode, message: &str, page: &str) -> Self {
        Self::new(
            status,
            object! {
                "message": message,
                "documentation_url": format!("{DOCS}{page}"),
                "status": status.as_str(),
            },
        )
    }

    pub(super) fn not_found() -> Self {
        Self::not_found_at("")
    }

    /// 404 of an endpoint that has a page in the documentation.
    pub(super) fn not_found_at(page: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found", page)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::error(StatusCode::UNAUTHORIZED, message, "")
    }

    pub(super) fn bad_credentials() -> Self {
        Self::unauthorized("Bad credentials")
    }

    pub(super) fn requires_authentication() -> Self {
        Self::unauthorized("Requires authentication")
    }

    pub(super) fn integration_not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Integration not found", "")
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::error(StatusCode::FORBIDDEN, message, "")
    }

    pub(super) fn suspended(page: &str) -> Self {
        Self::error(StatusCode::FORBIDDEN, "This installation has been suspended", page)
    }

    pub(super) fn unprocessable(message: &str, page: &str) -> Self {
        Self::error(StatusCode::UNPROCESSABLE_ENTITY, message, page)
    }

    pub(super) fn internal() -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, "Server Error", "")
    }

    /// 403 for a member without a SAML session (reference/github.md 1.7).
    pub(super) fn saml(organization: &Organization, ask: &Ask) -> Self {
        let Organization { login, id, .. } = organization;
        let url = ask.links().web(&format!("/orgs/{login}/sso?authorization_request=SANDBOX{id}"));
        Self::forbidden(
            "Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization.",
        )
        .with_header("x-github-sso", &format!("required; url={url}"))
    }

    /// 403 for a caller who used up the limit.
    pub(super) fn rate_limited(bucket: Bucket) -> Self {
        Self::error(
            StatusCode::FORBIDDEN,
            &format!("API rate limit exceeded for {bucket}."),
            "/using-the-rest-api/rate-limits-for-the-rest-api",
        )
    }

    /// A listing from which organisations are missing because of SAML says so.
    pub(super) fn with_partial_results<'a>(self, hidden: impl Iterator<Item = &'a Organization>) -> Self {
        let mut ids: Vec<String> = hidden.map(|organization| organization.id.to_string()).collect();
        ids.sort();
        ids.dedup();
        if ids.is_empty() {
            return self;
        }
        self.with_header("x-github-sso", &format!("partial-results; organizations={}", ids.join(",")))
    }

    /// The bytes: compact, or indented for a person (reference/github.md 1.5).
    pub(super) fn render(&self, indented: bool) -> Vec<u8> {
        let Some(body) = &self.body else { return Vec::new() };
        let bytes = if indented {
            serde_json::to_vec_pretty(body).map(|mut bytes| {
                bytes.push(b'\n');
                bytes
            })
        } else {
            serde_json::to_vec(body)
        };
        // Strings, numbers and lists of them always have a JSON form.
        bytes.unwrap_or_default()
    }
}

/// A number as GitHub reads it: the digits at the beginning, whatever follows.
fn lenient(value: Option<&str>) -> usize {
    let digits = value.unwrap_or_default().trim_start();
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// One page of a listing.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) total: usize,
    link: Option<String>,
}

impl<T> Page<T> {
    /// The page that is asked for: 30 items by default, 100 at most, the first page for nonsense.
    pub(super) fn of(all: Vec<T>, ask: &Ask) -> Self {
        let size = match lenient(ask.parameter("per_page")) {
            0 => DEFAULT_PAGE_SIZE,
            size => size.min(LARGEST_PAGE),
        };
        let number = lenient(ask.parameter("page")).max(1);
        let total = all.len();
        let last = total.div_ceil(size).max(1);
        let mut relations = Vec::new();
        if number > 1 {
            relations.push(("prev", (number - 1).min(last)));
        }
        if number < last {
            relations.push(("next", number + 1));
        }
        if number != last && total > 0 {
            relations.push(("last", last));
        }
        if number > 1 {
            relations.push(("first", 1));
        }
        let links: Vec<String> = relations
            .into_iter()
            .map(|(relation, page)| format!("<{}>; rel=\"{relation}\"", ask.address_of_page(page)))
            .collect();
        let link = (!links.is_empty()).then(|| links.join(", "));
        let items = all.into_iter().skip((number - 1).saturating_mul(size)).take(size).collect();
        Self { items, total, link }
    }

    /// The page as an answer; `body` shapes the items.
    pub(super) fn answer(self, body: impl FnOnce(Vec<T>, u64) -> Json) -> Answer {
        let answer = Answer::ok(body(self.items, self.total as u64));
        match self.link {
            Some(link) => answer.with_header("link", &link),
            None => answer,
        }
    }
}

/// The request headers that an answer depends on.
pub(super) fn vary(authenticated: bool) -> &'static str {
    if authenticated {
        "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With"
    } else {
        "Accept, Accept-Encoding, Accept, X-Requested-With"
    }
}

/// GitHub's ETag (reference/github.md 1.6): SHA-256 over the headers that `Vary` names, each followed by a
/// colon, and the body.
pub(super) fn etag(request: &HeaderMap, vary: &str, body: &[u8]) -> String {
    let mut hash = Context::new(&SHA256);
    for name in [ACCEPT, AUTHORIZATION, COOKIE] {
        if vary.split(',').any(|varied| varied.trim().eq_ignore_ascii_case(name.as_str())) {
            for value in request.get_all(&name) {
                hash.update(value.as_bytes());
                hash.update(b":");
            }
        }
    }
    hash.update(body);
    format!("\"{}\"", hex(hash.finish().as_ref()))
}

/// Whether `If-None-Match` names this ETag; `W/` makes no difference.
pub(super) fn is_known(request: &HeaderMap, etag: &str) -> bool {
    request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}

/// `X-GitHub-Media-Type`: what the first `application/vnd.github` of `Accept` names.
pub(super) fn media_type(request: &HeaderMap) -> String {
    let accept = request.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let named = accept.split(',').find_map(|one| one.trim().strip_prefix("application/vnd.github"));
    let name = named.and_then(|rest| rest.split(['+', ';']).next()).unwrap_or_default();
    match name.trim_start_matches('.') {
        "" | "v3" => "github.v3; format=json".to_owned(),
        preview => format!("github.{preview}; format=json"),
    }
}

/// `X-RateLimit-*`.
pub(super) fn write_standing(headers: &mut HeaderMap, standing: Standing) {
    headers.insert("x-ratelimit-limit", HeaderValue::from(standing.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(standing.remaining()));
    headers.insert("x-ratelimit-used", HeaderValue::from(standing.used));
    headers.insert("x-ratelimit-reset", HeaderValue::from(standing.reset));
    headers.insert("x-ratelimit-resource", HeaderValue::from_static("core"));
}

/// Puts a `Link` in place of an answer's own, for the fault of that name.
pub(super) fn replace_link(headers: &mut HeaderMap, link: &str) {
    if let Ok(link) = HeaderValue::from_str(link) {
        headers.insert(LINK, link);
    }
}
