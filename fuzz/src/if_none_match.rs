//! `If-None-Match` and the tag that it is held against.
//! When there is a 304 is decided by the service.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use shared::if_none_match::{add, count, is_there, is_wildcard, names, same, weak};

/// An added tag is found and changes nothing else; a tag is the same as its weak form, and weak for good.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let tag = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok());
    let mut request: HeaderMap =
        lines.filter_map(|line| Some((IF_NONE_MATCH, HeaderValue::from_bytes(line).ok()?))).collect();
    let before = (count(&request), is_wildcard(&request));
    assert_eq!(is_there(&request), before.0 > 0);
    let Some(tag) = tag else { return };
    assert!(same(&tag, &weak(&tag)) && weak(&weak(&tag)) == weak(&tag));
    assert_eq!(names(&request, &tag), names(&request, &weak(&tag)));
    // What the service adds is a tag of its own, and so a whole one.
    let ours = HeaderValue::from_static("\"0123456789abcdef\"");
    let balanced = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .all(|line| line.as_bytes().iter().filter(|byte| **byte == b'"').count() % 2 == 0);
    add(&mut request, &ours);
    assert_eq!(request.get_all(IF_NONE_MATCH).iter().count(), 1);
    if balanced {
        assert!(names(&request, &ours));
        assert_eq!((count(&request), is_wildcard(&request)), (before.0 + 1, before.1));
    }
}
