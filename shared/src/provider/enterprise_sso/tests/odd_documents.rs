//! Whatever an issuer's documents and a broker's answers hold: what is taken keeps the rules, and nothing panics.
//! What each single fault of them comes to is tested beside this.

use bytes::Bytes;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use url::Host as UrlHost;

use super::*;
use crate::config::is_this_machine;
use crate::provider::enterprise_sso::broker::{is_token_refused, stored, without_token};

const ISSUER: &str = "https://sso.example/realms/acme";

/// Addresses good and bad, and what is none.
fn address() -> impl Strategy<Value = Value> {
    prop_oneof![
        "(https?|ftp)://([a-z]{1,8}[.](example|localhost)|localhost|10[.]0[.]0[.]1|\\[::1\\]|sso[.]example)(:[0-9]{2,4})?/[a-z]{0,4}([?#]x)?"
            .prop_map(Value::from),
        "(https://)?[a-z@:/\\\\. ]{0,20}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!([ISSUER])),
    ]
}

proptest! {
    #[test]
    fn no_address_is_taken_that_leads_into_a_network_of_ours(addresses in prop::array::uniform5(address())) {
        let issuer: Issuer = ISSUER.parse().unwrap();
        let [authorization, token, keys, end_session, revocation] = addresses;
        let document = json!({
            "issuer": ISSUER, "authorization_endpoint": authorization, "token_endpoint": token, "jwks_uri": keys,
            "end_session_endpoint": end_session, "revocation_endpoint": revocation,
        });
        if let Ok(read) = Discovery::read(&issuer, &document) {
            let taken = [Some(read.authorization_endpoint), Some(read.token_endpoint), Some(read.jwks_uri),
                read.end_session_endpoint, read.revocation_endpoint];
            for url in taken.into_iter().flatten() {
                let own = url.origin() == issuer.url().origin();
                let foreign = url.scheme() == "https" && url.port().is_none() && !is_this_machine(&url)
                    && matches!(url.host(), Some(UrlHost::Domain(_)));
                prop_assert!(own || foreign, "{}", url);
                prop_assert!(url.username().is_empty() && url.fragment().is_none());
            }
        }
    }

    #[test]
    fn a_key_of_no_use_costs_no_other(
        odd in prop::collection::vec(prop::sample::select(vec![
            json!(null), json!([]), json!({}), json!({"kty": "oct", "k": "AA"}), json!({"kty": "RSA", "n": "AQ", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), json!({"kty": "RSA", "use": "enc"}),
            json!({"kty": 5, "kid": []}), json!({"kty": "RSA", "n": "", "e": ""}),
        ]), 0..6),
        place in any::<prop::sample::Index>(),
    ) {
        ring_provider::install();
        prop_assert!(Keys::read(&json!({ "keys": odd })).is_err(), "none of them can verify a token");
        let key = Pair::es256("k1");
        let mut keys = odd;
        keys.insert(place.index(keys.len() + 1), key.jwk());
        let keys = Keys::read(&json!({ "keys": keys })).unwrap();
        let token = key.token(&json!({ "iss": ISSUER }));
        prop_assert!(keys.claims(&SignedToken::parse(&token).unwrap()).is_ok());
    }

    #[test]
    fn what_a_broker_stored_is_a_token_with_something_in_it_or_an_error(
        status in prop::sample::select(vec![200_u16, 204, 400, 401, 403, 404, 429, 500, 502]),
        body in r#"(\{"access_token":"?[a-z]{0,4}"?(,"accessTokenExpiration":-?[0-9]{1,20})?\}|access_token=[a-z%+&]{0,8}|.{0,30})"#,
    ) {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body),
        };
        prop_assert_eq!(is_token_refused(&answer), status == 401);
        if let Ok(Some(token)) = stored(&answer) {
            prop_assert!(!token.access.expose_secret().is_empty());
            prop_assert!(token.access_expires_at.is_none_or(|end| end > 0));
        }
        prop_assert!(without_token(&answer, ProviderType::Github).is_err(), "Keycloak's words are others");
    }
}
