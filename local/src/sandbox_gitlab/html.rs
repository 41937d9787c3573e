//! The frame of the sandbox's pages for people, escaping, and pages that a proxy would answer with.
//! What they say lives in `authorize_page` and `serve`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use url::Url;

use super::tokens::sha256_base64;

const STYLE: &str = ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{max-width:36rem;margin:3rem auto;padding:0 1rem}form{display:grid;gap:.6rem}\
button{font:inherit;color:inherit;background:none;border:1px solid #fc6d26;border-radius:.3rem;\
padding:.6rem .9rem;text-align:left;cursor:pointer}button small{display:block;opacity:.75}footer{opacity:.75}";

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let characters = text.chars().map(|character| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => other.to_string(),
    });
    characters.collect()
}

/// A hidden field.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
}

/// A page. `destination`: where its form may lead, by way of a redirect, besides back here.
pub(super) fn page(status: StatusCode, title: &str, body: &str, destination: Option<&Url>) -> Response {
    let title = escape(title);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n\
         <footer>The sandbox GitLab runs on this machine and knows no real accounts.</footer>\n</body>\n</html>\n"
    );
    let leads_to = destination.map(|url| format!(" {}", url.origin().ascii_serialization()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'",
        sha256_base64(STYLE),
        leads_to.unwrap_or_default()
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (status, headers, html).into_response()
}

/// A page that says what is wrong.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    page(status, "An error has occurred", &format!("<p>{}</p>", escape(message)), None)
}

/// Bare HTML, for what a proxy in front of GitLab would say.
pub(super) fn plain(status: StatusCode) -> Response {
    let body = format!(
        "<!DOCTYPE html><html><head><title>GitLab is not responding ({})</title></head><body></body></html>",
        status.as_u16()
    );
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}
