//! Who asks: the token in a request's headers, and whether it reaches for what is asked.
//! What was handed out to whom is kept in `tokens`.

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use super::Gitlab;
use super::answers::Problem;
use super::tokens::Standing;
use super::world::{User, UserId};

/// What the listings need.
pub(super) const READ: &[&str] = &["api", "read_api"];
/// What `/user` needs.
pub(super) const READ_USER: &[&str] = &["api", "read_user", "read_api"];

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// How the token of a request stands. `Authorization` takes all kinds, `PRIVATE-TOKEN` personal ones only.
fn standing(gitlab: &Gitlab, headers: &HeaderMap) -> Option<Standing> {
    let state = gitlab.store.lock();
    if let Some(token) = text(headers, "private-token") {
        return Some(state.tokens.personal(token));
    }
    let (scheme, token) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Some(match state.tokens.oauth(token.trim(), gitlab.clock.unix()) {
        Standing::Unknown => state.tokens.personal(token.trim()),
        known => known,
    })
}

/// Whose limit a request counts for.
pub(super) fn identify(gitlab: &Gitlab, headers: &HeaderMap) -> Option<UserId> {
    match standing(gitlab, headers) {
        Some(Standing::Good { user, .. }) => Some(user),
        _ => None,
    }
}

/// The user of a request whose token has one of these scopes.
pub(super) fn authorize(gitlab: &Gitlab, headers: &HeaderMap, scopes: &[&str]) -> Result<User, Problem> {
    let unauthorized = || Problem::message(StatusCode::UNAUTHORIZED, "401 Unauthorized");
    let bad = |description: &str| Problem::described(StatusCode::UNAUTHORIZED, "invalid_token", description);
    let (user, granted) = match standing(gitlab, headers).ok_or_else(unauthorized)? {
        Standing::Good { user, scopes } => (user, scopes),
        Standing::Unknown if headers.contains_key("private-token") => return Err(unauthorized()),
        Standing::Unknown => return Err(bad("Bad Access Token.")),
        Standing::Expired => {
            return Err(bad("Token is expired. You can either do re-authorization or token refresh."));
        }
        Standing::Revoked => return Err(bad("Token was revoked. You have to re-authorize from the user.")),
    };
    if !granted.split(' ').any(|scope| scopes.contains(&scope)) {
        return Err(Problem::insufficient_scope(&scopes.join(" ")));
    }
    let user = gitlab.store.lock().world.users.get(&user).cloned().ok_or_else(unauthorized)?;
    if user.blocked {
        let words = "403 Forbidden - Your account has been blocked.";
        return Err(Problem::message(StatusCode::FORBIDDEN, words));
    }
    Ok(user)
}
