//! What is the same for everybody and changes with a release only, such as the API's document: compressed when the
//! function was built, kept by browsers and by what stands between. Answers that depend on who asks are the families'.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use lambda_http::Body;

use super::Response;
use super::content_coding::{Wanted, wanted};
use crate::failure::Failure;
use crate::if_none_match;
use crate::packing::unpacked;

/// How long a file may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// For minutes; then it is asked whether it is still the same.
    UntilRelease,
    /// For a year: its name says its version.
    ForGood,
}

impl Kept {
    const fn cache_control(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::UntilRelease => "public, max-age=300",
            Self::ForGood => "public, max-age=31536000, immutable",
        })
    }
}

/// A file that everybody may have.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Its `Content-Type`.
    pub media_type: &'static str,
    /// Its `ETag`: a weak one, which stands for both forms of it.
    pub tag: &'static str,
    /// How long it may be kept.
    pub kept: Kept,
    /// Its bytes as gzip.
    pub gzip: &'static [u8],
}

impl Published {
    /// Its bytes as they are; `None` if it was packed wrongly.
    #[must_use]
    pub fn plain(&self) -> Option<Vec<u8>> {
        unpacked(self.gzip)
    }
}

/// 200 with the file in the form that the client takes, or 304 to who knows it.
///
/// # Errors
/// [`Failure::Internal`] for a file that cannot be unpacked.
pub fn answer(file: &Published, request: &HeaderMap) -> Result<Response, Failure> {
    let tag = HeaderValue::from_static(file.tag);
    let known = if_none_match::names(request, &tag) || if_none_match::is_wildcard(request);
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, file.kept.cache_control());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ETAG, tag);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    if wanted(request) == Wanted::Plain {
        let plain =
            file.plain().ok_or_else(|| Failure::Internal("a published file is no gzip".to_owned()))?;
        // `Vary` is added where the answer leaves, as to every other that could have been compressed.
        *response.body_mut() =
            String::from_utf8(plain).map_or_else(|bytes| Body::Binary(bytes.into_bytes()), Body::Text);
    } else {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        *response.body_mut() = Body::Binary(file.gzip.to_vec());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use flate2::Compression;
    use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

    use super::*;
    use crate::contract::testing::{body, header};
    use crate::packing::gzip;

    static FILE: LazyLock<Published> = LazyLock::new(|| Published {
        media_type: "text/css",
        tag: "W/\"1\"",
        kept: Kept::ForGood,
        gzip: gzip(b"a{}", Compression::best()).unwrap().leak(),
    });

    fn asked(headers: &[(http::HeaderName, &'static str)]) -> Response {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        answer(&FILE, &headers).unwrap()
    }

    #[test]
    fn it_is_sent_as_the_client_takes_it_and_may_be_kept_by_everybody() {
        let plain = asked(&[]);
        assert_eq!((plain.status(), body(&plain).as_str()), (StatusCode::OK, "a{}"));
        assert_eq!(header(&plain, "content-encoding"), "");
        let packed = asked(&[(ACCEPT_ENCODING, "br, gzip")]);
        assert_eq!(packed.body().as_ref(), FILE.gzip);
        assert_eq!(
            (header(&packed, "content-encoding"), header(&packed, "vary")),
            ("gzip", "Accept-Encoding")
        );
        for answer in [plain, packed] {
            assert_eq!(header(&answer, "cache-control"), "public, max-age=31536000, immutable");
            assert_eq!(header(&answer, "content-type"), "text/css");
            assert_eq!(header(&answer, "etag"), "W/\"1\"");
        }
    }

    #[test]
    fn who_knows_it_is_told_so_and_sent_nothing() {
        for tag in ["\"1\"", "W/\"0\", W/\"1\"", "*"] {
            let answer = asked(&[(IF_NONE_MATCH, tag)]);
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{tag}");
            assert_eq!((body(&answer).as_str(), header(&answer, "content-type")), ("", ""));
            assert_eq!(header(&answer, "etag"), "W/\"1\"");
        }
        assert_eq!(asked(&[(IF_NONE_MATCH, "\"2\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn what_was_packed_wrongly_is_a_failure() {
        let broken = Published { gzip: b"no gzip", ..*FILE };
        assert!(matches!(answer(&broken, &HeaderMap::new()), Err(Failure::Internal(_))));
    }
}
