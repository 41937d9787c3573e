//! Relaying GitHub's own answers: looked at, kept, asked for again with the ETag that they would have today (DESIGN 5),
//! and served again while GitHub is down (DESIGN 4; RFC 5861, RFC 9211). Copies are never shared between callers; a
//! refusal of the host ends them.

mod asking;

use std::sync::Arc;

use http::header::{AGE, CONTENT_TYPE, ETAG, LINK, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};

use crate::clock::Clock;
use crate::contract::github::{ANSWER_HEADERS, errors, passed_through};
use crate::contract::{JSON_UTF8, Response};
use crate::failure::Failure;
use crate::hex::hex;
use crate::packing::{packed, unpacked};
use crate::provider::github::classify;
use crate::provider::upstream::{Answer, Budget};
use crate::provider::{ProviderError, ProviderType};
use crate::service::Service;
use crate::store::{AnswerOwner, KeptAnswer, StoreError};

use asking::headers_of;
pub use asking::{Asking, Copy, Relayed};

/// How long an answer is kept whose ETag is computed: a day, as the remembered pages of a listing (DESIGN 5).
const KEPT_FOR_PREDICTION: i64 = 24 * 3600;
/// An answer that has not changed is written again when its copy is older than this part of the time for which it may
/// be served while GitHub is down, and not at every request.
const RENEWED_AFTER: i64 = 4;
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// `hit` and `fwd` exclude each other; a stale answer in place of a failed origin's is a hit (RFC 9211, 2.1).
const SERVED_STALE: HeaderValue = HeaderValue::from_static("git-installations; hit; detail=upstream-error");

/// GitHub's answer, if it is one that can be relayed: a failure of GitHub, a body that is not JSON or not
/// whole is a failure here, so that no client takes a proxy's page for a list.
///
/// # Errors
/// [`Failure::Provider`].
pub fn checked(answer: Answer, clock: &Clock) -> Result<Answer, Failure> {
    let provider = ProviderType::Github;
    let status = answer.status;
    if status.is_server_error() || status.is_informational() {
        return Err(Failure::Provider { provider, error: classify(&answer, clock) });
    }
    if status.is_client_error() && answer.body.is_empty() {
        return Ok(with_words(answer, clock));
    }
    let unreadable =
        !answer.body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_err();
    // Redirects that are left led away from the host and were not followed.
    let led_away = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    if led_away || unreadable || (status == StatusCode::OK && answer.body.is_empty()) {
        tracing::warn!(
            status = status.as_u16(),
            github_request_id = answer.header("x-github-request-id"),
            "GitHub's answer cannot be relayed"
        );
        let error = ProviderError::BadResponse { status: status.as_u16() };
        return Err(Failure::Provider { provider, error });
    }
    Ok(answer)
}

/// An error that says nothing but its status, as GitHub says it to its clients; a limit with the time to wait.
fn with_words(mut answer: Answer, clock: &Clock) -> Answer {
    if let ProviderError::RateLimited { retry_after: Some(seconds) } = classify(&answer, clock) {
        answer.headers.insert(RETRY_AFTER, seconds.into());
    }
    answer.headers.insert(CONTENT_TYPE, JSON_UTF8);
    answer.body = errors::of_status(answer.status).into();
    answer
}

/// A request whose last good answer is kept: for one caller, told apart by what changes the answer.
#[derive(Clone, Debug)]
pub struct KeptRequest {
    owner: AnswerOwner,
    key: String,
    /// The answer is dated with this: what is taken away after it may still be in the answer.
    asked_at: i64,
}

impl KeptRequest {
    /// The request of a caller for `path` with `query` and these forwarded headers, which is made now.
    #[must_use]
    pub fn new(owner: AnswerOwner, path: &str, query: &str, forwarded: &HeaderMap, clock: &Clock) -> Self {
        let mut text = format!("{path}\n{query}");
        for name in ["accept", "x-github-api-version"] {
            text.push('\n');
            text.push_str(forwarded.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default());
        }
        let hash = digest(&SHA256, text.as_bytes());
        let key = hex(&hash.as_ref()[..16]);
        Self { owner, key, asked_at: clock.unix() }
    }

    /// The copy of the last good answer, to be asked about with its ETag; none where the operator has switched that
    /// off. A table that fails here costs the guess and nothing else.
    pub async fn copy(&self, service: &Service) -> Option<Arc<Copy>> {
        if !service.config.upstream.predict_etags {
            return None;
        }
        match service.table.kept_answer(&self.owner, ProviderType::Github, &self.key).await {
            Ok(kept) => Copy::of(&kept?).map(Arc::new),
            Err(error) => {
                tracing::warn!(%error, "no copy could be looked for");
                None
            }
        }
    }

    /// Keeps a good answer, forgets all copies after a refusal. A table that fails here costs the copy and
    /// nothing else.
    pub async fn settle(&self, service: &Service, relayed: &Relayed) {
        let answer = relayed.answer();
        let outcome = match answer.status {
            StatusCode::OK if relayed.copy().is_some_and(|copy| self.is_young(service, copy)) => Ok(()),
            StatusCode::OK => self.keep(service, relayed).await,
            // Revoked, uninstalled, gone: what was seen before must not be shown again.
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => self.forget(service).await,
            // A rate limit has the same status and takes nothing away.
            StatusCode::FORBIDDEN
                if !matches!(classify(answer, &service.clock), ProviderError::RateLimited { .. }) =>
            {
                self.forget(service).await
            }
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "a copy of an answer was not kept or not forgotten");
        }
    }

    async fn forget(&self, service: &Service) -> Result<(), StoreError> {
        match self.owner {
            AnswerOwner::User(_) => {
                let now = service.clock.unix();
                service.table.forget_answers(&self.owner, ProviderType::Github, now).await
            }
            // Another account's installation is as good as before.
            AnswerOwner::App => {
                service.table.forget_answer(&self.owner, ProviderType::Github, &self.key).await
            }
        }
    }

    fn is_young(&self, service: &Service, copy: &Copy) -> bool {
        let served = seconds(service.config.stale_if_error);
        let life = if served > 0 { served } else { KEPT_FOR_PREDICTION };
        self.asked_at - copy.fetched_at < life / RENEWED_AFTER
    }

    async fn keep(&self, service: &Service, relayed: &Relayed) -> Result<(), StoreError> {
        let answer = relayed.answer();
        let predicted = if service.config.upstream.predict_etags { KEPT_FOR_PREDICTION } else { 0 };
        let longest = seconds(service.config.stale_if_error).max(predicted);
        if longest == 0 {
            return Ok(());
        }
        let Some(body) = packed(&answer.body) else { return Ok(()) };
        let text = |name: &HeaderName, value: &HeaderValue| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let others = ANSWER_HEADERS.into_iter().chain([LINK, VARY]).filter(|name| *name != ETAG);
        let headers = relayed
            .tags()
            .into_iter()
            .filter_map(|tag| text(&ETAG, tag))
            .chain(others.filter_map(|name| text(&name, answer.headers.get(&name)?)))
            .collect();
        let kept = KeptAnswer {
            request: self.key.clone(),
            headers,
            body,
            fetched_at: self.asked_at,
            expires_at: self.asked_at + longest + 60,
        };
        service.table.keep_answer(&self.owner, ProviderType::Github, &kept).await
    }

    /// The last good answer in place of a failure of the host, if there is one that is not too old; else the
    /// failure itself. Only what means "the host is down" is answered so: a refusal is an answer.
    ///
    /// # Errors
    /// The failure that was given.
    pub async fn instead_of(
        &self,
        service: &Service,
        failure: Failure,
        public_url: &url::Url,
        path: &str,
        budget: &Budget,
    ) -> Result<Response, Failure> {
        let Failure::Provider { error, .. } = &failure else { return Err(failure) };
        let down = matches!(
            error,
            ProviderError::Unreachable | ProviderError::Timeout | ProviderError::BadResponse { .. }
        );
        if !down {
            return Err(failure);
        }
        let kept = match service.table.kept_answer(&self.owner, ProviderType::Github, &self.key).await {
            Ok(Some(kept)) => kept,
            Ok(None) => return Err(failure),
            Err(error) => {
                tracing::warn!(%error, "no copy could be looked for");
                return Err(failure);
            }
        };
        // Another process, whose clock is a little ahead, may have kept it.
        let age = u64::try_from(service.clock.unix() - kept.fetched_at).unwrap_or(0);
        let longest = service.config.stale_if_error.as_secs();
        let fresh_enough = longest > 0 && age <= longest;
        let Some(body) = unpacked(&kept.body).filter(|_| fresh_enough) else { return Err(failure) };
        budget.record().kept_answer_served(&failure);
        let mut response = passed_through(StatusCode::OK, &headers_of(&kept), body, public_url, path);
        response.headers_mut().insert(AGE, HeaderValue::from(age));
        response.headers_mut().insert(CACHE_STATUS, SERVED_STALE);
        Ok(response)
    }
}

fn seconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
