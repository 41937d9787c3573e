//! Whole sign-ins under load, as a browser makes them: to the host, back, a look at what is reached, and out again.
//! Other requests are in `mix`.

use http::Method;
use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use local::demo_user;

use crate::mix::{Answer, Checked, text};
use crate::scene::{Scene, Visitor};

/// Who signs in at the other sandbox hosts, all of whom their worlds have.
const ELSEWHERE: [(&str, &str); 3] = demo_user::OTHER_LOGINS;

impl Scene {
    pub(crate) async fn sign_in_at_github(&self, by: &Visitor) -> Checked {
        let _until_it_is_over = self.steady.read().await;
        let (authorize, binding) = self.begin("github").await?;
        let asked = demo_user::asked(authorize.split_once('?').map_or("", |(_, query)| query));
        let callback = self.github().authorize(&by.login, &asked).map_err(|error| error.to_string())?;
        let session = self.finish(&callback, &binding).await?;
        let who = self.who(&session).await?;
        if who != by.user.user_id {
            return Err(format!("{} is signed in as {who}", by.login));
        }
        self.leave(&session).await
    }

    pub(crate) async fn sign_in_elsewhere(&self, turn: usize) -> Checked {
        let _until_it_is_over = self.steady.read().await;
        let (provider, login) = ELSEWHERE[turn % ELSEWHERE.len()];
        let (authorize, binding) = self.begin(provider).await?;
        let (page, query) = authorize.split_once('?').unwrap_or((&authorize, ""));
        // The host's own page, which is no request to us.
        let chosen = self
            .http
            .post(page)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("{query}&choice={login}"));
        let chosen = chosen.send().await.map_err(|error| error.to_string())?;
        let callback = chosen.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let callback = callback.ok_or_else(|| format!("{provider} leads nowhere: {}", chosen.status()))?;
        let session = self.finish(callback, &binding).await?;
        self.who(&session).await?;
        let path = format!("/api/user/installations?provider={provider}");
        let listing = self.request(Method::GET, &path).header(COOKIE, &session);
        let listed = self.ask("GET /api/user/installations, elsewhere", listing, 200).await?.json()?;
        if listed.as_array().is_none_or(Vec::is_empty) {
            return Err(format!("{login} reaches nothing at {provider}: {listed}"));
        }
        self.leave(&session).await
    }

    /// Where the browser is sent, and the cookie that binds it.
    async fn begin(&self, provider: &str) -> Result<(String, String), String> {
        let path = format!("/auth/{provider}/login");
        let begun = self.ask("GET /auth/{provider}/login", self.request(Method::GET, &path), 302).await?;
        Ok((begun.header(LOCATION).to_owned(), cookie(&begun, "sign-in-")?))
    }

    /// The cookie of the session that the callback begins.
    async fn finish(&self, callback: &str, binding: &str) -> Result<String, String> {
        let request = self.http.get(callback).header(COOKIE, binding);
        let finished = self.ask("GET /auth/{provider}/callback", request, 303).await?;
        cookie(&finished, "neptun-session=")
    }

    async fn who(&self, session: &str) -> Result<String, String> {
        let request = self.request(Method::GET, "/auth/session").header(COOKIE, session);
        let json = self.ask("GET /auth/session", request, 200).await?.json()?;
        match text(&json, "user_id") {
            "" => Err(format!("nobody is signed in: {json}")),
            id => Ok(id.to_owned()),
        }
    }

    /// Signs out, after which nobody is signed in.
    async fn leave(&self, session: &str) -> Checked {
        let out = self.request(Method::POST, "/auth/logout").header(COOKIE, session);
        let out = out.header(ORIGIN, &self.stack.url).send().await.map_err(|error| error.to_string())?;
        // A script is told where the enterprise SSO ends its own.
        if !out.status().is_success() {
            return Err(format!("POST /auth/logout: {}", out.status()));
        }
        let request = self.request(Method::GET, "/auth/session").header(COOKIE, session);
        let json = self.ask("GET /auth/session", request, 200).await?.json()?;
        if json["signed_in"] == false { Ok(()) } else { Err(format!("still signed in: {json}")) }
    }
}

/// `name=value` of the cookie that is set and whose name begins so.
fn cookie(answer: &Answer, prefix: &str) -> Result<String, String> {
    let mut set = answer.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pair = set.find_map(|value| value.split(';').next().filter(|pair| pair.starts_with(prefix)));
    pair.map(str::to_owned).ok_or_else(|| format!("no cookie {prefix}"))
}
