//! The requests of the mix, each with what it must be answered: all routes, callers of four kinds, and what is wrong by
//! the caller's own doing.

use std::io::Read as _;
use std::time::Instant;

use flate2::read::GzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, LINK};
use http::{HeaderMap, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::scene::{Scene, Visitor};

/// What was wrong, in words.
pub(crate) type Checked = Result<(), String>;

/// How many different requests there are before the same come again, for another user.
pub(crate) const KINDS: usize = 24;

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value, String> {
        let text = || String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).into_owned();
        serde_json::from_slice(&self.body).map_err(|error| format!("no JSON ({error}): {}", text()))
    }

    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn holds(&self, pointer: &str, length: usize) -> Checked {
        let json = self.json()?;
        match json.pointer(pointer).and_then(Value::as_array) {
            Some(list) if list.len() == length => Ok(()),
            Some(list) => Err(format!("{} items instead of {length}", list.len())),
            None => Err(format!("no list in {json}")),
        }
    }
}

impl Scene {
    /// Sends a request and counts it; an answer of another status is wrong.
    pub(crate) async fn ask(
        &self,
        what: &'static str,
        request: reqwest::RequestBuilder,
        status: u16,
    ) -> Result<Answer, String> {
        let begun = Instant::now();
        let answer = request.send().await.map_err(|error| format!("{what}: no answer: {error:?}"))?;
        let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| format!("{what}: no whole answer: {error:?}"))?;
        self.tally.took(what, got, begun.elapsed());
        let mut body = body.to_vec();
        if headers.get(CONTENT_ENCODING).is_some() {
            let mut plain = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut plain).map_err(|error| format!("{what}: {error}"))?;
            body = plain;
        }
        if got == status {
            return Ok(Answer { status: got, headers, body });
        }
        Err(format!("{what}: {got} instead of {status}: {}", String::from_utf8_lossy(&body)))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.stack.url))
    }

    fn get(&self, path: &str, by: &Visitor) -> reqwest::RequestBuilder {
        self.request(Method::GET, path).header("x-session-api-key", &by.user.api_key)
    }

    fn in_browser(&self, path: &str, by: &Visitor) -> reqwest::RequestBuilder {
        self.request(Method::GET, path).header("cookie", format!("neptun-session={}", by.user.session_cookie))
    }

    /// The `number`th request of the mix.
    pub(crate) async fn one(&self, number: usize) -> Checked {
        let by = &self.visitors[number / KINDS % self.visitors.len()];
        let other = &self.visitors[(number / KINDS + 1) % self.visitors.len()];
        match number % KINDS {
            0 | 1 => self.all_repositories(by, "gzip").await,
            2 => self.all_repositories(by, "identity").await,
            3 => self.known_repositories(by).await,
            4 => self.pages(by).await,
            5 => self.installations(by).await,
            6 => self.github_installations(by).await,
            7 => self.forwarded_token(by).await,
            8 => self.own_installation(by).await,
            9 => self.anothers_installation(by, other).await,
            10 => self.as_the_app(by).await,
            11 | 12 => self.rows(by).await,
            13 => self.imports(by).await,
            14 => self.keys(by).await,
            15 => self.session(by).await,
            16 => self.observed().await,
            17 => self.sign_in_at_github(by).await,
            18 => self.sign_in_elsewhere(number / KINDS).await,
            19 => self.nobody(number / KINDS).await,
            20 => self.wrong_parameters(by).await,
            21 => self.wrong_webhook().await,
            22 => self.not_theirs(by, other).await,
            _ => self.health().await,
        }
    }

    async fn all_repositories(&self, by: &Visitor, coding: &str) -> Checked {
        let request = self.get("/api/user/repositories", by).header(ACCEPT_ENCODING, coding);
        let answer = self.ask("GET /api/user/repositories", request, 200).await?;
        whole(&answer)?;
        if (coding == "gzip") != (answer.header(CONTENT_ENCODING) == "gzip") {
            return Err(format!("{:?} to who takes {coding}", answer.header(CONTENT_ENCODING)));
        }
        answer.holds("", by.repositories)?;
        let json = answer.json()?;
        let mut ids: Vec<&str> =
            json.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() == by.repositories { Ok(()) } else { Err("a repository is listed twice".to_owned()) }
    }

    async fn known_repositories(&self, by: &Visitor) -> Checked {
        let path = "/api/user/repositories?selected_provider=github&sort=full_name";
        let first = self.ask("GET /api/user/repositories", self.in_browser(path, by), 200).await?;
        whole(&first)?;
        let again = self.in_browser(path, by).header(IF_NONE_MATCH, first.header(ETAG));
        let again = self.ask("GET /api/user/repositories, known", again, 304).await?;
        if again.body.is_empty() { Ok(()) } else { Err("a 304 with a body".to_owned()) }
    }

    async fn pages(&self, by: &Visitor) -> Checked {
        let last = by.organizations[by.organizations.len() - 1];
        let path = format!(
            "/api/user/repositories?selected_provider=github&installation_id={last}&page=2&per_page=20"
        );
        let answer = self.ask("GET /api/user/repositories, a page", self.in_browser(&path, by), 200).await?;
        answer.holds("", by.in_the_last.saturating_sub(20).min(20))
    }

    async fn installations(&self, by: &Visitor) -> Checked {
        let request = self.get("/api/user/installations?provider=github", by);
        let answer = self.ask("GET /api/user/installations", request, 200).await?;
        whole(&answer)?;
        answer.holds("", by.installations())
    }

    async fn github_installations(&self, by: &Visitor) -> Checked {
        // A tag from before all tokens ended may be answered with 200.
        let _between_leaps = self.steady.read().await;
        let path = "/user/installations?per_page=2&page=2";
        let first = self.ask("GET /user/installations", self.get(path, by), 200).await?;
        first.holds("/installations", by.installations() - 2)?;
        if !first.header(LINK).contains(&*self.stack.url) {
            return Err(format!("the link {:?} is not ours", first.header(LINK)));
        }
        let known = self.get(path, by).header(IF_NONE_MATCH, first.header(ETAG));
        self.ask("GET /user/installations, known", known, 304).await.map(drop)
    }

    async fn forwarded_token(&self, by: &Visitor) -> Checked {
        // Nobody can renew it.
        let _while_it_lives = self.steady.read().await;
        let token = self.github().mint_user_token(&by.login).access_token;
        let request = self.request(Method::GET, "/user/installations").bearer_auth(token);
        let answer = self.ask("GET /user/installations, forwarded", request, 200).await?;
        answer.holds("/installations", by.installations())
    }

    async fn own_installation(&self, by: &Visitor) -> Checked {
        let path = format!("/users/{}/installation", by.login);
        let answer = self.ask("GET /users/{username}/installation", self.get(&path, by), 200).await?;
        let json = answer.json()?;
        let name = json["account"]["login"].as_str();
        if name == Some(&by.login) { Ok(()) } else { Err(format!("{name:?} instead of {}", by.login)) }
    }

    async fn anothers_installation(&self, by: &Visitor, other: &Visitor) -> Checked {
        let path = format!("/users/{}/installation", other.login);
        self.ask("GET /users/{username}/installation", self.get(&path, by), 404).await.map(drop)
    }

    async fn as_the_app(&self, by: &Visitor) -> Checked {
        let _while_it_lives = self.steady.read().await;
        let jwt = self.stack.service.github_app.jwt().await.map_err(|error| error.to_string())?;
        let path = format!("/users/{}/installation", by.login);
        let request = self.request(Method::GET, &path).bearer_auth(jwt.token().expose_secret());
        self.ask("GET /users/{username}/installation, the App", request, 200).await.map(drop)
    }

    async fn rows(&self, by: &Visitor) -> Checked {
        let path = format!("/api/users/{}/installations", by.user.user_id);
        let answer =
            self.ask("GET /api/users/{user_id}/installations", self.in_browser(&path, by), 200).await?;
        answer.holds("", by.installations())
    }

    async fn imports(&self, by: &Visitor) -> Checked {
        let rows = format!("/api/users/{}/installations", by.user.user_id);
        let found =
            self.ask("GET /api/users/{user_id}/installations", self.get(&rows, by), 200).await?.json()?;
        let installation = by.organizations[0].to_string();
        let is_it = |row: &&Value| row["github_installation_id"] == *installation;
        let row = found.as_array().into_iter().flatten().find(is_it);
        let id = row.and_then(|row| row["id"].as_u64()).ok_or_else(|| format!("no row in {found}"))?;
        let answer = self.ask("GET .../imports", self.get(&format!("{rows}/{id}/imports"), by), 200).await?;
        answer.holds("", by.in_the_first)
    }

    async fn keys(&self, by: &Visitor) -> Checked {
        let made = self
            .request(Method::POST, "/api/keys")
            .header("x-session-api-key", &by.user.api_key)
            .header("content-type", "application/json")
            .body(json!({ "name": "of a moment" }).to_string());
        let made = self.ask("POST /api/keys", made, 201).await?.json()?;
        let (id, key) = (text(&made, "id"), text(&made, "key"));
        let uses = self.request(Method::GET, "/api/keys").bearer_auth(key);
        self.ask("GET /api/keys", uses, 200).await?;
        let path = format!("/api/keys/{id}");
        let ends = self.request(Method::DELETE, &path).header("x-session-api-key", &by.user.api_key);
        self.ask("DELETE /api/keys/{id}", ends, 204).await?;
        let ended = self.request(Method::GET, "/api/keys").bearer_auth(key);
        self.ask("GET /api/keys", ended, 401).await.map(drop)
    }

    async fn session(&self, by: &Visitor) -> Checked {
        let answer = self.ask("GET /auth/session", self.in_browser("/auth/session", by), 200).await?;
        let json = answer.json()?;
        if json["user_id"] == by.user.user_id.as_str() { Ok(()) } else { Err(format!("{json}")) }
    }

    /// What webhooks change is read while they come.
    async fn observed(&self) -> Checked {
        let path = format!("/api/users/{}/installations", self.observer.user_id);
        let request = self.request(Method::GET, &path).header("x-session-api-key", &self.observer.api_key);
        let answer = self.ask("GET /api/users/{user_id}/installations, changing", request, 200).await?;
        answer.holds("", 1)
    }

    async fn nobody(&self, turn: usize) -> Checked {
        let paths = [
            "/api/user/repositories",
            "/api/user/installations?provider=github",
            "/user/installations",
            "/users/user-0/installation",
            "/api/keys",
            "/api/users/usr_x/installations",
        ];
        let path = paths[turn % paths.len()];
        self.ask("who proves nothing", self.request(Method::GET, path), 401).await?;
        let key = format!("gik_{}", "A".repeat(43));
        let request = self.request(Method::GET, path).header("x-session-api-key", key);
        self.ask("who proves nothing", request, 401).await.map(drop)
    }

    async fn wrong_parameters(&self, by: &Visitor) -> Checked {
        let wrong = "/api/user/repositories?selected_provider=gitea&page=x";
        let answer = self.ask("wrong parameters", self.get(wrong, by), 422).await?;
        answer.holds("/detail", 2)?;
        let made = self
            .request(Method::POST, "/api/keys")
            .header("x-session-api-key", &by.user.api_key)
            .header("content-type", "application/json")
            .body("{\"name\": ");
        self.ask("wrong parameters", made, 422).await?;
        self.ask("no such route", self.get("/api/nothing", by), 404).await.map(drop)
    }

    async fn wrong_webhook(&self) -> Checked {
        let request = self
            .request(Method::POST, "/webhooks/github")
            .header("content-type", "application/json")
            .header("x-github-event", "installation")
            .header("x-github-delivery", "1")
            .header("x-hub-signature-256", format!("sha256={}", "0".repeat(64)))
            .body("{}");
        self.ask("a webhook that nobody signed", request, 401).await.map(drop)
    }

    async fn not_theirs(&self, by: &Visitor, other: &Visitor) -> Checked {
        let path = format!("/api/users/{}/installations", other.user.user_id);
        self.ask("another user's rows", self.get(&path, by), 404).await?;
        let path = "/api/user/repositories?selected_provider=github&installation_id=999999";
        self.ask("another user's rows", self.get(path, by), 404).await.map(drop)
    }

    async fn health(&self) -> Checked {
        self.ask("GET /healthz", self.request(Method::GET, "/healthz"), 200).await.map(drop)
    }
}

/// Nothing is missing from the answer, and nobody may keep it.
fn whole(answer: &Answer) -> Checked {
    if answer.headers.contains_key("x-partial-result") || answer.headers.contains_key("x-truncated") {
        return Err(format!("a part is missing: {:?}", answer.headers));
    }
    if answer.header("cache-control").contains("no-store") {
        Ok(())
    } else {
        Err(format!("{} without no-store", answer.status))
    }
}

pub(crate) fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}
