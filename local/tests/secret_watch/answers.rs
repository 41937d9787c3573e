//! What an answer of the service may hold: secrets that are told once to whom they belong, and no others.
//! What is a secret is `finder`'s business.

use http::header::{ETAG, LOCATION, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{finder, guard};

/// Where secrets are told to the browser or the caller whose they are: a session's cookie; the state of a sign-in and
/// the hint of a sign-out, which the browser carries to the host. An ETag is the host's.
const THEIR_OWN: [http::HeaderName; 3] = [SET_COOKIE, LOCATION, ETAG];

/// Looks an answer of the service through, and learns the secrets that it is right to tell.
pub(crate) fn look_through(status: StatusCode, headers: &HeaderMap, body: &str) {
    learn(headers, body);
    // The gateway's own sign: the sandbox hosts' answers are theirs.
    if !headers.contains_key("apigw-requestid") {
        return;
    }
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        if !THEIR_OWN.contains(name)
            && let Some(reason) = finder::told_in_answer(&text)
        {
            guard::report(&format!("the header {name} of an answer"), &reason, &text);
        }
    }
    let body = without_what_is_theirs(status, body);
    if let Some(reason) = finder::told_in_answer(&body) {
        guard::report("the body of an answer", &reason, &body);
    }
}

/// Without a new key, which is shown this once, and the address at which the issuer's session ends.
fn without_what_is_theirs(status: StatusCode, body: &str) -> String {
    let told_once = match status {
        StatusCode::CREATED => "key",
        StatusCode::OK => "end_session_url",
        _ => return body.to_owned(),
    };
    let Ok(Value::Object(mut fields)) = serde_json::from_str(body) else { return body.to_owned() };
    fields.remove(told_once);
    Value::Object(fields).to_string()
}

/// Cookies, what stands in addresses to which a browser is sent, keys, and what hosts grant.
fn learn(headers: &HeaderMap, body: &str) {
    let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    for cookie in texts(SET_COOKIE) {
        let pair = cookie.split(';').next().unwrap_or_default();
        finder::learn(pair.split_once('=').map_or("", |(_, value)| value));
    }
    for location in texts(LOCATION) {
        let query = location.split_once('?').map_or("", |(_, query)| query);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if matches!(&*name, "code" | "state" | "nonce" | "id_token_hint") {
                finder::learn(&value);
            }
        }
    }
    if let Ok(Value::Object(fields)) = serde_json::from_str(body) {
        for name in ["key", "access_token", "refresh_token", "id_token"] {
            finder::learn(fields.get(name).and_then(Value::as_str).unwrap_or_default());
        }
    }
}
