//! What GitLab's refusals mean, how much of an odd project is kept, and the forms of OAuth.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::pages::Numbered;
use super::project::Project;
use super::{Gitlab, classify};
use crate::clock::Clock;
use crate::config::GitlabHost;
use crate::provider::oauth::OauthError;
use crate::provider::upstream::{Answer, Upstream, http_client};
use crate::provider::{ForbiddenReason, OwnerType, ProviderError, ProviderType};

const ERRORS: &str = include_str!("../../../fixtures/gitlab/errors.json");
const PROJECTS: &str = include_str!("../../../fixtures/gitlab/projects.json");

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().expect(name), value.parse().expect("a header's value"))
    };
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: headers.iter().map(header).collect::<HeaderMap>(),
        body: Bytes::from(body.to_owned()),
    }
}

fn meaning(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
    classify(&answer(status, headers, body), &Clock::system())
}

fn gitlab(base: &str) -> Gitlab {
    let upstream = Upstream::new(http_client(&[]).expect("a client"));
    Gitlab::new(upstream, GitlabHost { base: Url::parse(base).expect("a base") }, Clock::system())
}

const fn limited(seconds: u64) -> ProviderError {
    ProviderError::RateLimited { retry_after: Some(seconds) }
}

#[test]
fn every_form_of_an_error_has_its_meaning() {
    let cases: Value = serde_json::from_str(ERRORS).expect("JSON");
    let mut seen = Vec::new();
    for case in cases["cases"].as_array().expect("cases") {
        let status = u16::try_from(case["status"].as_u64().expect("a status")).expect("a status");
        let headers = case["headers"].as_object().cloned().unwrap_or_default();
        let headers: Vec<(&str, &str)> =
            headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let body = case["body_text"].as_str().map_or_else(|| case["body"].to_string(), str::to_owned);
        let expected = match status {
            401 => ProviderError::Unauthorized,
            403 => ProviderError::Forbidden(ForbiddenReason::Plain),
            404 => ProviderError::NotFound,
            429 if body.starts_with("Retry later") => limited(30),
            429 => limited(60),
            status => ProviderError::BadResponse { status },
        };
        assert_eq!(meaning(status, &headers, &body), expected, "{case}");
        seen.push(status);
    }
    for status in [400, 401, 403, 404, 405, 429, 502] {
        assert!(seen.contains(&status), "{status}");
    }
}

#[test]
fn the_wait_is_what_the_headers_say_and_never_nothing() {
    let date = ("date", "Fri, 20 Nov 2026 09:39:10 GMT");
    let reset_time = ("ratelimit-resettime", "Fri, 20 Nov 2026 09:40:00 GMT");
    let reset = ("ratelimit-reset", "1795167600");
    for (headers, seconds) in [
        (vec![date, ("retry-after", "7"), reset_time, reset], 7),
        (vec![date, ("retry-after", "Fri, 20 Nov 2026 09:39:30 GMT"), reset_time], 20),
        (vec![date, reset_time], 50),
        (vec![date, reset], 50),
        (vec![date, reset, ("ratelimit-remaining", "0")], 50),
        // It is not the limit that was reached.
        (vec![date, reset, ("ratelimit-remaining", "1999")], 60),
        (vec![date, ("ratelimit-reset", "5")], 1),
        (vec![date, ("retry-after", "soon"), ("ratelimit-reset", "later")], 60),
        (vec![], 60),
    ] {
        assert_eq!(meaning(429, &headers, "Retry later\n"), limited(seconds), "{headers:?}");
    }
}

#[test]
fn a_403_is_a_limit_only_where_it_says_so() {
    let forbidden = ProviderError::Forbidden(ForbiddenReason::Plain);
    let too_often =
        r#"{"message":{"error":"This endpoint has been requested too many times. Try again later."}}"#;
    for (headers, body, expected) in [
        (vec![], "", forbidden),
        (vec![], "<html>Forbidden</html>", forbidden),
        (vec![], r#"{"message":"403 Forbidden - Your account has been blocked."}"#, forbidden),
        (vec![], r#"{"error":"insufficient_scope","scope":"api read_api"}"#, forbidden),
        (vec![("retry-after", "9")], "Forbidden", limited(9)),
        (vec![], too_often, limited(60)),
    ] {
        assert_eq!(meaning(403, &headers, body), expected, "{body}");
    }
}

#[test]
fn other_statuses_are_the_hosts_failure_or_its_silence() {
    for status in [408, 504] {
        assert_eq!(meaning(status, &[], "<html>"), ProviderError::Timeout, "{status}");
    }
    for status in [201, 204, 301, 302, 304, 400, 405, 409, 410, 422, 500, 502, 503] {
        assert_eq!(meaning(status, &[], "<html>"), ProviderError::BadResponse { status }, "{status}");
    }
}

fn examples(kind: &str) -> Vec<Project> {
    let projects: Value = serde_json::from_str(PROJECTS).expect("JSON");
    let items = projects[kind].as_array().expect(kind);
    items.iter().map(|item| Project::read(&item.to_string()).expect("a project")).collect()
}

#[test]
fn projects_of_every_kind_are_read_as_repositories() {
    let found = examples("full");
    let nested = &found[0].repository;
    assert_eq!((nested.id.as_str(), nested.full_name.as_str()), ("1", "acme/platform/edge/api"));
    assert_eq!((nested.provider, nested.is_public), (ProviderType::Gitlab, false));
    assert_eq!((nested.stargazers_count, nested.owner_type), (Some(3), Some(OwnerType::Organization)));
    assert_eq!(nested.main_branch.as_deref(), Some("main"));
    // GitLab has one date for both: of the last activity.
    assert_eq!(nested.pushed_at.as_deref(), Some("2026-11-19T08:07:06.543Z"));
    assert_eq!(nested.updated_at, nested.pushed_at);
    assert_eq!(nested.created_at.as_deref(), Some("2024-02-01T09:00:00.000Z"));

    let public: Vec<bool> = found.iter().map(|project| project.repository.is_public).collect();
    assert_eq!(public, [false, true, false, false, false, false, false], "internal is not public");
    assert_eq!(found[1].repository.owner_type, Some(OwnerType::User));
    assert_eq!(found[3].repository.main_branch.as_deref(), Some("main"), "of an empty one, what would be");
    assert_eq!(found[4].repository.main_branch, None, "without the right to read code");
    let active: Vec<bool> = found.iter().map(|project| project.active).collect();
    assert_eq!(active, [true, true, true, true, true, false, false], "archived, and marked for deletion");

    let simple = &examples("simple_true")[0].repository;
    assert!(!simple.is_public, "without a visibility it is private");
}

#[test]
fn an_id_and_a_name_are_all_that_a_project_needs() {
    let name = |json: &str| Project::read(json).map(|project| project.repository.full_name);
    for (json, expected) in [
        (r#"{"id":1,"path_with_namespace":"a/b/c"}"#, Some("a/b/c")),
        (
            r#"{"id":1,"path_with_namespace":null,"path":"c","namespace":{"full_path":"a/b","kind":7}}"#,
            Some("a/b/c"),
        ),
        (
            r#"{"id":1,"path_with_namespace":"a/b","namespace":"a","star_count":"many","archived":"no"}"#,
            Some("a/b"),
        ),
        (r#"{"id":1,"path":"c","namespace":null}"#, None),
        (r#"{"id":"1","path_with_namespace":"a/b"}"#, None),
        (r#"{"path_with_namespace":"a/b"}"#, None),
        ("null", None),
        ("[]", None),
    ] {
        assert_eq!(name(json).as_deref(), expected, "{json}");
    }
}

#[test]
fn a_project_about_to_be_deleted_is_known_by_its_name_too() {
    let active = |name: &str| {
        let item = format!(r#"{{"id":8,"path_with_namespace":"a/{name}"}}"#);
        Project::read(&item).map(|project| project.active)
    };
    assert_eq!(active("gone-deletion_scheduled-8"), Some(false));
    assert_eq!(active("notes-on-deletion_scheduled-9"), Some(true), "another one's number");
}

#[test]
fn addresses_keep_the_path_of_the_instance_and_encode_a_groups_slashes() {
    let gitlab = gitlab("https://git.example/gitlab");
    let url = gitlab.url(&["groups", "acme/platform", "projects"], &[("page", "2")]);
    assert_eq!(url.as_str(), "https://git.example/gitlab/api/v4/groups/acme%2Fplatform/projects?page=2");
    let url = gitlab.authorize_url("id", "https://s.example/auth/gitlab/callback", "s+1", "hash");
    assert_eq!(url.path(), "/gitlab/oauth/authorize");
    let query: Vec<_> = url.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        query,
        [
            "client_id=id",
            "redirect_uri=https://s.example/auth/gitlab/callback",
            "response_type=code",
            "state=s+1",
            "scope=read_api",
            "code_challenge=hash",
            "code_challenge_method=S256",
        ]
    );
}

#[test]
fn tokens_end_by_the_hosts_own_time() {
    let granted = answer(
        200,
        &[("date", "Fri, 20 Nov 2026 09:40:00 GMT")],
        r#"{"access_token":"a","token_type":"bearer","expires_in":7200,"refresh_token":"r","created_at":1}"#,
    );
    let grant = gitlab("https://g.example/").read_grant(&granted, OauthError::BadCode).expect("a grant");
    assert_eq!(grant.access.expose_secret(), "a");
    assert_eq!(grant.refresh.map(|token| token.expose_secret().to_owned()).as_deref(), Some("r"));
    assert_eq!((grant.access_expires_at, grant.refresh_expires_at), (Some(1_795_167_600 + 7_200), None));
}

#[test]
fn oauths_refusals_are_told_apart() {
    let refused = |status: u16, body: &str| {
        let result =
            gitlab("https://g.example/").read_grant(&answer(status, &[], body), OauthError::BadRefreshToken);
        result.expect_err("a refusal").to_string()
    };
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant","error_description":"x"}"#, "the refresh token is not accepted"),
        (401, r#"{"error":"invalid_client"}"#, "the host does not accept the client credentials"),
        (403, r#"{"error":"unauthorized_client"}"#, "the host does not accept the client credentials"),
        (400, r#"{"error":"invalid_redirect_uri"}"#, "the host does not accept the callback URL"),
        (400, r#"{"error":"invalid_scope"}"#, "the host refuses: invalid_scope"),
        (400, r#"{"message":"x"}"#, "the host answered 400 in an unexpected form"),
        (401, "<html>", "the host does not accept the client credentials"),
        (404, "<html>", "the host answered 404 in an unexpected form"),
        (429, "Retry later\n", "the host's rate limit is reached"),
        (500, r#"{"error":"invalid_grant"}"#, "the host answered 500 in an unexpected form"),
        (200, "<html>", "the host answered 200 in an unexpected form"),
        (200, "{}", "the host answered 200 in an unexpected form"),
    ] {
        assert_eq!(refused(status, body), expected, "{status} {body}");
    }
}

proptest! {
    #[test]
    fn no_odd_field_costs_a_project(
        field in prop::sample::select(vec![
            "path", "namespace", "visibility", "star_count", "last_activity_at", "created_at",
            "default_branch", "archived", "marked_for_deletion_on", "another",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1", "1.5", "\"text\"", "[]", "[{}]", "{}", r#"{"kind":null}"#,
        ]),
    ) {
        let found = Project::read(&format!(r#"{{"id":1,"path_with_namespace":"o/r","{field}":{value}}}"#));
        prop_assert_eq!(found.map(|project| project.repository.full_name), Some("o/r".to_owned()));
    }

    #[test]
    fn no_answer_makes_the_classification_panic(
        status in 100_u16..600,
        retry_after in "[ -~]{0,25}",
        reset in "-?[0-9]{0,25}",
        body in ".{0,60}",
    ) {
        let headers = [
            ("retry-after", retry_after.as_str()),
            ("ratelimit-reset", reset.as_str()),
            ("ratelimit-resettime", retry_after.as_str()),
        ];
        let _ = meaning(status, &headers, &body);
        let _ = meaning(status, &headers[1..], &body);
    }
}
