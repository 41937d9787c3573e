//! Who may ask OpenHands' routes, in which order a request is checked, and what refused ones read.

use http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Request, Running, start};
use crate::openhands::{INSTALLATIONS, REPOSITORIES};

const ROUTES: [&str; 3] = [INSTALLATIONS, REPOSITORIES, "/api/keys"];
const UNAUTHORIZED: &str = r#"{"detail":"Unauthorized"}"#;
const NOT_LINKED: &str = r#""Git provider token required. (such as GitHub).""#;

fn with(running: &Running, path: &str, headers: &[(&str, &str)]) -> Request {
    headers.iter().fold(running.get(path), |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn nobody_is_answered_without_a_credential_that_is_ours() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let github_token = running.github().mint_user_token("octocat").access_token;
    let bearer = |text: &str| format!("Bearer {text}");
    let key = user.api_key.as_str();
    let (last, rest) = (key.chars().last().unwrap(), &key[..key.len() - 1]);
    let another = format!("{rest}{}", if last == 'A' { 'E' } else { 'A' });
    let twice = format!("{key},{key}");
    let cookie = user.session_cookie.as_str();
    let named = |value: &str| format!("neptun-session={value}");
    let long = named(&"A".repeat(8_000));
    for headers in [
        vec![],
        vec![("X-Session-API-Key", "nonsense")],
        vec![("X-Session-API-Key", "gik_")],
        vec![("X-Session-API-Key", &*another)],
        vec![("X-Session-API-Key", rest)],
        vec![("X-Session-API-Key", &key[4..])],
        vec![("X-Session-API-Key", &*key.to_uppercase())],
        vec![("X-Session-API-Key", key), ("X-Session-API-Key", key)],
        vec![("X-Session-API-Key", &*twice)],
        vec![("X-Session-API-Key", cookie)],
        vec![("X-Session-API-Key", &*github_token)],
        // An explicit credential that is wrong is not made good by a cookie that is right.
        vec![("X-Session-API-Key", "nonsense"), ("Cookie", &*named(cookie))],
        vec![("Authorization", key)],
        vec![("Authorization", "Bearer")],
        vec![("Authorization", "Bearer ")],
        vec![("Authorization", &*bearer(&another))],
        vec![("Authorization", &*bearer(&github_token))],
        vec![("Authorization", &*format!("token {github_token}"))],
        vec![("Authorization", &*format!("Basic {key}"))],
        vec![("Authorization", &*bearer(key)), ("Authorization", &*bearer(key))],
        vec![("Authorization", &*bearer(cookie))],
        vec![("Cookie", "neptun-session")],
        vec![("Cookie", "neptun-session=")],
        vec![("Cookie", "=; ;;=neptun-session; neptun-session=%00")],
        vec![("Cookie", &*named(&format!("\"{cookie}\"")))],
        vec![("Cookie", &*named(&cookie[1..]))],
        vec![("Cookie", &*named(key))],
        vec![("Cookie", &*format!("Neptun-Session={cookie}"))],
        vec![("Cookie", &*format!("xneptun-session={cookie}"))],
        vec![("Cookie", &*long)],
    ] {
        for path in ROUTES {
            let answer = with(&running, path, &headers).send().await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {headers:?}");
            assert_eq!(answer.body, UNAUTHORIZED, "{path} {headers:?}");
        }
    }
    assert!(running.github().calls().is_empty(), "GitHub was asked for nobody");
}

#[tokio::test]
async fn a_refused_caller_reads_what_openhands_writes_and_nothing_may_keep_it() {
    let running = start().await;
    let answer = running.get(INSTALLATIONS).send().await;
    insta::assert_snapshot!(answer.wire(), @r#"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"detail":"Unauthorized"}
    "#);
}

#[tokio::test]
async fn a_key_or_a_session_is_taken_in_each_of_its_forms() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let (key, cookie) = (&user.api_key, &user.session_cookie);
    let named = format!("neptun-session={cookie}");
    for headers in [
        vec![("X-Session-API-Key", key.clone())],
        vec![("x-session-api-key", format!("  {key} "))],
        vec![("Authorization", format!("Bearer {key}"))],
        vec![("Authorization", format!("bearer  {key}"))],
        vec![("Authorization", format!("token {key}"))],
        vec![("Cookie", named.clone())],
        vec![("Cookie", format!("theme=dark; {named};other=1"))],
        // An empty header is none, so the next credential counts.
        vec![("X-Session-API-Key", String::new()), ("Cookie", named.clone())],
        vec![("X-Session-API-Key", String::new()), ("Authorization", format!("Bearer {key}"))],
    ] {
        for path in ROUTES {
            let borrowed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = with(&running, path, &borrowed).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {headers:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_cookie_of_a_megabyte_is_refused_before_anything_reads_it() {
    let running = start().await;
    let cookie = format!("neptun-session={}", "A".repeat(1 << 20));
    let answer = running.get(INSTALLATIONS).header("Cookie", &cookie).send().await;
    assert_eq!(answer.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn who_asks_is_checked_before_what_is_asked() {
    let running = start().await;
    for path in [
        "/api/user/installations".to_owned(),
        "/api/user/installations?provider=nope".to_owned(),
        format!("{REPOSITORIES}?selected_provider=nope&page=x&installation_id=../x"),
    ] {
        let answer = running.get(&path).send().await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, UNAUTHORIZED), "{path}");
    }
    for (method, path) in [(Method::POST, "/api/keys"), (Method::DELETE, "/api/keys/nonsense")] {
        let answer = running.request(method, path).json(&json!([])).send().await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, UNAUTHORIZED), "{path}");
    }
}

#[tokio::test]
async fn what_is_asked_is_checked_before_what_is_linked() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.unlink(1001).await;
    for path in [
        "/api/user/installations",
        "/api/user/installations?provider=nope",
        "/api/user/repositories?page=x",
        "/api/user/repositories?selected_provider=github&installation_id=../x",
    ] {
        let answer = running.get(path).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {answer:?}");
    }
    for path in [
        INSTALLATIONS,
        REPOSITORIES,
        "/api/user/repositories?page=2&per_page=5",
        "/api/user/repositories?selected_provider=github",
        "/api/user/repositories?selected_provider=github&installation_id=5001",
    ] {
        let answer = running.get(path).api_key(&user).send().await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, NOT_LINKED), "{path}");
    }
    assert!(running.github().calls().is_empty());
    // A key is a user's, whatever is linked.
    assert_eq!(running.get("/api/keys").api_key(&user).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_provider_that_is_not_linked_is_no_empty_list() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for provider in ["gitlab", "bitbucket", "enterprise_sso"] {
        for path in [
            format!("/api/user/installations?provider={provider}"),
            format!("{REPOSITORIES}?selected_provider={provider}"),
            format!("{REPOSITORIES}?selected_provider={provider}&installation_id=acme&page=1&per_page=30"),
        ] {
            let answer = running.get(&path).api_key(&user).send().await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, NOT_LINKED), "{path}");
        }
    }
    assert!(running.github().calls().is_empty(), "nor is another provider asked instead");
}
