//! An input in the form of an HTTP message, so that a corpus can be read: lines of headers, an empty line, a body.
//! What stands in it is the targets' business.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use shared::provider::upstream::Answer;

/// Headers and the body behind them. A line that is no header is left out; without an empty line all is headers.
pub(crate) fn read(data: &[u8]) -> (HeaderMap, &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 2..]));
    let body = if data.starts_with(b"\n") { &data[1..] } else { body };
    let head = if data.starts_with(b"\n") { &[][..] } else { head };
    (headers(head), body)
}

/// The headers of these lines.
pub(crate) fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

/// A host's answer: its status in front of the first line, 200 where there is none.
pub(crate) fn answer(data: &[u8]) -> Answer {
    let digits = data.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let status = digits.and_then(|digits| StatusCode::from_bytes(digits).ok());
    let rest = if status.is_some() { data[3..].strip_prefix(b"\n").unwrap_or(&data[3..]) } else { data };
    let (headers, body) = read(rest);
    Answer { status: status.unwrap_or_default(), headers, body: Bytes::copy_from_slice(body) }
}
