//! More than GitLab counts, and further than its page numbers reach: then listings go by ids.

use std::collections::BTreeSet;

use http::StatusCode;
use local::sandbox_gitlab::{Fault, FaultKind, demo_world};
use shared::provider::{ProviderError, Repository};

use super::lab::{Lab, host_error, options};

const UNCOUNTED: usize = 10_137;

fn distinct(found: &[Repository]) -> usize {
    found.iter().map(|repository| repository.id.as_str()).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn more_projects_than_gitlab_counts_are_all_found_by_their_ids() {
    let lab = Lab::new().await;
    let found = lab.repositories("ten-thousand").await.unwrap();
    assert_eq!((found.len(), distinct(&found)), (UNCOUNTED, UNCOUNTED));
    let calls = lab.sandbox.calls();
    assert!(calls.len() < 200, "{}", calls.len());
    assert_eq!(calls.iter().filter(|call| !call.query.contains("keyset")).count(), 1);
}

#[tokio::test]
async fn where_page_numbers_end_the_listing_goes_by_ids() {
    let mut options = options();
    options.offset_limit = 500;
    let lab = Lab::with(demo_world(), options).await;
    let found = lab.repositories("three-groups").await.unwrap();
    assert_eq!((found.len(), distinct(&found)), (1_500, 1_500));
    let refused =
        lab.sandbox.calls().iter().filter(|call| call.status == StatusCode::METHOD_NOT_ALLOWED).count();
    assert!(refused > 0);
}

#[tokio::test]
async fn where_not_even_the_first_page_has_a_number_the_listing_goes_by_ids() {
    let mut options = options();
    options.offset_limit = 1;
    let lab = Lab::with(demo_world(), options).await;
    let found = lab.repositories("three-groups").await.unwrap();
    assert_eq!((found.len(), distinct(&found)), (1_500, 1_500));
}

#[tokio::test]
async fn a_listing_by_ids_is_whole_or_an_error() {
    let lab = Lab::new().await;
    let down = FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR);
    lab.fail(Fault::get("/projects", down).where_query("id_before").times(1));
    assert_eq!(
        host_error(lab.repositories("ten-thousand").await),
        ProviderError::BadResponse { status: 500 }
    );
    assert_eq!(lab.repositories("ten-thousand").await.unwrap().len(), UNCOUNTED);
}

#[tokio::test]
async fn links_to_another_host_are_not_followed_and_cost_nothing() {
    let mut options = options();
    options.link_base = Some("https://evil.example/gitlab".to_owned());
    options.offset_limit = 500;
    let lab = Lab::with(demo_world(), options).await;
    let found = lab.repositories("three-groups").await.unwrap();
    assert_eq!((found.len(), distinct(&found)), (1_500, 1_500));
}
