//! What GitLab says about further pages: numbers and ids, out of its headers.
//! Its links are never followed: an instance behind a proxy names addresses that are not its own.

use url::Url;

use crate::link_header;
use crate::provider::upstream::Answer;

/// What the headers of a page say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Items on all pages; GitLab does not count over 10,000.
    pub(super) total: Option<u64>,
    /// What follows.
    pub(super) next: Next,
}

/// What follows a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Nothing,
    /// A page.
    Follows,
    /// The items behind this id.
    After(u64),
    /// A link to somewhere else: it is not read, and tells no more than that there may be something.
    Elsewhere,
    /// Nothing was said, as at the end of a listing by ids.
    Unsaid,
}

impl Said {
    /// Reads the headers of an answer of the GitLab at `base`.
    pub(super) fn read(answer: &Answer, base: &Url) -> Self {
        let total = answer.header("x-total").and_then(|total| total.trim().parse().ok());
        let next = match answer.header("x-next-page").map(str::trim) {
            Some("") => Next::Nothing,
            Some(page) if page.parse::<u64>().is_ok() => Next::Follows,
            _ => answer.header("link").map_or(Next::Unsaid, |link| linked(link, base)),
        };
        Self { total, next }
    }
}

fn linked(header: &str, base: &Url) -> Next {
    let Some(target) = link_header::target(header, "next") else { return Next::Nothing };
    if !Url::parse(target).is_ok_and(|target| is_of(&target, base)) {
        return Next::Elsewhere;
    }
    link_header::parameter(target, "id_after")
        .and_then(|id| id.parse().ok())
        .map_or(Next::Follows, Next::After)
}

/// Whether an address is below the API of the GitLab at `base`.
fn is_of(target: &Url, base: &Url) -> bool {
    let api = format!("{}/api/v4/", base.path().trim_end_matches('/'));
    target.origin() == base.origin()
        && target.path().starts_with(&api)
        && target.username().is_empty()
        && target.password().is_none()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, StatusCode};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const EXAMPLES: &str = include_str!("../../../fixtures/gitlab/pagination_headers.json");

    fn said(headers: &[(&str, &str)], base: &str) -> Said {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().expect(name), value.parse().expect("a value")))
            .collect();
        let answer = Answer { status: StatusCode::OK, headers, body: Bytes::new() };
        Said::read(&answer, &Url::parse(base).expect("a base"))
    }

    fn example(name: &str) -> Said {
        let examples: Value = serde_json::from_str(EXAMPLES).expect("JSON");
        let headers: Vec<(&str, &str)> = examples[name]
            .as_object()
            .expect(name)
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        said(&headers, "https://gitlab.example.com/")
    }

    #[test]
    fn gitlabs_own_headers_are_read() {
        assert_eq!(example("offset_page"), Said { total: Some(88), next: Next::Follows });
        assert_eq!(example("last_page"), Said { total: None, next: Next::Nothing });
        assert_eq!(example("keyset"), Said { total: None, next: Next::After(42) });
        assert_eq!(example("keyset_end"), Said { total: None, next: Next::Unsaid });
    }

    #[test]
    fn a_next_page_is_found_among_several_links_and_its_absence_is_the_end() {
        let link = |relation: &str| {
            format!(
                "<https://g.example/api/v4/groups?page=1>; rel=\"prev\", <https://g.example/api/v4/groups?page=3>; rel=\"{relation}\""
            )
        };
        assert_eq!(said(&[("link", &link("next"))], "https://g.example/").next, Next::Follows);
        assert_eq!(said(&[("link", &link("last"))], "https://g.example/").next, Next::Nothing);
        assert_eq!(
            said(&[("x-next-page", "soon"), ("link", &link("next"))], "https://g.example/").next,
            Next::Follows
        );
    }

    #[test]
    fn a_link_is_read_below_the_hosts_own_api_only() {
        let base = "https://g.example/gitlab";
        for (target, next) in [
            ("https://g.example/gitlab/api/v4/projects?id_after=7", Next::After(7)),
            ("https://g.example:443/gitlab/api/v4/projects?id_after=7", Next::After(7)),
            ("https://g.example/gitlab/api/v4/projects?cursor=abc", Next::Follows),
            ("http://g.example/gitlab/api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://g.example:8443/gitlab/api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://evil.example/gitlab/api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://g.example@evil.example/gitlab/api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://user@g.example/gitlab/api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://g.example/api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://g.example/gitlab/../api/v4/projects?id_after=7", Next::Elsewhere),
            ("https://g.example/gitlabx/api/v4/projects?id_after=7", Next::Elsewhere),
            ("/gitlab/api/v4/projects?id_after=7", Next::Elsewhere),
        ] {
            assert_eq!(said(&[("link", &format!("<{target}>; rel=\"next\""))], base).next, next, "{target}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(
            total in "[ -~]{0,25}", next in "[ -~]{0,25}", link in "[ -~]{0,100}",
        ) {
            let _ = said(&[("x-total", &total), ("x-next-page", &next), ("link", &link)], "https://g.example/");
            let _ = said(&[("link", &format!("<{link}>; rel=next"))], "https://g.example/");
        }
    }
}
