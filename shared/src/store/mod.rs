//! DynamoDB: one table, one module per kind of item (DESIGN 7). Knows no provider and no HTTP.
//! Items that belong together are written together; every overwrite is conditional.

mod api_keys;
mod conditions;
mod conflicts;
mod counters;
mod deliveries;
mod identities;
mod installation_repositories;
mod installations;
mod kept_answers;
pub mod kinds;
mod leases;
mod mapping;
mod pages;
mod provider_tokens;
mod reconciliation;
#[cfg(test)]
mod released_items;
mod sessions;
mod sign_ins;
mod stored;
mod table;

pub use api_keys::{ApiKey, ApiKeyId};
pub(crate) use conflicts::Tries;
pub use deliveries::DeliveryRecord;
pub use identities::{Identity, LinkOutcome, UserId};
pub use installation_repositories::{KnownRepository, NamedRepository, RepositoriesAt, RepositoryList};
pub use installations::{InstallationChange, KnownInstallation, Loaded, Rank, RowWanted};
pub use kept_answers::{AnswerOwner, KeptAnswer};
pub use leases::{Lease, random_name};
pub use mapping::{InstallationFacts, MappingRow, Proof};
pub use pages::{KeptPage, PAGES_AT_ONCE};
pub use provider_tokens::{ProviderToken, TokenSlot};
pub use reconciliation::{ReconcileState, Redelivery, Sweep};
pub use sessions::{Session, SsoLogin};
pub use sign_ins::SignIn;
pub use stored::{Stored, StoredItem};
pub use table::{StoreError, Table};
