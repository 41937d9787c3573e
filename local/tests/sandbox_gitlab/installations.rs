//! Groups and the user's own namespace as installations, and what is in them, page by page.

use std::collections::BTreeSet;

use local::sandbox_gitlab::AccessLevel;
use shared::provider::{OwnerType, ProviderError, Repository, Sort};

use super::lab::{Lab, budget, host_error, names, options};

async fn page(
    lab: &Lab,
    username: &str,
    installation: &str,
    sort: Sort,
    number: u32,
    per_page: u32,
) -> (Vec<Repository>, bool) {
    let token = lab.token(username);
    lab.gitlab.installation_page(installation, sort, number, per_page, &token, &budget()).await.unwrap()
}

/// All pages of an installation.
async fn all(lab: &Lab, username: &str, installation: &str, per_page: u32) -> Vec<String> {
    let mut found = Vec::new();
    for number in 1.. {
        let (repositories, follows) = page(lab, username, installation, Sort::Pushed, number, per_page).await;
        assert!(repositories.len() <= per_page as usize);
        found.extend(repositories.into_iter().map(|repository| repository.full_name));
        if !follows {
            break;
        }
    }
    found
}

#[tokio::test]
async fn top_level_groups_come_first_and_the_own_namespace_last() {
    let lab = Lab::new().await;
    // Of the laboratory only a subgroup is the user's, of the agency only projects.
    let expected = ["cat-collective", "laboratory", "agency", "gitlab-cat"];
    assert_eq!(lab.installations("gitlab-cat").await.unwrap(), expected);
    assert_eq!(lab.installations("newcomer").await.unwrap(), ["newcomer"]);
}

#[tokio::test]
async fn all_137_groups_are_found_with_two_calls() {
    let lab = Lab::new().await;
    let found = lab.installations("many-groups").await.unwrap();
    assert_eq!((found.len(), found.last().map(String::as_str)), (138, Some("many-groups")));
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 138);
    let groups = lab.sandbox.calls().iter().filter(|call| call.path == "/groups").count();
    assert_eq!(groups, 2);
}

#[tokio::test]
async fn an_administrator_is_shown_only_what_is_the_administrators_own() {
    let lab = Lab::new().await;
    assert_eq!(lab.installations("root").await.unwrap(), ["root"]);
    assert!(lab.repositories("root").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_group_is_listed_with_its_subgroups_and_without_what_is_over() {
    let lab = Lab::new().await;
    let (found, follows) = page(&lab, "gitlab-cat", "cat-collective", Sort::Pushed, 1, 100).await;
    assert_eq!(
        names(&found),
        [
            "cat-collective/website",
            "cat-collective/platform/edge/api",
            "cat-collective/platform/deploy",
            "cat-collective/internal-tools",
            "cat-collective/empty",
        ],
        "newest first; nothing archived, nothing about to be deleted, nothing that was only shared"
    );
    assert!(!follows);
    assert!(found.iter().all(|repository| repository.owner_type == Some(OwnerType::Organization)));
    // A subgroup can be asked for as well; its slash is part of its name.
    let (found, _) = page(&lab, "gitlab-cat", "cat-collective/platform", Sort::FullName, 1, 100).await;
    assert_eq!(names(&found), ["cat-collective/platform/edge/api", "cat-collective/platform/deploy"]);
}

#[tokio::test]
async fn the_own_namespace_is_listed_and_nobody_elses() {
    let lab = Lab::new().await;
    let (found, follows) = page(&lab, "gitlab-cat", "GitLab-Cat", Sort::Pushed, 1, 100).await;
    assert_eq!((names(&found), follows), (vec!["gitlab-cat/dotfiles", "gitlab-cat/notes"], false));
    assert!(found.iter().all(|repository| repository.owner_type == Some(OwnerType::User)));
    for other in ["stranger", "large-1", "no-such-group", "..", ""] {
        let token = lab.token("gitlab-cat");
        let answer = lab.gitlab.installation_page(other, Sort::Pushed, 1, 100, &token, &budget()).await;
        assert_eq!(host_error(answer), ProviderError::NotFound, "{other:?}");
    }
}

#[tokio::test]
async fn every_page_of_a_group_is_reached_whatever_its_size() {
    let lab = Lab::new().await;
    for per_page in [7, 30, 100] {
        let found = all(&lab, "three-groups", "large-2", per_page).await;
        assert_eq!(found.len(), 500, "{per_page}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 500, "{per_page}");
    }
    // More than 100 on a page are not to be had.
    let (found, follows) = page(&lab, "three-groups", "large-2", Sort::Pushed, 1, 1_000).await;
    assert_eq!((found.len(), follows), (100, true));
    let (found, follows) = page(&lab, "three-groups", "large-2", Sort::Pushed, 5, 100).await;
    assert_eq!((found.len(), follows), (100, false));
}

#[tokio::test]
async fn each_order_is_gitlabs_own() {
    let lab = Lab::new().await;
    let key = |sort: Sort, repository: &Repository| match sort {
        Sort::Pushed => repository.pushed_at.clone().unwrap(),
        Sort::Updated => repository.updated_at.clone().unwrap(),
        Sort::Created => repository.created_at.clone().unwrap(),
        Sort::FullName => repository.full_name.clone(),
    };
    for sort in [Sort::Pushed, Sort::Updated, Sort::Created, Sort::FullName] {
        let (found, follows) = page(&lab, "three-groups", "large-1", sort, 2, 50).await;
        assert_eq!((found.len(), follows), (50, true));
        let keys: Vec<_> = found.iter().map(|repository| key(sort, repository)).collect();
        let mut sorted = keys.clone();
        sorted.sort();
        if sort != Sort::FullName {
            sorted.reverse();
        }
        assert_eq!(keys, sorted, "{sort:?}");
    }
}

#[tokio::test]
async fn a_page_behind_the_end_is_empty_also_where_gitlab_takes_no_such_number() {
    let mut options = options();
    options.offset_limit = 400;
    let lab = Lab::with(local::sandbox_gitlab::demo_world(), options).await;
    assert_eq!(page(&lab, "gitlab-cat", "cat-collective", Sort::Pushed, 2, 100).await, (vec![], false));
    assert_eq!(page(&lab, "gitlab-cat", "cat-collective", Sort::Pushed, 100_000, 100).await, (vec![], false));
    // Where there is such a page, it is an error and not its emptiness.
    let token = lab.token("three-groups");
    let answer = lab.gitlab.installation_page("large-1", Sort::Pushed, 5, 100, &token, &budget()).await;
    assert_eq!(host_error(answer), ProviderError::BadResponse { status: 405 });
}

#[tokio::test]
async fn a_new_member_sees_the_group_at_once() {
    let lab = Lab::new().await;
    lab.sandbox.world(|world| {
        let (group, user) = (world.group("warehouse").unwrap().id, world.user("newcomer").unwrap().id);
        world.add_member(group, user, AccessLevel::Guest);
    });
    assert_eq!(lab.installations("newcomer").await.unwrap(), ["warehouse", "newcomer"]);
    let (found, follows) = page(&lab, "newcomer", "warehouse", Sort::Created, 1, 30).await;
    assert_eq!((found.len(), follows), (30, true));
    assert!(found.iter().all(|repository| repository.is_public == repository.main_branch.is_some()));
}
