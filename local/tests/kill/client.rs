//! A client of one run, which may die at any moment: whoever asks gets an answer, or learns that there is none.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::service::Place;

/// Nobody answered: the run was killed.
#[derive(Debug)]
pub(crate) struct Dead;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) cookies: Vec<String>,
    pub(crate) body: Value,
}

/// What asks a run.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) github: String,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    Key(&'a str),
    Session(&'a str),
}

/// Follows nothing, so that each step can be looked at.
fn http() -> reqwest::Client {
    let tls = shared::provider::upstream::tls_config(&[]).expect("TLS without further roots");
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    client.redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

impl Client {
    pub(crate) fn of(place: &Place) -> Self {
        Self { http: http(), url: place.url(), github: place.github() }
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let url = if url.starts_with('/') { format!("{}{url}", self.url) } else { url.to_owned() };
        self.http.request(method, url)
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, by: By<'_>) -> Result<Answer, Dead> {
        send(self.by(method, path, by)).await
    }

    pub(crate) async fn post(&self, path: &str, by: By<'_>, body: &Value) -> Result<Answer, Dead> {
        let request = self.by(Method::POST, path, by).header("content-type", "application/json");
        send(request.body(body.to_string())).await
    }

    fn by(&self, method: Method, path: &str, by: By<'_>) -> reqwest::RequestBuilder {
        let request = self.request(method, path);
        match by {
            By::Key(key) => request.header("X-Session-API-Key", key),
            By::Session(cookie) => {
                request.header("Cookie", format!("neptun-session={cookie}")).header("Origin", &self.url)
            }
        }
    }

    /// Through a host's own page and back, as a browser goes: the cookie of the new session.
    pub(crate) async fn sign_in(
        &self,
        provider: &str,
        login: &str,
        session: Option<&str>,
    ) -> Result<Option<String>, Dead> {
        let session = session.map(|cookie| format!("neptun-session={cookie}; ")).unwrap_or_default();
        // As from a page of the service's own, where linking is not asked about first.
        let started = self.request(Method::GET, &format!("/auth/{provider}/login"));
        let started = started.header("Cookie", &session).header("Sec-Fetch-Site", "same-origin");
        let started = send(started).await?;
        let Some(authorize) = started.location else { panic!("no sign-in begins: {started:?}") };
        let (page, query) = authorize.split_once('?').unwrap();
        let form =
            self.request(Method::POST, page).header("content-type", "application/x-www-form-urlencoded");
        let chosen = send(form.body(format!("{query}&choice={login}"))).await?;
        let Some(callback) = chosen.location else { panic!("the host sends nobody back: {chosen:?}") };
        let cookies = format!("{session}{}", started.cookies.join("; "));
        let finished = send(self.request(Method::GET, &callback).header("Cookie", cookies)).await?;
        if finished.status >= 500 {
            return Ok(None);
        }
        let cookie = finished.cookies.iter().find_map(|pair| pair.strip_prefix("neptun-session="));
        Ok(Some(cookie.unwrap_or_else(|| panic!("no session begins: {finished:?}")).to_owned()))
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, Dead> {
    let answer: Response = request.send().await.map_err(|_| Dead)?;
    let status = answer.status().as_u16();
    let texts = |name: &str| -> Vec<String> {
        let values = answer.headers().get_all(name).iter();
        values.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
    };
    let location = texts("location").pop();
    let pair = |cookie: String| cookie.split(';').next().unwrap_or_default().to_owned();
    let cookies = texts("set-cookie").into_iter().map(pair).filter(|pair| !pair.ends_with('=')).collect();
    let body = answer.bytes().await.map_err(|_| Dead)?;
    Ok(Answer { status, location, cookies, body: serde_json::from_slice(&body).unwrap_or_default() })
}
