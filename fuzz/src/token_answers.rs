//! What token endpoints answer, all hosts' and the broker's: a status, headers, a body.
//! Where a token is kept is decided by the service.

use secrecy::ExposeSecret;
use shared::fuzzing::{bitbucket, enterprise_sso, github, gitlab};
use shared::provider::oauth::{OauthError, TokenGrant};

use crate::hosts::HOSTS;
use crate::message;

/// A grant is one of a 200 that says so, and a refusal is told in words fit for a log.
pub fn run(data: &[u8]) {
    let answer = message::answer(data);
    let hosts = &*HOSTS;
    let grants: [Result<TokenGrant, OauthError>; 4] = [
        github::grant(&hosts.github, &answer),
        gitlab::grant(&hosts.gitlab, &answer),
        bitbucket::grant(&hosts.bitbucket, &answer),
        enterprise_sso::grant(&hosts.sso, &answer),
    ];
    for grant in grants {
        match grant {
            Ok(grant) => {
                assert_eq!(answer.status.as_u16(), 200);
                held(grant.access.expose_secret(), &answer.body);
                assert!(!format!("{grant:?}").contains("access_token"));
            }
            Err(OauthError::Refused(code)) => {
                assert!(code.len() <= 64);
                assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            }
            Err(_) => {}
        }
    }
    if let Ok(Some(token)) = enterprise_sso::brokered(&answer) {
        assert!(answer.status.is_success() && !token.access.expose_secret().is_empty());
        assert!(token.access_expires_at.is_none_or(|end| end > 0));
    }
}

/// The token comes out of the body, unless it was written with escapes.
fn held(token: &str, body: &[u8]) {
    let plain = !body.contains(&b'\\');
    assert!(!plain || token.is_empty() || body.windows(token.len()).any(|part| part == token.as_bytes()));
}
