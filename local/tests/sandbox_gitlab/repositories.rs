//! Everything that a user is a member of: what is told of each project, and that none is missing.

use std::collections::BTreeSet;

use local::sandbox_gitlab::{Fault, FaultKind, Namespace};
use shared::provider::{OwnerType, Repository};

use super::lab::{Lab, budget, names, options};

fn named<'a>(repositories: &'a [Repository], name: &str) -> &'a Repository {
    repositories.iter().find(|repository| repository.full_name == name).unwrap_or_else(|| panic!("{name}"))
}

#[tokio::test]
async fn every_kind_of_membership_counts_and_what_is_over_is_left_out() {
    let lab = Lab::new().await;
    let found = lab.repositories("gitlab-cat").await.unwrap();
    assert_eq!(
        names(&found),
        [
            "gitlab-cat/dotfiles",
            "gitlab-cat/notes",
            "cat-collective/website",
            "cat-collective/internal-tools",
            "cat-collective/empty",
            "cat-collective/platform/deploy",
            "cat-collective/platform/edge/api",
            "laboratory/hardware/firmware",
            "agency/without-code",
            "agency/shared",
        ]
    );
    assert!(named(&found, "gitlab-cat/dotfiles").is_public);
    assert!(!named(&found, "cat-collective/internal-tools").is_public);
    assert_eq!(named(&found, "gitlab-cat/notes").owner_type, Some(OwnerType::User));
    assert_eq!(named(&found, "agency/without-code").main_branch, None);
    assert_eq!(named(&found, "cat-collective/empty").main_branch.as_deref(), Some("main"));
    let api = named(&found, "cat-collective/platform/edge/api");
    assert_eq!((api.stargazers_count, api.main_branch.as_deref()), (Some(3), Some("trunk")));
    assert!(api.pushed_at.is_some() && api.pushed_at == api.updated_at && api.created_at.is_some());
    assert!(lab.repositories("newcomer").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_version_without_the_filter_for_deletions_shows_none_either() {
    let lab = Lab::new().await;
    let token = lab.sandbox.mint_user_token("gitlab-cat").access_token;
    let listed = lab.json("/api/v4/projects?membership=true&archived=false", &token).await;
    assert!(listed.to_string().contains("deletion_scheduled"));
    let body = listed.to_string();
    let answer = FaultKind::Answer { status: http::StatusCode::OK, headers: http::HeaderMap::new(), body };
    lab.fail(Fault::get("/projects", answer));
    let found = lab.repositories("gitlab-cat").await.unwrap();
    assert_eq!(found.len(), 10);
    assert!(names(&found).iter().all(|name| !name.contains("deletion_scheduled")));
}

#[tokio::test]
async fn fifteen_hundred_projects_are_fifteen_calls_most_of_them_at_once() {
    let mut options = options();
    options.latency = std::time::Duration::from_millis(50);
    let lab = Lab::with(local::sandbox_gitlab::demo_world(), options).await;
    let found = lab.repositories("three-groups").await.unwrap();
    assert_eq!(found.iter().map(|repository| &repository.id).collect::<BTreeSet<_>>().len(), 1_500);
    let calls = lab.sandbox.calls();
    assert_eq!(calls.len(), 15);
    assert!(calls.iter().any(|call| call.in_flight >= 10), "{:?}", calls.last());
    assert!(calls.iter().all(|call| !call.query.contains("simple")));
}

#[tokio::test]
async fn an_instance_below_a_path_is_reached_there() {
    let mut options = options();
    options.prefix = "/gitlab".to_owned();
    let lab = Lab::with(local::sandbox_gitlab::demo_world(), options).await;
    assert!(lab.sandbox.url().ends_with("/gitlab"));
    assert_eq!(lab.repositories("three-groups").await.unwrap().len(), 1_500);
    assert_eq!(lab.installations("gitlab-cat").await.unwrap().len(), 4);
    let token = lab.token("gitlab-cat");
    let sort = shared::provider::Sort::Pushed;
    let page = lab.gitlab.installation_page("cat-collective/platform", sort, 1, 30, &token, &budget()).await;
    assert_eq!(page.unwrap().0.len(), 2);
}

#[tokio::test]
async fn a_project_that_goes_while_pages_are_read_hides_no_other() {
    let lab = Lab::new().await;
    let mut expected: BTreeSet<String> =
        lab.repositories("three-groups").await.unwrap().into_iter().map(|found| found.full_name).collect();
    // The second page is late, and finds everything moved by one.
    let late = FaultKind::Stall(std::time::Duration::from_millis(300));
    lab.fail(Fault::get("/projects", late).where_query("page=2").times(1));
    lab.sandbox.clear_calls();
    let token = lab.token("three-groups");
    let budget = budget();
    let read = lab.gitlab.repositories(&token, &budget);
    let change = async {
        while lab.sandbox.calls().len() < 10 {
            tokio::task::yield_now().await;
        }
        lab.sandbox.world(|world| {
            let group = world.group("large-1").unwrap().id;
            let first = world.projects.values().find(|project| project.namespace == Namespace::Group(group));
            let id = first.unwrap().id;
            let gone = world.projects.remove(&id).unwrap();
            expected.remove(&world.project_path(&gone));
        });
    };
    let (found, ()) = tokio::join!(read, change);
    let found = found.unwrap();
    let names: BTreeSet<String> = found.iter().map(|repository| repository.full_name.clone()).collect();
    assert!(expected.is_subset(&names), "{:?}", expected.difference(&names).collect::<Vec<_>>());
    assert_eq!(found.len(), names.len());
}

#[tokio::test]
async fn the_calls_can_be_made_from_any_task() {
    let lab = Lab::new().await;
    let (gitlab, token) = (lab.gitlab.clone(), lab.token("gitlab-cat"));
    let task = tokio::spawn(async move {
        let budget = budget();
        let sort = shared::provider::Sort::Pushed;
        let installations = gitlab.installations(&token, &budget).await.unwrap();
        let page = gitlab.installation_page(&installations[0], sort, 1, 30, &token, &budget).await.unwrap();
        (gitlab.repositories(&token, &budget).await.unwrap().len(), page.0.len())
    });
    assert_eq!(task.await.unwrap(), (10, 5));
}
