//! What is noted of one request, or of one scheduled run, while it is worked on: kinds, counts, times and GitHub's
//! request ids. Never who asks or for what. How it becomes a line of the log is `runtime`'s business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::contract::Request;
use crate::provider::ProviderType;

/// How many of GitHub's request ids are kept: enough to ask GitHub's support, too few to fill the log.
const GITHUB_REQUEST_IDS: usize = 3;
/// The longest text that is taken for one of GitHub's request ids.
const LONGEST_ID: usize = 64;
/// How many times of single calls are kept for each host: as many as one metric of a line may have values.
const TIMES: usize = 100;

/// What a caller has proved (DESIGN 3); never who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerKind {
    /// Nothing; whoever signs a webhook or a logout token is no caller either.
    #[default]
    Nobody,
    /// A user, by the browser's cookie.
    Session,
    /// A user, by an API key.
    ApiKey,
    /// Somebody with a GitHub user token of their own.
    UserToken,
    /// Our App.
    App,
}

impl CallerKind {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Session => "session",
            Self::ApiKey => "api_key",
            Self::UserToken => "user_token",
            Self::App => "app",
        }
    }
}

/// A webhook whose signature is right, as GitHub's log of deliveries names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its GUID.
    pub guid: String,
    /// Its event.
    pub event: String,
    /// What became of it.
    pub outcome: String,
}

/// The calls to one host, each try counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCalls {
    /// How many.
    pub calls: u64,
    /// Those without an answer in time, or with a 5xx.
    pub errors: u64,
    /// Those to its OAuth token endpoint.
    pub token_requests: u64,
    /// Bodies of ours that turned out to be right still, because their ETag was computed.
    pub predicted_hits: u64,
    /// Computed ETags for which the host gave another body.
    pub predicted_misses: u64,
    /// How long the first hundred took, in milliseconds.
    pub times: Vec<u64>,
    /// How long the slowest took.
    pub slowest: Duration,
}

/// All that was noted.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// What the caller has proved.
    pub caller: CallerKind,
    /// The calls to each host, in the order of [`ProviderType::ALL`].
    pub hosts: [HostCalls; ProviderType::ALL.len()],
    /// For how long at least one call was under way.
    pub upstream: Duration,
    /// Kept answers that were served in place of a failure.
    pub kept_answers: u64,
    /// Answers of a host that what we or the client have is still right.
    pub not_modified: u64,
    /// GitHub's ids of a few of the calls, those that failed before the others.
    pub github_request_ids: Vec<String>,
    /// The webhook that was dealt with.
    pub delivery: Option<Delivery>,
    /// What went wrong although there is an answer.
    pub problem: Option<String>,
    failed_ids: usize,
    under_way: u32,
    since: Option<Instant>,
}

impl Noted {
    /// How many calls were made to hosts.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.hosts.iter().map(|host| host.calls).sum()
    }

    /// How many computed ETags were right, and how many were not.
    #[must_use]
    pub fn predicted(&self) -> (u64, u64) {
        self.hosts
            .iter()
            .fold((0, 0), |(hits, misses), host| (hits + host.predicted_hits, misses + host.predicted_misses))
    }

    /// The host of the slowest call, and how long that took.
    #[must_use]
    pub fn slowest(&self) -> Option<(ProviderType, Duration)> {
        ProviderType::ALL
            .into_iter()
            .zip(&self.hosts)
            .filter(|(_, host)| host.calls > 0)
            .map(|(provider, host)| (provider, host.slowest))
            .max_by_key(|(_, slowest)| *slowest)
    }

    fn begin(&mut self, provider: ProviderType, now: Instant) {
        self.hosts[provider as usize].calls += 1;
        self.under_way += 1;
        self.since.get_or_insert(now);
    }

    fn end(&mut self, provider: ProviderType, started: Instant, now: Instant, failed: bool) {
        let took = now.duration_since(started);
        let host = &mut self.hosts[provider as usize];
        host.errors += u64::from(failed);
        host.slowest = host.slowest.max(took);
        if host.times.len() < TIMES {
            host.times.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        }
        self.under_way -= 1;
        if self.under_way == 0
            && let Some(since) = self.since.take()
        {
            self.upstream += now.duration_since(since);
        }
    }

    fn note_github_request_id(&mut self, id: &str, failed: bool) {
        let readable = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-'));
        if !readable || id.is_empty() || id.len() > LONGEST_ID {
            return;
        }
        if failed && self.failed_ids < GITHUB_REQUEST_IDS {
            self.github_request_ids.insert(self.failed_ids, id.to_owned());
            self.github_request_ids.truncate(GITHUB_REQUEST_IDS);
            self.failed_ids += 1;
        } else if self.github_request_ids.len() < GITHUB_REQUEST_IDS {
            self.github_request_ids.push(id.to_owned());
        }
    }
}

/// What is noted of a request while it is worked on, by whoever takes part in it.
#[derive(Debug, Default)]
pub struct Record(Mutex<Noted>);

impl Record {
    /// The record of a request that came through `runtime::respond`; any other has one that nobody reads.
    #[must_use]
    pub fn of(request: &Request) -> Arc<Self> {
        request.extensions().get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    /// Notes what the caller has proved.
    pub fn proved(&self, caller: CallerKind) {
        self.noted().caller = caller;
    }

    /// Notes that a kept answer is served, and in place of what failure.
    pub fn kept_answer_served(&self, failure: &impl std::fmt::Display) {
        let mut noted = self.noted();
        noted.kept_answers += 1;
        noted.problem = Some(failure.to_string());
    }

    /// Notes what is wrong with a request that is answered all the same.
    pub fn problem(&self, problem: &impl std::fmt::Display) {
        self.noted().problem = Some(problem.to_string());
    }

    /// Notes what became of a webhook.
    pub fn dealt_with(&self, delivery: Delivery) {
        self.noted().delivery = Some(delivery);
    }

    /// Notes a call of a host's OAuth token endpoint: GitHub allows 2,000 in an hour.
    pub fn token_request(&self, provider: ProviderType) {
        self.noted().hosts[provider as usize].token_requests += 1;
    }

    /// Notes whether an ETag that was computed and sent was the host's: whether 304 was answered to it, or 200.
    pub fn predicted_etag(&self, provider: ProviderType, hit: bool) {
        let host = &mut self.noted().hosts[provider as usize];
        host.predicted_hits += u64::from(hit);
        host.predicted_misses += u64::from(!hit);
    }

    /// Notes that a call begins; it ends with what is given back. One that is dropped after `deadline` had no
    /// answer in time, one that is dropped before was not needed any more.
    pub(crate) fn begin(&self, provider: ProviderType, deadline: Instant) -> CallUnderWay<'_> {
        let started = Instant::now();
        self.noted().begin(provider, started);
        CallUnderWay { record: self, provider, started, deadline, failed: None }
    }

    /// What has been noted so far.
    #[must_use]
    pub fn so_far(&self) -> Noted {
        self.noted().clone()
    }

    // A panic while this was held has lost a count at most.
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call to a host that has begun.
#[derive(Debug)]
pub(crate) struct CallUnderWay<'a> {
    record: &'a Record,
    provider: ProviderType,
    started: Instant,
    deadline: Instant,
    failed: Option<bool>,
}

impl CallUnderWay<'_> {
    /// The host has answered, under this id where it gives one.
    pub(crate) fn answered(&mut self, status: StatusCode, request_id: Option<&str>) {
        self.failed = Some(status.is_server_error());
        let mut noted = self.record.noted();
        noted.not_modified += u64::from(status == StatusCode::NOT_MODIFIED);
        if let Some(id) = request_id.filter(|_| self.provider == ProviderType::Github) {
            noted.note_github_request_id(id, status.is_client_error() || status.is_server_error());
        }
    }

    /// There is no answer.
    pub(crate) fn unanswered(&mut self) {
        self.failed = Some(true);
    }
}

impl Drop for CallUnderWay<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let failed = self.failed.unwrap_or(now >= self.deadline);
        self.record.noted().end(self.provider, self.started, now, failed);
    }
}

#[cfg(test)]
mod tests;
