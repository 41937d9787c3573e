//! What every form of an error of GitLab's and Bitbucket's becomes on OpenHands' routes: an error that says so,
//! never an empty list, never a word or an address of the host's, and 401 for nothing but a sign-in that has ended.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use local::data_folder::DemoUser;
use local::{sandbox_bitbucket, sandbox_gitlab};
use serde_json::{Value, json};

use crate::harness::{Answer, Running};
use crate::other_hosts::{get, hosts, linked, start};

const GITLAB: &str = include_str!("../../../shared/fixtures/gitlab/errors.json");
const BITBUCKET: &str = include_str!("../../../shared/fixtures/bitbucket/bitbucket_errors.json");
const HTML: &str = "<!DOCTYPE html><html><head><title>Whoops</title></head><body>Whoops</body></html>";

/// What a host says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: String,
}

pub(crate) fn said(name: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Said {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    Said {
        name: name.to_owned(),
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.iter().map(header).collect(),
        body: body.to_owned(),
    }
}

/// A host, with an account and an installation there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) provider: &'static str,
    pub(crate) installation: &'static str,
    /// What cannot be done without: for the installations, for all repositories, for those of the installation.
    pub(crate) paths: [&'static str; 3],
    pub(crate) token_endpoint: &'static str,
}

pub(crate) const AT_GITLAB: Host = Host {
    provider: "gitlab",
    installation: "cat-collective",
    paths: ["/groups", "/projects", "/groups/cat-collective/projects"],
    token_endpoint: "/oauth/token",
};
pub(crate) const AT_BITBUCKET: Host = Host {
    provider: "bitbucket",
    installation: "acme-corp",
    paths: ["/user/workspaces", "/repositories", "/repositories/acme-corp"],
    token_endpoint: "/site/oauth2/access_token",
};

impl Host {
    /// The routes that depend on [`Host::paths`], in the same order.
    pub(crate) fn routes(&self) -> [String; 3] {
        let Self { provider, installation, .. } = self;
        let repositories = format!("/api/user/repositories?selected_provider={provider}");
        [
            format!("/api/user/installations?provider={provider}"),
            repositories.clone(),
            format!("{repositories}&installation_id={installation}&page=1&per_page=100"),
        ]
    }

    /// Makes the host say this on a path and below.
    pub(crate) fn fail(&self, running: &Running, path: &str, said: &Said) {
        let Said { status, headers, body, .. } = said.clone();
        if self.provider == "gitlab" {
            let kind = sandbox_gitlab::FaultKind::Answer { status, headers, body };
            hosts(running).gitlab.fail(sandbox_gitlab::Fault::under(path, kind));
        } else {
            let kind = sandbox_bitbucket::FaultKind::Whole { status, headers, body };
            hosts(running).bitbucket.fail(sandbox_bitbucket::Fault::under(path, kind));
        }
    }

    pub(crate) fn clear(&self, running: &Running) {
        let hosts = hosts(running);
        hosts.gitlab.clear_faults();
        hosts.bitbucket.clear_faults();
        hosts.gitlab.clear_calls();
        hosts.bitbucket.clear_calls();
    }

    /// How often exactly this path was asked for.
    pub(crate) fn asked(&self, running: &Running, path: &str) -> usize {
        let hosts = hosts(running);
        if self.provider == "gitlab" {
            hosts.gitlab.calls().iter().filter(|call| call.path == path).count()
        } else {
            hosts.bitbucket.calls().iter().filter(|call| call.path == path).count()
        }
    }
}

/// The cases of a fixture, those of the API.
fn cases(fixture: &str) -> Vec<Said> {
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let of_api = fixture["cases"].as_array().unwrap().iter().filter(|case| case["endpoint"].is_null());
    of_api
        .map(|case| {
            let mut headers: Vec<(&str, &str)> = vec![("content-type", "application/json")];
            let named = case["headers"].as_object().into_iter().flatten();
            headers.extend(named.map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
            let body = case["body_text"].as_str().map_or_else(|| case["body"].to_string(), str::to_owned);
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            said(case["when"].as_str().unwrap(), status, &headers, &body)
        })
        .collect()
}

/// Forms that either host, or a proxy in front of it, has been seen to use beside those of the fixtures.
fn more() -> Vec<Said> {
    let json = [("content-type", "application/json")];
    let html = [("content-type", "text/html; charset=utf-8")];
    let text = [("content-type", "text/plain")];
    vec![
        said("400, a message that is an object", 400, &json, r#"{"message":{"name":["is too long"]}}"#),
        said("400, an error and its description", 400, &json, r#"{"error":"x","error_description":"y"}"#),
        said("403, a message", 403, &json, r#"{"message":"403 Forbidden - Your account has been blocked."}"#),
        said("403, text", 403, &text, "Forbidden\n"),
        said("403, a page for people", 403, &html, HTML),
        said("403, empty", 403, &[], ""),
        said("404, a page for people", 404, &html, HTML),
        said("404, empty", 404, &[], ""),
        said("410, a page for people", 410, &html, HTML),
        said("422, JSON of another form", 422, &json, r#"{"errors":["x"]}"#),
        said("429, empty", 429, &[], ""),
        said("429, with its wait", 429, &[("retry-after", "7")], "Retry later\n"),
        said("429, a page for people", 429, &html, HTML),
        said("500, a message", 500, &json, r#"{"message":"500 Internal Server Error"}"#),
        said("500, a page for people", 500, &html, HTML),
        said("502, empty", 502, &[], ""),
        said("503, a page for people", 503, &html, HTML),
        said("504, a page for people", 504, &html, HTML),
        said("301 to another host", 301, &[("location", "https://evil.example/api/v4/x")], ""),
        said("204", 204, &[], ""),
        said("304 without a question", 304, &[], ""),
        said("200, a page for people", 200, &html, HTML),
        said("200, JSON that ends in the middle", 200, &json, r#"[{"id":1},{"#),
        said("200, JSON of another form", 200, &json, r#"{"message":"hello"}"#),
        said("200, empty", 200, &json, ""),
    ]
}

async fn octocat(running: &Running) -> DemoUser {
    linked(running, "gitlab-cat", "bitbucket-cat").await
}

/// Status, `Retry-After` and body.
pub(crate) fn seen(answer: &Answer) -> String {
    let retry =
        answer.header("retry-after").map_or_else(String::new, |value| format!(" retry-after: {value}"));
    format!("{}{retry}\n{}", answer.status, answer.body)
}

/// Nothing in an answer leads to a host or is of its words.
pub(crate) fn assert_nothing_of_the_hosts(running: &Running, answer: &Answer) {
    let text = format!("{:?}{}", answer.headers, answer.body);
    let ports = [hosts(running).gitlab.url(), hosts(running).bitbucket.web_url()];
    let authorities = ports.iter().map(|url| url.trim_start_matches("http://"));
    let words =
        ["/api/v4", "/2.0/", "evil.example", "Whoops", "CHANGE-2770", "Retry later", "glpat-", "ATATT"];
    for part in authorities.chain(words) {
        assert!(!text.contains(part), "{part} in {answer:?}");
    }
}

/// How often a call is made that is answered so: gateway errors are tried again twice, all else is not.
fn tries(said: &Said) -> usize {
    match said.status.as_u16() {
        502..=504 => 3,
        // Three sizes of pages.
        400 if said.body.contains("pagelen") => 3,
        _ => 1,
    }
}

/// Every case on every route, in the list of that host alone and in that of all hosts.
async fn table(host: Host, cases: Vec<Said>) -> String {
    let running = start().await;
    let user = octocat(&running).await;
    let all = get(&running, &user, "/api/user/repositories").await.column("git_provider");
    let others = all.iter().filter(|provider| *provider != host.provider).count();
    let mut table = String::new();
    for said in cases {
        let mut answers = Vec::new();
        for (route, path) in host.routes().iter().zip(host.paths) {
            host.clear(&running);
            host.fail(&running, path, &said);
            let answer = get(&running, &user, route).await;
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", said.name);
            assert_eq!(answer.header("content-type"), Some("application/json"), "{}", said.name);
            assert_nothing_of_the_hosts(&running, &answer);
            // All of Bitbucket's repositories are listed by their workspaces.
            let exact = if path == "/repositories" { "/repositories/acme-corp" } else { path };
            // Where GitLab refuses page numbers, ids are tried.
            let by_ids = usize::from(path == "/projects" && said.status == StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(host.asked(&running, exact), tries(&said) + by_ids, "{} {route}", said.name);
            answers.push(seen(&answer));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{}: {answers:#?}", said.name);

        host.clear(&running);
        host.fail(&running, host.paths[1], &said);
        let merged = get(&running, &user, "/api/user/repositories").await;
        let providers = merged.column("git_provider");
        assert_eq!(providers.len(), others, "{}: the others' lists are whole", said.name);
        assert!(providers.iter().all(|provider| provider != host.provider), "{}", said.name);
        assert_nothing_of_the_hosts(&running, &merged);
        let partial = merged.header("x-partial-result").expect("it says what is missing");
        let _ = writeln!(table, "## {}\n{}\namong all hosts: {partial}\n", said.name, answers[0]);
    }
    host.clear(&running);
    assert_eq!(
        get(&running, &user, "/api/user/repositories").await.column("git_provider"),
        all,
        "it recovers"
    );
    table
}

#[tokio::test]
async fn each_failure_of_gitlab_has_its_answer_and_it_is_the_same_on_every_route() {
    let cases =
        cases(GITLAB).into_iter().chain(more()).filter(|said| said.status != StatusCode::UNAUTHORIZED);
    insta::assert_snapshot!(table(AT_GITLAB, cases.collect()).await);
}

#[tokio::test]
async fn each_failure_of_bitbucket_has_its_answer_and_it_is_the_same_on_every_route() {
    let cases =
        cases(BITBUCKET).into_iter().chain(more()).filter(|said| said.status != StatusCode::UNAUTHORIZED);
    insta::assert_snapshot!(table(AT_BITBUCKET, cases.collect()).await);
}

#[tokio::test]
async fn a_workspace_that_fails_is_named_with_its_status_and_costs_no_other() {
    let running = start().await;
    let user = octocat(&running).await;
    let [_, route, _] = AT_BITBUCKET.routes();
    let whole = get(&running, &user, &route).await.names();
    let others: Vec<_> = whole.iter().filter(|name| !name.starts_with("acme-corp/")).cloned().collect();
    assert!(!others.is_empty() && others.len() < whole.len());
    let cases = cases(BITBUCKET).into_iter().chain(more());
    for said in cases.filter(|said| said.status != StatusCode::UNAUTHORIZED) {
        AT_BITBUCKET.clear(&running);
        AT_BITBUCKET.fail(&running, "/repositories/acme-corp", &said);
        let alone = get(&running, &user, "/api/user/repositories?selected_provider=bitbucket").await;
        assert_eq!(alone.names(), others, "{}", said.name);
        let status = match said.status.as_u16() {
            status @ (403 | 404 | 429 | 504) => status,
            _ => 502,
        };
        let named = format!("bitbucket/acme-corp={status}");
        assert_eq!(alone.header("x-partial-result"), Some(&*named), "{}", said.name);
        assert_nothing_of_the_hosts(&running, &alone);
    }
}

/// Every form of a 401, on all routes at once.
async fn assert_401_is_a_sign_in_that_has_ended(host: Host, forms: Vec<Said>) {
    let running = start().await;
    let user = octocat(&running).await;
    assert!(forms.len() > 2);
    for said in forms {
        // Else it is taken for a token that the host does not know yet.
        running.clock.advance(Duration::from_secs(60));
        host.clear(&running);
        for path in host.paths {
            host.fail(&running, path, &said);
        }
        let routes = host.routes();
        let answers = routes.iter().map(|route| get(&running, &user, route));
        for answer in futures::future::join_all(answers).await {
            let told = (answer.status, answer.body.as_str());
            let expected = format!("\"Invalid {} token\"", host.provider);
            assert_eq!(told, (StatusCode::UNAUTHORIZED, &*expected), "{}: {answer:?}", said.name);
            assert_nothing_of_the_hosts(&running, &answer);
        }
        assert_eq!(host.asked(&running, host.token_endpoint), 1, "{}: renewed once, for all", said.name);
    }
    host.clear(&running);
    let [_, all, _] = host.routes();
    assert!(
        !get(&running, &user, &all).await.names().is_empty(),
        "the sign-in has outlived a host that erred"
    );
}

fn any_401() -> Vec<Said> {
    vec![
        said("401, a page for people", 401, &[("content-type", "text/html")], HTML),
        said("401, empty", 401, &[], ""),
    ]
}

fn unauthorized(fixture: &str) -> Vec<Said> {
    let of_fixture = cases(fixture).into_iter().filter(|said| said.status == StatusCode::UNAUTHORIZED);
    of_fixture.chain(any_401()).collect()
}

#[tokio::test]
async fn every_401_of_gitlab_is_an_invalid_token_after_one_renewal() {
    assert_401_is_a_sign_in_that_has_ended(AT_GITLAB, unauthorized(GITLAB)).await;
}

#[tokio::test]
async fn every_401_of_bitbucket_is_an_invalid_token_after_one_renewal() {
    assert_401_is_a_sign_in_that_has_ended(AT_BITBUCKET, unauthorized(BITBUCKET)).await;
}

#[tokio::test]
async fn a_token_whose_scopes_do_not_reach_is_403_and_no_ended_sign_in() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let gitlab = hosts(&running).gitlab.mint_personal_token("gitlab-cat", "read_user").unwrap();
    let scopes = [sandbox_bitbucket::Scope::User];
    let bitbucket = hosts(&running).bitbucket.try_mint_api_token("bitbucket-cat", &scopes).unwrap();
    let body = json!({"provider_tokens": {"gitlab": {"token": gitlab}, "bitbucket": {"token": bitbucket}}});
    let added = running.post("/api/add-git-providers").api_key(&user).json(&body).send().await;
    assert_eq!(added.status, StatusCode::OK, "{added:?}");
    for host in [AT_GITLAB, AT_BITBUCKET] {
        for route in host.routes() {
            let answer = get(&running, &user, &route).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route}: {answer:?}");
            let told = answer.json();
            assert_eq!((&told["code"], &told["provider"]), (&json!("forbidden"), &json!(host.provider)));
            assert!(!answer.body.contains(&gitlab) && !answer.body.contains(&bitbucket), "{answer:?}");
        }
    }
    let all = get(&running, &user, "/api/user/repositories").await;
    assert_eq!(all.header("x-partial-result"), Some("bitbucket=403, gitlab=403"));
    assert_eq!(all.names().len(), 9, "octocat's at GitHub");
}

#[tokio::test]
async fn what_the_hosts_write_into_their_errors_is_not_shown() {
    let running = start().await;
    let user = octocat(&running).await;
    let secret = "glpat-0123456789abcdef";
    let words = format!("token {secret} at https://evil.example/api/v4 and /2.0/");
    let bodies = [
        json!({ "message": words }).to_string(),
        json!({ "message": { "error": words, "name": [words] } }).to_string(),
        json!({ "error": words, "error_description": words, "scope": words }).to_string(),
        json!({ "type": "error", "error": { "message": words, "detail": words, "data": { "url": words } } })
            .to_string(),
        json!({ "error": { "message": words, "detail": { "required": [words], "granted": [words] } } })
            .to_string(),
        words.clone(),
        format!("<html>{words}</html>"),
    ];
    let headers =
        [("x-internal", secret), ("location", "https://evil.example/"), ("link", "<https://evil.example/>")];
    for host in [AT_GITLAB, AT_BITBUCKET] {
        for (status, body) in [400, 403, 404, 410, 429, 500]
            .into_iter()
            .flat_map(|status| bodies.iter().map(move |body| (status, body)))
        {
            host.clear(&running);
            for path in host.paths {
                host.fail(&running, path, &said("secrets", status, &headers, body));
            }
            for route in host.routes() {
                let answer = get(&running, &user, &route).await;
                assert!(answer.status.as_u16() > 401, "{host:?} {status} {body}: {answer:?}");
                assert_nothing_of_the_hosts(&running, &answer);
            }
        }
    }
}
