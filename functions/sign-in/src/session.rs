//! `GET /auth/session`: who is signed in, and which providers are linked.

use shared::contract::auth::{LinkStatus, LinkedProvider, Session};
use shared::contract::{Request, Response};
use shared::failure::Failure;
use shared::identity::caller;
use shared::provider::ProviderType;
use shared::service::Service;
use time::OffsetDateTime;

pub(crate) async fn answer(service: &Service, request: &Request) -> Result<Response, Failure> {
    let Some(session) = caller::browser(service, request).await? else {
        return Ok(Session::signed_out().answer());
    };
    let user = &session.user_id;
    let (identities, tokens) =
        tokio::try_join!(service.table.identities(user), service.table.provider_tokens(user))?;
    let now = service.clock.unix();
    let providers = identities
        .into_iter()
        .map(|identity| {
            let usable =
                tokens.iter().any(|token| token.provider == identity.provider && token.is_usable(now));
            Ok(LinkedProvider {
                provider: identity.provider,
                id: account_id(identity.provider, identity.subject),
                login: identity.login,
                avatar_url: identity.avatar_url,
                linked_at: OffsetDateTime::from_unix_timestamp(identity.linked_at)
                    .map_err(|_| Failure::Internal("an identity has an impossible date".to_owned()))?,
                status: if usable { LinkStatus::Linked } else { LinkStatus::Expired },
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Session::signed_in(user.as_str().to_owned(), providers).answer())
}

/// The account's id at the provider: at the enterprise SSO without the issuer, which is the same for all.
fn account_id(provider: ProviderType, subject: String) -> String {
    match (provider, subject.split_once(' ')) {
        (ProviderType::EnterpriseSso, Some((_, subject))) => subject.to_owned(),
        _ => subject,
    }
}
