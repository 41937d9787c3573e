//! Signing out: of this browser, and of all that came from a session at the enterprise SSO when that one ends
//! (OpenID Connect Back-Channel Logout 1.0). Tokens that nothing needs any more end at their hosts too.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::host_flow::{HostFlow, subject};
use super::session;
use super::sign_in::not_about_the_user;
use super::token_keeping::{open_access, open_refresh};
use crate::config::endpoint;
use crate::failure::Failure;
use crate::provider::enterprise_sso::SsoError;
use crate::provider::upstream::Budget;
use crate::provider::{ProviderError, ProviderType};
use crate::service::Service;
use crate::store::{ProviderToken, Session, StoreError, Tries, UserId};

/// A logout token is remembered this much longer than it lives, for clocks that differ.
const REMEMBERED_SECONDS: i64 = 300;

/// Signs a browser out. When nothing else of the user needs the tokens (no session, no API key), they are
/// ended at their hosts and forgotten, with everything that was read with them.
///
/// # Errors
/// [`Failure`] when the table fails; a host not answering is tolerated, the session has ended all the same.
pub async fn sign_out(service: &Arc<Service>, ended: &Session, budget: &Budget) -> Result<(), Failure> {
    end_sessions(service, &ended.user_id, std::slice::from_ref(ended), budget).await
}

/// Where the browser ends its session at the enterprise SSO too (OpenID Connect RP-Initiated Logout 1.0): for a
/// session that came from there, at an issuer that offers it. To be asked for before the session is ended.
///
/// # Errors
/// [`Failure`] when the table or the secrets fail; an issuer that cannot be asked is tolerated.
pub async fn end_session_url(
    service: &Service,
    session: &Session,
    public_url: &Url,
    budget: &Budget,
) -> Result<Option<Url>, Failure> {
    if session.sso_session.is_none() {
        return Ok(None);
    }
    let Some(client) = service.sso_client().await? else { return Ok(None) };
    let (issuer, id_token) = match session::id_token(service, session).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        Err(Failure::Internal(error)) => {
            tracing::error!(error, "the session at the enterprise SSO goes on: its ID token does not open");
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    if issuer != client.issuer.as_str() {
        // Another one is configured now: what this one gave is none of its business.
        return Ok(None);
    }
    // Where the issuer sends the browser afterwards: the operator registers it there.
    let back = endpoint(public_url, &["auth", "session"]);
    match service.enterprise_sso.end_session_url(&client, &id_token, back.as_str(), budget).await {
        Ok(url) => Ok(url),
        Err(error) => {
            tracing::warn!(%error, "the session at the enterprise SSO goes on: its issuer cannot be asked");
            Ok(None)
        }
    }
}

/// Why a logout token ended nothing.
#[derive(Debug, thiserror::Error)]
pub enum BackchannelError {
    /// No enterprise SSO is configured.
    #[error("no enterprise SSO is configured")]
    NotConfigured,
    /// The token breaks a rule; the text is safe to show.
    #[error("{0}")]
    BadToken(String),
    /// It was used before.
    #[error("the logout token was used before")]
    Replayed,
    /// Anything that is not the token's own.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Ends what a logout token names: the sessions that came from one session at the issuer, or all that came from
/// there of one subject. A token is noted last, so that one whose work was cut off works again.
///
/// # Errors
/// [`BackchannelError`].
pub async fn backchannel_logout(
    service: &Arc<Service>,
    logout_token: &SecretString,
    budget: &Budget,
) -> Result<(), BackchannelError> {
    let client = service.sso_client().await?.ok_or(BackchannelError::NotConfigured)?;
    let token =
        service.enterprise_sso.logout_token(&client, logout_token.expose_secret(), budget).await.map_err(
            |error| match error {
                SsoError::Host(error) => {
                    let error = not_about_the_user(error);
                    Failure::Provider { provider: ProviderType::EnterpriseSso, error }.into()
                }
                SsoError::Token(problem) => {
                    tracing::warn!(error = %problem, "a logout token was refused");
                    BackchannelError::BadToken(SsoError::Token(problem).to_string())
                }
                other => {
                    tracing::error!(error = %other, "no logout token can be checked");
                    let error = ProviderError::BadResponse { status: 200 };
                    Failure::Provider { provider: ProviderType::EnterpriseSso, error }.into()
                }
            },
        )?;
    let issuer = client.issuer.as_str();
    let name = session::within_issuer(issuer, &token.jti);
    if service.table.has_logout_token(&name).await.map_err(Failure::from)? {
        return Err(BackchannelError::Replayed);
    }
    let mut sessions = match &token.subject {
        Some(sub) => of_subject(service, issuer, sub).await?,
        None => Vec::new(),
    };
    if let Some(session_id) = &token.session_id {
        // Of the subject's those that the issuer never named: it cannot mean them otherwise.
        sessions.retain(|session| is_unnamed(session, issuer));
        sessions.extend(of_session(service, issuer, session_id).await?);
    }
    for of_user in sessions.chunk_by(|one, next| one.user_id == next.user_id) {
        end_sessions(service, &of_user[0].user_id, of_user, budget).await?;
    }
    let remembered = token.expires_at.saturating_add(REMEMBERED_SECONDS);
    Ok(service.table.note_logout_token(&name, remembered).await.map_err(Failure::from)?)
}

/// Whether a session came from the issuer without a name of its session there.
fn is_unnamed(session: &Session, issuer: &str) -> bool {
    session.sso_session.as_deref() == Some(&*session::within_issuer(issuer, &session.hash))
}

/// The sessions that came from one session at the issuer.
async fn of_session(service: &Service, issuer: &str, session_id: &str) -> Result<Vec<Session>, Failure> {
    let name = session::within_issuer(issuer, session_id);
    let mut sessions = Vec::new();
    for login in service.table.sso_logins(&name).await? {
        // None of them is there that has ended: both end together.
        sessions.extend(service.table.session(&login.hash).await?);
    }
    Ok(sessions)
}

/// The sessions of a subject that came from the issuer; those that began elsewhere go on.
async fn of_subject(service: &Service, issuer: &str, sub: &str) -> Result<Vec<Session>, Failure> {
    let provider = ProviderType::EnterpriseSso;
    let Some(user) = service.table.user_of_identity(provider, &subject(issuer, sub)).await? else {
        return Ok(Vec::new());
    };
    let sessions = service.table.sessions_of(&user).await?;
    Ok(sessions.into_iter().filter(|session| session.sso_session.is_some()).collect())
}

/// Ends sessions of a user, and what nothing needs without them. They themselves come last: where the table fails on
/// the way, they are there to be ended again, and nothing is left over.
async fn end_sessions(
    service: &Arc<Service>,
    user: &UserId,
    ending: &[Session],
    budget: &Budget,
) -> Result<(), Failure> {
    let others = end_unneeded(service, user, ending, budget).await?;
    for session in ending {
        service.table.end_session(session).await?;
    }
    // The others may have ended meanwhile, each counting on these.
    if others && let Err(failure) = end_unneeded(service, user, &[], budget).await {
        tracing::warn!(%failure, "whether anything still needs a user's tokens was not looked at again");
    }
    Ok(())
}

/// Forgets what was read for a user, and the tokens where nothing needs them once these sessions have ended. Tells
/// whether another session needs them.
async fn end_unneeded(
    service: &Arc<Service>,
    user: &UserId,
    ending: &[Session],
    budget: &Budget,
) -> Result<bool, Failure> {
    let now = service.clock.unix();
    let tokens = service.table.provider_tokens(user).await?;
    let providers: BTreeSet<ProviderType> = tokens.iter().map(|token| token.provider).collect();
    for provider in providers {
        service.table.forget_what_was_read(user, provider, now).await?;
    }
    let goes_on = |session: &Session| {
        let ends = ending.iter().any(|ending| ending.hash == session.hash);
        !ends && now < session.expires_at && now < session.ends_at
    };
    let mut tries = Tries::new();
    while tries.another().await {
        if service.table.sessions_of(user).await?.iter().any(goes_on) {
            return Ok(true);
        }
        if !service.table.api_keys_of(user).await?.is_empty() || end_tokens(service, user, budget).await? {
            return Ok(false);
        }
    }
    Err(StoreError::Conflict.into())
}

/// Takes away all tokens of a user that there are; true where there are none any more. One that was renewed at this
/// very moment is there still, and whoever wants it gone looks again.
///
/// # Errors
/// [`Failure`] when the table fails.
pub(super) async fn end_tokens(service: &Service, user: &UserId, budget: &Budget) -> Result<bool, Failure> {
    let tokens = service.table.provider_tokens(user).await?;
    for token in &tokens {
        end_token(service, user, token, budget).await?;
    }
    Ok(tokens.is_empty())
}

/// Forgets a token, with everything that was read with it, and ends it at its host if it was granted to us.
async fn end_token(
    service: &Service,
    user: &UserId,
    token: &ProviderToken,
    budget: &Budget,
) -> Result<(), Failure> {
    if !token.ended
        && let Err(error) = revoke(service, user, token, budget).await
    {
        tracing::warn!(error, "a token was not ended at its host; it ends by itself");
    }
    Ok(service.table.delete_provider_token(user, token, service.clock.unix()).await?)
}

/// Ends at the host what was granted to us there; a token that its user brought is the user's own, and one that
/// is brokered the broker's.
async fn revoke(
    service: &Service,
    user: &UserId,
    token: &ProviderToken,
    budget: &Budget,
) -> Result<(), String> {
    if token.redirect_uri.is_none() {
        return Ok(());
    }
    let access = open_access(service, user, token).await.map_err(|error| error.to_string())?;
    let refresh = open_refresh(service, user, token).await.map_err(|error| error.to_string())?;
    match HostFlow::at(service, token.provider).await.map_err(|failure| failure.to_string())? {
        Some(flow) => flow.revoke(&access, refresh.as_ref(), budget).await.map_err(|error| error.to_string()),
        None => Ok(()),
    }
}
