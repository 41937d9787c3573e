//! Signing in at a host or the enterprise SSO: OAuth's web flow with `state` and PKCE (RFC 6749, RFC 7636;
//! reference: GitHub 1.10, 5.1). A host's own part is `host_flow`'s; how the pages look is `contract::auth`'s.

use std::sync::Arc;

use cookie::SameSite;
use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use url::Url;

use super::brokered;
use super::host_flow::{self, Authorization, CompleteError, HostFlow, Returned};
use super::sealing::{self, Aad, Sealed};
use super::secret_token::SecretToken;
use super::session;
use super::token_keeping;
use crate::config::endpoint;
use crate::constant_time::same;
use crate::contract::Request;
use crate::failure::Failure;
use crate::github_app::mapping::{Shown, note_shown};
use crate::provider::enterprise_sso::SsoClient;
use crate::provider::oauth::OauthError;
use crate::provider::remembered::NoMemory;
use crate::provider::token::FixedToken;
use crate::provider::upstream::Budget;
use crate::provider::{HostUser, ProviderError, ProviderType};
use crate::service::Service;
use crate::store::{Identity, LinkOutcome, SignIn, StoreError, Tries, UserId, random_name};

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

/// How long the tokens of a sign-in at an OpenID provider are to last; the other hosts have one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Beyond the session there, if it offers that: an API key goes on when its user has gone home.
    BeyondSession,
    /// As long as the session there: what is left where the issuer allows no more.
    WithSession,
}

/// Who starts a sign-in, and what they want of it.
#[derive(Clone, Copy, Debug)]
pub struct StartedBy<'a> {
    /// Who is signed in already, and so gets the account linked.
    pub user: Option<&'a UserId>,
    /// Where the browser goes afterwards: a relative path.
    pub return_to: &'a str,
    /// How long its tokens are to last.
    pub lasting: Lasting,
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
    /// The issuer gives this client or this user no tokens that outlive its session: start again without.
    #[error("the issuer allows no offline access")]
    NoOfflineAccess {
        /// Who started it, if somebody was signed in.
        user: Option<UserId>,
        /// Where the browser wanted to go.
        return_to: String,
    },
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
    from: StartedBy<'_>,
    budget: &Budget,
) -> Result<Option<Started>, Failure> {
    let StartedBy { user, return_to, lasting } = from;
    let Some(flow) = HostFlow::at(service, provider).await? else { return Ok(None) };
    let state = SecretToken::generate("")?;
    let browser = SecretToken::generate("")?;
    let verifier = SecretToken::generate("")?;
    let state_hash = state.hash().as_str().to_owned();
    let redirect_uri = callback_url(public_url, provider);
    let authorization = Authorization {
        redirect_uri: redirect_uri.as_str(),
        state: state.expose(),
        code_verifier: verifier.expose(),
        offline: lasting == Lasting::BeyondSession && provider == ProviderType::EnterpriseSso,
    };
    // An issuer that cannot be reached starts nothing.
    let authorize = flow
        .authorize_url(authorization, budget)
        .await
        .map_err(|error| failure_of(provider, &error).unwrap_or_else(|| unexpected(&error)))?;

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
            offline: authorization.offline,
            user_id: user.cloned(),
            return_to: return_to.to_owned(),
            ends_at: now + LIFE_SECONDS,
            used: false,
            used_by: None,
            expires_at: now + REMEMBERED_SECONDS,
        })
        .await?;
    let secure = is_secure(public_url);
    Ok(Some(Started {
        authorize,
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
    /// `iss`, which an OpenID provider may send (RFC 9207).
    pub issuer: Option<String>,
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
    // Switched off since the sign-in began: the host's code is worth nothing here any more.
    let flow = HostFlow::at(service, provider).await?.ok_or(SignInError::Refused)?;
    // Before anything else that the answer says is believed.
    flow.check_issuer(callback.issuer.as_deref(), budget).await.map_err(|error| refusal(provider, &error))?;
    let refused = |code: &str| match code {
        "access_denied" => SignInError::Denied,
        // Keycloak's codes for a client without the scope, and for a user without the role.
        "invalid_scope" | "not_allowed" if sign_in.offline => {
            let (user, return_to) = (sign_in.user_id.clone(), sign_in.return_to.clone());
            SignInError::NoOfflineAccess { user, return_to }
        }
        code => refusal(provider, &OauthError::refused(code)),
    };
    if let Some(error) = &callback.error {
        return Err(refused(error));
    }
    let code = callback.code.as_ref().ok_or(SignInError::Refused)?;
    let redirect_uri = callback_url(public_url, provider);
    let returned = Returned {
        code: code.expose_secret(),
        redirect_uri: redirect_uri.as_str(),
        code_verifier: verifier.expose_secret(),
    };
    let granted = flow.complete(returned, budget).await.map_err(|error| match error {
        CompleteError::Oauth(OauthError::Refused(code)) => refused(&code),
        CompleteError::Oauth(error) => refusal(provider, &error),
        CompleteError::Account(error) => Failure::of_call(provider, error).into(),
    })?;
    let source = FixedToken::fresh(granted.tokens.access.clone());

    let previous = session::of_request(service, request).await?;
    // Linked to who started it and to nobody else: a browser may have been given another session meanwhile.
    let previous = match (&sign_in.user_id, previous) {
        (Some(user), Some(session)) if session.user_id != *user => return Err(SignInError::StateMissing),
        (_, previous) => previous,
    };
    let linking = previous.as_ref().filter(|_| sign_in.user_id.is_some());
    let user = user_of(service, provider, &granted.account, linking.map(|session| &session.user_id)).await?;
    token_keeping::keep_granted(service, &user, provider, &granted.tokens, redirect_uri.as_str()).await?;
    // Before the listing, which may take long: who logs out in another browser meanwhile ends the token
    // only if no session needs it.
    let session_cookie =
        session::start(service, &user, granted.sso.as_ref(), previous.as_ref(), secure).await?;
    match provider {
        ProviderType::Github => write_mapping(service, &user, &granted.account, &source, budget).await,
        ProviderType::EnterpriseSso => {
            if let Err(failure) = brokered::link(service, &user, &source, budget).await {
                session::forget(service, &session_cookie).await;
                return Err(failure.into());
            }
        }
        ProviderType::Gitlab | ProviderType::Bitbucket => {}
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
        .any(|browser| same(browser.hash().as_str(), &sign_in.browser_hash));
    if !same_browser || sign_in.provider != provider {
        return Err(SignInError::StateMissing);
    }
    if sign_in.used {
        return Err(SignInError::StateReused);
    }
    if service.clock.unix() >= sign_in.ends_at {
        return Err(SignInError::StateExpired);
    }
    let this_try = random_name().map_err(Failure::from)?;
    if !service.table.use_sign_in(hash.as_str(), &this_try).await? {
        return Err(SignInError::StateReused);
    }
    let sealed = Sealed { key_id: sign_in.key_id.clone(), bytes: sign_in.sealed_verifier.clone() };
    let verifier =
        sealing::open(&service.token_keys, &verifier_aad(service, provider, hash.as_str()), &sealed)
            .await
            .map_err(Failure::from)?;
    Ok((sign_in, verifier))
}

/// What is the host's failure, or ours, and not this sign-in's.
fn failure_of(provider: ProviderType, error: &OauthError) -> Option<Failure> {
    match error {
        OauthError::Host(error) => Some(Failure::Provider { provider, error: not_about_the_user(*error) }),
        OauthError::BadClient | OauthError::BadRedirect => Some(unexpected(error)),
        OauthError::BadCode | OauthError::BadRefreshToken | OauthError::Refused(_) => None,
    }
}

/// A host's error where it was asked without a user's token: that it refuses, or knows no such address, is then no
/// word about the user, who is not even signed in.
pub(super) fn not_about_the_user(error: ProviderError) -> ProviderError {
    let status = match error {
        ProviderError::Unauthorized => 401,
        ProviderError::Forbidden(_) => 403,
        ProviderError::NotFound => 404,
        other => return other,
    };
    ProviderError::BadResponse { status }
}

fn unexpected(error: &OauthError) -> Failure {
    Failure::Internal(error.to_string())
}

fn refusal(provider: ProviderType, error: &OauthError) -> SignInError {
    if matches!(error, OauthError::Refused(_)) {
        // The operator finds here why; the person is told to start again.
        tracing::warn!(%provider, %error, "a sign-in was refused");
    }
    failure_of(provider, error).map_or(SignInError::Refused, SignInError::Failure)
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
    let mut tries = Tries::new();
    while tries.another().await {
        let owner = service.table.user_of_identity(provider, &subject).await?;
        let new_user = owner.is_none() && signed_in.is_none();
        let user_id = match (&owner, signed_in) {
            (_, Some(user)) | (Some(user), None) => user.clone(),
            (None, None) => UserId::generate(&service.clock).map_err(Failure::from)?,
        };
        let identity = host_flow::identity(service, &user_id, provider, account);
        match service.table.link_identity(&identity, new_user).await {
            Ok(LinkOutcome::Linked(_)) => return Ok(user_id),
            // Another issuer is configured now: what the old one called the user is nobody's name any more.
            Ok(LinkOutcome::OtherIdentity(other)) if is_of_former_issuer(service, &other).await? => {
                match service.table.replace_identity(&other, &identity).await {
                    Ok(()) => return Ok(user_id),
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(LinkOutcome::OtherUsers | LinkOutcome::OtherIdentity(_)) => {
                return Err(SignInError::OtherUser);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Whether an identity is at an issuer that the operator has replaced by another.
async fn is_of_former_issuer(service: &Service, identity: &Identity) -> Result<bool, Failure> {
    if identity.provider != ProviderType::EnterpriseSso {
        return Ok(false);
    }
    let client = service.sso_client().await?;
    let of_now =
        |client: SsoClient| host_flow::subject_of(client.issuer.as_str(), &identity.subject).is_some();
    Ok(!client.is_some_and(of_now))
}

/// Rows of what the new token shows. A host that fails here does not keep anybody out: the next complete
/// listing writes the same rows.
pub(super) async fn write_mapping(
    service: &Service,
    user: &UserId,
    account: &HostUser,
    source: &FixedToken,
    budget: &Budget,
) {
    let installations = match service.github.installations(source, &NoMemory, budget).await {
        Ok(installations) => installations,
        Err(error) => {
            tracing::warn!(%error, "no mapping was written at sign-in");
            return;
        }
    };
    let own_account = account.id.parse().ok();
    let shown = match service.github_app.credentials().await {
        Ok(app) => Shown::of_our_app(&installations, app.app_id, own_account),
        Err(error) => {
            tracing::warn!(%error, "no mapping was written at sign-in");
            return;
        }
    };
    if let Err(failure) = note_shown(service, user, &shown, budget).await {
        tracing::warn!(%failure, "the mapping was not wholly written at sign-in");
    }
}
