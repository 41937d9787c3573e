//! Pages of a host's listings that are remembered, so that the host need only say that they are still right (DESIGN 5).
//! Where they are kept is `identity`'s and `store`'s business, how they are asked for again a host's own.

use std::future::Future;

use http::HeaderValue;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::constant_time::same;
use crate::hex::hex;

/// A listing at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOf {
    /// The installations of a user.
    Installations,
    /// The repositories of one installation.
    Repositories(u64),
}

/// A page of a listing; numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageId {
    /// The listing.
    pub list: ListOf,
    /// The page.
    pub page: u32,
}

/// Tells one token from another, and gives none away: the first half of the SHA-256 of its `Authorization` header.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenFingerprint(String);

// By hand: in constant time, as everything that comes of a secret.
impl PartialEq for TokenFingerprint {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl TokenFingerprint {
    /// The fingerprint of the token in a header.
    #[must_use]
    pub fn of(authorization: &HeaderValue) -> Self {
        let hash = digest(&SHA256, authorization.as_bytes());
        Self(hex(&hash.as_ref()[..16]))
    }
}

/// What a host said of a page, by which it tells whether it would say the same again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// The ETag, as the host wrote it.
    pub etag: String,
    /// The token that it was said to: ETags of GitHub are of one token (reference: GitHub 1.6).
    pub token: TokenFingerprint,
    /// The request headers that the answer depends on.
    #[serde(default)]
    pub vary: Option<String>,
}

/// A page as it was once answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedPage {
    /// Which one.
    pub id: PageId,
    /// By what the host knows it.
    pub validator: Validator,
    /// How many items there are on all pages.
    pub total: u64,
    /// The last page that the answer named.
    pub last_page: u32,
    /// How many items the page has, those too that could not be read.
    pub count: u32,
    /// What is needed of it, packed.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// Remembers pages for one user and one token slot, for the time of one request. A memory that fails remembers nothing:
/// it costs time, and never an answer.
pub trait PageMemory: Send + Sync {
    /// Whether the ETag that another token would get is computed and sent (`PREDICT_ETAGS`).
    fn predicts(&self) -> bool;

    /// All that is remembered: of the installations alone, or of everything, as it was opened.
    fn recall(&self) -> Vec<RememberedPage>;

    /// Remembers a page in place of what was remembered of it. It is written while others are still being fetched.
    fn keep(&self, page: RememberedPage);

    /// Forgets pages that are not there any more.
    fn forget(&self, pages: Vec<PageId>);

    /// Waits until all that was kept and forgotten is written.
    fn settle(&self) -> impl Future<Output = ()> + Send;
}

/// How much is recalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The pages of the list of installations.
    Installations,
    /// These, and those of all their repositories.
    Everything,
}

/// For who is not remembered: a token of somebody whom we do not know, or tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl PageMemory for NoMemory {
    fn predicts(&self) -> bool {
        false
    }

    fn recall(&self) -> Vec<RememberedPage> {
        Vec::new()
    }

    fn keep(&self, _: RememberedPage) {}

    fn forget(&self, _: Vec<PageId>) {}

    async fn settle(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_tokens_apart_and_holds_none() {
        let of = |text: &'static str| TokenFingerprint::of(&HeaderValue::from_static(text));
        assert_eq!(of("Bearer ghu_one"), of("Bearer ghu_one"));
        assert_ne!(of("Bearer ghu_one"), of("Bearer ghu_two"));
        let TokenFingerprint(text) = of("Bearer ghu_one");
        assert_eq!(text.len(), 32);
        assert!(!text.contains("ghu"));
    }
}
