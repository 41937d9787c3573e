//! Who is asking, and which hosts' tokens are theirs.
//! How rows are stored is `store`'s business.

mod sealing;
mod secret_token;

pub use sealing::{Aad, KeyRing, SealError, Sealed};
pub use secret_token::{SecretToken, TokenHash};
