//! The query strings of all routes, and the names and numbers in their paths: what of them may become part of an
//! address of a host or of ours.

use shared::contract::github::{ListQuery, Username};
use shared::contract::openhands::{InstallationsQuery, RepositoriesQuery, installation_id_for, integer};
use shared::contract::query::Query;
use shared::contract::{Family, auth::return_to::ReturnTo};
use shared::failure::Failure;
use shared::provider::ProviderType;
use url::Url;

use crate::hosts::url;

/// What is taken is bounded and stays one step of a path; what is refused names its field in an answer of its family.
pub fn run(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else { return };
    refused(Family::OpenHands, InstallationsQuery::parse(raw).err());
    match RepositoriesQuery::parse(raw) {
        Ok(query) => repositories(&query),
        Err(failure) => refused(Family::OpenHands, Some(failure)),
    }
    match ListQuery::parse(raw) {
        Ok(query) => {
            assert!(query.page.is_none_or(|page| page >= 1));
            assert!(query.per_page.is_none_or(|per_page| (1..=100).contains(&per_page)));
        }
        Err(failure) => refused(Family::Github, Some(failure)),
    }
    let query = Query::new(raw);
    for name in ["return_to", "installation_id", "username", "page"] {
        if let Some(value) = query.last(name) {
            text(&value);
        }
    }
    text(raw);
}

fn repositories(query: &RepositoriesQuery) {
    assert!(query.page.is_none_or(|page| (1..=10_000_000).contains(&page)));
    assert!(query.per_page.is_none_or(|per_page| (1..=100).contains(&per_page)));
    if let Some(id) = &query.installation_id {
        let provider = query.selected_provider.expect("an installation is one of a provider");
        assert_eq!(installation_id_for(provider, id).ok().as_ref(), Some(id), "what is taken is taken again");
    }
    assert_eq!(
        query.paging().is_none(),
        query.page.is_none() && query.per_page.is_none() && query.installation_id.is_none()
    );
}

/// One value, as each of those that become part of an address.
fn text(text: &str) {
    let base = url("https://host.test/api/");
    for provider in ProviderType::ALL {
        if let Ok(id) = installation_id_for(provider, text) {
            assert!((1..=8192).contains(&id.len()), "{id:?}");
            let steps = id.split('/').count();
            let joined = base.join(&format!("{}/end", id.replace(['{', '}'], ""))).expect("an address");
            assert_eq!(joined.origin(), base.origin());
            let segments = joined.path_segments().expect("a path").count();
            assert_eq!(segments, 1 + steps + 1, "{id:?} is no plain path");
        }
    }
    if let Ok(name) = Username::parse(text) {
        assert_eq!(name.as_str(), text);
        let joined = base.join(&format!("{name}/end")).expect("an address");
        assert_eq!(joined.path(), format!("/api/{text}/end"));
    }
    if let Ok(number) = integer::parse(text) {
        assert_eq!(integer::parse(&number.to_string()).ok(), Some(number));
    }
    match ReturnTo::parse(text) {
        Ok(path) => {
            let ours = url("https://installations.test/auth/github/callback?code=x");
            let target: Url = ours.join(path.as_str()).expect("a reference");
            assert_eq!(target.origin(), ours.origin(), "{path}");
            http::HeaderValue::from_str(path.as_str()).expect("fit for a header");
        }
        Err(failure) => refused(Family::Auth, Some(failure)),
    }
}

fn refused(family: Family, failure: Option<Failure>) {
    let Some(failure) = failure else { return };
    assert!(matches!(&failure, Failure::Invalid(problems) if !problems.is_empty()), "{failure:?}");
    assert!(family.failure(&failure).status().is_client_error());
}
