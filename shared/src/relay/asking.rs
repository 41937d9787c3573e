//! Asking GitHub with the ETag that the kept copy would have under today's token (DESIGN 5; reference: GitHub 1.6).
//! Only a 304 to that very tag shows the copy: it says that this token sees these bytes. Nothing else does.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, LINK, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::checked;
use crate::contract::Response;
use crate::contract::github::{ANSWER_HEADERS, passed_through};
use crate::failure::Failure;
use crate::if_none_match;
use crate::packing::unpacked;
use crate::provider::ProviderType;
use crate::provider::github::entity_tag::predict;
use crate::provider::token::{FixedToken, TokenSource};
use crate::provider::upstream::{Answer, Budget};
use crate::service::Service;
use crate::store::KeptAnswer;

/// How many tags are kept with a body: one for each of a user's tokens of two days, or of an hour's JWTs.
const TAGS: usize = 8;
/// What is true of one call only, so that no copy tells it of another.
const OF_ONE_CALL: [HeaderName; 7] = [
    RETRY_AFTER,
    HeaderName::from_static("x-github-request-id"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-used"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("x-ratelimit-resource"),
];

/// The last good answer to a request, read before GitHub is asked again.
#[derive(Debug)]
pub struct Copy {
    headers: HeaderMap,
    body: Bytes,
    pub(super) fetched_at: i64,
}

impl Copy {
    /// None for one that does not unpack.
    pub(super) fn of(kept: &KeptAnswer) -> Option<Self> {
        let body = unpacked(&kept.body)?.into();
        Some(Self { headers: headers_of(kept), body, fetched_at: kept.fetched_at })
    }

    /// The tags that the body has had under one token or another, the last one first.
    fn tags(&self) -> impl Iterator<Item = &HeaderValue> {
        self.headers.get_all(ETAG).iter()
    }

    /// Whether the client names one of them, and so has the body.
    fn is_known(&self, client: &HeaderMap) -> bool {
        self.tags().any(|tag| if_none_match::names(client, tag))
    }

    fn predicted(&self, sent: &HeaderMap) -> Option<HeaderValue> {
        predict(self.headers.get(VARY)?.to_str().ok()?, sent, &self.body)
    }
}

/// The headers that were kept with an answer.
pub(super) fn headers_of(kept: &KeptAnswer) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    kept.headers.iter().filter_map(header).collect()
}

/// The tag of the copy under the token of the call that was made last.
#[derive(Clone, Debug)]
struct Guess {
    tag: HeaderValue,
    /// Whether we have added it to the client's own condition, which did not name it.
    added: bool,
}

/// The condition of a call to GitHub: the client's, and the tag of the copy.
#[derive(Debug, Default)]
struct Conditions {
    copy: Option<Arc<Copy>>,
    guess: Mutex<Option<Guess>>,
}

impl Conditions {
    /// Completes the headers of a call, the token that it is made with among them.
    fn complete(&self, headers: &mut HeaderMap) {
        let guess = self.guess_for(headers);
        if let Some(Guess { tag, added: true }) = &guess {
            if_none_match::add(headers, tag);
        }
        *self.guess.lock().unwrap_or_else(PoisonError::into_inner) = guess;
    }

    /// None beside a wildcard, which stands alone and means whatever there is.
    fn guess_for(&self, headers: &HeaderMap) -> Option<Guess> {
        let copy = self.copy.as_ref().filter(|_| !if_none_match::is_wildcard(headers))?;
        let tag = copy.predicted(headers)?;
        Some(Guess { added: !if_none_match::names(headers, &tag), tag })
    }

    fn last(&self) -> Option<Guess> {
        self.guess.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Guess {
    /// Whether a 304 is about the copy; none where it does not say which of several tags it is about.
    fn is_meant_by(&self, not_modified: &Answer, client: &HeaderMap) -> Option<bool> {
        match not_modified.headers.get(ETAG) {
            Some(tag) => Some(if_none_match::same(tag, &self.tag)),
            None if self.added => (!if_none_match::is_there(client)).then_some(true),
            None => Some(if_none_match::count(client) == 1),
        }
    }
}

/// GitHub's answer as it is relayed.
#[derive(Debug)]
pub struct Relayed {
    answer: Answer,
    /// The copy whose body this is, byte by byte.
    copy: Option<Arc<Copy>>,
    /// Whether the client has said that it has this body.
    known: bool,
}

impl From<Answer> for Relayed {
    fn from(answer: Answer) -> Self {
        Self { answer, copy: None, known: false }
    }
}

impl Relayed {
    /// The answer with its whole body, GitHub's or the copy's.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Whether the client is shown a body that it has not said to have.
    #[must_use]
    pub fn shows_news(&self) -> bool {
        self.answer.status.is_success() && !self.known
    }

    /// The same as if GitHub had not found it: whatever it shows is not for this caller.
    #[must_use]
    pub fn not_found(self) -> Self {
        Answer { status: StatusCode::NOT_FOUND, ..self.answer }.into()
    }

    /// Our answer.
    #[must_use]
    pub fn response(mut self, public_url: &Url, path: &str) -> Response {
        if self.known {
            self.answer.headers.remove(CONTENT_TYPE);
            return passed_through(
                StatusCode::NOT_MODIFIED,
                &self.answer.headers,
                Vec::new(),
                public_url,
                path,
            );
        }
        passed_through(self.answer.status, &self.answer.headers, self.answer.body.into(), public_url, path)
    }

    pub(super) const fn copy(&self) -> Option<&Arc<Copy>> {
        self.copy.as_ref()
    }

    /// The tags of the body, today's first, as far as they are worth keeping: by the earlier ones clients know it.
    pub(super) fn tags(&self) -> Vec<&HeaderValue> {
        let mut tags: Vec<&HeaderValue> = self.answer.headers.get(ETAG).into_iter().collect();
        for tag in self.copy.iter().flat_map(|copy| copy.tags()) {
            if tags.len() < TAGS && !tags.iter().any(|known| if_none_match::same(known, tag)) {
                tags.push(tag);
            }
        }
        tags
    }

    /// The copy's body with its headers and those of the 304 over them (RFC 9111, 4.3.4), but for the type, which is
    /// that of the body (3.2).
    fn confirmed(copy: Arc<Copy>, tag: HeaderValue, not_modified: &Answer, client: &HeaderMap) -> Self {
        let mut headers = copy.headers.clone();
        let known = copy.is_known(client) || if_none_match::names(client, &tag);
        for name in OF_ONE_CALL {
            headers.remove(name);
        }
        headers.insert(ETAG, tag);
        for name in ANSWER_HEADERS.iter().filter(|name| **name != CONTENT_TYPE).chain([&LINK, &VARY]) {
            if let Some(value) = not_modified.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        let answer = Answer { status: StatusCode::OK, headers, body: copy.body.clone() };
        Self { answer, copy: Some(copy), known }
    }

    /// A whole answer of GitHub. If the copy has the same body, who knows the copy's tag knows this.
    fn whole(answer: Answer, copy: &Arc<Copy>, client: &HeaderMap) -> Self {
        if copy.body != answer.body {
            return answer.into();
        }
        let known = copy.is_known(client);
        Self { answer, copy: Some(copy.clone()), known }
    }
}

/// A GET at GitHub for a client.
#[derive(Debug)]
pub struct Asking<'a> {
    /// The service.
    pub service: &'a Service,
    /// What is asked for.
    pub url: Url,
    /// The headers that the client sends on, its condition among them.
    pub client: &'a HeaderMap,
    /// What the client's request may spend.
    pub budget: &'a Budget,
}

/// By what the call is proved.
enum Proof<'a, T> {
    Token(&'a T),
    App,
}

impl Asking<'_> {
    /// GitHub's answer to the token of a user, asked about the copy with that token's tag.
    ///
    /// # Errors
    /// [`Failure`]: there is no token or no answer, or the answer cannot be relayed.
    pub async fn by_token<T: TokenSource>(
        &self,
        source: &T,
        copy: Option<Arc<Copy>>,
    ) -> Result<Relayed, Failure> {
        self.ask(&Proof::Token(source), copy).await
    }

    /// GitHub's answer to the App's JWT, in the same way.
    ///
    /// # Errors
    /// As [`Asking::by_token`].
    pub async fn by_the_app(&self, copy: Option<Arc<Copy>>) -> Result<Relayed, Failure> {
        self.ask::<FixedToken>(&Proof::App, copy).await
    }

    async fn ask<T: TokenSource>(
        &self,
        proof: &Proof<'_, T>,
        copy: Option<Arc<Copy>>,
    ) -> Result<Relayed, Failure> {
        let Some(copy) = copy else {
            return Ok(self.call(proof, &Conditions::default()).await?.into());
        };
        let conditions = Conditions { copy: Some(copy.clone()), guess: Mutex::default() };
        let answer = self.call(proof, &conditions).await?;
        let guess = conditions.last();
        let note = |hit| {
            if guess.as_ref().is_some_and(|guess| guess.added) {
                self.budget.record().predicted_etag(ProviderType::Github, hit);
            }
        };
        match (answer.status, &guess) {
            (StatusCode::OK, _) => {
                note(false);
                Ok(Relayed::whole(answer, &copy, self.client))
            }
            (StatusCode::NOT_MODIFIED, Some(guess)) => match guess.is_meant_by(&answer, self.client) {
                Some(true) => {
                    note(true);
                    Ok(Relayed::confirmed(copy, guess.tag.clone(), &answer, self.client))
                }
                Some(false) => {
                    note(false);
                    Ok(answer.into())
                }
                // The client's tag or ours, which may stand for different bodies: asked with the client's alone.
                None => Ok(self.call(proof, &Conditions::default()).await?.into()),
            },
            _ => Ok(answer.into()),
        }
    }

    async fn call<T: TokenSource>(
        &self,
        proof: &Proof<'_, T>,
        conditions: &Conditions,
    ) -> Result<Answer, Failure> {
        let Self { service, url, client, budget } = self;
        let (url, headers) = (url.clone(), (*client).clone());
        let complete = |headers: &mut HeaderMap| conditions.complete(headers);
        let answer = match proof {
            Proof::Token(source) => service.github.get_with(url, headers, complete, *source, budget).await?,
            Proof::App => {
                service.github_app.get_with(&service.github, url, headers, complete, budget).await?
            }
        };
        checked(answer, &service.clock)
    }
}

#[cfg(test)]
mod tests;
