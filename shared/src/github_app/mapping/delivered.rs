//! What a webhook delivery does: each of its changes told to the mapping, and a user's tokens, sessions and
//! kept answers ended when the user takes the authorization back.

use super::{News, Outcome, Repositories, Rows, Told, What, tell};
use crate::failure::Failure;
use crate::github_app::webhook::{Change, Delivery, InstallationAction};
use crate::provider::ProviderType;
use crate::provider::upstream::Budget;
use crate::service::Service;
use crate::store::{DeliveryRecord, Rank, TokenSlot};

/// The events that change the mapping; others of the same App go to the same address.
pub const MAPPING_EVENTS: [&str; 4] =
    ["installation", "installation_repositories", "installation_target", "github_app_authorization"];

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealt {
    /// GitHub tried whether somebody listens.
    Ping,
    /// Something is different now.
    Applied,
    /// It was known already, or older than what is known.
    Unchanged,
    /// The same event was dealt with before.
    Repeated,
    /// It is another App's.
    OtherApp,
    /// An event or an action that changes nothing here.
    Unknown,
}

/// Deals with a delivery whose signature was accepted, once: its record is written with what it changes.
///
/// # Errors
/// [`Failure`]: it is not recorded then, and can be delivered again.
pub async fn deal_with(service: &Service, delivery: Delivery, budget: &Budget) -> Result<Dealt, Failure> {
    let now = service.clock.unix();
    let record = DeliveryRecord::new(delivery.target_id, &delivery.guid, &delivery.event, now);
    let told = match delivery.change {
        Change::Ping => return Ok(Dealt::Ping),
        Change::OtherApp => return Ok(Dealt::OtherApp),
        Change::Unknown => {
            // An action of these events that nobody knows yet: reconciliation need not ask for it again.
            if MAPPING_EVENTS.contains(&delivery.event.as_str()) {
                service.table.note_delivery(&record).await?;
            }
            return Ok(Dealt::Unknown);
        }
        Change::AuthorizationRevoked { account_id } => {
            return end_authorization(service, account_id, &record).await;
        }
        Change::Renamed { installation_id } => Told {
            installation_id,
            what: What::Ask,
            rows: Rows::Owner,
            repositories: Repositories::Untold,
            delivery: Some(record),
        },
        Change::Repositories { installation, added, removed } => Told {
            installation_id: installation.id,
            what: What::News(News::of_event(&installation, Rank::Other)),
            rows: Rows::Owner,
            repositories: Repositories::Changed { added, removed },
            delivery: Some(record),
        },
        Change::Installation { action, installation, repositories, sender } => {
            let rank = match action {
                InstallationAction::Suspend | InstallationAction::Unsuspend => Rank::Suspension,
                _ => Rank::Other,
            };
            Told {
                installation_id: installation.id,
                what: match action {
                    InstallationAction::Deleted => What::Gone,
                    _ => What::News(News::of_event(&installation, rank)),
                },
                rows: match (action, sender) {
                    (InstallationAction::Created, Some(sender)) => Rows::Sender(sender),
                    _ => Rows::Owner,
                },
                repositories: match repositories {
                    Some(all) => Repositories::Whole(all),
                    None => Repositories::Untold,
                },
                delivery: Some(record),
            }
        }
    };
    Ok(match tell(service, &told, budget).await? {
        Outcome::Repeated => Dealt::Repeated,
        Outcome::Unchanged => Dealt::Unchanged,
        Outcome::Changed { .. } => Dealt::Applied,
    })
}

/// All that the user's authorization gave us ends; what the user is mapped to stays. The record comes last:
/// done twice it does no more than done once.
async fn end_authorization(
    service: &Service,
    account_id: u64,
    record: &DeliveryRecord,
) -> Result<Dealt, Failure> {
    let (table, provider) = (&service.table, ProviderType::Github);
    if table.has_delivery(record.target_id, &record.guid).await? {
        return Ok(Dealt::Repeated);
    }
    let user = table.user_of_identity(provider, &account_id.to_string()).await?;
    if let Some(user) = &user {
        table.end_sessions_of(user).await?;
        if let Some(token) = table.provider_token(user, TokenSlot::own(provider)).await? {
            table.delete_provider_token(user, &token, record.received_at).await?;
        } else {
            // Gone by a first delivery that was cut off just then, perhaps.
            table.forget_what_was_read(user, provider, record.received_at).await?;
        }
    }
    table.note_delivery(record).await?;
    Ok(if user.is_some() { Dealt::Applied } else { Dealt::Unchanged })
}
