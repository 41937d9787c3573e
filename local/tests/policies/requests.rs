//! Requests for every route of `template.yaml`, good and bad, and every kind of caller.
//! What the answers must be is the rules' business.

use http::Method;
use local::data_folder::DemoUser;
use local::template::Template;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Request, Running};

/// One request to a route.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The route as `template.yaml` has it, e.g. `GET /api/keys`.
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

impl Case {
    pub(crate) fn method(&self) -> Method {
        self.route.split(' ').next().and_then(|method| method.parse().ok()).expect("a route has a method")
    }

    /// Whether it belongs to the pages under `/auth`, which people read and anybody may ask for.
    pub(crate) fn is_auth(&self) -> bool {
        self.path.starts_with("/auth/")
    }

    /// Whether anybody may ask for it.
    pub(crate) fn is_open(&self) -> bool {
        self.is_auth() || self.path.starts_with("/healthz") || self.is_published()
    }

    /// Whether its answer is the same for everybody, and may be kept.
    pub(crate) fn is_published(&self) -> bool {
        self.path.starts_with("/openapi.json") || self.path.starts_with("/docs")
    }

    pub(crate) fn on(&self, running: &Running) -> Request {
        let request = running.request(self.method(), &self.path);
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// Requests for every route; what ends the caller's session comes last.
pub(crate) fn cases(user: &DemoUser) -> Vec<Case> {
    let mut keys: Vec<String> =
        Template::embedded().expect("a template").routes.iter().map(local::template::Route::key).collect();
    keys.sort_by_key(|key| key == "POST /auth/logout");
    keys.into_iter().flat_map(|key| of_route(&key, user)).collect()
}

/// The requests of one route: those that a caller is answered, then those that are refused.
fn of_route(route: &str, user: &DemoUser) -> Vec<Case> {
    let own = format!("/api/users/{}/installations", user.user_id);
    let requests: Vec<(String, Option<Value>)> = match route {
        "GET /api/user/installations" => at(
            "/api/user/installations",
            &["?provider=github", "?provider=gitlab", "?provider=GitHub", "?provider=", ""],
        ),
        "GET /api/user/repositories" => at(
            "/api/user/repositories",
            &[
                "?selected_provider=github",
                "?selected_provider=github&page=1&per_page=2",
                "?selected_provider=github&installation_id=999999999&page=1&per_page=5",
                "?selected_provider=github&installation_id=5001/../../user",
                "?selected_provider=bitbucket&installation_id=workspace",
                "?page=x&per_page=1.5",
                "?sort=%00",
                "",
            ],
        ),
        "GET /user/installations" => {
            at("/user/installations", &["", "?per_page=1&page=2", "?page=x", "?per_page=101&page=-1"])
        }
        "GET /users/{username}/installation" => {
            let name = format!("a{}", "b".repeat(39));
            let names = ["octocat", "octo-org", "nobody-at-all", "..%2fuser", "a%3fb", "a%23b", &name];
            names.map(|name| (format!("/users/{name}/installation"), None)).into()
        }
        "GET /api/users/{user_id}/installations" => {
            let other = "/api/users/usr_01ARZ3NDEKTSV4RRFFQ69G5FAV/installations";
            [&own, other, "/api/users/1/installations", "/api/users/%2fusr_1/installations"]
                .map(|path| (path.to_owned(), None))
                .into()
        }
        "DELETE /api/users/{user_id}/installations/{installation_id}" => {
            let other = "/api/users/usr_01ARZ3NDEKTSV4RRFFQ69G5FAV/installations/1".to_owned();
            [format!("{own}/999999"), format!("{own}/x"), format!("{own}/..%2f1"), other]
                .map(|path| (path, None))
                .into()
        }
        // Unsigned: what GitHub signs is the webhooks' own tests' business.
        "POST /webhooks/github" => [Some(json!({"zen": "Design for failure."})), Some(json!([])), None]
            .map(|body| ("/webhooks/github".to_owned(), body))
            .into(),
        "GET /api/users/{user_id}/installations/{installation_id}/imports" => {
            let other = "/api/users/usr_01ARZ3NDEKTSV4RRFFQ69G5FAV/installations/1/imports".to_owned();
            // octocat's are the first rows of a new table; the third installation is suspended.
            [format!("{own}/1/imports"), format!("{own}/3/imports"), format!("{own}/x/imports"), other]
                .map(|path| (path, None))
                .into()
        }
        "GET /auth/{provider}/login" => at(
            "/auth",
            &[
                "/github/login",
                "/github/login?return_to=//evil.example",
                "/gitlab/login",
                "/nowhere/login",
                "/github/login?return_to=/api/keys",
            ],
        ),
        "GET /auth/{provider}/callback" => at(
            "/auth",
            &[
                "/github/callback",
                "/github/callback?code=0123&state=0123",
                "/github/callback?error=access_denied",
                "/github/callback?installation_id=5001&setup_action=install&code=1",
                "/gitlab/callback?code=1&state=2",
                "/nowhere/callback",
            ],
        ),
        "GET /auth/github/setup" => at(
            "/auth/github/setup",
            &[
                "?installation_id=999999999&setup_action=install",
                "?installation_id=x",
                "?setup_action=request",
                "",
            ],
        ),
        "GET /auth/session" => at("/auth/session", &["", "?x=1"]),
        "POST /auth/logout" => at("/auth/logout", &[""]),
        // No form: what an issuer signs is the enterprise SSO's own tests' business.
        "POST /auth/enterprise_sso/backchannel-logout" => [Some(json!({"logout_token": "a.b.c"})), None]
            .map(|body| ("/auth/enterprise_sso/backchannel-logout".to_owned(), body))
            .into(),
        "GET /api/keys" => at("/api/keys", &["", "?page=x"]),
        "POST /api/keys" => [
            Some(json!({"name": "a key"})),
            Some(json!({"name": 5})),
            Some(json!({"name": "x".repeat(10_000)})),
            Some(json!([])),
            None,
        ]
        .map(|body| ("/api/keys".to_owned(), body))
        .into(),
        "POST /api/add-git-providers" => [
            Some(json!({"provider_tokens": {"github": {"token": "ghp_wrong"}}})),
            Some(json!({"provider_tokens": {"github": {"token": "t", "host": "169.254.169.254"}}})),
            Some(json!({"provider_tokens": {"nope": {}, "gitlab": []}})),
            Some(json!({})),
            None,
        ]
        .map(|body| ("/api/add-git-providers".to_owned(), body))
        .into(),
        "POST /api/unset-provider-tokens" => at("/api/unset-provider-tokens", &[""]),
        "DELETE /api/keys/{id}" => at("/api/keys", &["/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/x", "/..%2f"]),
        "GET /healthz" | "HEAD /healthz" => at("/healthz", &["", "?deep=true"]),
        "GET /openapi.json" | "HEAD /openapi.json" => at("/openapi.json", &["", "?x=1"]),
        "GET /docs" | "HEAD /docs" => at("/docs", &["", "?url=https://evil.example/openapi.json"]),
        "GET /docs/{file}" | "HEAD /docs/{file}" => at(
            "/docs",
            &["/swagger-ui-5.32.6.js", "/swagger-ui-5.32.6.css", "/swagger-initializer.js", "/..%2fx"],
        ),
        other => panic!("template.yaml has a new route, {other}: write its requests here"),
    };
    requests.into_iter().map(|(path, body)| Case { route: route.to_owned(), path, body }).collect()
}

fn at(path: &str, rests: &[&str]) -> Vec<(String, Option<Value>)> {
    rests.iter().map(|rest| (format!("{path}{rest}"), None)).collect()
}

/// Who may ask, rightly or wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Nobody,
    ApiKey,
    ApiKeyAsBearer,
    Session,
    SessionFromAnotherSite,
    UnknownApiKey,
    UnknownSession,
    MalformedAuthorization,
    GithubUserToken,
    AppJwt,
    JwtWithoutAlgorithm,
}

impl Caller {
    pub(crate) const ALL: [Self; 11] = [
        Self::Nobody,
        Self::ApiKey,
        Self::ApiKeyAsBearer,
        Self::Session,
        Self::SessionFromAnotherSite,
        Self::UnknownApiKey,
        Self::UnknownSession,
        Self::MalformedAuthorization,
        Self::GithubUserToken,
        Self::AppJwt,
        Self::JwtWithoutAlgorithm,
    ];

    /// Those who prove nothing to any route.
    pub(crate) const UNPROVED: [Self; 5] = [
        Self::Nobody,
        Self::UnknownApiKey,
        Self::UnknownSession,
        Self::MalformedAuthorization,
        Self::JwtWithoutAlgorithm,
    ];
}

/// The request as that caller sends it.
pub(crate) async fn ask(running: &Running, user: &DemoUser, case: &Case, caller: Caller) -> Answer {
    let request = case.on(running);
    let forged = "A".repeat(43);
    let request = match caller {
        Caller::Nobody => request,
        Caller::ApiKey => request.api_key(user),
        Caller::ApiKeyAsBearer => request.bearer(&user.api_key),
        Caller::Session => request.session(user).header("Origin", &running.stack.url),
        Caller::SessionFromAnotherSite => request.session(user).header("Origin", "https://evil.example"),
        Caller::UnknownApiKey => request.header("X-Session-API-Key", &format!("gik_{forged}")),
        Caller::UnknownSession => request.header("Cookie", &format!("neptun-session={forged}")),
        Caller::MalformedAuthorization => request.header("Authorization", "Basic b2N0b2NhdDpwYXNz"),
        Caller::GithubUserToken => {
            let tokens = running.github().mint_user_token("octocat");
            request.bearer(&tokens.access_token)
        }
        Caller::AppJwt => {
            let jwt = running.stack.service.github_app.jwt().await.expect("a JWT");
            request.bearer(jwt.token().expose_secret())
        }
        Caller::JwtWithoutAlgorithm => request.bearer("eyJhbGciOiJub25lIn0.eyJpc3MiOjEwMDF9."),
    };
    request.send().await
}
