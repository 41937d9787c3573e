//! `GET /auth/session`: who is signed in and which providers are linked.
//! A signed-out caller gets an answer, not an error: that is what the route is asked for.

use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;

use crate::contract::{Family, Response, date};
use crate::provider::ProviderType;

/// The caller's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Session {
    /// Whether somebody is.
    signed_in: bool,
    /// Who: what stands in `/api/users/{user_id}`; `null` where nobody is signed in.
    user_id: Option<String>,
    /// Their accounts at the hosts.
    providers: Vec<LinkedProvider>,
}

impl Session {
    /// Nobody is signed in.
    #[must_use]
    pub const fn signed_out() -> Self {
        Self { signed_in: false, user_id: None, providers: Vec::new() }
    }

    /// That user is, with those providers.
    #[must_use]
    pub const fn signed_in(user_id: String, providers: Vec<LinkedProvider>) -> Self {
        Self { signed_in: true, user_id: Some(user_id), providers }
    }

    /// 200 with the session.
    #[must_use]
    pub fn answer(&self) -> Response {
        Family::Auth.json(StatusCode::OK, self)
    }
}

/// An identity of the user at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LinkedProvider {
    /// The provider.
    pub provider: ProviderType,
    /// The account's numeric or subject id there.
    pub id: String,
    /// The account's login there.
    pub login: String,
    /// The account's picture.
    pub avatar_url: Option<String>,
    /// When it was linked.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub linked_at: OffsetDateTime,
    /// Whether its token is of use.
    pub status: LinkStatus,
}

/// What has become of a linked provider's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LinkStatus {
    /// It works, or can be renewed.
    Linked,
    /// Only a new sign-in helps.
    Expired,
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Session>(generator);
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{LinkStatus, LinkedProvider, Session};
    use crate::contract::testing::wire;
    use crate::provider::ProviderType;

    #[test]
    fn a_signed_in_caller_sees_the_linked_providers() {
        let github = LinkedProvider {
            provider: ProviderType::Github,
            id: "583231".to_owned(),
            login: "octocat".to_owned(),
            avatar_url: Some("https://avatars.githubusercontent.com/u/583231".to_owned()),
            linked_at: datetime!(2024-03-20 10:00:00 UTC),
            status: LinkStatus::Linked,
        };
        let gitlab = LinkedProvider {
            provider: ProviderType::Gitlab,
            avatar_url: None,
            status: LinkStatus::Expired,
            ..github.clone()
        };
        insta::assert_snapshot!(wire(&Session::signed_in("usr_01J".to_owned(), vec![github, gitlab]).answer()), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"signed_in":true,"user_id":"usr_01J","providers":[{"provider":"github","id":"583231","login":"octocat","avatar_url":"https://avatars.githubusercontent.com/u/583231","linked_at":"2024-03-20T10:00:00Z","status":"linked"},{"provider":"gitlab","id":"583231","login":"octocat","avatar_url":null,"linked_at":"2024-03-20T10:00:00Z","status":"expired"}]}
        "#);
    }

    #[test]
    fn a_signed_out_caller_is_told_so() {
        insta::assert_snapshot!(wire(&Session::signed_out().answer()), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"signed_in":false,"user_id":null,"providers":[]}
        "#);
    }
}
