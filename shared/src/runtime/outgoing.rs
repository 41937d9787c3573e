//! The last step of every answer: its ETag and the 304 that it saves (RFC 9110, 13), its compressed form (12.5.3), and
//! whether Lambda carries it at all. What the answer says is the handler's business.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Body, RequestExt};
use ring::digest::{SHA256, digest};

use crate::contract::content_coding::{Wanted, gzip, wanted};
use crate::contract::{Family, PARTIAL_RESULT, Request, Response};
use crate::failure::Failure;
use crate::hex::hex;
use crate::if_none_match;

/// Smaller bodies are not compressed: they fit into one packet as they are.
const WORTH_COMPRESSING: usize = 1024;
/// Lambda carries 6,291,556 bytes of answer (AWS docs, Lambda quotas), headers and what stands around them included;
/// API Gateway takes 10,240 bytes of headers.
const CARRIED: usize = 6_291_556 - 16 * 1024;

/// The answer as it leaves.
///
/// # Errors
/// [`Failure::TooLarge`] for one that Lambda would not carry in any form that the client takes.
pub(super) fn outgoing(
    family: Family,
    request: &Request,
    mut response: Response,
) -> Result<Response, Failure> {
    if may_be_compressed(family, request.method(), response.headers()) {
        if let Some(tag) = own_tag(family, request, &response) {
            let known = if_none_match::names(request.headers(), &tag)
                || if_none_match::is_wildcard(request.headers());
            response.headers_mut().insert(ETAG, tag);
            if known {
                response = not_modified(response);
            }
        }
        compress(wanted(request.headers()), &mut response);
    }
    if carried(response.body()) > CARRIED {
        return Err(Failure::TooLarge);
    }
    Ok(response)
}

/// An answer to HEAD is that to GET without its body (RFC 9110, 9.3.2).
pub(super) fn without_body_for_head(request: &Request, mut response: Response) -> Response {
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    response
}

/// The size of a compressed answer tells whether a guess that stands in it repeats a secret beside it (BREACH). So
/// lists are compressed, which hold no credential and of the request only what names a page or an installation that
/// the caller has. Not the rest: pages under `/auth` repeat what their address says, beside one-time links and
/// cookies; what POST answers may be a key that is shown once, beside a name that somebody chose.
fn may_be_compressed(family: Family, method: &Method, headers: &HeaderMap) -> bool {
    let of_a_list = match family {
        Family::OpenHands | Family::Neptun | Family::Github => true,
        Family::Auth | Family::Webhook => false,
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    of_a_list && reads && !headers.contains_key(SET_COOKIE) && !headers.contains_key(CONTENT_ENCODING)
}

/// The tag of our own JSON under `/api/`: the hash of the body before it is compressed, and weak, because the same tag
/// stands for both forms (RFC 9110, 8.8.3). GitHub's routes have GitHub's. An answer from which something is missing
/// has none: the list may be whole again while no byte of this has changed.
fn own_tag(family: Family, request: &Request, response: &Response) -> Option<HeaderValue> {
    let headers = response.headers();
    let is_json =
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let is_whole = response.status() == StatusCode::OK && !headers.contains_key(PARTIAL_RESULT);
    let is_ours = matches!(family, Family::OpenHands | Family::Neptun)
        && request.raw_http_path().starts_with("/api/")
        && !headers.contains_key(ETAG);
    if !(is_json && is_whole && is_ours) {
        return None;
    }
    let hash = digest(&SHA256, response.body().as_ref());
    HeaderValue::try_from(format!("W/\"{}\"", hex(&hash.as_ref()[..16]))).ok()
}

/// The headers of the answer, which are news still, without those of its body (RFC 9110, 15.4.5).
fn not_modified(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Body::Empty;
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// Sends the smaller form of what the client takes. `Vary` names the choice wherever there was one, also where it is
/// only repeated that nothing has changed.
fn compress(wanted: Wanted, response: &mut Response) {
    let status = response.status();
    if !matches!(status, StatusCode::OK | StatusCode::NOT_MODIFIED) {
        return;
    }
    vary_by_encoding(response.headers_mut());
    if wanted == Wanted::Plain {
        return;
    }
    if status == StatusCode::OK {
        // Bytes are carried as base64 already, and are no text that would shrink.
        let Body::Text(text) = response.body() else { return };
        let must = wanted == Wanted::GzipOnly;
        if text.len() < WORTH_COMPRESSING && !must {
            return;
        }
        let Some(packed) = gzip(text.as_bytes()) else { return };
        if in_base64(packed.len()) >= text.len() && !must {
            return;
        }
        *response.body_mut() = Body::Binary(packed);
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // A strong tag says that not one byte differs (RFC 9110, 8.8.1); GitHub's is one of the body as it was.
    if let Some(tag) = response.headers().get(ETAG).map(if_none_match::weak) {
        response.headers_mut().insert(ETAG, tag);
    }
}

fn vary_by_encoding(headers: &mut HeaderMap) {
    const NAME: &[u8] = b"Accept-Encoding";
    let value = match headers.get(VARY) {
        Some(vary) => [vary.as_bytes(), b", ", NAME].concat(),
        None => NAME.to_vec(),
    };
    // One line: API Gateway joins them in any case.
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(VARY, value);
    }
}

/// What a body takes up in Lambda's answer, which is a JSON text with the body as a string in it.
fn carried(body: &Body) -> usize {
    match body {
        Body::Text(text) => {
            let escaped = |byte: &u8| match byte {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
                0..0x20 => 5,
                _ => 0,
            };
            text.len() + text.as_bytes().iter().map(escaped).sum::<usize>()
        }
        Body::Binary(bytes) => in_base64(bytes.len()),
        _ => 0,
    }
}

const fn in_base64(length: usize) -> usize {
    length.div_ceil(3) * 4
}

#[cfg(test)]
mod tests;
