//! The answers of `/api/keys`: a key is shown once, when it is made; later only what tells it from others.
//! The routes are ours (DESIGN 4), their form is that of the OpenHands family.

use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;

use crate::contract::{Family, Response, date, empty};

/// A key at the moment it is made: the only answer that ever holds it.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "NewApiKey"))]
pub struct NewKey {
    /// What `DELETE /api/keys/{id}` takes.
    pub id: String,
    /// The user's name for it.
    pub name: String,
    /// Its first characters, by which it is recognised in the list.
    pub prefix: String,
    /// The key itself.
    pub key: String,
    /// When it was made.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub created_at: OffsetDateTime,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A key in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ApiKey"))]
pub struct KeyRow {
    /// What `DELETE /api/keys/{id}` takes.
    pub id: String,
    /// The user's name for it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// When it was made.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub created_at: OffsetDateTime,
    /// When it last proved a caller, `null` for never.
    #[serde(serialize_with = "date::optional")]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<date::Moment>"))]
    pub last_used_at: Option<OffsetDateTime>,
}

/// 201 with the key.
#[must_use]
pub fn created(key: &NewKey) -> Response {
    Family::OpenHands.json(StatusCode::CREATED, key)
}

/// 200 with the user's keys.
#[must_use]
pub fn list(keys: &[KeyRow]) -> Response {
    Family::OpenHands.json(StatusCode::OK, &keys)
}

/// 204: the key has ended.
#[must_use]
pub fn deleted() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<NewKey>(generator);
    add::<KeyRow>(generator);
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{KeyRow, NewKey, created, deleted, list};
    use crate::contract::testing::wire;

    fn new_key() -> NewKey {
        NewKey {
            id: "key_01J".to_owned(),
            name: "laptop".to_owned(),
            prefix: "gi_abcd".to_owned(),
            key: "gi_abcdefgh".to_owned(),
            created_at: datetime!(2024-03-20 10:00:00 UTC),
        }
    }

    #[test]
    fn a_new_key_is_answered_once_with_its_secret() {
        insta::assert_snapshot!(wire(&created(&new_key())), @r#"
        201 Created
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"id":"key_01J","name":"laptop","prefix":"gi_abcd","key":"gi_abcdefgh","created_at":"2024-03-20T10:00:00Z"}
        "#);
    }

    #[test]
    fn the_list_holds_no_secret() {
        let key = new_key();
        let used = KeyRow {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            created_at: key.created_at,
            last_used_at: Some(datetime!(2024-03-21 08:30:00 UTC)),
        };
        let unused = KeyRow { last_used_at: None, ..used.clone() };
        insta::assert_snapshot!(wire(&list(&[used, unused])), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        [{"id":"key_01J","name":"laptop","prefix":"gi_abcd","created_at":"2024-03-20T10:00:00Z","last_used_at":"2024-03-21T08:30:00Z"},{"id":"key_01J","name":"laptop","prefix":"gi_abcd","created_at":"2024-03-20T10:00:00Z","last_used_at":null}]
        "#);
    }

    #[test]
    fn ending_a_key_answers_without_a_body() {
        insta::assert_snapshot!(wire(&deleted()), @"
        204 No Content
        cache-control: no-store
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff
        ");
    }

    #[test]
    fn the_debug_form_of_a_new_key_hides_the_key() {
        assert!(!format!("{:?}", new_key()).contains("gi_abcdefgh"));
    }
}
