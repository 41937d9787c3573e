//! What GitHub alone tells of a repository, read as leniently as all of a listing.
//! What all hosts have in common is `provider::Repository`.

use serde::Deserialize;
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::repositories::{Fields, Listed};
use crate::provider::field::value;

/// A repository as GitHub describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryDetails {
    /// Numeric id; never changes, unlike the name.
    pub id: u64,
    /// The name without its owner.
    pub name: String,
    /// `owner/name`, without the owner where GitHub names none.
    pub full_name: String,
    /// The page for people, where GitHub tells it.
    pub html_url: Option<String>,
    /// One line about it.
    pub description: Option<String>,
    /// The website that its owner named; none is GitHub's empty text too.
    pub homepage: Option<String>,
    /// In kilobytes.
    pub size: Option<u64>,
    /// The main programming language.
    pub language: Option<String>,
    /// SPDX's short name of the licence, such as `MIT`.
    pub license: Option<String>,
    /// The default branch.
    pub default_branch: Option<String>,
    /// Not visible to everybody.
    pub is_private: bool,
    /// A copy of another repository.
    pub is_fork: bool,
    /// Made to be copied.
    pub is_template: bool,
    /// Read only for everybody.
    pub is_archived: bool,
    /// Creation.
    pub created_at: Option<OffsetDateTime>,
    /// Last change; last push where GitHub tells only that.
    pub updated_at: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
struct License {
    spdx_id: Option<String>,
}

impl Listed for RepositoryDetails {
    fn of(fields: &Fields<'_>) -> Option<Self> {
        let full_name = fields.full_name()?;
        let name =
            value(fields.name).or_else(|| full_name.rsplit('/').next().map(str::to_owned)).filter(filled)?;
        Some(Self {
            id: value(fields.id)?,
            name,
            full_name,
            html_url: value(fields.html_url).filter(filled),
            description: value(fields.description),
            homepage: value(fields.homepage).filter(filled),
            size: value(fields.size),
            language: value(fields.language),
            license: value(fields.license).and_then(|license: License| license.spdx_id),
            default_branch: value(fields.default_branch),
            // Unknown is private: never shown as open to everybody by mistake.
            is_private: value(fields.private).unwrap_or(true),
            is_fork: value(fields.fork).unwrap_or(false),
            is_template: value(fields.is_template).unwrap_or(false),
            is_archived: value(fields.archived).unwrap_or(false),
            created_at: moment(fields.created_at),
            updated_at: moment(fields.updated_at).or_else(|| moment(fields.pushed_at)),
        })
    }
}

#[allow(clippy::ptr_arg, reason = "Option::filter calls it with what the option holds")]
fn filled(text: &String) -> bool {
    !text.trim().is_empty()
}

/// A date in UTC; one that UTC cannot express is none.
fn moment(field: Option<&RawValue>) -> Option<OffsetDateTime> {
    let text: String = value(field)?;
    OffsetDateTime::parse(&text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::{Listed, RepositoryDetails};

    /// As GitHub's own documentation shows an item of this listing, its addresses but one left out.
    const HELLO_WORLD: &str = r#"{"id":1296269,"node_id":"MDEwOlJlcG9zaXRvcnkxMjk2MjY5","name":"Hello-World",
        "full_name":"octocat/Hello-World","owner":{"login":"octocat","id":1,"type":"User","site_admin":false},
        "private":false,"html_url":"https://github.com/octocat/Hello-World",
        "description":"This your first repo!","fork":false,"homepage":"https://github.com","language":"Rust",
        "forks_count":9,"stargazers_count":80,"size":108,"default_branch":"master","open_issues_count":0,
        "is_template":true,"topics":["octocat","api"],"archived":true,"disabled":false,"visibility":"public",
        "pushed_at":"2011-01-26T19:06:43Z","created_at":"2011-01-26T19:01:12Z",
        "updated_at":"2011-01-26T21:14:43+02:00","permissions":{"admin":false,"push":false,"pull":true},
        "license":{"key":"mit","name":"MIT License","url":"https://api.github.com/licenses/mit","spdx_id":"MIT",
        "node_id":"MDc6TGljZW5zZW1pdA=="},"a_field_of_tomorrow":{"y":[null]}}"#;

    fn read(item: &str) -> RepositoryDetails {
        RepositoryDetails::read(item).unwrap_or_else(|| panic!("not read: {item}"))
    }

    /// A repository of which nothing is known but what this adds.
    fn bare_with(field: &str, value: &str) -> RepositoryDetails {
        read(&format!(r#"{{"id":7,"name":"r","{field}":{value}}}"#))
    }

    #[test]
    fn a_usual_repository_is_read_whole() {
        assert_eq!(
            read(HELLO_WORLD),
            RepositoryDetails {
                id: 1_296_269,
                name: "Hello-World".to_owned(),
                full_name: "octocat/Hello-World".to_owned(),
                html_url: Some("https://github.com/octocat/Hello-World".to_owned()),
                description: Some("This your first repo!".to_owned()),
                homepage: Some("https://github.com".to_owned()),
                size: Some(108),
                language: Some("Rust".to_owned()),
                license: Some("MIT".to_owned()),
                default_branch: Some("master".to_owned()),
                is_private: false,
                is_fork: false,
                is_template: true,
                is_archived: true,
                created_at: Some(datetime!(2011-01-26 19:01:12 UTC)),
                updated_at: Some(datetime!(2011-01-26 19:14:43 UTC)),
            }
        );
    }

    #[test]
    fn an_id_and_a_name_are_all_that_is_needed_and_what_is_not_known_to_be_public_is_private() {
        assert_eq!(
            read(r#"{"id":7,"name":"r"}"#),
            RepositoryDetails {
                id: 7,
                name: "r".to_owned(),
                full_name: "r".to_owned(),
                html_url: None,
                description: None,
                homepage: None,
                size: None,
                language: None,
                license: None,
                default_branch: None,
                is_private: true,
                is_fork: false,
                is_template: false,
                is_archived: false,
                created_at: None,
                updated_at: None,
            }
        );
        assert_eq!(read(r#"{"id":7,"name":null,"full_name":"o/r"}"#).name, "r");
        assert_eq!(read(r#"{"id":7,"name":"r","owner":{"login":"o"}}"#).full_name, "o/r");
        for item in [
            "null",
            "[]",
            r#"{"id":7}"#,
            r#"{"name":"r"}"#,
            r#"{"id":"7","name":"r"}"#,
            r#"{"id":7,"name":""}"#,
        ] {
            assert_eq!(RepositoryDetails::read(item), None, "{item}");
        }
    }

    #[test]
    fn a_website_that_is_empty_is_none() {
        for (homepage, expected) in
            [("null", None), (r#""""#, None), (r#"" ""#, None), (r#""octo.example""#, Some("octo.example"))]
        {
            assert_eq!(bare_with("homepage", homepage).homepage.as_deref(), expected, "{homepage}");
        }
    }

    #[test]
    fn a_license_is_its_spdx_id() {
        let other = r#"{"key":"other","name":"Other","spdx_id":"NOASSERTION","url":null}"#;
        for (license, expected) in [
            (other, Some("NOASSERTION")),
            (r#"{"key":"x","spdx_id":null}"#, None),
            (r#""MIT""#, None),
            ("null", None),
        ] {
            assert_eq!(bare_with("license", license).license.as_deref(), expected, "{license}");
        }
    }

    #[test]
    fn a_change_without_a_date_is_the_last_push_and_an_impossible_date_is_none() {
        let pushed = bare_with("pushed_at", r#""2024-05-16T08:47:09-07:00""#);
        assert_eq!(pushed.updated_at, Some(datetime!(2024-05-16 15:47:09 UTC)));
        for date in ["yesterday", "2024-02-30T00:00:00Z", "9999-12-31T23:59:59-01:00"] {
            assert_eq!(bare_with("created_at", &format!("\"{date}\"")).created_at, None, "{date}");
        }
    }

    proptest! {
        #[test]
        fn no_odd_field_costs_a_repository(
            field in prop::sample::select(vec![
                "full_name", "owner", "html_url", "description", "homepage", "size", "language", "license",
                "default_branch", "private", "fork", "is_template", "archived", "created_at", "updated_at",
                "pushed_at", "another",
            ]),
            value in prop::sample::select(vec![
                "null", "true", "-1", "1.5", "\"text\"", "[]", "[{}]", "{}", r#"{"spdx_id":5}"#,
            ]),
        ) {
            prop_assert_eq!(bare_with(field, value).id, 7);
        }
    }
}
