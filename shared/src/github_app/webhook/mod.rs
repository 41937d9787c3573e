//! GitHub's webhooks: the signature over the raw bytes, then the bytes as a [`Delivery`] (reference: GitHub 2).
//! What an event changes is decided elsewhere.

mod event;
mod signature;

pub use event::{Change, Delivery, DeliveryProblem, InstallationAction, InstallationState, parse};
pub use signature::{SignatureProblem, verify};
