//! `/api/users/{user_id}/installations`: what Neptun's web UI reads.
//! Rows and errors have the form of the seed; the rows' further columns are DESIGN 4's.

mod imports;

use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;

use super::problem::{self, Problem};
use super::{Family, Response, date, with_retry_after};
use crate::failure::Failure;

pub use imports::{ImportRow, imports};

/// A user's installation of the GitHub App: ten keys, in this order (DESIGN 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "GithubAppInstallation"))]
pub struct InstallationRow {
    /// The row's number; it never repeats.
    pub id: u64,
    /// The user whose row it is.
    pub neptun_user_id: String,
    /// GitHub's id of the installation, as text.
    pub github_installation_id: String,
    /// The login or slug of the account it is installed on, where GitHub tells it.
    pub github_account_name: Option<String>,
    /// `User`, `Organization` or `Enterprise`, or what GitHub calls it tomorrow.
    pub github_account_type: Option<String>,
    /// The account's picture.
    pub github_account_avatar_url: Option<String>,
    /// `all` or `selected`.
    pub repository_selection: Option<String>,
    /// Since when it is suspended; `null` while it is not.
    #[serde(serialize_with = "date::optional")]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<date::Moment>"))]
    pub suspended_at: Option<OffsetDateTime>,
    /// When it was installed.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub updated_at: OffsetDateTime,
}

/// 200 with a user's installations, `[]` if there are none.
#[must_use]
pub fn installations(rows: &[InstallationRow]) -> Response {
    Family::Neptun.json(StatusCode::OK, &rows)
}

/// 200 `true`: the row is gone.
#[must_use]
pub fn deleted() -> Response {
    Family::Neptun.json(StatusCode::OK, &true)
}

/// An error as Neptun's web UI reads it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "GetInstallationsError"))]
#[serde(rename_all = "camelCase")]
struct Error<'a> {
    status_code: u16,
    status_message: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
struct Data<'a> {
    message: &'a str,
}

/// The answer to a failure: `{"statusCode","statusMessage","data":{"message"}}`.
///
/// A problem with a part of the path is 404 and names that part: no such row can exist.
#[must_use]
pub fn failure(failure: &Failure) -> Response {
    let problem = Problem::of(failure);
    let status = match failure {
        Failure::Invalid(problems) if problem::is_about_path(problems) => StatusCode::NOT_FOUND,
        _ => problem.status,
    };
    let body = Error {
        status_code: status.as_u16(),
        status_message: status.canonical_reason().unwrap_or_default(),
        data: Data { message: &problem.message },
    };
    with_retry_after(Family::Neptun.json(status, &body), problem.retry_after)
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<InstallationRow>(generator);
    add::<ImportRow>(generator);
    add::<Error<'_>>(generator);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use time::macros::datetime;

    use super::{InstallationRow, deleted, failure, installations};
    use crate::contract::Family;
    use crate::contract::testing::{every_answer, wire};
    use crate::failure::{Failure, FieldProblem, Location};

    fn row() -> InstallationRow {
        InstallationRow {
            id: 1,
            neptun_user_id: "user123".to_owned(),
            github_installation_id: "12345678".to_owned(),
            github_account_name: Some("octocat".to_owned()),
            github_account_type: Some("User".to_owned()),
            github_account_avatar_url: Some("https://avatars.githubusercontent.com/u/583231".to_owned()),
            repository_selection: Some("selected".to_owned()),
            suspended_at: None,
            created_at: datetime!(2024-03-20 10:00:00 UTC),
            updated_at: datetime!(2024-03-20 12:00:00 +02:00),
        }
    }

    #[test]
    fn a_row_has_ten_keys_in_order_with_an_integer_id_and_dates_in_utc() {
        insta::assert_snapshot!(wire(&installations(&[row()])), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        [{"id":1,"neptun_user_id":"user123","github_installation_id":"12345678","github_account_name":"octocat","github_account_type":"User","github_account_avatar_url":"https://avatars.githubusercontent.com/u/583231","repository_selection":"selected","suspended_at":null,"created_at":"2024-03-20T10:00:00Z","updated_at":"2024-03-20T10:00:00Z"}]
        "#);
    }

    #[test]
    fn what_github_does_not_tell_is_null() {
        let bare = InstallationRow {
            github_account_name: None,
            github_account_type: None,
            github_account_avatar_url: None,
            repository_selection: None,
            suspended_at: Some(datetime!(2024-04-01 00:00:00 UTC)),
            ..row()
        };
        insta::assert_json_snapshot!(bare, @r#"
        {
          "id": 1,
          "neptun_user_id": "user123",
          "github_installation_id": "12345678",
          "github_account_name": null,
          "github_account_type": null,
          "github_account_avatar_url": null,
          "repository_selection": null,
          "suspended_at": "2024-04-01T00:00:00Z",
          "created_at": "2024-03-20T10:00:00Z",
          "updated_at": "2024-03-20T10:00:00Z"
        }
        "#);
    }

    #[test]
    fn no_installations_are_an_empty_array_and_a_deletion_is_true() {
        assert_eq!(installations(&[]).body().as_ref(), b"[]");
        assert_eq!(deleted().body().as_ref(), b"true");
    }

    #[test]
    fn every_failure_has_neptuns_form() {
        insta::assert_snapshot!(every_answer(Family::Neptun));
    }

    #[test]
    fn an_unknown_user_gets_the_seeds_answer() {
        insta::assert_snapshot!(wire(&failure(&Failure::NotFound("user"))), @r#"
        404 Not Found
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"statusCode":404,"statusMessage":"Not Found","data":{"message":"User not found"}}
        "#);
    }

    #[test]
    fn a_malformed_path_is_404_and_names_the_part() {
        let malformed = Failure::Invalid(vec![FieldProblem {
            kind: "int_parsing",
            location: vec![Location::Name("path".to_owned()), Location::Name("installation_id".to_owned())],
            message: "must be a positive integer".to_owned(),
            input: Value::from("x"),
            context: None,
        }]);
        insta::assert_snapshot!(wire(&failure(&malformed)), @r#"
        404 Not Found
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"statusCode":404,"statusMessage":"Not Found","data":{"message":"installation_id must be a positive integer"}}
        "#);
    }
}
