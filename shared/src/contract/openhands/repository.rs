//! A repository as OpenHands' client reads it, and the link to the page behind it.
//! The client looks at nothing but the first item's `link_header` to find out whether there is more.

use serde::Serialize;

use super::parameters::{DEFAULT_PER_PAGE, RepositoriesQuery};
use crate::provider::{self, OwnerType, ProviderType};

/// `Repository` of OpenHands 0.53.0: always these nine keys in this order, `null` where the host tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Repository {
    /// The host's id, as text.
    pub id: String,
    /// `owner/name`.
    pub full_name: String,
    /// The host.
    pub git_provider: ProviderType,
    /// Visible to everybody.
    pub is_public: bool,
    /// Stars.
    pub stargazers_count: Option<u64>,
    /// The link to the next page, the same on every item of a page; `null` on the last, as [`link_header`] writes it.
    pub link_header: Option<String>,
    /// Last push.
    pub pushed_at: Option<String>,
    /// The owner's kind.
    pub owner_type: Option<OwnerType>,
    /// The default branch.
    pub main_branch: Option<String>,
}

impl Repository {
    /// The wire form of a repository on a page with that link to the next one.
    #[must_use]
    pub fn new(repository: provider::Repository, link_header: Option<String>) -> Self {
        Self {
            id: repository.id,
            full_name: repository.full_name,
            git_provider: repository.provider,
            is_public: repository.is_public,
            stargazers_count: repository.stargazers_count,
            link_header,
            pushed_at: repository.pushed_at,
            owner_type: repository.owner_type,
            main_branch: repository.main_branch,
        }
    }
}

/// The link to another page of the same listing, relative to ourselves, so that it names no host (RFC 8288).
///
/// OpenHands' client 0.53.0 takes the number out of it with
/// `/<[^>]*[?&]page=(\d+)(?:&[^>]*)?>; rel="next"/`; every value is percent-encoded, so none can break out.
#[must_use]
pub fn link_header(query: &RepositoriesQuery, next_page: u32) -> String {
    let mut next = form_urlencoded::Serializer::new(String::new());
    if let Some(provider) = query.selected_provider {
        next.append_pair("selected_provider", provider.as_str());
    }
    next.append_pair("sort", query.sort.as_str())
        .append_pair("page", &next_page.to_string())
        .append_pair("per_page", &query.per_page.unwrap_or(DEFAULT_PER_PAGE).to_string());
    if let Some(installation_id) = &query.installation_id {
        next.append_pair("installation_id", installation_id);
    }
    format!("</api/user/repositories?{}>; rel=\"next\"", next.finish())
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Repository>(generator);
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use regex::Regex;

    use super::{RepositoriesQuery, Repository, link_header};
    use crate::contract::query::Query;
    use crate::provider::{self, OwnerType, ProviderType, Sort};

    fn in_upstream() -> provider::Repository {
        provider::Repository {
            id: "1296269".to_owned(),
            full_name: "octocat/Hello-World".to_owned(),
            provider: ProviderType::Github,
            is_public: true,
            stargazers_count: Some(80),
            pushed_at: Some("2011-01-26T19:06:43Z".to_owned()),
            updated_at: Some("2011-01-26T19:14:43Z".to_owned()),
            created_at: Some("2011-01-26T19:01:12Z".to_owned()),
            owner_type: Some(OwnerType::User),
            main_branch: Some("main".to_owned()),
        }
    }

    #[test]
    fn a_repository_has_nine_keys_in_openhands_order() {
        let link = link_header(&RepositoriesQuery::default(), 2);
        insta::assert_json_snapshot!(Repository::new(in_upstream(), Some(link)), @r#"
        {
          "id": "1296269",
          "full_name": "octocat/Hello-World",
          "git_provider": "github",
          "is_public": true,
          "stargazers_count": 80,
          "link_header": "</api/user/repositories?sort=pushed&page=2&per_page=30>; rel=\"next\"",
          "pushed_at": "2011-01-26T19:06:43Z",
          "owner_type": "user",
          "main_branch": "main"
        }
        "#);
    }

    #[test]
    fn what_the_host_does_not_tell_is_null() {
        let bare = provider::Repository {
            provider: ProviderType::EnterpriseSso,
            stargazers_count: None,
            pushed_at: None,
            owner_type: None,
            main_branch: None,
            ..in_upstream()
        };
        insta::assert_json_snapshot!(Repository::new(bare, None), @r#"
        {
          "id": "1296269",
          "full_name": "octocat/Hello-World",
          "git_provider": "enterprise_sso",
          "is_public": true,
          "stargazers_count": null,
          "link_header": null,
          "pushed_at": null,
          "owner_type": null,
          "main_branch": null
        }
        "#);
    }

    #[test]
    fn the_link_names_our_own_route_and_every_parameter() {
        let query = RepositoriesQuery {
            selected_provider: Some(ProviderType::Github),
            per_page: Some(30),
            installation_id: Some("5001".to_owned()),
            ..RepositoriesQuery::default()
        };
        assert_eq!(
            link_header(&query, 3),
            "</api/user/repositories?selected_provider=github&sort=pushed&page=3&per_page=30&installation_id=5001>; \
             rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn openhands_client_finds_the_page_in_every_link(
            provider in option::of(prop::sample::select(ProviderType::ALL.to_vec())),
            sort in prop::sample::select(vec![Sort::Pushed, Sort::Updated, Sort::Created, Sort::FullName]),
            per_page in option::of(1..=100_u32),
            installation_id in option::of(".+"),
            page in 1..=10_000_000_u32,
        ) {
            let query = RepositoriesQuery {
                sort, selected_provider: provider, page: None, per_page, installation_id: installation_id.clone(),
            };
            let link = link_header(&query, page);
            let of_the_client = Regex::new(r#"<[^>]*[?&]page=(\d+)(?:&[^>]*)?>; rel="next""#).expect("a regex");
            prop_assert_eq!(&of_the_client.captures(&link).expect("a match")[1], page.to_string());
            prop_assert!(link.is_ascii());

            let raw = link.split(['?', '>']).nth(1).expect("a query");
            prop_assert_eq!(Query::new(raw).last("installation_id").map(|id| id.into_owned()), installation_id);
        }
    }
}
