//! The browser's session: an opaque cookie, of which only the hash is stored (DESIGN 3).
//! Idle and absolute expiry; a new one at every sign-in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};
use http::header::COOKIE;
use ring::digest::{SHA256, digest};
use secrecy::SecretString;
use time::Duration;

use super::sealing::{self, Aad, Sealed};
use super::secret_token::SecretToken;
use crate::contract::Request;
use crate::failure::Failure;
use crate::provider::ProviderType;
use crate::service::Service;
use crate::store::{Session, SsoLogin, StoreError, UserId};

/// A session that is not used for a week ends.
const IDLE_SECONDS: i64 = 7 * 24 * 3600;
/// No session lives longer than thirty days.
const ABSOLUTE_SECONDS: i64 = 30 * 24 * 3600;
/// Its use is noted at most every ten minutes: a read should not cost a write.
const NOTE_SECONDS: i64 = 600;

/// The values of the cookies of that name, in the order in which the browser sent them.
pub fn cookie_values<'a>(request: &'a Request, name: &'a str) -> impl Iterator<Item = &'a str> {
    request
        .headers()
        .get_all(COOKIE)
        .iter()
        // As bytes: another cookie on this domain may hold any, and takes ours away with it nowhere.
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .filter_map(|value| std::str::from_utf8(value).ok())
}

/// The live session that the request's cookie names; `None` where there is no cookie, or no session of it.
///
/// # Errors
/// [`Failure`] when the table fails.
pub async fn of_request(service: &Service, request: &Request) -> Result<Option<Session>, Failure> {
    // A browser sends the cookie of the most specific path first; there is one in practice.
    let Some(token) = cookie_values(request, &service.config.session.cookie_name)
        .next()
        .and_then(|value| SecretToken::parse("", value))
    else {
        return Ok(None);
    };
    let Some(session) = service.table.session(token.hash().as_str()).await? else { return Ok(None) };
    let now = service.clock.unix();
    if now >= session.expires_at || now >= session.ends_at {
        return Ok(None);
    }
    if now - session.seen_at >= NOTE_SECONDS {
        let expires_at = (now + IDLE_SECONDS).min(session.ends_at);
        match service.table.touch_session(&session, now, expires_at).await {
            Ok(()) => {}
            // Signed out at this very moment.
            Err(StoreError::Conflict) => return Ok(None),
            // The note can wait for the next use; the caller need not.
            Err(error) => tracing::warn!(%error, "the use of a session was not noted"),
        }
    }
    Ok(Some(session))
}

/// A sign-in at the enterprise SSO, as a session that came from it needs it.
#[derive(Clone, Debug)]
pub struct SsoSignIn {
    /// The session there, as the ID token names it; none where it names none.
    pub session_id: Option<String>,
    /// The ID token.
    pub id_token: SecretString,
    /// The issuer.
    pub issuer: String,
}

/// A name for what an issuer names, such as a session: neither text may make it another's.
#[must_use]
pub fn within_issuer(issuer: &str, name: &str) -> String {
    let text = format!("{}:{issuer}{name}", issuer.len());
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// Starts a session for a user, ends the one that the browser had, and gives the cookie.
///
/// # Errors
/// [`Failure`].
pub async fn start(
    service: &Service,
    user: &UserId,
    sso: Option<&SsoSignIn>,
    previous: Option<&Session>,
    secure: bool,
) -> Result<Cookie<'static>, Failure> {
    let token = SecretToken::generate("")?;
    let now = service.clock.unix();
    let session = Session {
        hash: token.hash().as_str().to_owned(),
        user_id: user.clone(),
        created_at: now,
        seen_at: now,
        expires_at: now + IDLE_SECONDS,
        ends_at: now + ABSOLUTE_SECONDS,
        sso_session: None,
    };
    let login = match (sso, previous) {
        (Some(sso), _) => Some(sso_login(service, &session, sso).await?),
        // Who links another account goes on in the session at the issuer, and ends with it.
        (None, Some(before)) if before.user_id == *user => {
            let login = service.table.sso_login(before).await?;
            login.map(|login| SsoLogin { hash: session.hash.clone(), expires_at: session.ends_at, ..login })
        }
        _ => None,
    };
    let session = Session { sso_session: login.as_ref().map(|login| login.session.clone()), ..session };
    service.table.start_session(&session, login.as_ref(), previous).await?;
    Ok(cookie(service, token.expose().to_owned(), Duration::seconds(ABSOLUTE_SECONDS), secure))
}

async fn sso_login(service: &Service, session: &Session, sso: &SsoSignIn) -> Result<SsoLogin, Failure> {
    // Without a name of its own the session there is found by its user only.
    let session_id = sso.session_id.as_deref().unwrap_or(&session.hash);
    let keys = service.token_keys.get().await?;
    let sealed = keys.seal(&id_token_aad(service, &session.user_id), &sso.id_token)?;
    Ok(SsoLogin {
        session: within_issuer(&sso.issuer, session_id),
        issuer: sso.issuer.clone(),
        hash: session.hash.clone(),
        user_id: session.user_id.clone(),
        sealed_id_token: sealed.bytes,
        key_id: sealed.key_id,
        expires_at: session.ends_at,
    })
}

fn id_token_aad<'a>(service: &'a Service, user: &'a UserId) -> Aad<'a> {
    let provider = ProviderType::EnterpriseSso;
    Aad { table: service.table.name(), user: user.as_str(), provider, kind: "id_token", version: 0 }
}

/// The issuer and the ID token of the sign-in that a session came from; none for other sessions.
///
/// # Errors
/// [`Failure`].
pub async fn id_token(
    service: &Service,
    session: &Session,
) -> Result<Option<(String, SecretString)>, Failure> {
    let Some(login) = service.table.sso_login(session).await? else { return Ok(None) };
    let sealed = Sealed { key_id: login.key_id, bytes: login.sealed_id_token };
    let opened =
        sealing::open(&service.token_keys, &id_token_aad(service, &session.user_id), &sealed).await?;
    Ok(Some((login.issuer, opened)))
}

/// Ends the session that a cookie was made for, before it was given to anybody.
pub(super) async fn forget(service: &Service, cookie: &Cookie<'static>) {
    let Some(token) = SecretToken::parse("", cookie.value()) else { return };
    let ended = async {
        if let Some(session) = service.table.session(token.hash().as_str()).await? {
            service.table.end_session(&session).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = ended.await {
        tracing::warn!(%error, "a session that nobody has was not ended; it ends by itself");
    }
}

/// The cookie that ends the browser's.
#[must_use]
pub fn removal(service: &Service, secure: bool) -> Cookie<'static> {
    cookie(service, String::new(), Duration::ZERO, secure)
}

fn cookie(service: &Service, value: String, max_age: Duration, secure: bool) -> Cookie<'static> {
    Cookie::build((service.config.session.cookie_name.clone(), value))
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .build()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use lambda_http::Body;
    use proptest::prelude::*;

    use super::*;

    fn values(lines: &[&[u8]], name: &str) -> Vec<String> {
        let mut request = Request::new(Body::Empty);
        for line in lines {
            request.headers_mut().append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        cookie_values(&request, name).map(str::to_owned).collect()
    }

    #[test]
    fn a_value_is_found_in_every_line_by_its_whole_name() {
        let lines: [&[u8]; 3] = [b"a=1; s=x=y ;as=2", b"s=", b"S=3;s=4;sa=5"];
        assert_eq!(values(&lines, "s"), ["x=y", "", "4"]);
    }

    #[test]
    fn a_cookie_that_is_no_ascii_does_not_hide_another() {
        assert_eq!(values(&["who=Zoë; s=x".as_bytes()], "s"), ["x"]);
        assert_eq!(values(&[b"who=\xff\xfe; s=x; s=\xff"], "s"), ["x"]);
    }

    proptest! {
        #[test]
        fn whatever_else_a_browser_has_the_cookie_is_found(
            before in prop::collection::vec("[^;\\x00-\\x1f\\x7f]{0,12}", 0..4),
            after in prop::collection::vec("[^;\\x00-\\x1f\\x7f]{0,12}", 0..4),
            value in "[A-Za-z0-9_-]{1,43}",
        ) {
            let ours = format!("neptun-session={value}");
            let all = before.iter().chain([&ours]).chain(&after).cloned().collect::<Vec<_>>().join("; ");
            prop_assert!(values(&[all.as_bytes()], "neptun-session").contains(&value), "{}", all);
        }

        #[test]
        fn no_header_makes_the_reader_panic(line in prop::collection::vec(any::<u8>(), 0..80), name in "[a-z]{0,3}") {
            if HeaderValue::from_bytes(&line).is_ok() {
                let _ = values(&[&line], &name);
            }
        }
    }
}
