//! GitLab's and Bitbucket's pages through the routes: an odd item costs itself, a next page that leads astray is
//! not asked for and not hidden, and where GitLab's page numbers end its ids go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, StatusCode};
use local::other_hosts::{CLIENT_ID, CLIENT_SECRET};
use local::sandbox_bitbucket::{self, Paging};
use local::sandbox_gitlab::{self, Application, SandboxGitlab, demo_world};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Answer, Running, Setup};
use crate::other_host_errors::{AT_BITBUCKET, AT_GITLAB, Host, assert_nothing_of_the_hosts, said};
use crate::other_hosts::{get, hosts, linked, start};

const PROJECTS: &str = include_str!("../../../shared/fixtures/gitlab/projects.json");
const REPOSITORIES: &str =
    include_str!("../../../shared/fixtures/bitbucket/bitbucket_repositories_edge.json");
const WORKSPACES: &str = include_str!("../../../shared/fixtures/bitbucket/bitbucket_user_workspaces.json");

/// A host that nobody may ask, and that counts who does.
struct Elsewhere {
    origin: String,
    address: std::net::SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Elsewhere {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let visits = Arc::new(AtomicUsize::new(0));
        let counter = visits.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                drop(stream.write_all(b".").await);
            }
        });
        Self { origin: format!("http://localhost:{}", address.port()), address, visits }
    }

    /// Connections are taken in the order in which they come: once ours is, all before it are counted.
    async fn assert_never_asked(&self) {
        let mut own = TcpStream::connect(self.address).await.expect("it listens");
        own.read_u8().await.expect("it has counted");
        assert_eq!(self.visits.load(Ordering::SeqCst), 1, "the other host was asked");
    }
}

fn parsed(fixture: &str) -> Value {
    serde_json::from_str(fixture).expect("JSON")
}

/// The host answers with this list, and says nothing of further pages.
fn serve(running: &Running, host: Host, path: &str, body: &Value) {
    let json = [("content-type", "application/json")];
    host.fail(running, path, &said("a page", 200, &json, &body.to_string()));
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    json.as_array().expect("a list").iter().map(|id| id.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn odd_projects_and_groups_of_gitlab_cost_themselves_only() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let projects = parsed(PROJECTS);
    let mut page: Vec<Value> = projects["full"].as_array().unwrap().clone();
    page.extend(projects["simple_true"].as_array().unwrap().iter().cloned().map(|mut simple| {
        simple["id"] = json!(50);
        simple
    }));
    page.splice(2..2, [
        Value::Null,
        json!([]),
        json!({}),
        json!({ "id": null, "path_with_namespace": "no/id" }),
        json!({ "id": 61, "path_with_namespace": null, "path": "homeless", "namespace": null }),
        json!({ "id": 62, "path_with_namespace": "odd/bare" }),
        json!({
            "id": 63, "path_with_namespace": "odd/nulls", "namespace": null, "owner": null, "visibility": null,
            "star_count": null, "last_activity_at": null, "created_at": null, "default_branch": null,
            "archived": null, "marked_for_deletion_on": null,
        }),
        json!({
            "id": 64, "path_with_namespace": "odd/types", "namespace": "odd", "owner": 7, "visibility": [],
            "star_count": "many", "last_activity_at": 5, "created_at": {}, "default_branch": false,
            "archived": "no",
        }),
    ]);
    let [_, all, of_group] = AT_GITLAB.routes();
    for (route, path) in [(&all, "/projects"), (&of_group, "/groups/cat-collective/projects")] {
        serve(&running, AT_GITLAB, path, &json!(page));
        let answer = get(&running, &user, route).await;
        assert_eq!(answer.header("x-partial-result"), None, "{answer:?}");
        assert_nothing_of_the_hosts(&running, &answer);
        insta::allow_duplicates! {
            insta::assert_snapshot!("odd_projects", rows(&answer));
        }
    }
    let groups = json!([
        { "id": 1, "full_path": "first" }, null, {}, { "id": 2, "full_path": null }, { "id": null, "full_path": "x" },
        { "id": 3, "full_path": "third", "parent_id": null, "name": null, "visibility": 5 },
    ]);
    AT_GITLAB.clear(&running);
    serve(&running, AT_GITLAB, "/groups", &groups);
    let found = get(&running, &user, &AT_GITLAB.routes()[0]).await;
    assert_eq!(ids(&found), ["first", "third", "gitlab-cat"]);
}

#[tokio::test]
async fn odd_repositories_and_workspaces_of_bitbucket_cost_themselves_only() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let repositories = parsed(REPOSITORIES);
    let lists = ["page1", "page2_no_size_cursor_next", "personal", "empty"];
    let values = |list: &str| repositories[list]["values"].as_array().unwrap().clone();
    let mut page: Vec<Value> = lists.into_iter().flat_map(values).collect();
    page.splice(1..1, [
        Value::Null,
        json!("text"),
        json!({}),
        json!({ "uuid": null, "full_name": "no/id" }),
        json!({ "uuid": "{61}", "workspace": null, "slug": null }),
        json!({ "uuid": "{62}", "full_name": "odd/bare" }),
        json!({
            "uuid": "{63}", "full_name": "odd/nulls", "slug": null, "name": null, "workspace": null, "owner": null,
            "mainbranch": null, "language": null, "is_private": null, "created_on": null, "updated_on": null,
            "project": null, "links": null,
        }),
        json!({
            "uuid": "{64}", "full_name": "odd/types", "slug": 5, "workspace": "odd", "owner": [], "mainbranch": "main",
            "is_private": "yes", "created_on": 1, "updated_on": {},
        }),
    ]);
    let envelope = json!({ "pagelen": 100, "values": page });
    let [workspaces, all, of_workspace] = AT_BITBUCKET.routes();
    serve(&running, AT_BITBUCKET, "/repositories", &envelope);
    for route in [&all, &of_workspace] {
        let answer = get(&running, &user, route).await;
        assert_eq!(answer.header("x-partial-result"), None, "{answer:?}");
        assert_nothing_of_the_hosts(&running, &answer);
        insta::allow_duplicates! {
            insta::assert_snapshot!("odd_repositories", rows(&answer));
        }
    }
    let mut listed = parsed(WORKSPACES)["response"].clone();
    let odd = [
        Value::Null,
        json!({}),
        json!({ "workspace": null }),
        json!({ "workspace": { "slug": null, "uuid": null } }),
        json!({ "administrator": null, "workspace": { "slug": null, "uuid": "{aaaa}" } }),
    ];
    listed["values"].as_array_mut().unwrap().splice(1..1, odd);
    listed["size"] = json!(null);
    serve(&running, AT_BITBUCKET, "/user/workspaces", &listed);
    assert_eq!(ids(&get(&running, &user, &workspaces).await), ["acme-corp", "{aaaa}", "alice"]);
}

/// One row of a list per line.
fn rows(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let list = answer.json();
    list.as_array().expect("a list").iter().map(|row| format!("{row}\n")).collect()
}

#[tokio::test]
async fn a_next_page_of_bitbuckets_that_leads_astray_is_not_asked_for_and_not_hidden() {
    let elsewhere = Elsewhere::start().await;
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let [workspaces, all, of_workspace] = AT_BITBUCKET.routes();
    let whole = get(&running, &user, &all).await.names();
    let web = hosts(&running).bitbucket.web_url();
    let port = web.trim_start_matches("http://localhost:");
    let origin = &elsewhere.origin;
    let own = parsed(REPOSITORIES)["page1"]["next"].as_str().unwrap().to_owned();
    for next in [
        format!("{origin}/2.0/repositories/acme-corp?page=2"),
        format!("http://localhost:{port}@{}/2.0/x", elsewhere.address),
        format!("//{}/2.0/x", elsewhere.address),
        // Bitbucket's own, where another one is configured.
        own,
        // The same host, but another path, port or scheme of it.
        format!("{web}/site/oauth2/authorize"),
        format!("{web}/2.0/../site/oauth2/authorize"),
        format!("{web}/2.0x/repositories/acme-corp?page=2"),
        format!("http://user:secret@localhost:{port}/2.0/repositories/acme-corp?page=2"),
        format!("https://localhost:{port}/2.0/repositories/acme-corp?page=2"),
        "file:///2.0/x".to_owned(),
        "nonsense".to_owned(),
    ] {
        let kind = sandbox_bitbucket::FaultKind::Next(next.clone());
        assert_astray_costs_what_is_behind_it(&running, &user, kind, &whole, &next).await;
    }
    let kind = sandbox_bitbucket::FaultKind::NextLoop;
    assert_astray_costs_what_is_behind_it(&running, &user, kind.clone(), &whole, "a loop").await;

    // A list of installations that is cut would look like a whole one.
    for kind in [kind, sandbox_bitbucket::FaultKind::Next(format!("{origin}/2.0/user/workspaces?page=2"))] {
        AT_BITBUCKET.clear(&running);
        hosts(&running).bitbucket.fail(sandbox_bitbucket::Fault::under("/user/workspaces", kind));
        for route in [&workspaces, &all] {
            let answer = get(&running, &user, route).await;
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
            assert_eq!(answer.json()["provider"], "bitbucket");
            assert_nothing_of_the_hosts(&running, &answer);
        }
        assert_eq!(hosts(&running).bitbucket.calls().len(), 2 + 1, "each list once, and who the user is");
    }
    AT_BITBUCKET.clear(&running);
    assert_eq!(get(&running, &user, &of_workspace).await.names().len(), 3);
    elsewhere.assert_never_asked().await;
}

/// What the page itself had is kept, that there is more is told, and nothing is asked but the pages themselves.
async fn assert_astray_costs_what_is_behind_it(
    running: &Running,
    user: &local::data_folder::DemoUser,
    kind: sandbox_bitbucket::FaultKind,
    whole: &[String],
    name: &str,
) {
    AT_BITBUCKET.clear(running);
    hosts(running).bitbucket.fail(sandbox_bitbucket::Fault::under("/repositories/acme-corp", kind));
    let [_, all, of_workspace] = AT_BITBUCKET.routes();
    let list = get(running, user, &all).await;
    assert_eq!(list.names(), whole, "{name}");
    assert_eq!(list.header("x-partial-result"), Some("bitbucket/acme-corp=502"), "{name}");
    let page = get(running, user, &of_workspace).await;
    assert_eq!(
        (page.status, &page.json()["code"]),
        (StatusCode::BAD_GATEWAY, &json!("bad_gateway")),
        "{name}"
    );
    for answer in [list, page] {
        assert_nothing_of_the_hosts(running, &answer);
    }
    let asked: Vec<String> = hosts(running).bitbucket.calls().into_iter().map(|call| call.path).collect();
    let paths = ["/user", "/user/workspaces"];
    assert!(
        asked.iter().all(|path| paths.contains(&path.as_str()) || path.starts_with("/repositories/")),
        "{name}: {asked:?}"
    );
    assert_eq!(
        asked.iter().filter(|path| *path == "/repositories/acme-corp").count(),
        2,
        "{name}: {asked:?}"
    );
}

#[tokio::test]
async fn bitbuckets_cursors_lead_to_the_same_lists_as_its_numbers() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "large-workspaces").await;
    let route = "/api/user/repositories?selected_provider=bitbucket&sort=full_name";
    let page = format!("{route}&installation_id=large-2&page=3&per_page=40");
    let [by_number, of_page] = [route, &page].map(|route| get(&running, &user, route));
    let (by_number, of_page) = (by_number.await.names(), of_page.await.names());
    hosts(&running).bitbucket.world(|world| world.paging = Paging::Cursors);
    assert_eq!(get(&running, &user, route).await.names(), by_number);
    assert_eq!(get(&running, &user, &page).await.names(), of_page);
    assert_eq!((by_number.len(), of_page.len()), (1_500, 40));
}

#[tokio::test]
async fn links_and_redirects_of_gitlabs_to_elsewhere_are_not_followed() {
    let elsewhere = Elsewhere::start().await;
    let running = start().await;
    let user = linked(&running, "many-groups", "bitbucket-cat").await;
    let [groups, all, _] = AT_GITLAB.routes();
    let whole = (ids(&get(&running, &user, &groups).await), get(&running, &user, &all).await.names());
    assert_eq!((whole.0.len(), whole.1.len()), (138, 137));
    let url = hosts(&running).gitlab.url();
    for target in [
        format!("{}/api/v4/projects?page=2&id_after=999999", elsewhere.origin),
        format!("//{}/api/v4/projects?id_after=999999", elsewhere.address),
        format!("{url}/oauth/authorize?id_after=999999"),
        format!("{url}/api/v4/../../users?id_after=999999"),
        "nonsense".to_owned(),
    ] {
        AT_GITLAB.clear(&running);
        let link = sandbox_gitlab::FaultKind::Link(format!("<{target}>; rel=\"next\""));
        for path in ["/groups", "/projects"] {
            hosts(&running).gitlab.fail(sandbox_gitlab::Fault::get(path, link.clone()));
        }
        let found = (ids(&get(&running, &user, &groups).await), get(&running, &user, &all).await.names());
        assert_eq!(found, whole, "{target}");
        let calls = hosts(&running).gitlab.calls();
        let ours = ["/groups", "/projects", "/user"];
        assert!(calls.iter().all(|call| ours.contains(&call.path.as_str())), "{target}: {calls:?}");
    }
    for target in [format!("{}/api/v4/groups", elsewhere.origin), format!("//{}/", elsewhere.address)] {
        AT_GITLAB.clear(&running);
        for path in ["/groups", "/projects"] {
            AT_GITLAB.fail(&running, path, &said("moved", 301, &[("location", &target)], ""));
        }
        for route in [&groups, &all] {
            let answer = get(&running, &user, route).await;
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{target}: {answer:?}");
            assert_nothing_of_the_hosts(&running, &answer);
        }
    }
    elsewhere.assert_never_asked().await;
}

#[tokio::test]
async fn a_listing_of_gitlabs_that_leads_to_itself_is_left_and_told() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    let item = |id: u64| json!({ "id": id, "path_with_namespace": format!("endless/{id}") });
    let page: Vec<Value> = (1..=100).map(item).collect();
    let link = format!("<{}/api/v4/projects?id_after=100>; rel=\"next\"", hosts(&running).gitlab.url());
    let headers = HeaderMap::from_iter([("link".parse().unwrap(), link.parse().unwrap())]);
    let same =
        sandbox_gitlab::FaultKind::Answer { status: StatusCode::OK, headers, body: json!(page).to_string() };
    hosts(&running).gitlab.fail(sandbox_gitlab::Fault::get("/projects", same));
    hosts(&running).gitlab.clear_calls();
    let answer = get(&running, &user, &AT_GITLAB.routes()[1]).await;
    assert_eq!((answer.status, &answer.json()["provider"]), (StatusCode::BAD_GATEWAY, &json!("gitlab")));
    assert_nothing_of_the_hosts(&running, &answer);
    let calls = hosts(&running).gitlab.calls().len();
    assert!(calls < 80, "{calls}");
}

/// The usual service with another GitLab, whose page numbers end early and whose links lead elsewhere.
async fn with_gitlab(offset_limit: u64, link_base: &str) -> (Running, SandboxGitlab) {
    let application = Application {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: Vec::new(),
        scopes: "read_api".to_owned(),
    };
    let options = sandbox_gitlab::Options {
        offset_limit,
        link_base: Some(link_base.to_owned()),
        ..sandbox_gitlab::Options::new(application)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gitlab = SandboxGitlab::start(listener, demo_world(), options).await.expect("it starts");
    let setup = Setup { other_hosts: true, ..Setup::default() }.setting("GITLAB_URL", &gitlab.url());
    (setup.start().await, gitlab)
}

#[tokio::test]
async fn where_gitlabs_page_numbers_end_its_ids_go_on_and_its_links_stay_unread() {
    let elsewhere = Elsewhere::start().await;
    let (running, gitlab) = with_gitlab(500, &elsewhere.origin).await;
    for (who, login, count) in [("octocat", "three-groups", 1_500), ("reader", "ten-thousand", 10_000)] {
        let user = running.sign_in(who).await;
        let token = gitlab.mint_personal_token(login, "read_api").unwrap();
        let body = json!({"provider_tokens": {"gitlab": {"token": token}}});
        let added = running.post("/api/add-git-providers").api_key(&user).json(&body).send().await;
        assert_eq!(added.status, StatusCode::OK, "{added:?}");
        gitlab.clear_calls();
        let answer = get(&running, &user, &AT_GITLAB.routes()[1]).await;
        let mut names = answer.names();
        assert_eq!(names.len(), count, "{login}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{login}: nothing twice");
        assert_eq!(answer.header("x-partial-result"), None);
        let by_ids = gitlab.calls().iter().filter(|call| call.query.contains("pagination=keyset")).count();
        assert!(by_ids >= count / 100, "{by_ids}");

        // A group has pages by numbers only. Behind its end there is nothing; where it goes on, that is said.
        let (group, behind) = if login == "three-groups" { ("large-1", 200) } else { ("warehouse", 502) };
        let page = |page: u32| format!("{}&page={page}&per_page=100", group_route(group));
        assert_eq!(get(&running, &user, &page(5)).await.names().len(), 100);
        let answer = get(&running, &user, &page(6)).await;
        assert_eq!(answer.status.as_u16(), behind, "{answer:?}");
        assert_eq!(answer.body == "[]", behind == 200, "{answer:?}");
    }
    elsewhere.assert_never_asked().await;
}

fn group_route(group: &str) -> String {
    format!("/api/user/repositories?selected_provider=gitlab&installation_id={group}")
}
