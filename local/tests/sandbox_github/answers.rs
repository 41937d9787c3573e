//! Paging, ETags, rate limits and what is checked before any endpoint is asked.
//! What the endpoints themselves show is tested in `visibility` and `app`.

use std::time::Duration;

use super::lab::{Lab, sha256_hex};

#[tokio::test]
async fn pages_have_thirty_items_by_default_and_a_hundred_at_most() {
    let lab = Lab::new().await;
    let token = lab.token("forty-installations");
    for (query, expected) in [
        ("", 30),
        ("?page=2", 10),
        ("?per_page=100", 40),
        ("?per_page=1000", 40),
        ("?per_page=0", 30),
        ("?per_page=7&page=-3", 7),
        ("?per_page=7&page=nonsense", 7),
        ("?per_page=7&page=6", 5),
        ("?per_page=7&page=99", 0),
    ] {
        let reply = lab.get(&format!("/user/installations{query}"), &token).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["total_count"], 40, "{query}");
        assert_eq!(reply.json()["installations"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test]
async fn link_names_prev_next_last_first_and_keeps_the_query() {
    let lab = Lab::new().await;
    let token = lab.token("forty-installations");
    let base = format!("{}/user/installations", lab.github.api_url());
    for (query, expected) in [
        ("per_page=10", "<B?per_page=10&page=2>; rel=\"next\", <B?per_page=10&page=4>; rel=\"last\""),
        (
            "page=2&per_page=10",
            "<B?page=1&per_page=10>; rel=\"prev\", <B?page=3&per_page=10>; rel=\"next\", <B?page=4&per_page=10>; rel=\"last\", <B?page=1&per_page=10>; rel=\"first\"",
        ),
        ("page=4&per_page=10", "<B?page=3&per_page=10>; rel=\"prev\", <B?page=1&per_page=10>; rel=\"first\""),
        ("per_page=100", ""),
    ] {
        let reply = lab.get(&format!("/user/installations?{query}"), &token).await;
        assert_eq!(reply.header("link"), expected.replace('B', &base));
    }
}

#[tokio::test]
async fn all_pages_of_a_large_installation_make_its_total() {
    let lab = Lab::new().await;
    let token = lab.token("big-installation");
    let path = format!("/user/installations/{}/repositories", lab.installation_of("big-installation"));
    let mut names = std::collections::BTreeSet::new();
    for page in 1..=15 {
        names.extend(lab.get(&format!("{path}?per_page=100&page={page}"), &token).await.names());
    }
    assert_eq!(names.len(), 1_500);
}

#[tokio::test]
async fn etag_is_the_hash_of_the_varied_headers_and_the_body_and_304_costs_nothing() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    let accept = ("accept", "application/vnd.github+json");
    let first = lab.api("/user/installations", &[accept, ("authorization", &token)]).await;
    let expected = sha256_hex(&format!("application/vnd.github+json:{token}:{}", first.body));
    assert_eq!(first.header("etag"), format!("\"{expected}\""));
    assert!(first.header("vary").contains("Authorization"));

    let weak = format!("W/\"{expected}\"");
    let headers = [accept, ("authorization", token.as_str()), ("if-none-match", weak.as_str())];
    let second = lab.api("/user/installations", &headers).await;
    assert_eq!((second.status.as_u16(), second.body.as_str()), (304, ""));
    assert_eq!(second.header("x-ratelimit-used"), first.header("x-ratelimit-used"));
    assert_eq!(second.header("etag"), first.header("etag"));

    // Another token of the same user: another ETag, but one that can be computed beforehand.
    let other = lab.token("octocat");
    let predicted = sha256_hex(&format!("application/vnd.github+json:{other}:{}", first.body));
    let headers = [accept, ("authorization", other.as_str()), ("if-none-match", &format!("\"{predicted}\""))];
    assert_eq!(lab.api("/user/installations", &headers).await.status, 304);
    let headers = [accept, ("authorization", other.as_str()), ("if-none-match", weak.as_str())];
    assert_eq!(lab.api("/user/installations", &headers).await.status, 200);
}

#[tokio::test]
async fn user_agent_version_and_accept_are_checked() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    let reply = lab.api("/user", &[("authorization", &token), ("user-agent", "")]).await;
    assert_eq!(reply.status, 403);
    assert!(reply.body.starts_with("Request forbidden by administrative rules."));
    let reply = lab.api("/user", &[("authorization", &token), ("user-agent", "curl/8.5.0")]).await;
    assert!(reply.body.starts_with("{\n  \"login\": \"octocat\","), "indented for people");
    for (version, status) in [("2022-11-28", 200), ("2026-03-10", 200), ("2021-01-01", 400), ("v3", 400)] {
        let reply = lab.api("/user", &[("authorization", &token), ("x-github-api-version", version)]).await;
        assert_eq!(reply.status, status, "{version}");
    }
    let reply = lab.api("/user", &[("authorization", &token), ("accept", "text/html")]).await;
    assert_eq!(reply.status, 415);
    let preview = "application/vnd.github.machine-man-preview+json";
    let reply = lab.api("/user", &[("authorization", &token), ("accept", preview)]).await;
    assert_eq!(reply.header("x-github-media-type"), "github.machine-man-preview; format=json");
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    assert!(!reply.header("x-github-request-id").is_empty());
}

#[tokio::test]
async fn a_token_lives_eight_hours_and_a_wrong_one_is_told_so_in_githubs_words() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    lab.clock.advance(Duration::from_secs(28_799));
    assert_eq!(lab.get("/user", &token.replace("Bearer", "token")).await.status, 200);
    lab.clock.advance(Duration::from_secs(1));
    let reply = lab.get("/user", &token).await;
    assert_eq!(reply.status, 401);
    let body =
        r#"{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}"#;
    assert_eq!(reply.body, body);
    assert_eq!(lab.api("/user", &[]).await.message(), "Requires authentication");
    assert_eq!(lab.get("/nowhere", &token).await.status, 404);
}

#[tokio::test]
async fn rate_limits_are_counted_per_user_and_refuse_at_zero() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    let reply = lab.get("/user", &token).await;
    assert_eq!(reply.header("x-ratelimit-limit"), "5000");
    assert_eq!(reply.header("x-ratelimit-remaining"), "4999");
    lab.github.world(|world| world.hourly_limit = 3);
    // Another token of the same user uses the same limit.
    assert_eq!(lab.get("/user", &lab.token("octocat")).await.header("x-ratelimit-remaining"), "1");
    assert_eq!(lab.get("/user", &token).await.header("x-ratelimit-remaining"), "0");
    let reply = lab.get("/user", &token).await;
    let id = lab.github.world(|world| world.user("octocat").unwrap().id);
    assert_eq!(
        (reply.status.as_u16(), reply.message()),
        (403, format!("API rate limit exceeded for user ID {id}."))
    );
    assert_eq!(reply.header("x-ratelimit-remaining"), "0");
    assert_eq!(lab.get("/user", &lab.token("reader")).await.status, 200);
    assert_eq!(lab.get("/app", &lab.jwt()).await.status, 200);
    lab.clock.advance(Duration::from_secs(3_600));
    assert_eq!(lab.get("/user", &token).await.status, 200);
}
