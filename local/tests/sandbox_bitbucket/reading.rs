//! Workspaces and repositories, whole: what is found, as what, and with how many calls.
//! Pages of ours and of the host's are tested in `pages`.

use std::collections::BTreeSet;
use std::time::Duration;

use local::sandbox_bitbucket::{Access, Call, Fault, FaultKind, Paging, World};
use shared::provider::{OwnerType, ProviderError, ProviderType, Sort};

use super::lab::{Lab, budget, host_error, names};

#[tokio::test]
async fn workspaces_are_told_by_slug_in_bitbuckets_order() {
    let lab = Lab::new().await;
    let found = lab.installations("bitbucket-cat").await.unwrap();
    assert_eq!(found, ["bitbucket-cat", "acme-corp", "printing-guild"]);
    assert!(lab.installations("bitbucket-newcomer").await.unwrap().is_empty());
    assert!(lab.repositories("bitbucket-newcomer").await.unwrap().repositories.is_empty());
}

#[tokio::test]
async fn all_of_137_workspaces_are_found_with_two_calls() {
    let lab = Lab::new().await;
    let found = lab.installations("many-workspaces").await.unwrap();
    assert_eq!(found.len(), 137);
    assert_eq!((found[0].as_str(), found[136].as_str()), ("many-workspaces", "team-137"));
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 137);
    assert!(found[1..].is_sorted());
    let calls = lab.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.query.contains("pagelen=100")));
}

#[tokio::test]
async fn repositories_of_137_workspaces_are_listed_with_one_call_each() {
    let lab = Lab::new().await;
    let found = lab.repositories("many-workspaces").await.unwrap();
    assert_eq!((found.repositories.len(), found.missing.len()), (137, 0));
    assert_eq!(lab.sandbox.calls().len(), 1 + 2 + 137);
    assert!(lab.sandbox.calls().iter().all(|call| call.in_flight <= 32));
}

#[tokio::test]
async fn three_times_500_repositories_take_five_calls_for_each_workspace() {
    let lab = Lab::new().await;
    for paging in [Paging::Numbers, Paging::Cursors] {
        lab.sandbox.world(|world| world.paging = paging);
        lab.sandbox.clear_calls();
        let found = lab.repositories("large-workspaces").await.unwrap();
        let ids: BTreeSet<_> = found.repositories.iter().map(|repository| &repository.id).collect();
        assert_eq!((ids.len(), found.repositories.len(), found.missing.len()), (1_500, 1_500, 0));
        let calls = lab.sandbox.calls();
        assert_eq!(calls.len(), 1 + 1 + 3 * 5, "{paging:?}");
        let of_one = |call: &&Call| call.path == "/repositories/large-2";
        assert_eq!(calls.iter().filter(of_one).count(), 5);
        // With cursors each page leads to the next; with numbers four are asked for at once.
        let numbered = calls.iter().filter(|call| call.query.contains("&page=")).count();
        assert_eq!(numbered, if paging == Paging::Numbers { 12 } else { 0 });
    }
}

#[tokio::test]
async fn a_listing_may_move_between_threads() {
    let lab = Lab::new().await;
    let (client, token) = (lab.client.clone(), lab.oauth("bitbucket-cat"));
    let listing = tokio::spawn(async move {
        let budget = budget();
        let (page, _) = client.installation_page("acme-corp", Sort::Pushed, 1, 1, &token, &budget).await?;
        assert_eq!(page.len(), 1);
        client.repositories(&token, &budget).await
    });
    assert_eq!(listing.await.unwrap().unwrap().repositories.len(), 7);
}

#[tokio::test]
async fn odd_repositories_cost_nothing_and_owners_are_told_apart() {
    let lab = Lab::new().await;
    let mut found = lab.repositories("bitbucket-cat").await.unwrap().repositories;
    found.sort_by(|a, b| a.full_name.cmp(&b.full_name));
    assert_eq!(
        names(&found),
        [
            "acme-corp/api",
            "acme-corp/homeless",
            "acme-corp/tools",
            "bitbucket-cat/dotfiles",
            "bitbucket-cat/empty",
            "bitbucket-cat/site",
            "printing-guild/press",
        ],
        "what was not granted is not listed, though it may be open to everybody"
    );
    for repository in &found {
        let own = repository.full_name.starts_with("bitbucket-cat/");
        let owner = if own { OwnerType::User } else { OwnerType::Organization };
        assert_eq!(repository.owner_type, Some(owner), "{}", repository.full_name);
        let public = matches!(repository.full_name.as_str(), "acme-corp/tools" | "bitbucket-cat/site");
        assert_eq!(repository.is_public, public, "{}", repository.full_name);
        assert_eq!(repository.provider, ProviderType::Bitbucket);
        assert_eq!(repository.stargazers_count, None);
        assert_eq!(repository.pushed_at, repository.updated_at);
        assert!(repository.created_at.as_ref().unwrap().ends_with(".678901+00:00"));
    }
    assert_eq!((found[4].main_branch.as_deref(), found[5].main_branch.as_deref()), (None, Some("gh-pages")));
}

#[tokio::test]
async fn an_unknown_and_a_hidden_workspace_are_not_found() {
    let lab = Lab::new().await;
    for workspace in
        ["nobody-here", "team-002", "bitbucket-newcomer", "{00000000-0000-4000-8000-000000000000}"]
    {
        let page = lab.page("bitbucket-cat", workspace, Sort::Pushed, 1, 10).await;
        assert_eq!(host_error(page), ProviderError::NotFound, "{workspace}");
    }
    // Only what is below the workspace's own path is asked for, whatever its name is.
    for workspace in ["..", "../user", "a/b", "a?b"] {
        assert_eq!(
            host_error(lab.page("bitbucket-cat", workspace, Sort::Pushed, 1, 10).await),
            ProviderError::NotFound
        );
    }
    assert!(lab.calls().iter().all(|call| call.path.starts_with("/repositories/")));
}

#[tokio::test]
async fn a_workspace_is_found_by_its_uuid_in_braces_too() {
    let lab = Lab::new().await;
    let uuid = lab.sandbox.world(|world| world.workspace("acme-corp").unwrap().uuid.clone());
    let (by_uuid, _) = lab.page("bitbucket-cat", &uuid, Sort::FullName, 1, 10).await.unwrap();
    let (by_slug, _) = lab.page("bitbucket-cat", "acme-corp", Sort::FullName, 1, 10).await.unwrap();
    assert_eq!(by_uuid, by_slug);
    assert_eq!(by_uuid.len(), 3);
}

#[tokio::test]
async fn a_repository_that_disappears_while_the_pages_are_read_hides_no_other() {
    let mut world = World::new();
    let user = world.add_user("reader", "");
    let workspace = world.add_workspace("shrinking");
    world.add_member(&workspace, &user, Access::Read);
    for number in 0..350 {
        world.add_repository(&workspace, &format!("r-{number:03}"));
    }
    // The host that the client sees: after the first page, the first repository is gone.
    let lab = Lab::of(world).await;
    let stall = FaultKind::Stall(Duration::from_millis(200));
    lab.sandbox.fail(Fault::under("/repositories", stall).where_query("page=2").times(1));
    let shrink = async {
        while !lab.calls().iter().any(|call| call.path == "/repositories/shrinking") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        lab.sandbox.world(|world| world.repositories.remove(0));
    };
    let (found, ()) = tokio::join!(lab.repositories("reader"), shrink);
    let found = found.unwrap().repositories;
    let slugs: BTreeSet<_> = names(&found).into_iter().collect();
    assert_eq!(slugs.len(), found.len());
    for number in 1..350 {
        assert!(slugs.contains(format!("shrinking/r-{number:03}").as_str()), "{number}");
    }
}
