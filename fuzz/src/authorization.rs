//! `Authorization` and `X-Session-API-Key`: which credential stands there, and which texts can be tokens of ours.
//! Whose they are, the table knows.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared::fuzzing::credential;
use shared::identity::api_key::PREFIX;
use shared::identity::secret_token::SecretToken;

use crate::message;

/// What is taken stands in its header; nothing is nobody; what was sent twice is refused.
pub fn run(data: &[u8]) {
    let headers = message::headers(data);
    let sent = |headers: &HeaderMap, name: &str| {
        let values: Vec<Vec<u8>> =
            headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii().to_vec()).collect();
        values
    };
    let (keys, authorizations) =
        (sent(&headers, "x-session-api-key"), sent(&headers, AUTHORIZATION.as_str()));
    let token = match credential(&headers) {
        Ok(Some(("x-session-api-key", key))) => {
            assert_eq!(keys, [key.as_bytes()]);
            key
        }
        Ok(Some((_, token))) => {
            assert!(keys.iter().all(Vec::is_empty) && authorizations.len() == 1);
            let (scheme, rest) = authorizations[0].split_at(authorizations[0].len() - token.len());
            assert_eq!(rest, token.as_bytes());
            let scheme = scheme.trim_ascii().to_ascii_lowercase();
            assert!(matches!(&*scheme, b"bearer" | b"token"), "{scheme:?}");
            token
        }
        Ok(None) => {
            assert!(keys.iter().chain(&authorizations).all(Vec::is_empty), "what was sent counts");
            return;
        }
        Err(_) => return,
    };
    assert!(token.trim() == token && !token.contains('\n'));
    for prefix in ["", PREFIX] {
        if let Some(parsed) = SecretToken::parse(prefix, token) {
            assert_eq!(parsed.expose(), token);
            assert_eq!(token.len(), prefix.len() + 43);
            assert_eq!(parsed.hash().as_str().len(), 43);
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        }
    }
}
