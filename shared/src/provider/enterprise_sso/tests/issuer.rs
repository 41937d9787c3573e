//! The issuer's HTTP: an answer for each path, and a record of what was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    /// Everything before the body.
    pub(super) head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The fields of a form, in order.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

#[derive(Default)]
struct Served {
    answers: HashMap<String, String>,
    /// Path, `Authorization`, and what only that one is answered.
    special: Vec<(String, String, String)>,
    asked: Vec<Request>,
}

pub(super) struct Host {
    pub(super) origin: String,
    served: Arc<Mutex<Served>>,
}

impl Host {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Mutex::new(Served::default()));
        let answering = served.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, answering.clone()));
            }
        });
        Self { origin, served }
    }

    /// From now on, this path answers so.
    pub(super) fn serve(&self, path: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut text =
            format!("HTTP/1.1 {status} \r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.served.lock().unwrap().answers.insert(path.to_owned(), format!("{text}\r\n{body}"));
    }

    pub(super) fn serve_json(&self, path: &str, body: &Value) {
        self.serve(path, 200, &[("content-type", "application/json")], &body.to_string());
    }

    /// From now on, this path answers so to whom that `Authorization` proves.
    pub(super) fn serve_authorized(&self, path: &str, authorization: &str, body: &str) {
        let text =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.served.lock().unwrap().special.push((path.to_owned(), authorization.to_owned(), text));
    }

    /// How often this path was asked.
    pub(super) fn calls(&self, path: &str) -> usize {
        self.served.lock().unwrap().asked.iter().filter(|request| request.path == path).count()
    }

    /// The last request.
    pub(super) fn last(&self) -> Request {
        self.served.lock().unwrap().asked.last().cloned().unwrap()
    }
}

async fn answer(mut stream: TcpStream, served: Arc<Mutex<Served>>) {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !is_whole(&text) {
        match stream.read(&mut bytes).await {
            Ok(read) if read > 0 => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
            _ => return,
        }
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let request = Request { path, head: head.to_owned(), body: body.to_owned() };
    let answer = {
        let mut served = served.lock().unwrap();
        let special = served.special.iter().find(|(path, authorization, _)| {
            *path == request.path && request.header("authorization") == Some(authorization)
        });
        let answer = special.map(|(_, _, text)| text).or_else(|| served.answers.get(&request.path)).cloned();
        served.asked.push(request);
        answer.unwrap_or_else(|| "HTTP/1.1 404 \r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned())
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or_default()
}
