//! The rules of one call: what is tried again, what is not, and what is never printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A host that answers each request with the next of these texts, the last one for ever, and counts.
async fn host(answers: &'static [&'static str]) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?code=secret", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            // A test's client sends its small request at once.
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answers[number.min(answers.len() - 1)].as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, asked)
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
const DOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndown";
const CUT: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\nhalf of it";
const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

fn upstream() -> Upstream {
    Upstream::new(http_client(&[]).unwrap())
}

fn call(method: Method, url: &Url) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer ghu_secret"));
    Call { method, url: url.clone(), headers, body: Some(Bytes::from_static(b"client_secret=secret")) }
}

fn seconds(seconds: u64) -> Budget {
    Budget::new(Instant::now() + Duration::from_secs(seconds), 4)
}

async fn ask(method: Method, url: &Url) -> Result<u16, ProviderError> {
    let answer = upstream().call(ProviderType::Github, &call(method, url), &seconds(10)).await?;
    Ok(answer.status.as_u16())
}

#[tokio::test]
async fn a_get_is_tried_three_times_and_the_last_answer_counts() {
    let (url, asked) = host(&[DOWN]).await;
    let answer = upstream().call(ProviderType::Github, &call(Method::GET, &url), &seconds(10)).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (503, &b"down"[..]));
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (url, asked) = host(&[DOWN, CUT, OK]).await;
    assert_eq!(ask(Method::GET, &url).await, Ok(200));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_host_that_says_it_failed_is_not_asked_again() {
    let (url, asked) = host(&[ERROR, OK]).await;
    assert_eq!(ask(Method::GET, &url).await, Ok(500));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_may_have_happened_at_the_host_is_not_done_twice() {
    for method in [Method::POST, Method::DELETE] {
        let (url, asked) = host(&[DOWN, OK]).await;
        assert_eq!(ask(method.clone(), &url).await, Ok(503), "{method}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{method}");
        let (url, asked) = host(&[CUT, OK]).await;
        assert_eq!(ask(method.clone(), &url).await, Err(ProviderError::Unreachable), "{method}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{method}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable_and_not_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    for method in [Method::GET, Method::POST] {
        assert_eq!(ask(method, &url).await, Err(ProviderError::Unreachable));
    }
}

#[tokio::test]
async fn the_deadline_ends_a_call_and_all_of_its_tries() {
    // Accepts connections in its backlog and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let started = Instant::now();
    let budget = Budget::new(started + Duration::from_millis(100), 1);
    let calls = [call(Method::GET, &url), call(Method::GET, &url)];
    let way = upstream();
    // The second one waits for the first one's permit, within the same deadline.
    let (one, two) = tokio::join!(
        way.call(ProviderType::Github, &calls[0], &budget),
        way.call(ProviderType::Github, &calls[1], &budget),
    );
    for result in [one, two] {
        assert_eq!(result.unwrap_err(), ProviderError::Timeout);
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_printed_call_and_answer_show_nothing_secret() {
    let url = "https://api.github.com/login?code=secret".parse().unwrap();
    let call = call(Method::POST, &url);
    assert_eq!(format!("{call:?}"), "Call(POST /login)");
    let answer =
        Answer { status: StatusCode::OK, headers: call.headers, body: Bytes::from_static(b"secret") };
    assert_eq!(format!("{answer:?}"), "Answer(200 OK, 6 bytes)");
}

#[test]
fn a_header_that_is_no_text_is_none() {
    let mut headers = HeaderMap::new();
    headers.insert("link", HeaderValue::from_bytes(b"\xff").unwrap());
    headers.insert("etag", HeaderValue::from_static("\"x\""));
    let answer = Answer { status: StatusCode::OK, headers, body: Bytes::new() };
    assert_eq!((answer.header("link"), answer.header("ETag")), (None, Some("\"x\"")));
}
