//! What signing out at the enterprise SSO says: to a script of ours where the issuer ends its session, to an issuer
//! why its logout token ended nothing (OpenID Connect Back-Channel Logout 1.0, 2.8).

use http::StatusCode;
use serde::Serialize;
use url::Url;

use crate::contract::{Family, Response};

/// Where the session at the enterprise SSO ends.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct SessionAtIssuer<'a> {
    /// The address to which the browser goes next.
    end_session_url: &'a str,
}

/// Why a logout token ended nothing (OpenID Connect Back-Channel Logout 1.0, 2.8).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "LogoutTokenRefused"))]
struct Refused<'a> {
    /// OAuth's word for it.
    error: &'static str,
    /// What is wrong with the logout token.
    error_description: &'a str,
}

/// 200 with the address to which the browser goes next, if it is to be signed out there too.
#[must_use]
pub fn session_at_issuer(end_session: &Url) -> Response {
    Family::Auth.json(StatusCode::OK, &SessionAtIssuer { end_session_url: end_session.as_str() })
}

/// 400 with what is wrong with a logout token.
#[must_use]
pub fn logout_refused(description: &str) -> Response {
    let refused = Refused { error: "invalid_request", error_description: description };
    Family::Auth.json(StatusCode::BAD_REQUEST, &refused)
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<SessionAtIssuer<'_>>(generator);
    add::<Refused<'_>>(generator);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::wire;

    #[test]
    fn a_script_is_told_where_the_session_at_the_issuer_ends() {
        let url = Url::parse("https://sso.example.com/logout?client_id=a").unwrap();
        insta::assert_snapshot!(wire(&session_at_issuer(&url)), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"end_session_url":"https://sso.example.com/logout?client_id=a"}
        "#);
    }

    #[test]
    fn an_issuer_is_told_what_is_wrong_with_its_logout_token() {
        insta::assert_snapshot!(wire(&logout_refused("the logout token was used before")), @r#"
        400 Bad Request
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"error":"invalid_request","error_description":"the logout token was used before"}
        "#);
    }
}
