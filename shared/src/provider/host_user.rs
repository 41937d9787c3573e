//! Who a token belongs to, as every host can tell it.
//! Which of our users that is, is `identity`'s business.

/// A user of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUser {
    /// The host's id, as text; never changes, unlike the login.
    pub id: String,
    /// The name in addresses, in the host's own casing.
    pub login: String,
    /// Picture.
    pub avatar_url: Option<String>,
}
