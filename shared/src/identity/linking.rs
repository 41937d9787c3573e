//! Whether a browser that is signed in was asked by its user to link another account, or sent by another site's page
//! (login CSRF). What linking does is `sign_in`'s.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::session::cookie_values;
use crate::contract::Request;
use crate::provider::ProviderType;
use crate::service::Service;

/// The confirmation that the user has to send first; none where they have sent it, or where a page of our own origin
/// sent the browser. Only the page that shows it to this session knows it: the session itself is its key, and with the
/// session it ends.
#[must_use]
pub fn wanted_confirmation(
    service: &Service,
    request: &Request,
    provider: ProviderType,
    sent: Option<&str>,
) -> Option<String> {
    if is_from_our_own_page(request) {
        return None;
    }
    let cookie = cookie_values(request, &service.config.session.cookie_name).next()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    // A confirmation for one provider is none for another, and nothing else that is made of a session is one.
    let message = format!("link an account at {provider}");
    let sent = sent.and_then(|sent| URL_SAFE_NO_PAD.decode(sent).ok());
    if sent.is_some_and(|sent| hmac::verify(&key, message.as_bytes(), &sent).is_ok()) {
        return None;
    }
    Some(URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

/// Browsers say it themselves and let no page say it (W3C, Fetch Metadata Request Headers, 2.3). Whoever says nothing,
/// such as a browser from before 2023, is asked as one that another site has sent.
fn is_from_our_own_page(request: &Request) -> bool {
    let mut sites = request.headers().get_all("sec-fetch-site").iter();
    matches!((sites.next(), sites.next()), (Some(site), None) if site == "same-origin")
}
