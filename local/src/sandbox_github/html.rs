//! The frame of the sandbox's pages for people: one style, a strict content security policy, escaping.
//! What the pages say lives in `authorize_page`, `install_page` and `console_page`; the sandbox OpenID provider's share it.

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use ring::digest::{SHA256, digest};

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{margin:8vh auto;max-width:34rem;padding:0 1rem}\
h1{font-size:1.4rem}p.note{opacity:.7;font-size:.9rem}\
form,nav{display:grid;gap:.5rem}\
button,a.choice{display:block;padding:.7rem 1rem;border:1px solid #8886;border-radius:.5rem;background:none;\
color:inherit;font:inherit;text-align:left;text-decoration:none;cursor:pointer}\
button:hover,a.choice:hover,button.first{border-color:#0969da}\
button small,a.choice small{display:block;opacity:.7}\
button.cancel{border-color:transparent;text-align:center}\
details{border-top:1px solid #8886;padding:.4rem 0}summary{cursor:pointer}small{opacity:.7}\
.row{display:flex;gap:.5rem;align-items:center;justify-content:space-between;margin:.4rem 0}\
.row button{padding:.3rem .7rem}.row span small{display:block}\
label{display:flex;gap:.5rem;align-items:center;justify-content:space-between}\
input{font:inherit;padding:.3rem .5rem;border:1px solid #8886;border-radius:.4rem;background:none;color:inherit}";

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A hidden field.
pub(crate) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
}

/// A page. `destinations`: where its form may lead, by way of a redirect, besides back here.
pub(super) fn page(status: StatusCode, title: &str, body: &str, destinations: &[String]) -> Response {
    page_of("GitHub", status, title, body, destinations)
}

/// A page of one of the sandboxes, which says at its end whose it is.
pub(crate) fn page_of(
    sandbox: &str,
    status: StatusCode,
    title: &str,
    body: &str,
    destinations: &[String],
) -> Response {
    let title = escape(title);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n\
         <p class=\"note\">This is the sandbox {sandbox}: it runs on this machine and knows no real accounts.</p>\n\
         </body>\n</html>\n"
    );
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'",
        origins(destinations)
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (status, headers, html).into_response()
}

/// The origins of addresses, each with a space before it.
fn origins(destinations: &[String]) -> String {
    let mut origins: Vec<String> = destinations
        .iter()
        .filter_map(|address| url::Url::parse(address).ok())
        .map(|address| address.origin())
        .filter(url::Origin::is_tuple)
        .map(|origin| format!(" {}", origin.ascii_serialization()))
        .collect();
    origins.sort();
    origins.dedup();
    origins.concat()
}

/// A page that says what is wrong.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    page(status, "Be careful!", &format!("<p>{}</p>", escape(message)), &[])
}

/// Bare HTML, for what a proxy in front of GitHub would say.
pub(super) fn plain(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}
