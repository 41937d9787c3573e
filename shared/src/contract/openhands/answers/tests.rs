//! The lists with their headers, and every failure in the family's form.

use super::{Extent, PartialFailure, installations, repositories};
use crate::contract::Family;
use crate::contract::openhands::Repository;
use crate::contract::testing::{every_answer, header, wire};
use crate::failure::{CredentialProblem, Failure};
use crate::provider::listing::Cause;
use crate::provider::{self, ForbiddenReason, ProviderError, ProviderType};

fn failed(provider: ProviderType, installation: Option<&str>, cause: impl Into<Cause>) -> PartialFailure {
    PartialFailure { provider, installation: installation.map(str::to_owned), cause: cause.into() }
}

#[test]
fn installations_are_a_list_of_strings() {
    insta::assert_snapshot!(wire(&installations(&["5001".to_owned(), "5002".to_owned()], &[])), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    ["5001","5002"]
    "#);
}

#[test]
fn a_partial_list_says_what_is_missing() {
    let partial = [
        failed(ProviderType::Github, Some("5002"), ProviderError::Forbidden(ForbiddenReason::SingleSignOn)),
        failed(ProviderType::Gitlab, None, ProviderError::Timeout),
        failed(ProviderType::Github, None, Cause::Unavailable),
        failed(ProviderType::Bitbucket, None, Cause::Internal),
    ];
    insta::assert_snapshot!(wire(&installations(&[], &partial)), @"
    200 OK
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff
    x-partial-result: github/5002=403, gitlab=504, github=503, bitbucket=500

    []
    ");
}

#[test]
fn a_cut_list_says_so() {
    let repository = provider::Repository {
        id: "1".to_owned(),
        full_name: "octocat/hello".to_owned(),
        provider: ProviderType::Github,
        is_public: false,
        stargazers_count: None,
        pushed_at: None,
        updated_at: None,
        created_at: None,
        owner_type: None,
        main_branch: None,
    };
    let page = [Repository::new(repository, None)];
    insta::assert_snapshot!(wire(&repositories(&page, Some(Extent { total: 10_001, truncated: true }), &[])), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff
    x-total-count: 10001
    x-truncated: true

    [{"id":"1","full_name":"octocat/hello","git_provider":"github","is_public":false,"stargazers_count":null,"link_header":null,"pushed_at":null,"owner_type":null,"main_branch":null}]
    "#);
    let whole = repositories(&page, Some(Extent { total: 1, truncated: false }), &[]);
    assert_eq!((header(&whole, "x-total-count"), header(&whole, "x-truncated")), ("1", ""));
    let paged = repositories(&page, None, &[]);
    assert_eq!(header(&paged, "x-total-count"), "");
}

#[test]
fn a_partial_result_stays_one_short_line_whatever_the_names_are() {
    let odd = failed(ProviderType::Gitlab, Some("a/b=1, c\r\nd é"), ProviderError::NotFound);
    let response = installations(&[], std::slice::from_ref(&odd));
    assert_eq!(header(&response, "x-partial-result"), "gitlab/a/b%3D1%2C%20c%0D%0Ad%20%C3%A9=404");

    let many = vec![odd; 500];
    let response = installations(&[], &many);
    let value = header(&response, "x-partial-result");
    let shown = value.matches("=404").count();
    assert!(value.len() < 4200 && value.ends_with(&format!(", more={}", 500 - shown)), "{value}");
}

#[test]
fn every_failure_has_the_form_that_openhands_client_reads() {
    insta::assert_snapshot!(every_answer(Family::OpenHands));
}

#[test]
fn an_unauthorized_answer_carries_what_every_private_answer_carries() {
    let failure = Failure::Unauthenticated(CredentialProblem::Missing);
    insta::assert_snapshot!(wire(&Family::OpenHands.failure(&failure)), @r#"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"detail":"Unauthorized"}
    "#);
}
