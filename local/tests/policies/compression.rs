//! Which answers are compressed, over every route, caller and kind of answer: none that may hold a secret beside what
//! somebody has chosen (BREACH), whatever the client takes; and every other is the same body in both forms.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{HeaderMap, Method, StatusCode};

use crate::harness::{Running, start};
use crate::requests::{Case, cases};

/// What the session and the key are called in requests of this test.
struct Who<'a> {
    cookie: &'a str,
    origin: &'a str,
}

/// Status, headers and bytes as they travel.
async fn raw(
    client: &reqwest::Client,
    running: &Running,
    case: &Case,
    who: &Who<'_>,
    accept: &str,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = client
        .request(case.method(), format!("{}{}", running.stack.url, case.path))
        .header("Cookie", who.cookie)
        .header("Origin", who.origin)
        .header("Accept-Encoding", accept);
    if let Some(body) = &case.body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.expect("the gateway answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.bytes().await.expect("a whole body").into())
}

#[tokio::test]
async fn only_what_is_read_and_holds_no_secret_is_compressed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let tls = shared::provider::upstream::tls_config(&[]).expect("TLS without further roots");
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let cookie = format!("neptun-session={}", user.session_cookie);
    let who = Who { cookie: &cookie, origin: &running.stack.url };
    let mut compressed = 0;
    for case in cases(&user) {
        let what = format!("{} {}", case.method(), case.path);
        for accept in ["gzip", "gzip, identity;q=0"] {
            let (status, headers, bytes) = raw(&client, &running, &case, &who, accept).await;
            let says = |name: &str| headers.get(name).map(|value| value.to_str().expect("text"));
            let may = !case.is_auth() && matches!(case.method(), Method::GET | Method::HEAD);
            let varies = says("vary").is_some_and(|vary| vary.contains("Accept-Encoding"));
            assert_eq!(varies, may && status == StatusCode::OK, "{what}: {headers:?}");
            let Some(coding) = says("content-encoding") else {
                assert!(std::str::from_utf8(&bytes).is_ok(), "{what}: bytes without a coding");
                continue;
            };
            assert!(may && status == StatusCode::OK && coding == "gzip", "{what}: {headers:?}");
            assert!(says("set-cookie").is_none(), "{what}");
            if case.method() == Method::HEAD {
                continue;
            }
            let mut body = Vec::new();
            GzDecoder::new(&*bytes).read_to_end(&mut body).expect("gzip");
            assert!(std::str::from_utf8(&body).is_ok_and(|body| !body.contains(&user.api_key)), "{what}");
            compressed += 1;
        }
    }
    assert!(compressed > 5, "{compressed} answers");
}
