//! Requests that no honest client sends get a clear answer from every route: never a 5xx, never silence.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Running, start};
use crate::requests::{Caller, Case, ask, cases};

/// What nobody may have to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer to these bytes: its status and all of its text.
async fn raw(running: &Running, head: &str) -> (u16, String) {
    let address = running.stack.url.trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The gateway may answer, and close, before it has read everything.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    };
    let text = tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_| panic!("no answer to {}", head.chars().take(200).collect::<String>()));
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {text:?}")), text)
}

fn head(case: &Case, headers: &str) -> String {
    let line = format!("{} {} HTTP/1.1", case.method(), case.path);
    format!("{line}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n")
}

/// One request for each route.
fn one_each(cases: Vec<Case>) -> Vec<Case> {
    let mut cases = cases;
    cases.dedup_by(|second, first| second.route == first.route);
    cases
}

#[tokio::test]
async fn a_cookie_of_a_megabyte_is_too_large_for_every_route() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let cookie = format!("Cookie: neptun-session={}\r\n", "x".repeat(1 << 20));
    for case in one_each(cases(&user)) {
        let (status, text) = raw(&running, &head(&case, &cookie)).await;
        assert_eq!(status, 431, "{}: {text}", case.route);
        let body = r#"{"message":"Request Header Fields Too Large"}"#;
        assert!(case.method() == Method::HEAD || text.ends_with(body), "{text}");
    }
}

#[tokio::test]
async fn a_hundred_cookies_are_read_and_the_right_one_is_found() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let others: String = (0..100).map(|number| format!("c{number}=v; ")).collect();
    let cookies = format!("Cookie: {others}neptun-session={}\r\n", user.session_cookie);
    for case in one_each(cases(&user)).into_iter().filter(|case| case.method() == Method::GET) {
        let (status, text) = raw(&running, &head(&case, &cookies)).await;
        let alone = ask(&running, &user, &case, Caller::Session).await;
        assert_eq!(status, alone.status.as_u16(), "{}: {text}", case.route);
    }
    let separate: String = (0..100).map(|number| format!("Cookie: c{number}=v\r\n")).collect();
    let cookies = format!("{separate}Cookie: neptun-session={}\r\n", user.session_cookie);
    let (status, text) = raw(
        &running,
        &format!("GET /api/keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookies}\r\n"),
    )
    .await;
    assert_eq!(status, 200, "{text}");
}

#[tokio::test]
async fn credentials_that_come_twice_prove_nothing() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let key = &user.api_key;
    let doubled = [
        format!("Authorization: Bearer {key}\r\nAuthorization: Bearer {key}\r\n"),
        format!("Authorization: Bearer {key}\r\nAuthorization: Basic eDp5\r\n"),
        format!("X-Session-API-Key: {key}\r\nX-Session-API-Key: {key}\r\n"),
        format!("Authorization: Bearer {key}, Bearer {key}\r\n"),
        format!("Authorization: Bearer  {key} x\r\n"),
    ];
    for headers in doubled {
        for case in one_each(cases(&user)).into_iter().filter(|case| !case.is_open()) {
            let (status, text) = raw(&running, &head(&case, &headers)).await;
            assert_eq!(status, 401, "{} {headers:?}: {text}", case.route);
        }
    }
    assert!(running.github().calls().is_empty(), "{:?}", running.github().calls());
}

#[tokio::test]
async fn nothing_sent_becomes_a_header_of_an_answer() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let injection = "%0d%0aSet-Cookie:%20evil=1%0d%0aX-Evil:%201%0d%0a%0d%0aevil";
    let session = format!("Cookie: neptun-session={}\r\n", user.session_cookie);
    let own = format!("X-Session-API-Key: {}\r\nX-Evil: 1\r\n", user.api_key);
    for case in cases(&user) {
        let separator = if case.path.contains('?') { '&' } else { '?' };
        let path = case.path.split('?').next().unwrap_or_default();
        let last = path.rsplit_once('/').map_or("", |(before, _)| before);
        for path in [
            format!(
                "{}{separator}x={injection}&return_to=/{injection}&installation_id={injection}",
                case.path
            ),
            format!("{path}?provider={injection}&selected_provider=github&page=1&sort={injection}"),
            format!("{last}/{injection}"),
        ] {
            for headers in [&session, &own] {
                let case = Case { path: path.clone(), ..case.clone() };
                let (status, text) = raw(&running, &head(&case, headers)).await;
                let head = text.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
                assert!(status < 500, "{path}: {text}");
                for line in head.lines() {
                    assert!(!line.starts_with("x-evil") && !line.contains("cookie: evil"), "{path}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_smuggles_another_is_refused() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for case in one_each(cases(&user)) {
        let line =
            format!("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", case.method(), case.path);
        for headers in [
            "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "X-Evil : 1\r\n\r\n",
            "X-Evil\0: 1\r\n\r\n",
            "Transfer-Encoding: x\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
        ] {
            let (status, text) = raw(&running, &format!("{line}{headers}")).await;
            assert_eq!(status, 400, "{} {headers:?}: {text}", case.route);
        }
    }
}

#[tokio::test]
async fn other_methods_of_a_route_are_not_found() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let routes: Vec<String> = cases(&user).into_iter().map(|case| case.route).collect();
    for case in one_each(cases(&user)) {
        let path = case.route.split(' ').nth(1).unwrap_or_default();
        for method in ["HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "POST", "DELETE", "get", "NONSENSE"] {
            if routes.contains(&format!("{method} {path}")) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = running.request(method.clone(), &case.path).api_key(&user).send().await;
            let what = format!("{method} {}", case.path);
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{what}: {answer:?}");
            let body = if method == Method::HEAD { "" } else { r#"{"message":"Not Found"}"# };
            assert_eq!(answer.body, body, "{what}");
        }
    }
    assert!(running.github().calls().is_empty(), "{:?}", running.github().calls());
}

#[tokio::test]
async fn a_body_where_none_is_expected_and_odd_paths_do_no_harm() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for case in one_each(cases(&user)).into_iter().filter(|case| case.method() != Method::POST) {
        let with_body = Case { body: Some(serde_json::json!({"x": "y".repeat(100_000)})), ..case.clone() };
        let plain = ask(&running, &user, &case, Caller::Session).await;
        let with_body = ask(&running, &user, &with_body, Caller::Session).await;
        assert_eq!(plain.status, with_body.status, "{}: {with_body:?}", case.route);
    }
    let key = format!("X-Session-API-Key: {}\r\n", user.api_key);
    for case in one_each(cases(&user)) {
        let path = case.path.split('?').next().unwrap_or_default();
        let trailing = format!("{path}/");
        let doubled = path.replacen('/', "//", 1);
        let climbing = format!("/x/..{path}");
        let dots = format!("{path}/%2e%2e");
        let shouted = path.to_ascii_uppercase();
        for odd in [trailing, doubled, climbing, dots, shouted] {
            let case = Case { path: odd.clone(), ..case.clone() };
            let (status, text) = raw(&running, &head(&case, &key)).await;
            assert!((400..500).contains(&status), "{odd}: {text}");
        }
        let long = Case { path: format!("{path}?x={}", "y".repeat(20_000)), ..case.clone() };
        let (status, text) = raw(&running, &head(&long, &key)).await;
        assert_eq!(status, 431, "{path}: {text}");
    }
}
