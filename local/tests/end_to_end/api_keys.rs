//! `/api/keys`: made, shown once, listed, ended; a user's own and nobody else's.

use std::time::Duration;

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use serde_json::{Value, json};

use crate::harness::{Answer, Running, start};
use crate::openhands::INSTALLATIONS;

const KEYS: &str = "/api/keys";

async fn create(running: &Running, user: &DemoUser, name: &str) -> Answer {
    let made = running.post(KEYS).api_key(user).json(&json!({ "name": name })).send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn status_of(running: &Running, key: &str) -> StatusCode {
    running.get(KEYS).header("X-Session-API-Key", key).send().await.status
}

#[tokio::test]
async fn a_key_is_shown_once_works_at_once_and_until_it_is_ended() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let made = create(&running, &user, "laptop").await;
    let row = made.json();
    let (id, key, created) = (text(&row["id"]), text(&row["key"]), text(&row["created_at"]));
    let shown = made.wire().replace(id, "[id]").replace(key, "[key]").replace(created, "[now]");
    insta::assert_snapshot!(shown.replace(&key[..8], "[prefix]"), @r#"
    201 Created
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"id":"[id]","name":"laptop","prefix":"[prefix]","key":"[key]","created_at":"[now]"}
    "#);
    assert!(id.starts_with("key_") && key.starts_with("gik_") && key.len() == 47, "{row}");
    assert_eq!(running.get(INSTALLATIONS).bearer(key).send().await.status, StatusCode::OK);

    let list = running.get(KEYS).api_key(&user).send().await;
    assert_eq!(list.column("name"), ["cargo run", "laptop"], "oldest first");
    assert!(!list.body.contains(key) && !list.body.contains(&key[8..]), "{list:?}");

    let ended = running.delete(&format!("{KEYS}/{id}")).api_key(&user).send().await;
    insta::assert_snapshot!(ended.wire(), @r"
    204 No Content
    cache-control: no-store
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff
    ");
    assert_eq!(status_of(&running, key).await, StatusCode::UNAUTHORIZED);
    assert_eq!(running.get(INSTALLATIONS).bearer(key).send().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(running.get(KEYS).api_key(&user).send().await.column("name"), ["cargo run"]);
    let again = running.delete(&format!("{KEYS}/{id}")).api_key(&user).send().await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_may_end_itself() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let row = create(&running, &user, "short-lived").await.json();
    let path = format!("{KEYS}/{}", text(&row["id"]));
    let ended = running.delete(&path).bearer(text(&row["key"])).send().await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(status_of(&running, text(&row["key"])).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_users_key_does_not_exist_and_goes_on_working() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let other = running.sign_in("reader").await;
    let row = create(&running, &owner, "mine").await.json();
    let (id, key) = (text(&row["id"]), text(&row["key"]));
    let foreign = running.delete(&format!("{KEYS}/{id}")).api_key(&other).send().await;
    let absent =
        running.delete(&format!("{KEYS}/key_01HZY3V4J6Q8R9S0T1V2W3X4Y5")).api_key(&other).send().await;
    assert_eq!(foreign.wire(), absent.wire(), "the two look the same");
    assert_eq!((foreign.status, &*foreign.body), (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#));
    assert_eq!(status_of(&running, key).await, StatusCode::OK);
    assert!(!running.get(KEYS).api_key(&other).send().await.body.contains(id));
}

#[tokio::test]
async fn an_id_that_is_none_is_not_found() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let long = "x".repeat(3_000);
    for id in [
        "x",
        "key_",
        "key_01HZY3V4J6Q8R9S0T1V2W3X4Y",
        "01HZY3V4J6Q8R9S0T1V2W3X4Y5",
        "key_01HZY3V4J6Q8R9S0T1V2W3X4Y5%2F..",
        "%2E%2E",
        "key_%00",
        "..%2f..%2fusers",
        "key_%23",
        &long,
    ] {
        let answer = running.delete(&format!("{KEYS}/{id}")).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}: {answer:?}");
    }
    assert_eq!(status_of(&running, &user.api_key).await, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_the_field_named() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mut table = String::new();
    for (content_type, body) in [
        ("application/json", ""),
        ("application/json", "{"),
        ("application/json", "name=laptop"),
        ("application/json", "null"),
        ("application/json", "[]"),
        ("application/json", r#""laptop""#),
        ("application/json", "{}"),
        ("application/json", r#"{"Name":"laptop"}"#),
        ("application/json", r#"{"name":null}"#),
        ("application/json", r#"{"name":1}"#),
        ("application/json", r#"{"name":["laptop"]}"#),
        ("application/json", r#"{"name":""}"#),
        ("application/json", r#"{"name":"a"} x"#),
        ("text/plain", r#"{"name":"laptop"}"#),
        ("application/x-www-form-urlencoded", "name=laptop"),
    ] {
        let request = running.post(KEYS).api_key(&user).header("content-type", content_type);
        let answer = request.body(body).send().await;
        table += &format!("{content_type}: {body}\n{} {}\n\n", answer.status.as_u16(), answer.body);
    }
    let invalid = running.post(KEYS).api_key(&user).header("content-type", "application/json");
    let answer = invalid.body(b"{\"name\":\"\xff\"}".to_vec()).send().await;
    table +=
        &format!("application/json: bytes that are no UTF-8\n{} {}\n", answer.status.as_u16(), answer.body);
    insta::assert_snapshot!(table);
    assert_eq!(running.get(KEYS).api_key(&user).send().await.column("name").len(), 1, "none was made");
}

#[tokio::test]
async fn a_name_has_one_to_a_hundred_characters_and_comes_back_as_it_was() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let longest = "ü".repeat(100);
    for name in ["x", &longest, "<script>\"'\\ \n日本", "  ", "laptop", "laptop"] {
        assert_eq!(create(&running, &user, name).await.json()["name"], name);
    }
    let too_long = format!("{longest}x");
    let refused = running.post(KEYS).api_key(&user).json(&json!({ "name": too_long })).send().await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.json(),
        json!({"detail": [{
            "type": "string_too_long",
            "loc": ["body", "name"],
            "msg": "String should have at most 100 characters",
            "input": too_long,
            "ctx": {"max_length": 100},
        }]})
    );
}

#[tokio::test]
async fn the_fifty_first_key_is_refused_until_one_is_ended() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mut last = Value::Null;
    for number in 2..=50 {
        last = create(&running, &user, &format!("key {number}")).await.json();
    }
    let refused = running.post(KEYS).api_key(&user).json(&json!({ "name": "one more" })).send().await;
    insta::assert_snapshot!(refused.wire(), @r#"
    403 Forbidden
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"error":"there are 50 API keys, the most a user may have; end one first","message":"there are 50 API keys, the most a user may have; end one first","code":"forbidden","provider":null}
    "#);
    let path = format!("{KEYS}/{}", text(&last["id"]));
    assert_eq!(running.delete(&path).api_key(&user).send().await.status, StatusCode::NO_CONTENT);
    create(&running, &user, "one more").await;
}

#[tokio::test]
async fn no_key_and_no_session_stands_in_the_table() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let row = create(&running, &user, "laptop").await.json();
    let key = text(&row["key"]);
    assert_eq!(status_of(&running, key).await, StatusCode::OK);
    let dump = json!(running.items().await).to_string();
    assert!(dump.contains(text(&row["id"])) && dump.contains("laptop"), "the row is there");
    let tokens = running.github().mint_user_token("octocat");
    for secret in [key, &user.api_key, &user.session_cookie] {
        assert!(!dump.contains(secret) && !dump.contains(&secret[8..]), "a secret stands in the table");
    }
    for prefix in ["ghu_", "ghr_", &tokens.access_token] {
        assert!(!dump.contains(prefix), "{prefix} stands in the table");
    }
}

#[tokio::test]
async fn last_use_is_seen_and_noted_again_after_ten_minutes() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let row = create(&running, &user, "laptop").await.json();
    let last_used = || async {
        let list = running.get(KEYS).session(&user).send().await.json();
        list.as_array().expect("a list")[1]["last_used_at"].clone()
    };
    assert_eq!(last_used().await, Value::Null, "made and not used yet");
    status_of(&running, text(&row["key"])).await;
    let first = last_used().await;
    assert!(text(&first).ends_with('Z'), "{first}");
    running.clock.advance(Duration::from_secs(300));
    status_of(&running, text(&row["key"])).await;
    assert_eq!(last_used().await, first, "a read does not cost a write each time");
    running.clock.advance(Duration::from_secs(301));
    status_of(&running, text(&row["key"])).await;
    assert!(text(&last_used().await) > text(&first));
}

#[tokio::test]
async fn a_cookie_makes_and_ends_keys_only_from_our_own_pages() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let own = running.stack.url.clone();
    let row = create(&running, &user, "target").await.json();
    let path = format!("{KEYS}/{}", text(&row["id"]));
    for headers in [
        vec![],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("origin", "")],
        vec![("origin", "http://localhost:1")],
        vec![("origin", "http://localhost.evil.example")],
        vec![("origin", &*own), ("sec-fetch-site", "cross-site")],
        vec![("origin", &*own), ("sec-fetch-site", "same-site")],
        vec![("origin", &*own), ("origin", "https://evil.example")],
        vec![("sec-fetch-site", "none")],
        vec![("referer", &*own)],
    ] {
        for method in [Method::POST, Method::DELETE] {
            let path = if method == Method::POST { KEYS } else { &path };
            let request = running.request(method, path).session(&user).json(&json!({"name": "evil"}));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            let answer = request.send().await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}: {answer:?}");
            assert_eq!(answer.json()["code"], "forbidden");
        }
    }
    assert_eq!(running.get(KEYS).session(&user).send().await.column("name"), ["cargo run", "target"]);
    for headers in [
        vec![("origin", &*own)],
        vec![("origin", &*own), ("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "same-origin")],
    ] {
        let request = running.post(KEYS).session(&user).json(&json!({"name": "own"}));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(request.send().await.status, StatusCode::CREATED, "{headers:?}");
    }
    let ended = running.delete(&path).session(&user).header("origin", &own).send().await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
}
