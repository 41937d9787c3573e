//! What Bitbucket's answers mean, how a token is sent, and how much of an odd item is kept.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use proptest::prelude::*;
use serde_json::Value;

use super::reading::Item;
use super::*;
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::upstream::http_client;
use crate::provider::{ForbiddenReason, OwnerType, Repository};

const ERRORS: &str = include_str!("../../../fixtures/bitbucket/bitbucket_errors.json");
const REPOSITORIES: &str = include_str!("../../../fixtures/bitbucket/bitbucket_repositories_edge.json");
const TOKENS: &str = include_str!("../../../fixtures/bitbucket/bitbucket_oauth_token.json");
const WORKSPACES: &str = include_str!("../../../fixtures/bitbucket/bitbucket_user_workspaces.json");
const ALICE: &str = "{470c176d-3574-44ea-bb41-89e8638bcca4}";

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture")
}

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

fn repository(item: &str) -> Option<Repository> {
    Item::read(item, Some(ALICE))
}

fn read_all(list: &str) -> Vec<Repository> {
    let list = &fixture(REPOSITORIES)[list]["values"];
    list.as_array().expect("values").iter().filter_map(|item| repository(&item.to_string())).collect()
}

#[test]
fn every_documented_refusal_has_its_meaning() {
    let expected = [
        ProviderError::BadResponse { status: 410 },
        ProviderError::Unauthorized,
        ProviderError::Forbidden(ForbiddenReason::Plain),
        ProviderError::BadResponse { status: 400 },
        ProviderError::NotFound,
        ProviderError::RateLimited { retry_after: None },
        ProviderError::RateLimited { retry_after: None },
    ];
    let cases = fixture(ERRORS)["cases"].as_array().expect("cases").clone();
    assert_eq!(cases.len(), expected.len());
    for (case, expected) in cases.into_iter().zip(expected) {
        let status = u16::try_from(case["status"].as_u64().expect("a status")).expect("a status");
        let body = case.get("body").map(ToString::to_string).unwrap_or_default();
        let found = answer(status, &[], &body);
        assert_eq!(classify(&found), expected, "{}", case["when"]);
        assert_eq!(errors::is_invalid_pagelen(&found), status == 400, "{}", case["when"]);
    }
}

#[test]
fn a_refusal_keeps_its_meaning_whatever_its_body() {
    for body in ["", "<html>no JSON</html>", "null", r#"{"error":"text"}"#, r#"{"error":{"detail":[1]}}"#] {
        let meaning = |status| classify(&answer(status, &[], body));
        assert_eq!(meaning(401), ProviderError::Unauthorized);
        assert_eq!(meaning(403), ProviderError::Forbidden(ForbiddenReason::Plain));
        assert_eq!(meaning(404), ProviderError::NotFound);
        assert_eq!(meaning(504), ProviderError::Timeout);
        for status in [204, 302, 400, 409, 410, 500, 502, 503] {
            assert_eq!(meaning(status), ProviderError::BadResponse { status }, "{body}");
        }
        assert!(!errors::is_invalid_pagelen(&answer(400, &[], body)));
    }
}

#[test]
fn the_wait_is_told_only_where_bitbucket_tells_it() {
    for (header, seconds) in [("37", Some(37)), ("-5", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)] {
        let limited = classify(&answer(429, &[("retry-after", header)], ""));
        assert_eq!(limited, ProviderError::RateLimited { retry_after: seconds }, "{header}");
    }
}

#[test]
fn a_token_with_an_address_goes_as_basic_and_any_other_as_bearer() {
    for (secret, expected) in [
        ("alice@example.com:ATATT3x", "Basic YWxpY2VAZXhhbXBsZS5jb206QVRBVFQzeA=="),
        ("ATCTT3x", "Bearer ATCTT3x"),
    ] {
        let value = authorization(&SecretString::from(secret)).expect("a header");
        assert_eq!(value.to_str().expect("text"), expected);
        assert!(value.is_sensitive(), "nothing may print it");
    }
    let unsendable = authorization(&SecretString::from("a\nb"));
    assert_eq!(unsendable.expect_err("no header"), ProviderError::Unauthorized);
}

#[test]
fn a_user_is_a_uuid_and_the_best_name_there_is() {
    let user = host_user(&answer(200, &[], &fixture(WORKSPACES)["user"].to_string())).expect("a user");
    assert_eq!(user, HostUser { id: ALICE.to_owned(), login: "Alice A".to_owned(), avatar_url: None });
    for (rest, login) in [
        (r#","username":"alice","nickname":"Alice A""#, "alice"),
        (r#","username":"","nickname":null,"display_name":"Alice""#, "Alice"),
        (r#","username":5"#, "{u}"),
    ] {
        let body = format!(r#"{{"uuid":"{{u}}","links":{{"avatar":{{"href":"https://a/b"}}}}{rest}}}"#);
        let user = host_user(&answer(200, &[], &body)).expect("a user");
        assert_eq!((user.login.as_str(), user.avatar_url.as_deref()), (login, Some("https://a/b")));
    }
    let nobody = host_user(&answer(200, &[], r#"{"type":"app_user"}"#));
    assert_eq!(nobody.expect_err("no user"), ProviderError::BadResponse { status: 200 });
}

#[test]
fn the_examples_are_read_whole() {
    let found = read_all("page1");
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[0],
        Repository {
            id: "{11111111-1111-4111-8111-111111111111}".to_owned(),
            full_name: "acme-corp/api".to_owned(),
            provider: ProviderType::Bitbucket,
            is_public: false,
            stargazers_count: None,
            pushed_at: Some("2026-11-18T10:11:12.131415+00:00".to_owned()),
            updated_at: Some("2026-11-18T10:11:12.131415+00:00".to_owned()),
            created_at: Some("2024-01-02T03:04:05.678901+00:00".to_owned()),
            owner_type: Some(OwnerType::Organization),
            main_branch: Some("main".to_owned()),
        }
    );
    assert_eq!((found[1].full_name.as_str(), found[1].main_branch.as_ref()), ("acme-corp/empty", None));
    // Its workspace is null.
    assert_eq!((found[2].full_name.as_str(), found[2].is_public), ("acme-corp/public", true));
    assert_eq!(found[2].owner_type, Some(OwnerType::Organization));
    let [personal] = &read_all("personal")[..] else { panic!("one repository") };
    assert_eq!((personal.full_name.as_str(), personal.owner_type), ("alice/dotfiles", Some(OwnerType::User)));
    assert_eq!(read_all("empty"), []);
}

#[test]
fn the_own_workspace_is_told_by_its_uuid_and_any_other_by_the_owners_type() {
    let kind = |own: Option<&str>, rest: &str| {
        let item = format!(r#"{{"uuid":"{{r}}","full_name":"w/r",{rest}}}"#);
        <Repository as Item>::read(&item, own).expect("a repository").owner_type
    };
    let (user, organization) = (Some(OwnerType::User), Some(OwnerType::Organization));
    assert_eq!(kind(Some("{ABC}"), r#""workspace":{"uuid":"{abc}"},"owner":{"type":"team"}"#), user);
    assert_eq!(kind(Some("{abc}"), r#""workspace":{"uuid":"{def}"}"#), organization);
    // Somebody else's personal workspace.
    assert_eq!(kind(Some("{abc}"), r#""workspace":{"uuid":"{def}"},"owner":{"type":"user"}"#), user);
    assert_eq!(kind(None, r#""workspace":{"uuid":"{abc}"},"owner":{"type":"user"}"#), user);
    assert_eq!(kind(Some("{abc}"), r#""workspace":null,"owner":{"type":"team"}"#), organization);
    assert_eq!(kind(None, r#""workspace":{"uuid":"{abc}"},"owner":null"#), None);
    assert_eq!(kind(None, r#""owner":{"type":"app_user"}"#), None);
}

#[test]
fn an_id_and_a_name_are_all_that_a_repository_needs() {
    let name = |json: &str| repository(json).map(|found| found.full_name);
    for (json, expected) in [
        (r#"{"uuid":"{1}","slug":"r","workspace":{"slug":"w"},"full_name":"old/r"}"#, Some("w/r")),
        (r#"{"uuid":"{1}","slug":"r","workspace":null,"full_name":"w/r"}"#, Some("w/r")),
        (r#"{"uuid":"{1}","slug":null,"workspace":{"slug":"w"},"full_name":"w/r"}"#, Some("w/r")),
        (r#"{"uuid":"{1}","slug":"r","workspace":"w"}"#, Some("r")),
        (r#"{"uuid":"{1}","name":"R"}"#, Some("R")),
        (r#"{"uuid":"{1}"}"#, None),
        (r#"{"uuid":null,"full_name":"w/r"}"#, None),
        (r#"{"uuid":"","full_name":"w/r"}"#, None),
        ("null", None),
        ("[]", None),
    ] {
        assert_eq!(name(json).as_deref(), expected, "{json}");
    }
}

#[test]
fn a_repository_is_public_only_where_bitbucket_says_so() {
    for (private, public) in [("false", true), ("true", false), ("null", false), ("\"false\"", false)] {
        let found = repository(&format!(r#"{{"uuid":"{{1}}","full_name":"o/r","is_private":{private}}}"#));
        assert_eq!(found.map(|found| found.is_public), Some(public), "{private}");
    }
}

fn granted(status: u16, body: &str) -> Result<TokenGrant, OauthError> {
    let url = |text: &str| text.parse().expect("a URL");
    let host = BitbucketHost { api: url("https://api.example/2.0"), web: url("https://example") };
    let upstream = Upstream::new(http_client(&[]).expect("a client"));
    let headers = [("date", "Tue, 14 Nov 2023 22:13:20 GMT")];
    Bitbucket::new(upstream, host, Clock::system())
        .read_grant(&answer(status, &headers, body), OauthError::BadCode)
}

#[test]
fn a_grant_ends_by_bitbuckets_own_clock_whichever_form_it_has() {
    for (form, refresh) in [("before", "r0"), ("after", "r1")] {
        let grant = granted(200, &fixture(TOKENS)[form].to_string()).expect("a grant");
        assert_eq!(grant.access.expose_secret(), "a");
        assert_eq!(grant.access_expires_at, Some(1_700_000_000 + 7_200));
        assert_eq!(grant.refresh.expect("a token").expose_secret(), refresh);
        assert_eq!(grant.refresh_expires_at, None);
    }
    let endless = format!(r#"{{"access_token":"a","expires_in":{}}}"#, i64::MAX);
    assert_eq!(granted(200, &endless).expect("a grant").access_expires_at, Some(i64::MAX));
}

#[test]
fn a_refused_grant_says_whose_trouble_it_is() {
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant","error_description":"x"}"#, "the code is not accepted"),
        (401, r#"{"error":"invalid_client"}"#, "the host does not accept the client credentials"),
        (400, r#"{"error":"unauthorized_client"}"#, "the host does not accept the client credentials"),
        (401, "", "the host does not accept the client credentials"),
        (400, r#"{"error":"redirect_uri_mismatch"}"#, "the host does not accept the callback URL"),
        (400, r#"{"error":"unsupported_grant_type"}"#, "the host refuses: unsupported_grant_type"),
        (400, r#"{"type":"error","error":{"message":"x"}}"#, "the host answered 400 in an unexpected form"),
        (404, "<html>", "the host answered 404 in an unexpected form"),
        (429, "", "the host's rate limit is reached"),
        (500, "<html>", "the host answered 500 in an unexpected form"),
        (500, r#"{"access_token":"a"}"#, "the host answered 500 in an unexpected form"),
        (200, "<html>", "the host answered 200 in an unexpected form"),
        (200, "{}", "the host answered 200 in an unexpected form"),
    ] {
        let error = granted(status, body).expect_err("no grant").to_string();
        assert_eq!(error, expected, "{status} {body}");
    }
}

proptest! {
    #[test]
    fn no_odd_field_costs_a_repository(
        field in prop::sample::select(vec![
            "slug", "name", "workspace", "owner", "is_private", "created_on", "updated_on", "mainbranch", "language",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1", "1.5", "[]", "[{}]", "{}", r#"{"slug":null,"uuid":5,"name":[],"type":{}}"#,
        ]),
    ) {
        let found = repository(&format!(r#"{{"uuid":"{{1}}","full_name":"o/r","{field}":{value}}}"#));
        prop_assert_eq!(found.map(|found| found.full_name), Some("o/r".to_owned()));
    }

    #[test]
    fn no_answer_makes_the_reading_panic(
        status in 100_u16..600,
        retry_after in "[ -~]{0,25}",
        body in ".{0,60}",
        detail in prop::sample::select(vec!["null", "\"text\"", "{}", r#"{"required":["a"]}"#, r#"{"required":5}"#]),
    ) {
        let headers = [("retry-after", retry_after.as_str())];
        let _ = classify(&answer(status, &headers, &body));
        let _ = classify(&answer(status, &headers, &format!(r#"{{"error":{{"message":1,"detail":{detail}}}}}"#)));
        let _ = granted(status, &body);
    }
}
