//! Sessions and API keys: each stands where it is found and in its user's list, and says the same there; what a session
//! of the enterprise SSO needs is there exactly while the session is.

use shared::store::{ApiKey, Session, SsoLogin, Stored, StoredItem};

use super::findings::Report;
use super::items::Items;

/// As long as a session lives without use, which `identity::session` decides: a younger one is still there.
const IDLE_SECONDS: i64 = 7 * 24 * 3600;
/// As long as a session lives at most.
const ABSOLUTE_SECONDS: i64 = 30 * 24 * 3600;

pub(super) fn check(items: &Items<'_>, report: &mut Report) {
    for (item, stored) in items.read() {
        // The table drops the two rows of a session that is over in its own time.
        if items.is_over(stored) {
            continue;
        }
        match stored {
            Stored::Session(session) => check_session(items, report, item, session),
            Stored::SsoLogin(login) => check_sso_login(items, report, item, login),
            Stored::ApiKey(key) => check_api_key(items, report, item, key),
            _ => {}
        }
    }
}

fn check_session(items: &Items<'_>, report: &mut Report, item: &StoredItem, session: &Session) {
    let (user, hash) = (format!("USER#{}", session.user_id), format!("SESSION#{}", session.hash));
    let in_list = item.pk == user;
    let other = if in_list { items.get(&hash, "SESSION") } else { items.get(&user, &hash) };
    match other {
        Some(Stored::Session(other)) if is_same(session, other) => {}
        Some(_) => report.violation(item, "its other row says something else"),
        None if in_list => report.violation(item, "it is listed, and nobody can be found by it"),
        None => report.violation(item, "it is not in its user's list"),
    }
    if !in_list && !items.has(&user, "USER") {
        report.violation(item, "there is no such user");
    }
    if let Some(sso) = &session.sso_session
        && !items.has(&format!("SSO_SESSION#{sso}"), &hash)
    {
        report.violation(item, "it came from the enterprise SSO, and would not end with the session there");
    }
}

/// Whether two rows are of one session. When its use was noted last is written to one after the other.
fn is_same(one: &Session, other: &Session) -> bool {
    let whenever = |session: &Session| Session { seen_at: 0, expires_at: 0, ..session.clone() };
    whenever(one) == whenever(other)
}

fn check_sso_login(items: &Items<'_>, report: &mut Report, item: &StoredItem, login: &SsoLogin) {
    let begun_at = login.expires_at - ABSOLUTE_SECONDS;
    match items.get(&format!("SESSION#{}", login.hash), "SESSION") {
        Some(Stored::Session(session)) => {
            if session.sso_session.as_ref() != Some(&login.session) || session.user_id != login.user_id {
                report.violation(item, "its session came from elsewhere, or is somebody else's");
            }
        }
        // One that nobody has used for a week was dropped before what it came from.
        _ if items.now >= begun_at + IDLE_SECONDS => {}
        _ => report.violation(item, "its session has ended, and this is left of it"),
    }
}

fn check_api_key(items: &Items<'_>, report: &mut Report, item: &StoredItem, key: &ApiKey) {
    let user = format!("USER#{}", key.user_id);
    let in_list = item.pk == user;
    let other = if in_list {
        items.get(&format!("API_KEY#{}", key.hash), "API_KEY")
    } else {
        items.get(&user, &format!("API_KEY#{}", key.id.as_str()))
    };
    let whenever = |key: &ApiKey| ApiKey { last_used_at: None, ..key.clone() };
    match other {
        Some(Stored::ApiKey(other)) if whenever(other) == whenever(key) => {}
        Some(_) => report.violation(item, "its other row says something else"),
        None if in_list => report.violation(item, "it is listed, and does not work"),
        None => report.violation(item, "it works, and its user cannot see and end it"),
    }
    if !in_list && !items.has(&user, "USER") {
        report.violation(item, "there is no such user");
    }
}
