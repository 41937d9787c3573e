//! `.../installations/{installation_id}/imports`: the repositories of one installation, as Neptun's web UI reads them.
//! The rows of the installations themselves are in the module above.

use std::io;

use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;

use crate::contract::{Family, Response, TOTAL_COUNT, TRUNCATED, date, with_header};

/// Lambda takes 6 MB of answer as JSON text, in which the body is a string (AWS docs, Lambda quotas). What is
/// left of it is for the headers.
const BODY_MAX: usize = 6_000_000;

/// A repository that can be imported: seventeen keys, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "GithubRepositoryImport"))]
pub struct ImportRow {
    /// The row's number, which never repeats: GitHub's id of the repository.
    pub id: u64,
    /// GitHub's id of the repository.
    pub github_repository_id: u64,
    /// The name without its owner.
    pub github_repository_name: String,
    /// One line about it.
    pub github_repository_description: Option<String>,
    /// In kilobytes.
    pub github_repository_size: Option<u64>,
    /// The main programming language.
    pub github_repository_language: Option<String>,
    /// SPDX's short name of the licence.
    pub github_repository_license: Option<String>,
    /// Its page at GitHub.
    pub github_repository_url: String,
    /// The website that its owner named.
    pub github_repository_website_url: Option<String>,
    /// The default branch.
    pub github_repository_default_branch: Option<String>,
    /// Not visible to everybody.
    pub github_repository_is_private: bool,
    /// A copy of another repository.
    pub github_repository_is_fork: Option<bool>,
    /// Made to be copied.
    pub github_repository_is_template: Option<bool>,
    /// Read only for everybody.
    pub github_repository_is_archived: bool,
    /// Creation.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub created_at: OffsetDateTime,
    /// Last change.
    #[serde(serialize_with = "date::moment")]
    #[cfg_attr(feature = "openapi", schemars(with = "date::Moment"))]
    pub updated_at: OffsetDateTime,
    /// The `id` of the installation's row.
    pub github_app_installation_id: u64,
}

/// 200 with an installation's repositories, `[]` if there are none. What is more than one answer carries is
/// cut, and the headers say so: without that nothing at all would be answered.
#[must_use]
pub fn imports(rows: &[ImportRow]) -> Response {
    let mut carried = Carried(2);
    let fitting = rows
        .iter()
        .take_while(|row| serde_json::to_writer(&mut carried, row).is_ok() && carried.another() <= BODY_MAX)
        .count();
    let response = Family::Neptun.json(StatusCode::OK, &rows.get(..fitting).unwrap_or(rows));
    let response = with_header(response, TOTAL_COUNT, &rows.len().to_string());
    if fitting < rows.len() { with_header(response, TRUNCATED, "true") } else { response }
}

/// Counts what a JSON text takes up as a string in another: quotes and backslashes are escaped there.
struct Carried(usize);

impl Carried {
    /// The count with the comma behind what was written.
    const fn another(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

impl io::Write for Carried {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let escaped = text.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        self.0 += text.len() + escaped;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use time::macros::datetime;

    use super::{BODY_MAX, ImportRow, imports};
    use crate::contract::testing::wire;

    fn row() -> ImportRow {
        ImportRow {
            id: 12_345,
            github_repository_id: 12_345,
            github_repository_name: "my-project".to_owned(),
            github_repository_description: Some("A sample project".to_owned()),
            github_repository_size: Some(1_024),
            github_repository_language: Some("TypeScript".to_owned()),
            github_repository_license: Some("MIT".to_owned()),
            github_repository_url: "https://github.com/octocat/my-project".to_owned(),
            github_repository_website_url: Some("https://my-project.example.com".to_owned()),
            github_repository_default_branch: Some("main".to_owned()),
            github_repository_is_private: false,
            github_repository_is_fork: Some(false),
            github_repository_is_template: Some(false),
            github_repository_is_archived: false,
            created_at: datetime!(2024-03-20 10:00:00 UTC),
            updated_at: datetime!(2024-03-20 12:00:00 +02:00),
            github_app_installation_id: 1,
        }
    }

    #[test]
    fn a_row_has_seventeen_keys_in_order_with_integer_ids_and_dates_in_utc() {
        insta::assert_snapshot!(wire(&imports(&[row()])), @r#"
        200 OK
        cache-control: no-store
        content-type: application/json
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff
        x-total-count: 1

        [{"id":12345,"github_repository_id":12345,"github_repository_name":"my-project","github_repository_description":"A sample project","github_repository_size":1024,"github_repository_language":"TypeScript","github_repository_license":"MIT","github_repository_url":"https://github.com/octocat/my-project","github_repository_website_url":"https://my-project.example.com","github_repository_default_branch":"main","github_repository_is_private":false,"github_repository_is_fork":false,"github_repository_is_template":false,"github_repository_is_archived":false,"created_at":"2024-03-20T10:00:00Z","updated_at":"2024-03-20T10:00:00Z","github_app_installation_id":1}]
        "#);
    }

    #[test]
    fn what_github_does_not_tell_is_null_and_a_key_all_the_same() {
        let bare = ImportRow {
            github_repository_description: None,
            github_repository_size: None,
            github_repository_language: None,
            github_repository_license: None,
            github_repository_website_url: None,
            github_repository_default_branch: None,
            github_repository_is_fork: None,
            github_repository_is_template: None,
            ..row()
        };
        insta::assert_json_snapshot!(bare, @r#"
        {
          "id": 12345,
          "github_repository_id": 12345,
          "github_repository_name": "my-project",
          "github_repository_description": null,
          "github_repository_size": null,
          "github_repository_language": null,
          "github_repository_license": null,
          "github_repository_url": "https://github.com/octocat/my-project",
          "github_repository_website_url": null,
          "github_repository_default_branch": null,
          "github_repository_is_private": false,
          "github_repository_is_fork": null,
          "github_repository_is_template": null,
          "github_repository_is_archived": false,
          "created_at": "2024-03-20T10:00:00Z",
          "updated_at": "2024-03-20T10:00:00Z",
          "github_app_installation_id": 1
        }
        "#);
    }

    #[test]
    fn no_repositories_are_an_empty_array() {
        let none = imports(&[]);
        assert_eq!(
            (none.body().as_ref(), &none.headers()["x-total-count"]),
            (&b"[]"[..], &"0".parse().unwrap())
        );
    }

    #[test]
    fn more_than_one_answer_carries_is_cut_and_said() {
        // A quote is two characters in the row and four in the text around it.
        let long = ImportRow { github_repository_description: Some("\"".repeat(350)), ..row() };
        let rows = vec![long; 4_000];
        let cut = imports(&rows);
        assert_eq!(cut.headers()["x-total-count"], "4000");
        assert_eq!(cut.headers()["x-truncated"], "true");
        let text = String::from_utf8(cut.body().to_vec()).unwrap();
        let around = serde_json::to_string(&text).unwrap().len();
        let left = BODY_MAX - around;
        assert!(left < 2_500, "{left} bytes are left for another row");
        let items: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(items.iter().all(|item| item["id"] == 12_345));

        let whole = imports(&rows[..items.len()]);
        assert_eq!(whole.headers().get("x-truncated"), None);
        assert_eq!(whole.body().len(), text.len());
    }
}
