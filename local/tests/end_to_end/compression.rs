//! Answers compressed, through the gateway to a real client, and as the bytes that travel (RFC 9110, 8.4, 12.5.3).
//! Which are never compressed is `local/tests/policies/compression.rs`'s; the rules themselves, `runtime::outgoing`'s.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{HeaderMap, Method, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind, Selection, Target, World};

use crate::github_lab::LIST;
use crate::harness::{Running, Setup, start};

const REPOSITORIES: &str = "/api/user/repositories";

/// An answer as it travels.
struct Raw {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Raw {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn unpacked(&self) -> Vec<u8> {
        assert_eq!(self.header("content-encoding"), Some("gzip"));
        let mut body = Vec::new();
        GzDecoder::new(&*self.bytes).read_to_end(&mut body).expect("gzip");
        body
    }
}

/// By a client that changes nothing of what it gets.
async fn raw(running: &Running, user: &DemoUser, path: &str, accept: Option<&str>) -> Raw {
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls()).no_proxy().no_gzip().build();
    let mut request = client
        .expect("a client")
        .request(Method::GET, format!("{}{path}", running.stack.url))
        .header("X-Session-API-Key", &user.api_key);
    if let Some(accept) = accept {
        request = request.header("Accept-Encoding", accept);
    }
    let answer = request.send().await.expect("the gateway answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    Raw { status, headers, bytes: answer.bytes().await.expect("a whole body").into() }
}

fn tls() -> rustls::ClientConfig {
    shared::provider::upstream::tls_config(&[]).expect("TLS without further roots")
}

#[tokio::test]
async fn the_bytes_are_gzip_for_who_takes_it_and_the_body_for_who_does_not() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let imports = format!("/api/users/{}/installations/1/imports", user.user_id);
    for path in [LIST, "/users/octocat/installation", REPOSITORIES, &imports] {
        running.github().reset_rate_limits();
        let plain = raw(&running, &user, path, None).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (StatusCode::OK, None), "{path}");
        for refusing in ["gzip;q=0", "identity", "br, zstd", "gzip;q=0.1, identity"] {
            let refused = raw(&running, &user, path, Some(refusing)).await;
            assert_eq!(refused.bytes, plain.bytes, "{path}: {refusing}");
            assert_eq!(refused.header("content-encoding"), None);
        }
        for taking in ["gzip", "br;q=1.0, gzip;q=0.8", "*"] {
            let packed = raw(&running, &user, path, Some(taking)).await;
            assert_eq!(packed.unpacked(), plain.bytes, "{path}: {taking}");
            assert_eq!(packed.header("content-length"), Some(&*packed.bytes.len().to_string()));
            assert!(packed.bytes.len() * 4 / 3 < plain.bytes.len(), "{path}: {}", packed.bytes.len());
            assert_eq!(packed.header("vary"), plain.header("vary"), "{path}");
            assert_eq!(packed.header("content-type"), plain.header("content-type"), "{path}");
        }
        let vary = "Cookie, Authorization, X-Session-API-Key, Accept-Encoding";
        assert_eq!(plain.header("vary"), Some(vary), "{path}");
        // A client that asks for gzip by itself, and unpacks it.
        let read = running.get(path).api_key(&user).send().await;
        assert_eq!(read.body.as_bytes(), plain.bytes, "{path}");
    }
}

#[tokio::test]
async fn githubs_tag_is_strong_on_githubs_bytes_and_weak_on_compressed_ones() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let strong = raw(&running, &user, LIST, None).await.header("etag").expect("a tag").to_owned();
    assert!(strong.starts_with('"'));
    let weak = format!("W/{strong}");
    assert_eq!(raw(&running, &user, LIST, Some("gzip")).await.header("etag"), Some(&*weak));
    for known in [&strong, &weak] {
        let same = running.get(LIST).api_key(&user).header("If-None-Match", known).send().await;
        assert_eq!((same.status, same.header("etag")), (StatusCode::NOT_MODIFIED, Some(&*weak)));
    }
}

#[tokio::test]
async fn small_answers_and_failures_are_sent_as_they_are() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let long = format!("/api/user/installations?provider={}", "x".repeat(3000));
    for (path, status) in [
        ("/api/user/installations?provider=github", StatusCode::OK),
        ("/healthz", StatusCode::OK),
        (&long, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = raw(&running, &user, path, Some("gzip")).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (status, None), "{path}");
    }
}

async fn with_one_installation() -> (Running, DemoUser) {
    let mut world = World::new();
    let big = world.add_user("big", "Has more repositories than one answer holds");
    world.install(Target::Account(big), Selection::All);
    let running = Setup { world, ..Setup::default() }.start().await;
    let user = running.sign_in("big").await;
    (running, user)
}

/// Lambda carries 6 MB, and a body that is not compressed as an escaped text.
#[tokio::test]
async fn ten_thousand_repositories_with_the_longest_names_fit_compressed_and_are_refused_with_advice_else() {
    let (running, user) = with_one_installation().await;
    let path = "/user/installations/5001/repositories";
    for page in (1..=100_u32).rev() {
        let name = |n: u32| format!("{}/{n:05}-{}", "o".repeat(39), "long-name-".repeat(60));
        let rows: Vec<String> = ((page - 1) * 100..page * 100)
            .map(|n| format!(r#"{{"id":{n},"full_name":"{}"}}"#, name(n)))
            .collect();
        let body = format!(r#"{{"total_count":10000,"repositories":[{}]}}"#, rows.join(","));
        let kind = FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
        running.github().fail(Fault::get(path, kind).where_query(&format!("&page={page}")));
    }
    let packed = raw(&running, &user, REPOSITORIES, Some("gzip")).await;
    assert_eq!((packed.status, packed.header("x-total-count")), (StatusCode::OK, Some("10000")));
    let body = packed.unpacked();
    assert!(body.len() > 6_291_556, "{} bytes", body.len());
    let rows: Vec<serde::de::IgnoredAny> = serde_json::from_slice(&body).expect("a list");
    assert_eq!(rows.len(), 10_000);

    let refused = raw(&running, &user, REPOSITORIES, None).await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
    insta::assert_snapshot!(String::from_utf8_lossy(&refused.bytes));
    let page = raw(&running, &user, &format!("{REPOSITORIES}?page=1&per_page=100"), None).await;
    assert_eq!(page.status, StatusCode::OK, "as advised");
}

#[tokio::test]
async fn the_usual_ten_thousand_repositories_fit_in_either_form_and_compressed_take_a_fifth_at_most() {
    let (running, user) = with_one_installation().await;
    running.serve_repositories("5001", 10_000);
    let plain = raw(&running, &user, REPOSITORIES, None).await;
    let packed = raw(&running, &user, REPOSITORIES, Some("gzip")).await;
    assert_eq!((plain.status, packed.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(packed.unpacked(), plain.bytes);
    assert!(packed.bytes.len() * 5 < plain.bytes.len(), "{} of {}", packed.bytes.len(), plain.bytes.len());
}
