//! `GET /user/installations`: GitHub's own answer for every kind of caller (DESIGN 3, 4).
//! What happens when GitHub fails is in `github_failures` and `last_good_answers`.

use std::time::Duration;

use http::StatusCode;
use local::sandbox_github::{FaultKind, USER_TOKEN_LIFE};

use crate::github_lab::{LIST, app_jwt, claims, github_message};
use crate::harness::{Answer, start};

const FORTY: &str = "forty-installations";

#[tokio::test]
async fn githubs_bytes_come_through_untouched_by_every_way_to_ask() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let token = running.github().mint_user_token("octocat").access_token;
    let theirs = running.directly(LIST, &format!("Bearer {token}")).await;
    assert!(theirs.body.contains("octo-business"), "{theirs:?}");

    let session = running.get(LIST).session(&user).send().await;
    let api_key = running.get(LIST).api_key(&user).send().await;
    let key_as_bearer = running.get(LIST).bearer(&user.api_key).send().await;
    let bearer = running.get(LIST).bearer(&token).send().await;
    let token_scheme = running.get(LIST).header("Authorization", &format!("token {token}")).send().await;
    for ours in [session, api_key, key_as_bearer, bearer, token_scheme] {
        assert_eq!(ours.status, StatusCode::OK, "{ours:?}");
        assert_eq!(ours.body, theirs.body);
    }
}

#[tokio::test]
async fn githubs_headers_are_carried_and_links_lead_to_us() {
    let running = start().await;
    let user = running.sign_in(FORTY).await;
    running.github().reset_rate_limits();
    let answer = running.get("/user/installations?per_page=7&page=3&other=1").api_key(&user).send().await;
    let (headers, body) = wire_parts(&answer);
    insta::assert_snapshot!(headers);
    assert!(body.starts_with(r#"{"total_count":40,"installations":[{"id":"#), "{body}");
    assert_eq!(running.github().calls()[0].query, "per_page=7&page=3", "nothing else is sent on");
}

#[tokio::test]
async fn a_lapsed_single_sign_on_is_told_as_github_tells_it() {
    let running = start().await;
    let user = running.sign_in("sso-lapsed").await;
    let answer = running.get(LIST).api_key(&user).send().await;
    let organization = running.account("saml-org");
    let partial = format!("partial-results; organizations={organization}");
    assert_eq!(answer.header("x-github-sso"), Some(&*partial), "{answer:?}");
    assert_eq!(answer.json()["total_count"], 1);
}

#[tokio::test]
async fn following_the_links_gives_every_installation_once() {
    let running = start().await;
    let user = running.sign_in(FORTY).await;
    let mut next = Some(format!("{}{LIST}?per_page=9", running.stack.url));
    let mut ids = Vec::new();
    while let Some(url) = next {
        let path = url.strip_prefix(&running.stack.url).expect("our own URL").to_owned();
        let answer = running.get(&path).session(&user).send().await;
        let body = answer.json();
        ids.extend(body["installations"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()));
        next = answer.header("link").and_then(|link| {
            let (before, _) = link.split_once("rel=\"next\"")?;
            Some(before.rsplit_once('<')?.1.split_once('>')?.0.to_owned())
        });
        assert!(ids.len() <= 40, "a page came twice");
    }
    assert_eq!(ids.len(), 40);
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

#[tokio::test]
async fn page_numbers_are_sent_on_and_clamped_as_github_clamps_them() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (ours, theirs) in [
        ("", ""),
        ("?per_page=2", "per_page=2"),
        ("?page=2", "page=2"),
        ("?page=2&per_page=2&per_page=3", "per_page=3&page=2"),
        ("?per_page=101&page=0", "per_page=100"),
        ("?per_page=-5&page=99999999999999999999", "page=4294967295"),
        ("?since=2020&Page=3", ""),
    ] {
        running.github().clear_calls();
        let answer = running.get(&format!("{LIST}{ours}")).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{ours}");
        assert_eq!(running.github().calls()[0].query, theirs, "{ours}");
    }
}

#[tokio::test]
async fn a_page_that_is_no_number_is_422_and_named_without_a_call() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for (query, message) in [
        ("page=x", "Validation Failed: page must be an integer"),
        ("per_page=", "Validation Failed: per_page must be an integer"),
        ("per_page=1.5&page=%2B1", "Validation Failed: page must be an integer; per_page must be an integer"),
        ("page=%D9%A1", "Validation Failed: page must be an integer"),
        ("page=5/../../user", "Validation Failed: page must be an integer"),
    ] {
        let answer = running.get(&format!("{LIST}?{query}")).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {answer:?}");
        assert_eq!(github_message(&answer), message);
    }
    assert_eq!(running.get("/user/installations?page=x").send().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(running.paths(), [""; 0]);
}

#[tokio::test]
async fn the_clients_accept_and_version_reach_github_and_ours_stand_in_for_them() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let headers = |answer: &Answer| {
        ["x-github-media-type", "x-github-api-version-selected"]
            .map(|name| answer.header(name).unwrap_or_default().to_owned())
    };
    // The client of these tests sends `*/*`, as curl does.
    let plain = running.get(LIST).api_key(&user).send().await;
    assert_eq!(headers(&plain), ["github.v3; format=json", "2022-11-28"]);
    let chosen = running
        .get(LIST)
        .api_key(&user)
        .header("Accept", "application/vnd.github.machine-man-preview+json")
        .header("X-GitHub-Api-Version", "2026-03-10")
        .send()
        .await;
    assert_eq!(headers(&chosen), ["github.machine-man-preview; format=json", "2026-03-10"]);
    assert_eq!(chosen.body, plain.body);
}

#[tokio::test]
async fn a_version_that_github_does_not_have_is_githubs_own_400() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = running.get(LIST).api_key(&user).header("X-GitHub-Api-Version", "1999-01-01").send().await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(github_message(&answer).contains("\"1999-01-01\", is not a supported version"), "{answer:?}");
    let text = running.get(LIST).api_key(&user).header("Accept", "text/html").send().await;
    assert_eq!(text.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{text:?}");
}

#[tokio::test]
async fn a_known_etag_is_304_without_a_body_and_costs_no_rate_limit() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.github().reset_rate_limits();
    let first = running.get(LIST).api_key(&user).send().await;
    let etag = first.header("etag").expect("an ETag").to_owned();
    let again = running.get(LIST).api_key(&user).header("If-None-Match", &etag).send().await;
    assert_eq!((again.status, &*again.body), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.header("etag"), Some(&*etag));
    assert_eq!(again.header("x-ratelimit-used"), first.header("x-ratelimit-used"));
    insta::assert_snapshot!(again.wire());

    let login = running.account("octo-org");
    running.github().world(|world| world.rename(login, "octo-renamed"));
    let changed = running.get(LIST).api_key(&user).header("If-None-Match", &etag).send().await;
    assert_eq!(changed.status, StatusCode::OK);
    assert!(changed.body.contains("octo-renamed"));
}

#[tokio::test]
async fn a_forwarded_token_leaves_nothing_behind() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let rows = running.shown_rows(&user).await;
    let before = running.items_by_key().await;
    let token = running.github().mint_user_token("reader").access_token;
    for header in [format!("Bearer {token}"), format!("token {token}"), format!("bearer   {token}")] {
        let answer = running.get(LIST).header("Authorization", &header).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.json()["total_count"], 2);
    }
    let after = running.items_by_key().await;
    assert_eq!(after, before, "an item was written");
    assert!(!serde_json::to_string(&after).unwrap().contains(&token));
    assert_eq!(running.shown_rows(&user).await, rows);
}

#[tokio::test]
async fn a_forwarded_token_that_has_ended_is_githubs_401() {
    let running = start().await;
    let revoked = running.github().mint_user_token("octocat").access_token;
    running.github().revoke_grant("octocat");
    let expired = running.github().mint_user_token("octocat").access_token;
    running.wait(u64::try_from(USER_TOKEN_LIFE).unwrap() + 1);
    for token in [&*revoked, &*expired, "ghu_unknown", "rubbish", "eyJ.eyJ.x"] {
        running.github().clear_calls();
        let answer = running.get(LIST).bearer(token).send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(github_message(&answer), "Bad credentials");
        assert!(answer.header("x-github-request-id").is_some(), "it is GitHub's own: {answer:?}");
        assert_eq!(running.paths(), [LIST], "asked once, renewed never");
    }
}

#[tokio::test]
async fn the_apps_own_jwt_lists_no_users_installations() {
    let running = start().await;
    let answer = running.get(LIST).bearer(&app_jwt(&claims(&running.clock))).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    assert!(github_message(&answer).starts_with("You must authenticate with an access token"), "{answer:?}");
}

#[tokio::test]
async fn nobody_is_told_to_authenticate_in_githubs_form() {
    let running = start().await;
    let nobody = running.get(LIST).send().await;
    insta::assert_snapshot!(nobody.wire());
    for empty in [("Authorization", ""), ("X-Session-API-Key", ""), ("Cookie", "other=1")] {
        let answer = running.get(LIST).header(empty.0, empty.1).send().await;
        assert_eq!(answer.wire(), nobody.wire(), "{empty:?}");
    }
    assert_eq!(running.paths(), [""; 0]);
}

#[tokio::test]
async fn what_can_be_no_credential_is_401_and_is_not_sent_on() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let long = format!("Bearer {}", "a".repeat(1025));
    let unknown_key = format!("gik_{}", "A".repeat(43));
    for (name, value) in [
        ("Authorization", "Basic b2N0b2NhdDpwYXNzd29yZA=="),
        ("Authorization", "Bearer"),
        ("Authorization", "Digest username=octocat"),
        ("Authorization", "Bearer a b"),
        ("Authorization", "Bearer \u{fc}\u{fc}"),
        ("Authorization", &long),
        ("Authorization", &format!("Bearer {unknown_key}")),
        ("Authorization", "Bearer gik_short"),
        ("X-Session-API-Key", &unknown_key),
        ("X-Session-API-Key", &app_jwt(&claims(&running.clock))),
        ("Cookie", "neptun-session=AAAA"),
        ("Cookie", &format!("neptun-session={}", "A".repeat(43))),
        ("Cookie", &format!("neptun-session={}x", user.session_cookie)),
    ] {
        let answer = running.get(LIST).header(name, value).send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {value}");
        assert_eq!(github_message(&answer), "Bad credentials", "{name}: {value}");
    }
    assert_eq!(running.paths(), [""; 0]);
}

#[tokio::test]
async fn a_user_is_shown_what_the_own_token_shows_and_nothing_of_another_user() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let reader = running.sign_in("reader").await;
    let (mine, theirs) =
        tokio::join!(running.get(LIST).api_key(&octocat).send(), running.get(LIST).session(&reader).send(),);
    assert_eq!(mine.json()["total_count"], 4);
    assert_eq!(theirs.json()["total_count"], 2);
    assert!(theirs.body.contains("octo-org") && !theirs.body.contains("octo-labs"));
}

#[tokio::test]
async fn a_poisoned_link_never_leads_anywhere_but_to_us() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let poisoned =
        "<https://evil.example/steal?page=2&token=x>; rel=\"next\", <javascript:alert(1)>; rel=\"last\"";
    running.break_github(LIST, FaultKind::Link(poisoned.to_owned()));
    let answer = running.get(LIST).api_key(&user).send().await;
    let ours = format!("<{}{LIST}?page=2>; rel=\"next\"", running.stack.url);
    assert_eq!(answer.header("link"), Some(&*ours), "{answer:?}");
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_and_the_answer_is_githubs() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.wait(u64::try_from(USER_TOKEN_LIFE).unwrap() + 1);
    let process = running.new_process(Duration::from_secs(5)).await;
    let answer = process.get(LIST, ("X-Session-API-Key", &user.api_key)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(running.paths(), ["/login/oauth/access_token", LIST]);
}

fn wire_parts(answer: &Answer) -> (String, String) {
    let wire = answer.wire();
    let (headers, body) = wire.split_once("\n\n").expect("headers and body");
    (headers.to_owned(), body.to_owned())
}
