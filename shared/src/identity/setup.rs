//! The App's setup URL: the `installation_id` that stands in it is anybody's word, so it becomes a row only
//! if the user's own token shows the installation (reference: GitHub 1.10, 5.2).

use crate::failure::Failure;
use crate::github_app::mapping::{Shown, note_shown};
use crate::provider::CallError;
use crate::provider::ProviderType;
use crate::provider::github::{Installation, MembershipRole};
use crate::provider::remembered::NoMemory;
use crate::provider::token::{TokenError, TokenSource};
use crate::provider::upstream::Budget;
use crate::service::Service;
use crate::store::{Proof, UserId};

/// What became of the claim to an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The user's own token shows it; the row is written with this proof.
    Proved(Proof),
    /// It does not, or the installation is another App's.
    NotShown,
}

/// Proves a user's claim to an installation and writes the rows of all that the user's token shows.
///
/// # Errors
/// [`Failure`] when GitHub or the table fails: nothing is written on a guess.
pub async fn claim<T: TokenSource>(
    service: &Service,
    user: &UserId,
    installation: u64,
    source: &T,
    budget: &Budget,
) -> Result<Claim, Failure> {
    let own_account = service
        .table
        .identity(user, ProviderType::Github)
        .await?
        .and_then(|identity| identity.subject.parse().ok());
    let app_id = service.github_app.credentials().await?.app_id;
    let installations = service.github.installations(source, &NoMemory, budget).await?;
    let ours = |shown: &&Installation| shown.app_id.is_none_or(|id| id == app_id);
    let mut rows = Shown::of_our_app(&installations, app_id, own_account);
    let found = installations.iter().filter(ours).find(|shown| shown.id == installation);

    let mut claim = Claim::NotShown;
    if let Some(found) = found {
        let proof = proof(service, found, own_account, source, budget).await?;
        claim = Claim::Proved(proof);
        if let Some(row) = rows.iter_mut().find(|row| row.news.installation_id == installation) {
            row.proof = proof;
        }
    }
    let now = service.clock.unix();
    note_shown(service, user, &rows, budget).await?;
    if claim == Claim::Proved(Proof::Member) {
        // Asked just now, and no administrator (any more): an older proof does not stand.
        service.table.set_proof(user, installation, Proof::Member, now).await?;
    }
    Ok(claim)
}

/// Administration is proved by owning the account or being an active owner of the organisation, never by
/// the listing alone, which read-only members pass too.
async fn proof<T: TokenSource>(
    service: &Service,
    installation: &Installation,
    own_account: Option<u64>,
    source: &T,
    budget: &Budget,
) -> Result<Proof, Failure> {
    if Shown::new(installation, own_account).proof == Proof::Admin {
        return Ok(Proof::Admin);
    }
    let organization = installation
        .account
        .as_ref()
        .filter(|account| account.kind.as_deref() == Some("Organization"))
        .and_then(|account| account.login.as_deref());
    let Some(organization) = organization else { return Ok(Proof::Member) };
    match service.github.membership_role(organization, source, budget).await {
        Ok(MembershipRole::Admin) => Ok(Proof::Admin),
        Ok(MembershipRole::Member) => Ok(Proof::Member),
        Err(CallError::Token(
            error @ (TokenError::Expired | TokenError::BrokerExpired | TokenError::NotLinked),
        )) => Err(CallError::Token(error).into()),
        Err(error) => match crate::provider::listing::host_error(&error) {
            // A collaborator who is no member, or an App that may not read members: not proved.
            Some(crate::provider::ProviderError::NotFound | crate::provider::ProviderError::Forbidden(_)) => {
                Ok(Proof::Member)
            }
            _ => Err(error.into()),
        },
    }
}
