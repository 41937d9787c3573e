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
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
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
