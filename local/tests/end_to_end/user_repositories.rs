//! `GET /api/user/repositories`: what is in the merged list, in which order, and where it ends.

use http::{HeaderMap, StatusCode};
use local::sandbox_github::{AccountId, FaultKind, Repository, Role, Selection, Target, World};

use crate::harness::{Setup, start};
use crate::openhands::REPOSITORIES;

#[tokio::test]
async fn a_page_of_an_installation_has_openhands_nine_keys_with_everything_that_github_tells() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let path = format!("{REPOSITORIES}?selected_provider=github&installation_id=5001&page=1&per_page=3");
    insta::assert_snapshot!(running.get(&path).api_key(&user).send().await.wire(), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json
    etag: [etag]
    vary: Cookie, Authorization, X-Session-API-Key, Accept-Encoding
    x-content-type-options: nosniff

    [{"id":"200001","full_name":"octocat/hello-world","git_provider":"github","is_public":true,"stargazers_count":80,"link_header":"</api/user/repositories?selected_provider=github&sort=pushed&page=2&per_page=3&installation_id=5001>; rel=\"next\"","pushed_at":"2024-09-22T15:18:20Z","owner_type":"user","main_branch":"master"},{"id":"200002","full_name":"octocat/dotfiles","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":"</api/user/repositories?selected_provider=github&sort=pushed&page=2&per_page=3&installation_id=5001>; rel=\"next\"","pushed_at":"2024-08-01T12:27:30Z","owner_type":"user","main_branch":"main"},{"id":"200003","full_name":"octocat/never-pushed","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":"</api/user/repositories?selected_provider=github&sort=pushed&page=2&per_page=3&installation_id=5001>; rel=\"next\"","pushed_at":null,"owner_type":"user","main_branch":"main"}]
    "#);
    let path = format!("{REPOSITORIES}?selected_provider=github&installation_id=5001&page=2&per_page=3");
    insta::assert_snapshot!(running.get(&path).api_key(&user).send().await.wire(), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json
    etag: [etag]
    vary: Cookie, Authorization, X-Session-API-Key, Accept-Encoding
    x-content-type-options: nosniff

    [{"id":"200004","full_name":"octocat/offset-dates","git_provider":"github","is_public":false,"stargazers_count":7,"link_header":null,"pushed_at":"2024-05-16T08:47:09-07:00","owner_type":"user","main_branch":"main"},{"id":"200006","full_name":"octocat/ownerless","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":null,"pushed_at":"2024-03-19T00:15:20Z","owner_type":null,"main_branch":"main"},{"id":"200005","full_name":"octocat/old-experiments","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":null,"pushed_at":"2019-01-26T19:06:43Z","owner_type":"user","main_branch":"trunk"}]
    "#);
}

#[tokio::test]
async fn the_merged_list_holds_every_installation_that_is_not_suspended() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    insta::assert_snapshot!(answer.wire(), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json
    etag: [etag]
    vary: Cookie, Authorization, X-Session-API-Key, Accept-Encoding
    x-content-type-options: nosniff
    x-total-count: 9

    [{"id":"200009","full_name":"octo-org/docs","git_provider":"github","is_public":true,"stargazers_count":38,"link_header":null,"pushed_at":"2024-10-05T03:30:32Z","owner_type":"organization","main_branch":"gh-pages"},{"id":"200008","full_name":"octo-org/web","git_provider":"github","is_public":false,"stargazers_count":39,"link_header":null,"pushed_at":"2024-10-04T02:29:31Z","owner_type":"organization","main_branch":"main"},{"id":"200007","full_name":"octo-org/api","git_provider":"github","is_public":false,"stargazers_count":40,"link_header":null,"pushed_at":"2024-10-03T01:28:30Z","owner_type":"organization","main_branch":"main"},{"id":"200001","full_name":"octocat/hello-world","git_provider":"github","is_public":true,"stargazers_count":80,"link_header":null,"pushed_at":"2024-09-22T15:18:20Z","owner_type":"user","main_branch":"master"},{"id":"200002","full_name":"octocat/dotfiles","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":null,"pushed_at":"2024-08-01T12:27:30Z","owner_type":"user","main_branch":"main"},{"id":"200004","full_name":"octocat/offset-dates","git_provider":"github","is_public":false,"stargazers_count":7,"link_header":null,"pushed_at":"2024-05-16T08:47:09-07:00","owner_type":"user","main_branch":"main"},{"id":"200006","full_name":"octocat/ownerless","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":null,"pushed_at":"2024-03-19T00:15:20Z","owner_type":null,"main_branch":"main"},{"id":"200005","full_name":"octocat/old-experiments","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":null,"pushed_at":"2019-01-26T19:06:43Z","owner_type":"user","main_branch":"trunk"},{"id":"200003","full_name":"octocat/never-pushed","git_provider":"github","is_public":false,"stargazers_count":0,"link_header":null,"pushed_at":null,"owner_type":"user","main_branch":"main"}]
    "#);
    assert_eq!(running.asked("/user/installations/5003/repositories"), 0, "suspended: not asked");
    assert_eq!(running.asked("/user/installations/5004/repositories"), 1, "an Enterprise account");

    let selected = format!("{REPOSITORIES}?selected_provider=github");
    assert_eq!(running.get(&selected).api_key(&user).send().await.body, answer.body);
}

#[tokio::test]
async fn an_account_that_is_null_does_not_hide_its_repositories() {
    let running = start().await;
    let user = running.sign_in("account-gone").await;
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!(answer.names(), ["vanished-org/left-behind"]);
}

#[tokio::test]
async fn who_reaches_nothing_has_an_empty_list_and_not_an_error() {
    let running = start().await;
    for login in ["newcomer", "lab-manager"] {
        let user = running.sign_in(login).await;
        let answer = running.get(REPOSITORIES).api_key(&user).send().await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "[]"), "{login}");
        assert_eq!(answer.header("x-total-count"), Some("0"));
        assert_eq!(answer.header("x-partial-result"), None, "a suspended installation is no failure");
    }
}

fn add(world: &mut World, owner: AccountId, name: &str, change: impl FnOnce(&mut Repository)) {
    let id = world.add_repository(owner, name);
    change(world.repositories.get_mut(&id).expect("it was just added"));
}

/// Repositories whose order differs by every key, over two accounts.
fn world_to_sort() -> World {
    let mut world = World::new();
    let owner = world.add_user("Beta", "Owns repositories that sort in many ways");
    let organization = world.add_organization("alpha");
    world.add_member(organization, owner, Role::Admin);
    for account in [owner, organization] {
        world.install(Target::Account(account), Selection::All);
    }
    let mut dated = |owner, name: &str, pushed: Option<&str>, updated: &str, created: &str| {
        add(&mut world, owner, name, |repository| {
            repository.pushed_at = pushed.map(str::to_owned);
            updated.clone_into(&mut repository.updated_at);
            created.clone_into(&mut repository.created_at);
        });
    };
    dated(owner, "never", None, "2024-06-01T00:00:00Z", "2024-01-05T00:00:00Z");
    // By their text the first of these three would be the newest, by their instants the last is.
    dated(
        owner,
        "early",
        Some("2024-05-17T01:00:00+10:00"),
        "2024-02-01T00:00:00Z",
        "2024-01-02T00:00:00+01:00",
    );
    dated(
        organization,
        "Middle",
        Some("2024-05-16T15:30:00Z"),
        "2024-02-03T00:00:00Z",
        "2024-01-01T23:30:00Z",
    );
    dated(
        organization,
        "apple",
        Some("2024-05-16T08:47:09-07:00"),
        "2024-02-02T23:30:00-01:00",
        "2024-01-01T22:00:00Z",
    );
    world
}

#[tokio::test]
async fn the_merged_list_is_sorted_over_all_installations_by_what_is_asked() {
    let running = Setup { world: world_to_sort(), ..Setup::default() }.start().await;
    let user = running.sign_in("Beta").await;
    let pushed = ["alpha/apple", "alpha/Middle", "Beta/early", "Beta/never"];
    for (query, expected) in [
        ("", pushed),
        ("sort=pushed", pushed),
        ("sort=", pushed),
        ("sort=stars", pushed),
        ("sort=Full_Name", pushed),
        ("sort=full_name&sort=nonsense", pushed),
        ("sort=updated", ["Beta/never", "alpha/apple", "alpha/Middle", "Beta/early"]),
        ("sort=created", ["Beta/never", "alpha/Middle", "Beta/early", "alpha/apple"]),
        ("sort=full_name", ["alpha/apple", "alpha/Middle", "Beta/early", "Beta/never"]),
    ] {
        let answer = running.get(&format!("{REPOSITORIES}?{query}")).api_key(&user).send().await;
        assert_eq!(answer.names(), expected, "{query}");
        assert_eq!(answer.header("x-total-count"), Some("4"));
        let last = running.get(&format!("{REPOSITORIES}?{query}&page=4&per_page=1")).api_key(&user);
        assert_eq!(last.send().await.names(), &expected[3..], "{query}");
    }
}

#[tokio::test]
async fn an_installations_page_is_sorted_within_itself() {
    let running = Setup { world: world_to_sort(), ..Setup::default() }.start().await;
    let user = running.sign_in("Beta").await;
    for (sort, expected) in [
        ("pushed", ["alpha/apple", "alpha/Middle"]),
        ("created", ["alpha/Middle", "alpha/apple"]),
        ("full_name", ["alpha/apple", "alpha/Middle"]),
    ] {
        let path = format!("{REPOSITORIES}?selected_provider=github&installation_id=5002&sort={sort}");
        assert_eq!(running.get(&path).api_key(&user).send().await.names(), expected, "{sort}");
    }
}

#[tokio::test]
async fn a_page_behind_the_end_is_empty() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for query in [
        "page=4&per_page=3",
        "page=9999999999&per_page=100",
        "selected_provider=github&page=10&per_page=1",
        "selected_provider=github&installation_id=5001&page=7&per_page=1",
    ] {
        let answer = running.get(&format!("{REPOSITORIES}?{query}")).api_key(&user).send().await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "[]"), "{query}");
    }
}

#[tokio::test]
async fn an_odd_item_does_not_cost_the_page() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let items = [
        r#"{"id":1,"full_name":"a/null-owner","private":false,"owner":null}"#,
        r#"{"id":2,"full_name":null,"name":"no-full-name","owner":{"login":"b","type":"Organization"}}"#,
        r#"{"id":3,"full_name":"c/odd-types","private":"no","owner":"c","stargazers_count":-1,"pushed_at":1700000000,"default_branch":7}"#,
        r#"{"id":4,"full_name":"d/new-kind-of-owner","owner":{"login":"d","type":"Enterprise"},"pushed_at":"yesterday"}"#,
        r#"{"full_name":"e/no-id"}"#,
        r#"{"id":6}"#,
        "null",
        r#"{"id":8,"full_name":"f/usual","private":false,"owner":{"login":"f","type":"User"},"stargazers_count":3,"pushed_at":"2024-05-16T08:47:09Z","default_branch":"main","new_field":{}}"#,
    ];
    let body = format!(r#"{{"total_count":8,"repositories":[{}]}}"#, items.join(","));
    let kind = FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
    running.fail("/user/installations/5001/repositories", kind);
    let path = format!("{REPOSITORIES}?selected_provider=github&installation_id=5001&sort=full_name");
    let answer = running.get(&path).api_key(&user).send().await;
    insta::assert_snapshot!(answer.body.replace("},{", "},\n{"), @r#"
    [{"id":"1","full_name":"a/null-owner","git_provider":"github","is_public":true,"stargazers_count":null,"link_header":null,"pushed_at":null,"owner_type":null,"main_branch":null},
    {"id":"2","full_name":"b/no-full-name","git_provider":"github","is_public":false,"stargazers_count":null,"link_header":null,"pushed_at":null,"owner_type":"organization","main_branch":null},
    {"id":"3","full_name":"c/odd-types","git_provider":"github","is_public":false,"stargazers_count":null,"link_header":null,"pushed_at":null,"owner_type":null,"main_branch":null},
    {"id":"4","full_name":"d/new-kind-of-owner","git_provider":"github","is_public":false,"stargazers_count":null,"link_header":null,"pushed_at":"yesterday","owner_type":null,"main_branch":null},
    {"id":"8","full_name":"f/usual","git_provider":"github","is_public":true,"stargazers_count":3,"link_header":null,"pushed_at":"2024-05-16T08:47:09Z","owner_type":"user","main_branch":"main"}]
    "#);
}

#[tokio::test]
async fn the_longest_list_has_ten_thousand_cut_after_sorting_and_says_so() {
    let mut world = World::new();
    let big = world.add_user("big", "Has more repositories than one answer holds");
    world.install(Target::Account(big), Selection::All);
    let running = Setup { world, ..Setup::default() }.start().await;
    let user = running.sign_in("big").await;
    running.serve_repositories("5001", 10_050);
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    let names = answer.names();
    // GitHub names the oldest first: cut before sorting, the newest would be missing.
    assert_eq!((names.len(), &*names[0], &*names[9_999]), (10_000, "big/10049", "big/00050"));
    assert_eq!(answer.header("x-total-count"), Some("10050"));
    assert_eq!(answer.header("x-truncated"), Some("true"));

    let last = running.get(&format!("{REPOSITORIES}?page=100&per_page=100")).api_key(&user).send().await;
    assert_eq!((last.names().len(), last.next_page()), (100, None), "the last page that there is");
    assert_eq!(last.header("x-truncated"), Some("true"));
}
