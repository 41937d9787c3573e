//! Leases: one process at a time does a thing, and a process that died does not keep the others waiting.
//! What is protected carries a version of its own (fencing), so that a late writer changes nothing.

use serde::{Deserialize, Serialize};

use super::identities::UserId;
use super::provider_tokens::TokenSlot;
use super::table::{Key, Only, StoreError, Table, Write, text};
use crate::clock::{Clock, NoEntropy, random};

/// The right to renew a user's token at a host, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Random: tells holders apart.
    pub holder: String,
    /// The version of the token that its holder set out to replace.
    pub version: u64,
    /// End, in Unix seconds.
    pub held_until: i64,
    /// TTL of the table, later than any use.
    pub expires_at: i64,
}

fn key(user: &UserId, slot: TokenSlot) -> Key {
    Key::new(user.partition(), format!("LEASE#{}", slot.name()))
}

/// A name that nobody else has: by it a writer knows its own write again, the answer to which was lost.
///
/// # Errors
/// [`NoEntropy`].
pub fn random_name() -> Result<String, NoEntropy> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}

impl Lease {
    /// A lease of `seconds` from now.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn new(clock: &Clock, seconds: i64, version: u64) -> Result<Self, NoEntropy> {
        let holder = random_name()?;
        let now = clock.unix();
        Ok(Self { holder, version, held_until: now + seconds, expires_at: now + 3600 })
    }
}

impl Table {
    /// Takes a lease if nobody holds it; false if somebody does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_lease(
        &self,
        user: &UserId,
        slot: TokenSlot,
        lease: &Lease,
        now: i64,
    ) -> Result<bool, StoreError> {
        let free = Only::IfAbsentOrLess("held_until", now);
        match self.write(Write::put(&key(user, slot), lease, free)?).await {
            Ok(()) => Ok(true),
            // Our own, if the answer was lost and the SDK tried again: else its holder would wait for itself.
            Err(StoreError::Conflict) => {
                let held = self.get::<Lease>(&key(user, slot)).await?;
                Ok(held.is_some_and(|held| held.holder == lease.holder))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a lease back; one that somebody else took over meanwhile is left alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back_lease(
        &self,
        user: &UserId,
        slot: TokenSlot,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let mine = Only::IfEquals("holder", text(&lease.holder));
        match self.write(Write::Delete(key(user, slot), mine)).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
