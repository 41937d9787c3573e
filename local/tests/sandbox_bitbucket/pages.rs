//! A page of ours out of the host's pages: numbers, cursors, and sizes that the host refuses.
//! Whole listings are tested in `reading`.

use local::sandbox_bitbucket::{Fault, FaultKind, Paging};
use shared::provider::{Repository, Sort};

use super::lab::{Lab, names};

/// All pages of ours, and the calls that each took.
async fn all_pages(lab: &Lab, sort: Sort, per_page: u32) -> (Vec<Repository>, Vec<usize>) {
    let (mut found, mut calls) = (Vec::new(), Vec::new());
    for page in 1.. {
        lab.sandbox.clear_calls();
        let (items, more) = lab.page("large-workspaces", "large-1", sort, page, per_page).await.unwrap();
        calls.push(lab.calls().len());
        assert!(items.len() == per_page as usize || !more);
        found.extend(items);
        if !more {
            break;
        }
    }
    (found, calls)
}

fn expected(lab: &Lab, sort: Sort) -> Vec<String> {
    lab.sandbox.world(|world| {
        let workspace = world.workspace("large-1").unwrap();
        let mut all: Vec<_> = world.repositories_of(workspace).collect();
        match sort {
            Sort::Pushed | Sort::Updated => all.sort_by(|a, b| b.updated_on.cmp(&a.updated_on)),
            Sort::Created => all.sort_by(|a, b| b.created_on.cmp(&a.created_on)),
            Sort::FullName => all.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        all.into_iter().map(|one| format!("large-1/{}", one.slug)).collect()
    })
}

#[tokio::test]
async fn a_page_takes_one_call_and_all_pages_are_the_workspace_in_its_order() {
    let lab = Lab::new().await;
    for (sort, per_page) in
        [(Sort::Pushed, 100), (Sort::Updated, 30), (Sort::Created, 77), (Sort::FullName, 100)]
    {
        let (found, calls) = all_pages(&lab, sort, per_page).await;
        assert_eq!(names(&found), expected(&lab, sort), "{sort:?}");
        assert_eq!(calls, vec![1; 500_usize.div_ceil(per_page as usize)]);
    }
}

#[tokio::test]
async fn one_call_for_the_user_goes_beside_that_for_the_page() {
    let lab = Lab::new().await;
    lab.page("large-workspaces", "large-1", Sort::Pushed, 3, 30).await.unwrap();
    assert_eq!(lab.sandbox.calls().len(), 2);
    let [call] = &lab.calls()[..] else { panic!("one call for the page") };
    assert_eq!(call.path, "/repositories/large-1");
    assert_eq!(call.query, "role=member&sort=-updated_on&pagelen=30&page=3");
}

#[tokio::test]
async fn cursors_are_followed_from_the_beginning_to_the_same_pages() {
    let lab = Lab::new().await;
    lab.sandbox.world(|world| world.paging = Paging::Cursors);
    for (sort, per_page) in [(Sort::Pushed, 100), (Sort::FullName, 60)] {
        let (found, _) = all_pages(&lab, sort, per_page).await;
        assert_eq!(names(&found), expected(&lab, sort), "{sort:?}");
    }
}

#[tokio::test]
async fn smaller_pages_of_the_host_make_the_same_pages_of_ours() {
    let lab = Lab::new().await;
    for (largest, per_page) in [(50, 100), (49, 75), (10, 75), (10, 9)] {
        lab.sandbox.world(|world| world.largest_page = largest);
        let (found, _) = all_pages(&lab, Sort::Pushed, per_page).await;
        assert_eq!(names(&found), expected(&lab, Sort::Pushed), "{largest} {per_page}");
        lab.sandbox.reset_rate_limits();
    }
    for largest in [50, 10] {
        lab.sandbox.world(|world| world.largest_page = largest);
        let listing = lab.repositories("large-workspaces").await.unwrap();
        assert_eq!((listing.repositories.len(), listing.missing.len()), (1_500, 0), "{largest}");
        assert_eq!(lab.installations("many-workspaces").await.unwrap().len(), 137);
    }
}

#[tokio::test]
async fn a_size_that_is_refused_is_not_asked_for_again_in_the_same_listing() {
    let lab = Lab::new().await;
    lab.sandbox.fail(Fault::under("/user/workspaces", FaultKind::InvalidPagelen).times(1));
    assert_eq!(lab.installations("many-workspaces").await.unwrap().len(), 137);
    let sizes: Vec<_> = lab.calls().iter().map(|call| call.query.contains("pagelen=50")).collect();
    assert_eq!(sizes, [false, true, true, true]);
}

#[tokio::test]
async fn a_page_behind_the_end_is_empty_however_the_host_says_so() {
    let lab = Lab::new().await;
    for paging in [Paging::Numbers, Paging::Cursors] {
        lab.sandbox.world(|world| world.paging = paging);
        for fault in [None, Some(FaultKind::NotFound)] {
            let fault = fault.map(|kind| Fault::under("/repositories", kind).where_query("page=9"));
            fault.into_iter().for_each(|fault| lab.sandbox.fail(fault));
            let behind = lab.page("large-workspaces", "large-1", Sort::Pushed, 9, 100).await.unwrap();
            assert_eq!(behind, (Vec::new(), false), "{paging:?}");
            lab.sandbox.clear_faults();
        }
    }
    let far = lab.page("large-workspaces", "large-1", Sort::Pushed, u32::MAX, 100).await.unwrap();
    assert_eq!(far, (Vec::new(), false));
}

#[tokio::test]
async fn odd_numbers_mean_the_first_page_and_the_nearest_size() {
    let lab = Lab::new().await;
    let (first, more) = lab.page("large-workspaces", "large-1", Sort::Pushed, 0, 0).await.unwrap();
    assert_eq!((first.len(), more), (1, true));
    let (first, more) = lab.page("large-workspaces", "large-1", Sort::Pushed, 1, 5_000).await.unwrap();
    assert_eq!((first.len(), more), (100, true));
}
