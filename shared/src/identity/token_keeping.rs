//! A user's tokens into the table and out of it: sealed with what they belong to, each change in place of the
//! version that it replaces. When a token is renewed is `linked_token`'s and `token_renewal`'s business.

use std::time::Duration;

use secrecy::SecretString;

use super::sealing::{Aad, KeyRing, Sealed};
use crate::failure::Failure;
use crate::provider::ProviderType;
use crate::provider::enterprise_sso::BrokeredToken;
use crate::provider::oauth::TokenGrant;
use crate::provider::token::TokenError;
use crate::service::Service;
use crate::store::{ProviderToken, StoreError, TokenSlot, Tries, UserId};

/// The longest that a request is held up by sealing a token anew.
const SEALING_ANEW: Duration = Duration::from_millis(500);

/// A new row's versions begin with the time, this far from those of a row a millisecond earlier.
const VERSIONS: u64 = 1_000;

/// Where a token comes from, beside what was granted.
#[derive(Clone, Copy, Debug, Default)]
struct Origin<'a> {
    /// The redirect address of its sign-in.
    redirect_uri: Option<&'a str>,
    /// The host that its user named.
    host: Option<&'a str>,
}

/// Keeps the tokens of a sign-in in place of whatever was there.
///
/// # Errors
/// [`Failure`].
pub async fn keep_granted(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    grant: &TokenGrant,
    redirect_uri: &str,
) -> Result<(), Failure> {
    let origin = Origin { redirect_uri: Some(redirect_uri), host: None };
    // A refresh that comes between is overtaken: ours is from the sign-in, and newer.
    replace(service, user, TokenSlot::own(provider), grant, origin).await
}

/// Keeps a token that the user has brought, in place of whatever was there.
///
/// # Errors
/// [`Failure`].
pub async fn keep_given(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    access: SecretString,
    host: Option<&str>,
) -> Result<(), Failure> {
    let grant = TokenGrant { access, access_expires_at: None, refresh: None, refresh_expires_at: None };
    let origin = Origin { redirect_uri: None, host };
    replace(service, user, TokenSlot::own(provider), &grant, origin).await?;
    forget_what_was_read(service, user, provider).await
}

/// Keeps the token that the user's enterprise SSO holds for a host, in place of whatever it held before.
/// Without one (the broker could not be asked) the row is kept as one that has ended: its first use asks again.
///
/// # Errors
/// [`Failure`].
pub async fn keep_brokered(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
    token: Option<BrokeredToken>,
) -> Result<(), Failure> {
    let unknown = || BrokeredToken { access: SecretString::default(), access_expires_at: Some(0) };
    let grant = granted(token.unwrap_or_else(unknown));
    replace(service, user, TokenSlot::brokered(provider), &grant, Origin::default()).await?;
    forget_what_was_read(service, user, provider).await
}

/// What was brokered, as a grant: it is renewed at the broker, so there is no refresh token.
pub(super) fn granted(token: BrokeredToken) -> TokenGrant {
    let BrokeredToken { access, access_expires_at } = token;
    TokenGrant { access, access_expires_at, refresh: None, refresh_expires_at: None }
}

/// What was read with another token is none of this one's.
async fn forget_what_was_read(
    service: &Service,
    user: &UserId,
    provider: ProviderType,
) -> Result<(), Failure> {
    Ok(service.table.forget_what_was_read(user, provider, service.clock.unix()).await?)
}

async fn replace(
    service: &Service,
    user: &UserId,
    slot: TokenSlot,
    grant: &TokenGrant,
    origin: Origin<'_>,
) -> Result<(), Failure> {
    let keys = service.token_keys.get().await?;
    let mut tries = Tries::new();
    while tries.another().await {
        let before = service.table.provider_token(user, slot).await?.map(|token| token.version);
        // A row that was deleted does not begin at 1 again: who still works on the old one must not hit the new one.
        let first = || service.clock.unix_millis().saturating_mul(VERSIONS) + 1;
        let version = before.map_or_else(first, |version| version + 1);
        let token = ProviderToken {
            redirect_uri: origin.redirect_uri.map(str::to_owned),
            host: origin.host.map(str::to_owned),
            ..seal(service, &keys, user, slot, version, grant)?
        };
        match service.table.put_provider_token(user, &token, before).await {
            Err(StoreError::Conflict) => {}
            other => return Ok(other?),
        }
    }
    Err(StoreError::Conflict.into())
}

/// The row that follows `row` once its token has been renewed.
///
/// # Errors
/// [`Failure`] when the keys cannot be had.
pub(super) async fn renewed(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
    grant: &TokenGrant,
) -> Result<ProviderToken, Failure> {
    let keys = service.token_keys.get().await?;
    let (redirect_uri, host) = (row.redirect_uri.clone(), row.host.clone());
    let token = seal(service, &keys, user, row.slot(), row.version + 1, grant)?;
    Ok(ProviderToken { redirect_uri, host, ..token })
}

fn seal(
    service: &Service,
    keys: &KeyRing,
    user: &UserId,
    slot: TokenSlot,
    version: u64,
    grant: &TokenGrant,
) -> Result<ProviderToken, Failure> {
    let aad = |part| aad(service, user, slot, version, part);
    let access = keys.seal(&aad(Part::Access), &grant.access)?;
    let refresh =
        grant.refresh.as_ref().map(|refresh| keys.seal(&aad(Part::Refresh), refresh)).transpose()?;
    Ok(ProviderToken {
        provider: slot.provider,
        version,
        key_id: access.key_id,
        sealed_access: access.bytes,
        access_expires_at: grant.access_expires_at,
        sealed_refresh: refresh.map(|sealed| sealed.bytes),
        refresh_expires_at: grant.refresh_expires_at,
        obtained_at: service.clock.unix(),
        brokered: slot.brokered,
        host: None,
        redirect_uri: None,
        ended: false,
    })
}

/// Seals a row's tokens anew where not the ring's current key has sealed them, so that the operator can take the old
/// one out of the ring: tokens that are never renewed would need it for ever. The request goes on whatever comes of
/// it, and the next one tries again.
pub(super) async fn seal_anew(service: &Service, user: &UserId, row: &ProviderToken) {
    match tokio::time::timeout(SEALING_ANEW, try_to_seal_anew(service, user, row)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(%failure, "a token was not sealed anew"),
        Err(_) => tracing::warn!("a token was not sealed anew in time"),
    }
}

async fn try_to_seal_anew(service: &Service, user: &UserId, row: &ProviderToken) -> Result<(), Failure> {
    if !service.token_keys.get().await?.is_outdated(&row.key_id) {
        return Ok(());
    }
    // A ring that was read before the operator named another key would seal back what others have sealed anew.
    let keys = service.token_keys.refresh().await?;
    if !keys.is_outdated(&row.key_id) {
        return Ok(());
    }
    let anew = |part, bytes: &[u8]| {
        let aad = aad(service, user, row.slot(), row.version, part);
        let sealed = Sealed { key_id: row.key_id.clone(), bytes: bytes.to_vec() };
        keys.seal(&aad, &keys.open(&aad, &sealed)?)
    };
    let access = anew(Part::Access, &row.sealed_access)?;
    let refresh = row.sealed_refresh.as_deref().map(|bytes| anew(Part::Refresh, bytes)).transpose()?;
    let token = ProviderToken {
        key_id: access.key_id,
        sealed_access: access.bytes,
        sealed_refresh: refresh.map(|sealed| sealed.bytes),
        ..row.clone()
    };
    match service.table.reseal_provider_token(user, &token, &row.key_id).await {
        // Renewed, replaced or sealed anew by somebody else meanwhile.
        Ok(()) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[derive(Clone, Copy)]
enum Part {
    Access,
    Refresh,
}

/// What a sealed token belongs to: one that is brokered does not open as the user's own.
fn aad<'a>(service: &'a Service, user: &'a UserId, slot: TokenSlot, version: u64, part: Part) -> Aad<'a> {
    let kind = match (part, slot.brokered) {
        (Part::Access, false) => "access",
        (Part::Refresh, false) => "refresh",
        (Part::Access, true) => "brokered_access",
        (Part::Refresh, true) => "brokered_refresh",
    };
    Aad { table: service.table.name(), user: user.as_str(), provider: slot.provider, kind, version }
}

/// The access token of a row.
///
/// # Errors
/// [`TokenError`].
pub async fn open_access(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
) -> Result<SecretString, TokenError> {
    open(service, user, row, Part::Access, row.sealed_access.clone()).await
}

/// The refresh token of a row; none where there is none.
///
/// # Errors
/// [`TokenError`].
pub async fn open_refresh(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
) -> Result<Option<SecretString>, TokenError> {
    match row.sealed_refresh.clone() {
        Some(bytes) => open(service, user, row, Part::Refresh, bytes).await.map(Some),
        None => Ok(None),
    }
}

async fn open(
    service: &Service,
    user: &UserId,
    row: &ProviderToken,
    part: Part,
    bytes: Vec<u8>,
) -> Result<SecretString, TokenError> {
    let sealed = Sealed { key_id: row.key_id.clone(), bytes };
    super::sealing::open(&service.token_keys, &aad(service, user, row.slot(), row.version, part), &sealed)
        .await
        .map_err(|error| Failure::from(error).into())
}
