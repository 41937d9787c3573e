//! `GET /api/user/repositories` page by page and all at once: each repository exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use local::sandbox_github::{Fault, FaultKind};
use serde_json::Value;

use crate::harness::{Setup, start};
use crate::openhands::{INSTALLATIONS, REPOSITORIES, world_with_installations};

fn unique(ids: &[String]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn forty_installations_are_twelve_hundred_repositories_each_once() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    let answer = running.get(REPOSITORIES).api_key(&user).send().await;
    let ids = answer.column("id");
    assert_eq!((ids.len(), unique(&ids)), (1_200, 1_200));
    assert_eq!(answer.header("x-total-count"), Some("1200"));
    assert_eq!(answer.header("x-truncated"), None);
    assert_eq!(answer.header("x-partial-result"), None);
    assert_eq!(running.github().calls().len(), 41, "one call for the list, one for each installation");
}

#[tokio::test]
async fn one_installation_gives_all_of_its_fifteen_hundred_repositories() {
    let running = start().await;
    let user = running.sign_in("big-installation").await;
    let ids = running.get(REPOSITORIES).api_key(&user).send().await.column("id");
    assert_eq!((ids.len(), unique(&ids)), (1_500, 1_500));
    assert_eq!(running.github().calls().len(), 1 + 15);
}

#[tokio::test]
async fn calls_are_made_at_once_but_never_more_than_the_operator_allows() {
    let world = world_with_installations("member", 40);
    let setup = Setup { world, latency: Duration::from_millis(5), ..Setup::default() };
    let running = setup.setting("UPSTREAM_CONCURRENCY", "4").start().await;
    let user = running.sign_in("member").await;
    let most_in_flight = || running.github().calls().iter().map(|call| call.in_flight).max();
    // One page each of forty installations.
    assert_eq!(running.get(REPOSITORIES).api_key(&user).send().await.names().len(), 40);
    assert_eq!((running.github().calls().len(), most_in_flight()), (41, Some(4)));
    // Thirty pages of one of them.
    running.github().clear_calls();
    running.serve_repositories("5001", 3_000);
    assert_eq!(running.get(REPOSITORIES).api_key(&user).send().await.names().len(), 3_039);
    assert_eq!((running.github().calls().len(), most_in_flight()), (70, Some(4)));
}

#[tokio::test]
async fn an_installation_page_by_page_gives_each_repository_once() {
    let running = start().await;
    let big = running.sign_in("big-installation").await;
    let found = ids(&running.follow_links(&big, "selected_provider=github&installation_id=5045", 100).await);
    assert_eq!((found.len(), unique(&found)), (1_500, 1_500));
    let forty = running.sign_in("forty-installations").await;
    for per_page in [7, 29, 30] {
        let query = "selected_provider=github&installation_id=5005";
        let found = ids(&running.follow_links(&forty, query, per_page).await);
        assert_eq!((found.len(), unique(&found)), (30, 30), "per_page={per_page}");
    }
}

#[tokio::test]
async fn the_merged_list_page_by_page_is_the_whole_list() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for query in ["sort=full_name", "selected_provider=github&sort=updated"] {
        let whole = running.get(&format!("{REPOSITORIES}?{query}")).api_key(&user).send().await.column("id");
        assert_eq!(whole.len(), 9);
        for per_page in [2, 3, 8, 9] {
            let found = ids(&running.follow_links(&user, query, per_page).await);
            assert_eq!(found, whole, "{query} per_page={per_page}");
        }
    }
}

#[tokio::test]
async fn openhands_own_way_through_installations_and_pages_finds_everything() {
    let setup = Setup { world: world_with_installations("member", 40), ..Setup::default() };
    let running = setup.start().await;
    let user = running.sign_in("member").await;
    let installations = running.get(INSTALLATIONS).api_key(&user).send().await.json();
    let mut found = Vec::new();
    for installation in installations.as_array().expect("a list") {
        let id = installation.as_str().expect("a text");
        let query = format!("selected_provider=github&sort=pushed&installation_id={id}");
        found.extend(ids(&running.follow_links(&user, &query, 30).await));
    }
    assert_eq!((found.len(), unique(&found)), (40, 40));
}

#[tokio::test]
async fn every_item_of_a_page_carries_the_link_and_the_last_page_carries_none() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = running.get(&format!("{REPOSITORIES}?page=1&per_page=5&sort=updated")).api_key(&user);
    assert_eq!(
        first.send().await.column("link_header"),
        vec![r#"</api/user/repositories?sort=updated&page=2&per_page=5>; rel="next""#; 5]
    );
    let last = running.get(&format!("{REPOSITORIES}?page=2&per_page=5&sort=updated")).api_key(&user);
    assert_eq!(last.send().await.column("link_header"), vec!["null"; 4]);
    let all = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!(all.column("link_header"), vec!["null"; 9]);
}

#[tokio::test]
async fn a_poisoned_link_neither_leads_away_nor_makes_a_listing_endless() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = elsewhere.local_addr().expect("an address");
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let link = format!(
        r#"<http://{address}/steal?page=2>; rel="next", <http://{address}/steal?page=4000000000>; rel="last""#
    );
    running.github().fail(Fault::under("/user/installations", FaultKind::Link(link)));
    let ids = running.get(INSTALLATIONS).api_key(&user).send().await;
    assert_eq!(ids.body, r#"["5001","5002","5003","5004"]"#);
    let all = running.get(REPOSITORIES).api_key(&user).send().await;
    assert_eq!(all.names().len(), 9);
    let page = format!("{REPOSITORIES}?selected_provider=github&installation_id=5001&page=1&per_page=30");
    let page = running.get(&page).api_key(&user).send().await;
    assert_eq!(page.names().len(), 6);
    for answer in [ids, all, page] {
        assert!(!format!("{answer:?}").contains(&address.to_string()), "{answer:?}");
    }
    let calls = running.github().calls().len();
    assert!(calls < 20, "{calls} calls");
    let visited = tokio::time::timeout(Duration::from_millis(20), elsewhere.accept()).await;
    assert!(visited.is_err(), "the address in the header was asked");
}
