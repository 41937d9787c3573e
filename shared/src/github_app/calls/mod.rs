//! Calls that are signed as the App: a JWT on each, another one once when GitHub does not accept it.
//! What another JWT would be is decided in `app`; calls with users' tokens are `provider::github`'s.

mod deliveries;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod installations;
mod repositories;

use std::time::UNIX_EPOCH;

use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use super::app::GithubApp;
use crate::failure::Failure;
use crate::provider::authorized::bearer;
use crate::provider::github::{ErrorBody, Github, read_json, with_defaults};
use crate::provider::upstream::{Answer, Budget, Call};
use crate::provider::{ProviderError, ProviderType};

pub use deliveries::{DeliveriesPage, HookDelivery};
pub use installations::{AppSummary, InstallationsPage};
pub use repositories::InstallationReach;

impl GithubApp {
    /// A call signed as the App; its headers need no `Authorization`. An answer of any status but 401 is
    /// `Ok`: where GitHub does not accept our own proof, the fault is the service's, and no caller can mend
    /// it by signing in again.
    ///
    /// # Errors
    /// [`Failure`] when the App's secret fails, or GitHub does not answer or does not accept the App.
    pub async fn call(&self, github: &Github, call: Call, budget: &Budget) -> Result<Answer, Failure> {
        self.call_with(github, call, |_| {}, budget).await
    }

    /// [`GithubApp::call`] whose headers are completed for the very JWT that they are sent with: a condition is of
    /// use only with the JWT that it was made for.
    async fn call_with(
        &self,
        github: &Github,
        mut call: Call,
        complete: impl Fn(&mut HeaderMap) + Send + Sync,
        budget: &Budget,
    ) -> Result<Answer, Failure> {
        let jwt = self.jwt().await?;
        with_defaults(&mut call.headers);
        let send = async |token: &secrecy::SecretString| {
            let mut call = call.clone();
            call.headers.insert(AUTHORIZATION, bearer(token).map_err(failed)?);
            complete(&mut call.headers);
            github.upstream().call(ProviderType::Github, &call, budget).await.map_err(failed)
        };
        let answer = send(jwt.token()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // What was refused was not done, so that a POST may be sent again too.
        let refusal: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
        let date = answer.header(DATE.as_str());
        let answer = match self.jwt_after_refusal(&jwt, &refusal.message, date).await? {
            Some(other) => send(other.token()).await?,
            None => answer,
        };
        if answer.status == StatusCode::UNAUTHORIZED {
            let refusal: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
            let text = format!("GitHub does not accept the App's JWT: {}", refusal.message);
            return Err(Failure::Internal(text));
        }
        Ok(answer)
    }

    /// A GET signed as the App, by the rules of [`GithubApp::call`].
    ///
    /// # Errors
    /// [`Failure`], as [`GithubApp::call`].
    pub async fn get(
        &self,
        github: &Github,
        url: Url,
        headers: HeaderMap,
        budget: &Budget,
    ) -> Result<Answer, Failure> {
        self.get_with(github, url, headers, |_| {}, budget).await
    }

    /// The same, its headers completed for the very JWT that they are sent with.
    ///
    /// # Errors
    /// [`Failure`], as [`GithubApp::call`].
    pub async fn get_with(
        &self,
        github: &Github,
        url: Url,
        headers: HeaderMap,
        complete: impl Fn(&mut HeaderMap) + Send + Sync,
        budget: &Budget,
    ) -> Result<Answer, Failure> {
        let call = Call { method: Method::GET, url, headers, body: None };
        self.call_with(github, call, complete, budget).await
    }

    /// A GET of an API path, whatever is answered.
    async fn ask(
        &self,
        github: &Github,
        segments: &[&str],
        query: &[(&str, &str)],
        budget: &Budget,
    ) -> Result<Answer, Failure> {
        self.get(github, github.url(segments, query), HeaderMap::new(), budget).await
    }

    /// A POST without a body to an API path, whatever is answered.
    async fn post(&self, github: &Github, segments: &[&str], budget: &Budget) -> Result<Answer, Failure> {
        let url = github.url(segments, &[]);
        let call = Call { method: Method::POST, url, headers: HeaderMap::new(), body: None };
        self.call(github, call, budget).await
    }
}

/// GitHub's failure as ours.
fn failed(error: ProviderError) -> Failure {
    Failure::Provider { provider: ProviderType::Github, error }
}

/// The answer's `Date`, in seconds since the Unix epoch.
fn date(answer: &Answer) -> Option<i64> {
    let date = httpdate::parse_http_date(answer.header(DATE.as_str())?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The items of a 200 that is a bare array, and how many of them cannot be read.
fn read_items<D: DeserializeOwned>(
    answer: &Answer,
    what: &'static str,
    clock: &crate::clock::Clock,
) -> Result<(Vec<D>, usize), ProviderError> {
    let items: Vec<Box<RawValue>> = read_json(answer, clock)?;
    Ok(readable(&items, what))
}

/// One unreadable item never costs the others: it is left out, logged by its position only, and counted.
fn readable<D: DeserializeOwned>(items: &[Box<RawValue>], what: &'static str) -> (Vec<D>, usize) {
    let mut read = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        match serde_json::from_str(item.get()) {
            Ok(item) => read.push(item),
            Err(_) => tracing::warn!(what, position, "an item that cannot be read was left out of a page"),
        }
    }
    let unreadable = items.len() - read.len();
    (read, unreadable)
}

#[cfg(test)]
mod tests;
