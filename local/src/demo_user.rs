//! The user whom `cargo run` has ready: signed in through the very flow that a browser goes through, with
//! an API key, both kept so that a restart changes neither.

use std::time::Duration;

use http::StatusCode;
use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::Response;
use serde::Deserialize;
use serde_json::json;

use crate::data_folder::{DataFolder, DataFolderError, DemoUser};
use crate::other_hosts::OtherHostsError;
use crate::sandbox_github::{AuthorizeError, AuthorizeRequest};
use crate::stack::Stack;

/// Who it is at the sandbox GitHub.
pub const LOGIN: &str = "octocat";
/// Who it is at the other sandbox hosts; the last one brokers the same accounts at all of them.
pub const OTHER_LOGINS: [(&str, &str); 3] =
    [("gitlab", "gitlab-cat"), ("bitbucket", "bitbucket-cat"), (ENTERPRISE_SSO, "sso-cat")];
/// Where tokens come of a sign-in only.
const ENTERPRISE_SSO: &str = "enterprise_sso";

/// Longer than the service takes a token for one that its host may not know everywhere yet.
const FRESH: Duration = Duration::from_secs(6);

/// Why nobody could be signed in.
#[derive(Debug, thiserror::Error)]
pub enum DemoUserError {
    /// The service does not answer.
    #[error("the service does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The service answered otherwise than it must.
    #[error("{route} answered {status}: {body}")]
    Answer {
        /// The route.
        route: &'static str,
        /// Its status.
        status: StatusCode,
        /// Its body.
        body: String,
    },
    /// The sandbox refused.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// The credentials cannot be kept.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// A sandbox host gives no token.
    #[error(transparent)]
    OtherHosts(#[from] OtherHostsError),
    /// The stack runs with the real GitHub.
    #[error("there is no sandbox GitHub to sign in at")]
    NoSandbox,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

#[derive(Deserialize)]
struct WhoIsSignedIn {
    user_id: Option<String>,
}

/// The demo user of the last run if the credentials still work, else one who signs in now.
///
/// # Errors
/// [`DemoUserError`].
pub async fn ready(stack: &Stack, folder: &DataFolder) -> Result<DemoUser, DemoUserError> {
    let client = client()?;
    let kept = std::fs::read_to_string(folder.demo_user()).ok();
    if let Some(kept) = kept.and_then(|text| serde_json::from_str::<DemoUser>(&text).ok())
        && works(&client, stack, &kept).await?
    {
        let user = relink(&client, stack, kept.clone()).await?;
        if user.session_cookie != kept.session_cookie {
            keep(folder, &user)?;
        }
        return Ok(user);
    }
    let mut user = sign_in(stack, LOGIN).await?;
    if stack.other_hosts.is_some() {
        for (provider, login) in OTHER_LOGINS {
            user = link(stack, &user, provider, login).await?;
        }
    }
    keep(folder, &user)?;
    Ok(user)
}

fn keep(folder: &DataFolder, user: &DemoUser) -> Result<(), DataFolderError> {
    folder.replace(&folder.demo_user(), &format!("{:#}\n", json!(user)))
}

/// Brings tokens of hosts that have forgotten theirs: the sandbox Bitbucket does with each restart. A sign-in
/// would do too, and begin a new session, which a restart must not; only the enterprise SSO leaves no other way, if
/// its state was lost.
async fn relink(
    client: &reqwest::Client,
    stack: &Stack,
    mut user: DemoUser,
) -> Result<DemoUser, DemoUserError> {
    let Some(hosts) = &stack.other_hosts else { return Ok(user) };
    for (provider, login) in OTHER_LOGINS {
        if lists(client, stack, &user, provider).await? {
            continue;
        }
        if provider == ENTERPRISE_SSO {
            // What it brokers is fetched again by itself, unless the last run ended a moment after it was given: a
            // token so young is not replaced at the first refusal.
            tokio::time::sleep(FRESH).await;
            if !lists(client, stack, &user, provider).await? {
                user = link(stack, &user, provider, login).await?;
            }
            continue;
        }
        let token = hosts.personal_token(provider, login)?;
        let brought = client
            .post(format!("{}/api/add-git-providers", stack.url))
            .header("X-Session-API-Key", &user.api_key)
            .header("content-type", "application/json")
            .body(json!({ "provider_tokens": { provider: { "token": token } } }).to_string())
            .send()
            .await?;
        if brought.status() != StatusCode::OK {
            return Err(unexpected("POST /api/add-git-providers", brought).await);
        }
    }
    Ok(user)
}

/// Whether the installations at a provider are all there.
async fn lists(
    client: &reqwest::Client,
    stack: &Stack,
    user: &DemoUser,
    provider: &str,
) -> Result<bool, reqwest::Error> {
    let answer = client
        .get(format!("{}/api/user/installations?provider={provider}", stack.url))
        .header("X-Session-API-Key", &user.api_key)
        .send()
        .await?;
    Ok(answer.status() == StatusCode::OK && !answer.headers().contains_key("x-partial-result"))
}

/// Links an account at a sandbox host to a user who is signed in, as a browser would: through the host's own
/// authorize page. The session is a new one afterwards.
///
/// # Errors
/// [`DemoUserError`].
pub async fn link(
    stack: &Stack,
    user: &DemoUser,
    provider: &str,
    login: &str,
) -> Result<DemoUser, DemoUserError> {
    let client = client()?;
    let session = session_header(stack, &user.session_cookie);
    let route = format!("{}/auth/{provider}/login", stack.url);
    // As from a page of the service's own, which need not ask whether the account is to be linked.
    let started =
        client.get(route).header(COOKIE, &session).header("sec-fetch-site", "same-origin").send().await?;
    let (Some(authorize), Some(binding)) = (location(&started), cookie(&started, "sign-in-")) else {
        return Err(unexpected("GET /auth/{provider}/login", started).await);
    };
    let (page, query) = authorize.split_once('?').unwrap_or((&authorize, ""));
    let chosen = client
        .post(page)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("{query}&choice={login}"))
        .send()
        .await?;
    let Some(callback) = location(&chosen) else {
        return Err(unexpected("the host's authorize page", chosen).await);
    };
    let finished = client.get(callback).header(COOKIE, format!("{session}; {binding}")).send().await?;
    let name = &stack.service.config.session.cookie_name;
    match cookie(&finished, &format!("{name}=")).as_deref().and_then(|pair| pair.split_once('=')) {
        Some((_, value)) => Ok(DemoUser { session_cookie: value.to_owned(), ..user.clone() }),
        None => Err(unexpected("GET /auth/{provider}/callback", finished).await),
    }
}

async fn works(client: &reqwest::Client, stack: &Stack, user: &DemoUser) -> Result<bool, DemoUserError> {
    let keys = client
        .get(format!("{}/api/keys", stack.url))
        .header("X-Session-API-Key", &user.api_key)
        .send()
        .await?;
    let session = who_is_signed_in(client, stack, &session_header(stack, &user.session_cookie)).await?;
    Ok(keys.status() == StatusCode::OK && session.as_deref() == Some(&*user.user_id))
}

/// Signs a user of the sandbox in and makes an API key, as a browser would.
///
/// # Errors
/// [`DemoUserError`].
pub async fn sign_in(stack: &Stack, login: &str) -> Result<DemoUser, DemoUserError> {
    let github = stack.github.as_ref().ok_or(DemoUserError::NoSandbox)?;
    let client = client()?;
    let login_route = "GET /auth/github/login";
    let started = client.get(format!("{}/auth/github/login", stack.url)).send().await?;
    let (Some(authorize), Some(binding)) = (location(&started), cookie(&started, "sign-in-")) else {
        return Err(unexpected(login_route, started).await);
    };
    let query = authorize.split_once('?').map_or("", |(_, query)| query);
    let callback = github.authorize(login, &asked(query))?;
    let finished = client.get(callback).header(COOKIE, binding).send().await?;
    let name = &stack.service.config.session.cookie_name;
    let Some(session) = cookie(&finished, &format!("{name}=")) else {
        return Err(unexpected("GET /auth/github/callback", finished).await);
    };
    let made = client
        .post(format!("{}/api/keys", stack.url))
        .header(COOKIE, &session)
        .header(ORIGIN, &stack.url)
        .header("content-type", "application/json")
        .body(json!({ "name": "cargo run" }).to_string())
        .send()
        .await?;
    if made.status() != StatusCode::CREATED {
        return Err(unexpected("POST /api/keys", made).await);
    }
    let made = made.bytes().await?;
    let (Ok(Key { key }), Some(user_id)) =
        (serde_json::from_slice(&made), who_is_signed_in(&client, stack, &session).await?)
    else {
        return Err(DemoUserError::Answer {
            route: "POST /api/keys",
            status: StatusCode::CREATED,
            body: "no key".to_owned(),
        });
    };
    let session_cookie = session.split_once('=').map_or_else(String::new, |(_, value)| value.to_owned());
    Ok(DemoUser { user_id, api_key: key, session_cookie })
}

async fn who_is_signed_in(
    client: &reqwest::Client,
    stack: &Stack,
    session: &str,
) -> Result<Option<String>, DemoUserError> {
    let answer = client.get(format!("{}/auth/session", stack.url)).header(COOKIE, session).send().await?;
    let body = answer.bytes().await?;
    Ok(serde_json::from_slice::<WhoIsSignedIn>(&body).ok().and_then(|session| session.user_id))
}

fn session_header(stack: &Stack, value: &str) -> String {
    format!("{}={value}", stack.service.config.session.cookie_name)
}

/// A client that follows nothing: each step is looked at.
fn client() -> Result<reqwest::Client, reqwest::Error> {
    // Only this machine is talked to, over plain http; a TLS provider is asked for all the same.
    let tls = shared::provider::upstream::tls_config(&[]).ok();
    let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    if let Some(tls) = tls {
        builder = builder.tls_backend_preconfigured(tls);
    }
    builder.build()
}

/// The parameters of an authorize page's address.
#[must_use]
pub fn asked(query: &str) -> AuthorizeRequest {
    let mut asked = AuthorizeRequest::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        match &*name {
            "client_id" => asked.client_id = value,
            "redirect_uri" => asked.redirect_uri = Some(value),
            "state" => asked.state = Some(value),
            "code_challenge" => asked.code_challenge = Some(value),
            "code_challenge_method" => asked.code_challenge_method = Some(value),
            _ => {}
        }
    }
    asked
}

fn location(answer: &Response) -> Option<String> {
    Some(answer.headers().get(LOCATION)?.to_str().ok()?.to_owned())
}

/// `name=value` of the cookie that is set and whose name begins so.
fn cookie(answer: &Response, prefix: &str) -> Option<String> {
    answer
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split(';').next())
        .find(|pair| pair.starts_with(prefix) && !pair.ends_with('='))
        .map(ToOwned::to_owned)
}

async fn unexpected(route: &'static str, answer: Response) -> DemoUserError {
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    DemoUserError::Answer { route, status, body }
}
