//! What the tests of OpenHands' routes share: its client's way through pages, and worlds made to measure.
//! The routes themselves are tested in the modules beside this one.

use http::{HeaderMap, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind, Role, Selection, Target, World};
use regex::Regex;
use serde_json::Value;
use shared::provider::ProviderType;
use shared::store::TokenSlot;

use crate::harness::{Answer, Running};

pub(crate) const INSTALLATIONS: &str = "/api/user/installations?provider=github";
pub(crate) const REPOSITORIES: &str = "/api/user/repositories";
/// octocat's installations in the demo world: the own account, octo-org, octo-labs (suspended), an Enterprise.
pub(crate) const OCTOCAT: [&str; 4] = ["5001", "5002", "5003", "5004"];

impl Answer {
    /// The values of a key in a list of objects.
    pub(crate) fn column(&self, key: &str) -> Vec<String> {
        let list = self.json();
        let rows = list.as_array().unwrap_or_else(|| panic!("no list: {self:?}"));
        rows.iter().map(|row| row[key].as_str().unwrap_or("null").to_owned()).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.column("full_name")
    }

    /// Which page comes next, as OpenHands' client 0.53.0 finds out: from the first item only.
    pub(crate) fn next_page(&self) -> Option<u32> {
        let pattern = Regex::new(r#"<[^>]*[?&]page=(\d+)(?:&[^>]*)?>; rel="next""#).unwrap();
        let list = self.json();
        let link = list.get(0)?.get("link_header")?.as_str()?.to_owned();
        pattern.captures(&link).map(|found| found[1].parse().expect("a page number"))
    }
}

impl Running {
    /// All repositories of a query, page by page, as OpenHands' client goes through them.
    pub(crate) async fn follow_links(&self, user: &DemoUser, query: &str, per_page: u32) -> Vec<Value> {
        let mut found = Vec::new();
        let mut page = 1;
        loop {
            let path = format!("{REPOSITORIES}?{query}&page={page}&per_page={per_page}");
            let answer = self.get(&path).api_key(user).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            let list = answer.json().as_array().expect("a list").clone();
            assert!(list.len() <= per_page as usize, "{path}: {} items", list.len());
            found.extend(list);
            match answer.next_page() {
                Some(next) => assert_eq!(next, page + 1, "the next page is the one behind this"),
                None => return found,
            }
            page += 1;
        }
    }

    pub(crate) fn fail(&self, path: &str, kind: FaultKind) {
        self.github().fail(Fault::get(path, kind));
    }

    /// Serves an installation's repositories as GitHub would page them, but with few fields each, so that
    /// there can be many. The first has the oldest push.
    pub(crate) fn serve_repositories(&self, installation: &str, total: u32) {
        let path = format!("/user/installations/{installation}/repositories");
        // `&page=1` is in `&page=10` too, so the longer numbers stand first.
        for page in (1..=total.div_ceil(100)).rev() {
            let repositories: Vec<String> = ((page - 1) * 100..(page * 100).min(total))
                .map(|number| {
                    let (day, hour, minute) = (1 + number / 1_440, number / 60 % 24, number % 60);
                    format!(
                        r#"{{"id":{number},"full_name":"big/{number:05}","pushed_at":"2024-05-{day:02}T{hour:02}:{minute:02}:00Z"}}"#
                    )
                })
                .collect();
            let body = format!(r#"{{"total_count":{total},"repositories":[{}]}}"#, repositories.join(","));
            let kind = FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
            self.github().fail(Fault::get(&path, kind).where_query(&format!("&page={page}")));
        }
    }

    /// How often GitHub was asked for that path.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.github().calls().iter().filter(|call| call.path == path).count()
    }

    /// Takes away the tokens of a user who has signed in, and leaves the user.
    pub(crate) async fn unlink(&self, github_id: u64) {
        let table = &self.stack.service.table;
        let user = table.user_of_identity(ProviderType::Github, &github_id.to_string()).await.unwrap();
        let user = user.expect("the user has signed in");
        let token = table.provider_token(&user, TokenSlot::own(ProviderType::Github)).await.unwrap().unwrap();
        table.delete_provider_token(&user, &token, self.clock.unix()).await.unwrap();
    }

    /// Nothing in an answer leads to the host that the service asked.
    pub(crate) fn assert_no_upstream_url(&self, answer: &Answer) {
        let text = format!("{:?}{}", answer.headers, answer.body);
        let host = self.github().web_url().replace("http://", "");
        for part in [host.as_str(), "/api/v3", "api.github.com", "/user/installations/"] {
            assert!(!text.contains(part), "{part} in {answer:?}");
        }
    }
}

/// A user and so many organisations, each with the App installed and one repository.
pub(crate) fn world_with_installations(login: &str, count: usize) -> World {
    let mut world = World::new();
    let user = world.add_user(login, "Member of many organisations");
    for number in 1..=count {
        let organization = world.add_organization(&format!("org-{number:03}"));
        world.add_member(organization, user, Role::Member);
        world.add_repository(organization, "only");
        world.install(Target::Account(organization), Selection::All);
    }
    world
}
