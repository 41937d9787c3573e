//! What the service does, as steps that can be taken in any process: how each is prepared, what it takes, and what it
//! may answer when it is taken again.

use std::pin::Pin;

use http::Method;
use local::data_folder::DemoUser;
use local::demo_user::link;
use serde_json::Value;

use crate::bench::Bench;
use crate::harness::Running;
use crate::{flows_of_callers, flows_of_github};

/// The form in which a route tells of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    OpenHands,
    Github,
    Neptun,
    Webhook,
    Auth,
}

/// A request, but for the process that gets it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What is done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Request(Request),
}

/// How a flow is prepared.
pub(crate) type Prepare = for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = Step> + 'a>>;

/// What is done after the step has failed, and what that answers then.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Again {
    /// The same, with one of these.
    Same(&'static [&'static str]),
    /// The same, though what a host had given for it may be used up by then.
    Spent(&'static [&'static str]),
    /// It is prepared anew, as a person begins a sign-in again.
    Anew,
}

/// A flow.
#[derive(Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    /// The function that it is about.
    pub(crate) function: &'static str,
    pub(crate) family: Family,
    pub(crate) prepare: Prepare,
    pub(crate) again: Again,
    /// Whether whatever it writes is written when it answers; else some of it is only remembered for later.
    pub(crate) acknowledges: bool,
}

/// All of them.
pub(crate) fn all() -> Vec<Flow> {
    let mut all = flows_of_callers::flows();
    all.extend(flows_of_github::flows());
    all
}

pub(crate) fn request(method: Method, path: impl Into<String>) -> Request {
    Request { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
}

pub(crate) fn get(path: impl Into<String>) -> Request {
    request(Method::GET, path)
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn key(self, user: &DemoUser) -> Self {
        self.header("X-Session-API-Key", &user.api_key)
    }

    pub(crate) fn session(self, bench: &Bench, user: &DemoUser) -> Self {
        self.header("Cookie", format!("neptun-session={}", user.session_cookie))
            .header("Origin", &bench.running.stack.url)
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    pub(crate) fn step(self) -> Step {
        Step::Request(self)
    }
}

/// octocat, signed in at GitHub.
pub(crate) async fn octocat(running: &Running) -> DemoUser {
    running.sign_in("octocat").await
}

/// octocat, with accounts at GitLab and Bitbucket too.
pub(crate) async fn at_three_hosts(running: &Running) -> DemoUser {
    let mut user = octocat(running).await;
    for (provider, login) in [("gitlab", "gitlab-cat"), ("bitbucket", "bitbucket-cat")] {
        user = link(&running.stack, &user, provider, login).await.unwrap();
    }
    user
}

/// The path and the query of an address at the stack's own gateway.
pub(crate) fn path_at(running: &Running, url: &str) -> String {
    url.strip_prefix(&*running.stack.url).unwrap_or_else(|| panic!("not ours: {url}")).to_owned()
}
