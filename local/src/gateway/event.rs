//! A request as the event that API Gateway sends to a function (payload format 2.0).
//! What `lambda_http` could not turn back into a request is found out here, before it would panic.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, HeaderMap, USER_AGENT};
use http::request::Parts;
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use shared::clock::{Clock, NoEntropy, random};
use time::OffsetDateTime;
use time::macros::format_description;

use super::router::Matched;

/// Headers that concern one connection; API Gateway keeps them.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Bodies of these types travel as text, all others as base64.
const TEXT_TYPES: [&str; 3] = ["application/json", "application/javascript", "application/xml"];

/// What tells one request from all others, and when it came.
pub(super) struct Stamp {
    /// API Gateway's id, which the client sees too.
    pub(super) request_id: String,
    /// Lambda's id, which the function's log has.
    pub(super) invocation_id: String,
    /// The header by which a request is traced.
    pub(super) trace: String,
    /// When it came.
    pub(super) unix_millis: u64,
}

impl Stamp {
    pub(super) fn new(clock: &Clock) -> Result<Self, NoEntropy> {
        let unix_millis = clock.unix_millis();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let id: [u8; 16] = random()?;
        Ok(Self {
            request_id: BASE64.encode(random::<11>()?),
            invocation_id: [&id[..4], &id[4..6], &id[6..8], &id[8..10], &id[10..]].map(hex).join("-"),
            trace: format!("Root=1-{:08x}-{}", unix_millis / 1000, hex(&random::<12>()?)),
            unix_millis,
        })
    }
}

/// The event's text; `None` when no function could read it.
pub(super) fn build(
    parts: &Parts,
    body: &[u8],
    peer: SocketAddr,
    matched: &Matched<'_>,
    stamp: &Stamp,
) -> Option<String> {
    let parameters = matched.parameters()?;
    let path = percent_decode_str(parts.uri.path()).decode_utf8().ok()?;
    let query = parts.uri.query().unwrap_or_default();
    let headers = headers(&parts.headers, peer, stamp);
    let host = headers.get("host")?;
    if !is_readable(host, &path, query) {
        return None;
    }
    let domain = host.parse::<Authority>().ok()?.host().to_owned();
    let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": matched.route.key(),
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.split('.').next(),
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": peer.ip().to_string(),
                "userAgent": user_agent,
            },
            "requestId": stamp.request_id,
            "routeKey": matched.route.key(),
            "stage": "$default",
            "time": common_log_time(stamp.unix_millis),
            "timeEpoch": stamp.unix_millis,
        },
        "isBase64Encoded": false,
    });
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(joined_query(query));
    }
    if !parameters.is_empty() {
        event["pathParameters"] = json!(parameters);
    }
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(&parts.headers));
        event["isBase64Encoded"] = Value::from(text.is_none());
        event["body"] = Value::from(text.map_or_else(|| BASE64.encode(body), str::to_owned));
    }
    Some(event.to_string())
}

/// Headers in lower case, those that came more than once joined by commas, without cookies, with what the gateway adds.
fn headers(sent: &HeaderMap, peer: SocketAddr, stamp: &Stamp) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for name in sent.keys().filter(|name| **name != COOKIE && !HOP_BY_HOP.contains(&name.as_str())) {
        let values: Vec<_> =
            sent.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        headers.insert(name.as_str().to_owned(), values.join(","));
    }
    let host = headers.entry(HOST.as_str().to_owned()).or_insert_with(|| "localhost".to_owned());
    let port = host.parse::<Authority>().ok().and_then(|host| host.port_u16()).unwrap_or(80);
    let source = peer.ip().to_string();
    let forwarded = match headers.get("x-forwarded-for") {
        Some(before) => format!("{before}, {source}"),
        None => source,
    };
    headers.insert("x-forwarded-for".to_owned(), forwarded);
    headers.insert("x-forwarded-port".to_owned(), port.to_string());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers.insert("x-amzn-trace-id".to_owned(), stamp.trace.clone());
    headers
}

fn cookies(sent: &HeaderMap) -> Vec<String> {
    sent.get_all(COOKIE)
        .iter()
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

fn joined_query(query: &str) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        joined
            .entry(name.into_owned())
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    joined
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    !headers.contains_key(CONTENT_ENCODING)
        && (kind.starts_with("text/")
            || TEXT_TYPES.contains(&kind.as_str())
            || kind.ends_with("+json")
            || kind.ends_with("+xml"))
}

/// Whether `lambda_http` can make a URI of these: it takes for granted that API Gateway checked them.
fn is_readable(host: &str, path: &str, query: &str) -> bool {
    let Ok(url) = url::Url::parse(&format!("http://{host}{path}")) else { return false };
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{url}{separator}{query}").parse::<http::Uri>().is_ok()
}

fn common_log_time(unix_millis: u64) -> String {
    let seconds = i64::try_from(unix_millis / 1000).unwrap_or_default();
    let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_default()
}
