//! Redirects of the sign-in: out to a provider, and back to ourselves.
//! Neither may be stored or leak where it came from (RFC 9700, 4.2.4).

use http::header::{LOCATION, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use url::Url;

use super::ReturnTo;
use crate::contract::{Family, Response, empty};
use crate::failure::Failure;

/// 302 to a provider's authorize page; the URL is built from configuration.
#[must_use]
pub fn to_provider(url: &Url) -> Response {
    redirect(StatusCode::FOUND, url.as_str())
}

/// 303 to the issuer that ends its own session: the POST that ended ours goes on as GET.
#[must_use]
pub fn to_issuer(url: &Url) -> Response {
    redirect(StatusCode::SEE_OTHER, url.as_str())
}

/// 303 to a page of ours: whatever the method was, the browser goes on with GET.
#[must_use]
pub fn back(path: &ReturnTo) -> Response {
    redirect(StatusCode::SEE_OTHER, path.as_str())
}

fn redirect(status: StatusCode, location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return Family::Auth.failure(&Failure::Internal("a redirect to what is no URL".to_owned()));
    };
    let mut response = empty(status);
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{back, to_provider};
    use crate::contract::auth::ReturnTo;
    use crate::contract::testing::wire;

    #[test]
    fn a_sign_in_goes_out_with_302_and_comes_back_with_303() {
        let authorize =
            Url::parse("https://github.com/login/oauth/authorize?client_id=Iv1&state=a%20é").expect("a URL");
        insta::assert_snapshot!(wire(&to_provider(&authorize)), @"
        302 Found
        cache-control: no-store
        location: https://github.com/login/oauth/authorize?client_id=Iv1&state=a%20%C3%A9
        referrer-policy: no-referrer
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff
        ");
        insta::assert_snapshot!(wire(&back(&ReturnTo::default())), @"
        303 See Other
        cache-control: no-store
        location: /auth/session
        referrer-policy: no-referrer
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff
        ");
    }
}
