//! Signing in with GitHub: OAuth's web flow with `state` and PKCE (RFC 6749, RFC 7636; reference: GitHub
//! 1.10, 5.1). What GitHub says is `provider::github`'s; how the pages look is `contract::auth`'s.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::SameSite;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use url::Url;

use super::host_flow::{self, HostFlow};
use super::linked_token;
use super::sealing::{self, Aad, OpenError, Sealed};
use super::secret_token::SecretToken;
use super::session;
use crate::config::endpoint;
use crate::contract::Request;
use crate::failure::Failure;
use crate::github_app::mapping::{Shown, note_shown};
use crate::provider::oauth::OauthError;
use crate::provider::token::FixedToken;
use crate::provider::upstream::Budget;
use crate::provider::{HostUser, ProviderType};
use crate::service::Service;
use crate::store::{AnswerOwner, Identity, LinkOutcome, SignIn, StoreError, UserId};

/// A cookie for the browser.
pub type Cookie = cookie::Cookie<'static>;

/// A sign-in has ten minutes, as long as GitHub's code lives.
const LIFE_SECONDS: i64 = 600;
/// How long the table and the browser remember it: who is late learns that, not that it never began.
const REMEMBERED_SECONDS: i64 = 3600;

/// A sign-in that starts: where the browser goes, and the cookie that binds it.
pub struct Started {
    /// The host's authorize page.
    pub authorize: Url,
    /// Binds the state to this browser.
    pub cookie: Cookie,
}

// By hand: the address holds the state, the cookie what binds it.
impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").field("cookie", &self.cookie.name()).finish_non_exhaustive()
    }
}

/// A sign-in that has ended well.
pub struct Finished {
    /// The session's cookie, and the removal of the one that bound the state.
    pub cookies: [Cookie; 2],
    /// Where the browser wanted to go: a relative path.
    pub return_to: String,
}

// By hand: a cookie is the session.
impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cookies = self.cookies.each_ref().map(Cookie::name);
        f.debug_struct("Finished").field("cookies", &cookies).finish_non_exhaustive()
    }
}

/// Why a sign-in does not end well.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No state, none of ours, or not this browser's.
    #[error("the state is missing or not this browser's")]
    StateMissing,
    /// Used already.
    #[error("the state has been used")]
    StateReused,
    /// Older than ten minutes.
    #[error("the state has expired")]
    StateExpired,
    /// The user said no.
    #[error("the user denied access")]
    Denied,
    /// The host did not give a token for the code.
    #[error("the host did not complete the sign-in")]
    Refused,
    /// The identity belongs to another user, or this user has another one at the host.
    #[error("the identity cannot be linked to the user who is signed in")]
    OtherUser,
    /// Anything that is not the sign-in's own.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Cookies are `Secure` wherever the service is not reached over plain http, which is loopback only.
#[must_use]
pub fn is_secure(public_url: &Url) -> bool {
    public_url.scheme() == "https"
}

/// The cookie of one sign-in: several tabs may be signing in at once. `__Host-` keeps other hosts of the
/// domain from setting it; browsers take that prefix with `Secure` only.
fn binding_cookie_name(state_hash: &str, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}sign-in-{}", &state_hash[..16.min(state_hash.len())])
}

fn binding_cookie(name: String, value: String, max_age: i64, secure: bool) -> Cookie {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .secure(secure)
        // Lax: the browser comes back from another site (reference: GitHub 5.1).
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(max_age))
        .build()
}

fn callback_url(public_url: &Url, provider: ProviderType) -> Url {
    endpoint(public_url, &["auth", provider.as_str(), "callback"])
}

/// Starts a sign-in at a host; none where the operator has registered no client.
///
/// # Errors
/// [`Failure`].
pub async fn start(
    service: &Service,
    provider: ProviderType,
    public_url: &Url,
    return_to: &str,
) -> Result<Option<Started>, Failure> {
    let Some(flow) = HostFlow::at(service, provider).await? else { return Ok(None) };
    let state = SecretToken::generate("")?;
    let browser = SecretToken::generate("")?;
    let verifier = SecretToken::generate("")?;
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()));
    let state_hash = state.hash().as_str().to_owned();

    let keys = service.token_keys.get().await?;
    let sealed = keys.seal(&verifier_aad(service, provider, &state_hash), &verifier.expose().into())?;
    let now = service.clock.unix();
    service
        .table
        .start_sign_in(&SignIn {
            state_hash: state_hash.clone(),
            browser_hash: browser.hash().as_str().to_owned(),
            provider,
            sealed_verifier: sealed.bytes,
            key_id: sealed.key_id,
            return_to: return_to.to_owned(),
            ends_at: now + LIFE_SECONDS,
            used: false,
            expires_at: now + REMEMBERED_SECONDS,
        })
        .await?;
    let secure = is_secure(public_url);
    Ok(Some(Started {
        authorize: flow.authorize_url(
            callback_url(public_url, provider).as_str(),
            state.expose(),
            &challenge,
        ),
        cookie: binding_cookie(
            binding_cookie_name(&state_hash, secure),
            browser.expose().to_owned(),
            REMEMBERED_SECONDS,
            secure,
        ),
    }))
}

fn verifier_aad<'a>(service: &'a Service, provider: ProviderType, state_hash: &'a str) -> Aad<'a> {
    Aad { table: service.table.name(), user: state_hash, provider, kind: "code_verifier", version: 0 }
}

/// What the host sent the browser back with.
#[derive(Clone, Debug, Default)]
pub struct Callback {
    /// `code`.
    pub code: Option<SecretString>,
    /// `state`.
    pub state: Option<SecretString>,
    /// `error`.
    pub error: Option<String>,
}

/// Finishes a sign-in: checks the state, exchanges the code, finds or makes the user, keeps the tokens,
/// writes the mapping, starts a session. No call is made to the host before the state has proved good.
///
/// # Errors
/// [`SignInError`].
pub async fn finish(
    service: &Arc<Service>,
    provider: ProviderType,
    request: &Request,
    public_url: &Url,
    callback: &Callback,
    budget: &Budget,
) -> Result<Finished, SignInError> {
    let secure = is_secure(public_url);
    let (sign_in, verifier) = use_state(service, provider, request, callback, secure).await?;
    if let Some(error) = &callback.error {
        return Err(if error == "access_denied" { SignInError::Denied } else { SignInError::Refused });
    }
    let code = callback.code.as_ref().ok_or(SignInError::Refused)?;
    // Switched off since the sign-in began: the host's code is worth nothing here any more.
    let flow = HostFlow::at(service, provider).await?.ok_or(SignInError::Refused)?;
    let redirect_uri = callback_url(public_url, provider);
    let grant = flow
        .exchange_code(code.expose_secret(), redirect_uri.as_str(), verifier.expose_secret(), budget)
        .await
        .map_err(|error| refusal(provider, &error))?;
    let source = FixedToken::fresh(grant.access.clone());
    let account = host_flow::account(service, provider, None, &source, budget)
        .await
        .map_err(|error| Failure::of_call(provider, error))?
        .ok_or(SignInError::Refused)?;

    let previous = session::of_request(service, request).await?;
    let user =
        user_of(service, provider, &account, previous.as_ref().map(|session| &session.user_id)).await?;
    linked_token::keep_granted(service, &user, provider, &grant, redirect_uri.as_str()).await?;
    // Before the listing, which may take long: who logs out in another browser meanwhile ends the token
    // only if no session needs it.
    let session_cookie = session::start(service, &user, previous.as_ref(), secure).await?;
    if provider == ProviderType::Github {
        write_mapping(service, &user, &account, &source, budget).await;
    }

    let name = binding_cookie_name(&sign_in.state_hash, secure);
    Ok(Finished {
        cookies: [session_cookie, binding_cookie(name, String::new(), 0, secure)],
        return_to: sign_in.return_to,
    })
}

/// The sign-in that the state and this browser's cookie name, used up, and its PKCE verifier.
async fn use_state(
    service: &Service,
    provider: ProviderType,
    request: &Request,
    callback: &Callback,
    secure: bool,
) -> Result<(SignIn, SecretString), SignInError> {
    let state = callback
        .state
        .as_ref()
        .and_then(|state| SecretToken::parse("", state.expose_secret()))
        .ok_or(SignInError::StateMissing)?;
    let hash = state.hash();
    let sign_in = service.table.sign_in(hash.as_str()).await?.ok_or(SignInError::StateMissing)?;
    // Looked at before it is used up: who merely knows the state must not end the sign-in of its browser.
    let name = binding_cookie_name(hash.as_str(), secure);
    let same_browser = session::cookie_values(request, &name)
        .filter_map(|value| SecretToken::parse("", value))
        .any(|browser| browser.hash().as_str() == sign_in.browser_hash);
    if !same_browser || sign_in.provider != provider {
        return Err(SignInError::StateMissing);
    }
    if sign_in.used {
        return Err(SignInError::StateReused);
    }
    if service.clock.unix() >= sign_in.ends_at {
        return Err(SignInError::StateExpired);
    }
    if !service.table.use_sign_in(hash.as_str()).await? {
        return Err(SignInError::StateReused);
    }
    let sealed = Sealed { key_id: sign_in.key_id.clone(), bytes: sign_in.sealed_verifier.clone() };
    let verifier =
        sealing::open(&service.token_keys, &verifier_aad(service, provider, hash.as_str()), &sealed)
            .await
            .map_err(|error| match error {
                OpenError::Keys(error) => Failure::from(error),
                OpenError::Seal(error) => Failure::from(error),
            })?;
    Ok((sign_in, verifier))
}

fn refusal(provider: ProviderType, error: &OauthError) -> SignInError {
    match error {
        OauthError::Host(error) => Failure::Provider { provider, error: *error }.into(),
        OauthError::BadClient | OauthError::BadRedirect => Failure::Internal(error.to_string()).into(),
        OauthError::BadCode | OauthError::BadRefreshToken | OauthError::Refused(_) => SignInError::Refused,
    }
}

/// The user whose identity this account is: the one signed in, the one it belongs to, or a new one.
async fn user_of(
    service: &Service,
    provider: ProviderType,
    account: &HostUser,
    signed_in: Option<&UserId>,
) -> Result<UserId, SignInError> {
    let subject = account.id.clone();
    // Two first sign-ins of one account may meet: who loses reads again and finds the other's user.
    for _ in 0..3 {
        let owner = service.table.user_of_identity(provider, &subject).await?;
        let new_user = owner.is_none() && signed_in.is_none();
        let user_id = match (&owner, signed_in) {
            (_, Some(user)) | (Some(user), None) => user.clone(),
            (None, None) => UserId::generate(&service.clock).map_err(Failure::from)?,
        };
        let identity = Identity {
            user_id: user_id.clone(),
            provider,
            subject: subject.clone(),
            login: account.login.clone(),
            avatar_url: account.avatar_url.clone(),
            linked_at: service.clock.unix(),
        };
        match service.table.link_identity(&identity, new_user).await {
            Ok(LinkOutcome::Linked(_)) => return Ok(user_id),
            Ok(LinkOutcome::OtherUsers | LinkOutcome::OtherIdentity(_)) => {
                return Err(SignInError::OtherUser);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Rows of what the new token shows. A host that fails here does not keep anybody out: the next complete
/// listing writes the same rows.
async fn write_mapping(
    service: &Service,
    user: &UserId,
    account: &HostUser,
    source: &FixedToken,
    budget: &Budget,
) {
    let installations = match service.github.installations(source, budget).await {
        Ok(installations) => installations,
        Err(error) => {
            tracing::warn!(%error, "no mapping was written at sign-in");
            return;
        }
    };
    let own_account = account.id.parse().ok();
    let shown: Vec<Shown> =
        installations.iter().map(|installation| Shown::new(installation, own_account)).collect();
    if let Err(failure) = note_shown(service, user, &shown, budget).await {
        tracing::warn!(%failure, "the mapping was not wholly written at sign-in");
    }
}

/// Signs a browser out. When nothing else of the user needs the tokens (no session, no API key), they are
/// ended at GitHub and forgotten, with everything that was read with them.
///
/// # Errors
/// [`Failure`] when the table fails; GitHub not answering is tolerated, the session has ended all the same.
pub async fn sign_out(
    service: &Arc<Service>,
    ended: &crate::store::Session,
    budget: &Budget,
) -> Result<(), Failure> {
    service.table.end_session(ended).await?;
    let user = &ended.user_id;
    let now = service.clock.unix();
    for token in service.table.provider_tokens(user).await? {
        service.table.forget_answers(&AnswerOwner::User(user.clone()), token.provider, now).await?;
    }
    let live = |session: &crate::store::Session| now < session.expires_at && now < session.ends_at;
    if service.table.sessions_of(user).await?.iter().any(live)
        || !service.table.api_keys_of(user).await?.is_empty()
    {
        return Ok(());
    }
    for token in service.table.provider_tokens(user).await? {
        end_token(service, user, &token, budget).await?;
    }
    Ok(())
}

/// Forgets a token, with everything that was read with it, and ends it at its host if it was granted to us.
pub(super) async fn end_token(
    service: &Service,
    user: &UserId,
    token: &crate::store::ProviderToken,
    budget: &Budget,
) -> Result<(), Failure> {
    if !token.ended
        && let Err(error) = revoke(service, user, token, budget).await
    {
        tracing::warn!(error, "a token was not ended at its host; it ends by itself");
    }
    Ok(service.table.delete_provider_token(user, token.provider, service.clock.unix()).await?)
}

/// Ends at the host what was granted to us there; a token that its user brought is the user's own.
async fn revoke(
    service: &Service,
    user: &UserId,
    token: &crate::store::ProviderToken,
    budget: &Budget,
) -> Result<(), String> {
    if token.redirect_uri.is_none() {
        return Ok(());
    }
    let access = linked_token::open_access(service, user, token).await.map_err(|error| error.to_string())?;
    match HostFlow::at(service, token.provider).await.map_err(|failure| failure.to_string())? {
        Some(flow) => flow.revoke(&access, budget).await.map_err(|error| error.to_string()),
        None => Ok(()),
    }
}
