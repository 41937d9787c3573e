//! Which texts may become part of an upstream URL as the id of an installation, per host.
//! A GitHub installation id, a Bitbucket workspace, a GitLab namespace (DESIGN 4).

use serde_json::json;

use crate::failure::{Failure, FieldProblem, Location};
use crate::provider::ProviderType;

const GITHUB: &str = "^[0-9]{1,19}$";
const BITBUCKET: &str = r"^([A-Za-z0-9_.-]{1,128}|\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\})$";
const GITLAB: &str = "^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}(/[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}){0,20}$";
const ANY: &str =
    r"^([A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}(/[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}){0,20}|\{[0-9a-fA-F-]{36}\})$";

/// GitLab allows a group to be nested 20 deep (GitLab docs, subgroups).
const GITLAB_MAX_SEGMENTS: usize = 21;

/// The id in the form in which it may become part of a URL: without leading zeros on GitHub, else as given.
///
/// GitHub ids are positive numbers of 64 bits; Bitbucket takes a workspace's slug or its uuid in braces; GitLab the
/// full path of a namespace. `enterprise_sso` lists the installations of all three, so it takes all three forms.
///
/// # Errors
/// [`Failure::Invalid`] with pydantic's `string_pattern_mismatch` at `["query","installation_id"]`.
pub fn installation_id_for(provider: ProviderType, text: &str) -> Result<String, Failure> {
    check(provider, text).map_err(|problem| Failure::Invalid(vec![*problem]))
}

/// As [`installation_id_for`], for a caller that collects problems.
pub(super) fn check(provider: ProviderType, text: &str) -> Result<String, Box<FieldProblem>> {
    let (id, pattern) = match provider {
        ProviderType::Github => (github(text), GITHUB),
        ProviderType::Bitbucket => (bitbucket(text), BITBUCKET),
        ProviderType::Gitlab => (gitlab(text), GITLAB),
        ProviderType::EnterpriseSso => (bitbucket(text).or_else(|| gitlab(text)), ANY),
    };
    id.ok_or_else(|| {
        Box::new(FieldProblem {
            kind: "string_pattern_mismatch",
            location: vec![Location::Name("query".to_owned()), Location::Name("installation_id".to_owned())],
            message: format!("String should match pattern '{pattern}'"),
            input: json!(text),
            context: Some(json!({ "pattern": pattern })),
        })
    })
}

fn github(text: &str) -> Option<String> {
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let id: i64 = digits.then(|| text.parse().ok())??;
    (id > 0).then(|| id.to_string())
}

fn bitbucket(text: &str) -> Option<String> {
    let slug = (1..=128).contains(&text.len()) && text.bytes().all(is_slug_byte) && !is_dots(text);
    (slug || is_uuid_in_braces(text)).then(|| text.to_owned())
}

fn gitlab(text: &str) -> Option<String> {
    let segments: Vec<_> = text.split('/').collect();
    let is_segment = |segment: &&str| {
        (1..=255).contains(&segment.len())
            && !segment.starts_with('-')
            && segment.bytes().all(is_slug_byte)
            && !is_dots(segment)
    };
    (segments.len() <= GITLAB_MAX_SEGMENTS && segments.iter().all(is_segment)).then(|| text.to_owned())
}

const fn is_slug_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// `.` and `..` are steps in a URL, not names.
fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

fn is_uuid_in_braces(text: &str) -> bool {
    text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|uuid| {
        let groups: Vec<_> = uuid.split('-').collect();
        groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ProviderType, check};

    fn accepted(provider: ProviderType, text: &str) -> Option<String> {
        check(provider, text).ok()
    }

    #[test]
    fn github_takes_positive_numbers_of_64_bits() {
        assert_eq!(accepted(ProviderType::Github, "5001").as_deref(), Some("5001"));
        assert_eq!(accepted(ProviderType::Github, "0005001").as_deref(), Some("5001"));
        assert_eq!(
            accepted(ProviderType::Github, "9223372036854775807").as_deref(),
            Some("9223372036854775807")
        );
        for refused in [
            "",
            "0",
            "-1",
            "+1",
            "1.0",
            "1_0",
            "9223372036854775808",
            "00000000000000000001",
            "٣",
            " 1",
            "1\n",
            "5001/../../user",
            "5001?x=1",
            "5001#",
            "5001%2f",
            "abc",
        ] {
            assert_eq!(accepted(ProviderType::Github, refused), None, "{refused:?}");
        }
    }

    #[test]
    fn bitbucket_takes_slugs_and_uuids_in_braces() {
        for slug in ["acme", "acme-2_x.y", "...", "{01234567-89ab-cdef-0123-456789ABCDEF}"] {
            assert_eq!(accepted(ProviderType::Bitbucket, slug).as_deref(), Some(slug));
        }
        let long = "a".repeat(129);
        for refused in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "é",
            "a%2f",
            &long,
            "{}",
            "{01234567}",
            "01234567-89ab}",
            "{g1234567-89ab-cdef-0123-456789abcdef}",
            "{01234567-89ab-cdef-0123-456789abcdef}/..",
        ] {
            assert_eq!(accepted(ProviderType::Bitbucket, refused), None, "{refused:?}");
        }
    }

    #[test]
    fn gitlab_takes_full_paths() {
        for path in ["acme", "acme/platform/core_team", "a.b/c-d", "_x"] {
            assert_eq!(accepted(ProviderType::Gitlab, path).as_deref(), Some(path));
        }
        let deep = ["a"; 22].join("/");
        for refused in [
            "", "/", "/a", "a/", "a//b", "a/../b", "a/./b", "..", "-a", "a/-/b", "a b", "a?b", "a%2fb", &deep,
        ] {
            assert_eq!(accepted(ProviderType::Gitlab, refused), None, "{refused:?}");
        }
    }

    #[test]
    fn enterprise_sso_takes_what_any_of_its_hosts_takes() {
        for id in ["5001", "acme", "acme/platform", "{01234567-89ab-cdef-0123-456789abcdef}"] {
            assert_eq!(accepted(ProviderType::EnterpriseSso, id).as_deref(), Some(id));
        }
        assert_eq!(accepted(ProviderType::EnterpriseSso, "a/../b"), None);
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_one_path_below_its_parent(text in r"[a-z0-9./\\?#%{}:@-]{0,12}") {
            for provider in ProviderType::ALL {
                if let Some(id) = accepted(provider, &text) {
                    let url = url::Url::parse("https://host/api/").and_then(|base| base.join(&format!("x/{id}/y")));
                    let path = url.expect("a URL").path().to_owned();
                    prop_assert_eq!(path.replace("%7B", "{").replace("%7D", "}"), format!("/api/x/{id}/y"));
                }
            }
        }
    }
}
