//! One page of a listing: what is read of it, what is remembered of it, and asking whether that is still right.
//! Which pages there are to ask for is `walk`'s business.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::entity_tag::predict;
use super::installations::{Installations, further};
use super::repositories::Page as RepositoriesPage;
use super::{Github, Installation, MAX_PER_PAGE, read_json};
use crate::packing::{packed, unpacked};
use crate::provider::remembered::{ListOf, PageId, PageMemory, RememberedPage, TokenFingerprint, Validator};
use crate::provider::token::TokenSource;
use crate::provider::upstream::{Answer, Budget};
use crate::provider::{CallError, OwnerType, ProviderError, ProviderType, Repository};

/// What a listing lists.
pub(super) trait Listing: Clone + Send + Sync {
    /// Whether a page is remembered as the bytes that the host sent, of which its ETag can be computed.
    const WHOLE: bool;

    /// What tells one from another.
    fn key(&self) -> Cow<'_, str>;

    /// Reads a body.
    fn read(github: &Github, answer: &Answer) -> Result<Body<Self>, ProviderError>;

    /// What is remembered of a page, not packed yet.
    fn reduced(answer: &Answer, items: &[Self]) -> Option<Vec<u8>>;

    /// The items again.
    fn restored(reduced: &[u8]) -> Option<Vec<Self>>;
}

/// A page's body.
pub(super) struct Body<C> {
    items: Vec<C>,
    /// With those that could not be read.
    count: usize,
    total: u64,
}

/// A page as the host has it now.
#[derive(Clone, Debug)]
pub(super) struct Page<C> {
    pub(super) items: Arc<Vec<C>>,
    pub(super) count: usize,
    pub(super) total: u64,
    pub(super) last_page: u32,
    /// By what it can be asked for again; none where the host gave no ETag.
    validator: Option<Validator>,
    /// Whether it is what was known before, byte for byte.
    pub(super) unchanged: bool,
    /// Whether it holds the same as was known before, in the same order.
    pub(super) same_members: bool,
}

impl<C> Page<C> {
    /// Whether the host has said by what it knows the page.
    pub(super) const fn can_be_known(&self) -> bool {
        self.validator.is_some()
    }
}

/// A page as it was known before this question.
#[derive(Clone, Debug)]
pub(super) struct Known<C> {
    validator: Option<Validator>,
    count: usize,
    total: u64,
    last_page: u32,
    content: Content<C>,
}

#[derive(Clone, Debug)]
enum Content<C> {
    Packed(Vec<u8>),
    Read(Arc<Vec<C>>),
}

impl<C: Listing> Known<C> {
    pub(super) fn remembered(page: RememberedPage) -> Self {
        Self {
            validator: Some(page.validator),
            count: usize::try_from(page.count).unwrap_or(usize::MAX),
            total: page.total,
            last_page: page.last_page,
            content: Content::Packed(page.content),
        }
    }

    pub(super) fn seen(page: &Page<C>) -> Self {
        Self {
            validator: page.validator.clone(),
            count: page.count,
            total: page.total,
            last_page: page.last_page,
            content: Content::Read(page.items.clone()),
        }
    }

    fn items(&self) -> Option<Arc<Vec<C>>> {
        match &self.content {
            Content::Read(items) => Some(items.clone()),
            Content::Packed(content) => C::restored(&unpacked(content)?).map(Arc::new),
        }
    }

    /// The condition that goes with the token in these headers: what was said to this very token, else what would be
    /// said to it. An ETag of another token never matches, and is not sent.
    fn condition(&self, token: TokenFingerprint, headers: &HeaderMap, predicts: bool) -> Option<Condition> {
        let validator = self.validator.as_ref()?;
        if validator.token == token {
            return Some(Condition { validator: validator.clone(), predicted: false });
        }
        let Content::Packed(content) = &self.content else { return None };
        let vary = validator.vary.as_deref().filter(|_| predicts && C::WHOLE)?;
        let etag = predict(vary, headers, &unpacked(content)?)?.to_str().ok()?.to_owned();
        let validator = Validator { etag, token, vary: Some(vary.to_owned()) };
        Some(Condition { validator, predicted: true })
    }
}

/// How a call was made: with which token, and on which condition.
#[derive(Clone, Default)]
struct Sent {
    token: Option<TokenFingerprint>,
    condition: Option<Condition>,
}

/// By what the host is asked whether a page is still as it is known.
#[derive(Clone)]
struct Condition {
    validator: Validator,
    predicted: bool,
}

/// What everything that is asked for one request has in common.
#[derive(Debug)]
pub(super) struct Asking<'a, T, M> {
    pub(super) github: &'a Github,
    pub(super) source: &'a T,
    pub(super) memory: &'a M,
    pub(super) budget: &'a Budget,
}

impl<T: TokenSource, M: PageMemory> Asking<'_, T, M> {
    /// A page as it is now: what is known of it where the host says so, which costs none of the user's rate limit.
    pub(super) async fn page<C: Listing>(
        &self,
        id: PageId,
        known: Option<&Known<C>>,
    ) -> Result<Page<C>, CallError> {
        let (answer, sent) = self.ask(id, known).await?;
        // Who was not asked whether something is as before has not answered that either.
        if answer.status != StatusCode::NOT_MODIFIED || sent.condition.is_none() {
            return Ok(self.read(id, known, &answer, sent)?);
        }
        let items =
            known.zip(sent.condition).and_then(|(known, condition)| Some((known, condition, known.items()?)));
        let Some((known, condition, items)) = items else {
            // What was remembered is damaged.
            let (answer, sent) = self.ask::<C>(id, None).await?;
            return Ok(self.read(id, known, &answer, sent)?);
        };
        Ok(Page {
            items,
            count: known.count,
            total: known.total,
            last_page: known.last_page,
            validator: Some(condition.validator),
            unchanged: true,
            same_members: true,
        })
    }

    async fn ask<C: Listing>(
        &self,
        id: PageId,
        known: Option<&Known<C>>,
    ) -> Result<(Answer, Sent), CallError> {
        let sent = Mutex::new(Sent::default());
        let complete = |headers: &mut HeaderMap| {
            let token = headers.get(AUTHORIZATION).map(TokenFingerprint::of);
            let condition = token
                .clone()
                .zip(known)
                .and_then(|(token, known)| known.condition(token, headers, self.memory.predicts()));
            let etag = condition
                .as_ref()
                .and_then(|condition| HeaderValue::from_str(&condition.validator.etag).ok());
            headers.extend(etag.map(|etag| (IF_NONE_MATCH, etag)));
            *sent.lock().unwrap_or_else(PoisonError::into_inner) = Sent { token, condition };
        };
        let url = self.github.page_url(id);
        let answer = self.github.get_with(url, HeaderMap::new(), complete, self.source, self.budget).await?;
        let sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
        let hit = answer.status == StatusCode::NOT_MODIFIED;
        if sent.condition.as_ref().is_some_and(|condition| condition.predicted)
            && (hit || answer.status == StatusCode::OK)
        {
            self.budget.record().predicted_etag(ProviderType::Github, hit);
        }
        Ok((answer, sent))
    }

    fn read<C: Listing>(
        &self,
        id: PageId,
        known: Option<&Known<C>>,
        answer: &Answer,
        sent: Sent,
    ) -> Result<Page<C>, ProviderError> {
        let Body { items, count, total } = C::read(self.github, answer)?;
        let last_page = further(answer.header("link"), id.page);
        let etag = answer.header(ETAG.as_str());
        let validator = etag.zip(sent.token).map(|(etag, token)| Validator {
            etag: etag.to_owned(),
            token,
            vary: answer.header(VARY.as_str()).map(str::to_owned),
        });
        let reduced = || C::reduced(answer, &items).as_deref().and_then(packed);
        if let (Some(validator), Ok(stored)) = (validator.clone(), u32::try_from(count))
            && (count > 0 || id.page == 1)
            && let Some(content) = reduced()
        {
            self.memory.keep(RememberedPage { id, validator, total, last_page, count: stored, content });
        }
        let same_members = known.and_then(Known::items).is_some_and(|known| {
            known.len() == items.len() && known.iter().zip(&items).all(|(a, b)| a.key() == b.key())
        });
        Ok(Page {
            items: Arc::new(items),
            count,
            total,
            last_page,
            validator,
            unchanged: false,
            same_members,
        })
    }
}

impl Github {
    /// Where a page of a listing is asked for.
    fn page_url(&self, PageId { list, page }: PageId) -> Url {
        let query = [("per_page", MAX_PER_PAGE.to_string()), ("page", page.to_string())];
        let query = [(query[0].0, query[0].1.as_str()), (query[1].0, query[1].1.as_str())];
        match list {
            ListOf::Installations => self.url(&["user", "installations"], &query),
            ListOf::Repositories(installation) => {
                self.url(&["user", "installations", &installation.to_string(), "repositories"], &query)
            }
        }
    }
}

impl Listing for Installation {
    const WHOLE: bool = true;

    fn key(&self) -> Cow<'_, str> {
        self.id.to_string().into()
    }

    fn read(github: &Github, answer: &Answer) -> Result<Body<Self>, ProviderError> {
        let body: Installations = read_json(answer, &github.clock)?;
        Ok(Body { count: body.installations.len(), items: body.installations, total: body.total_count })
    }

    // Small, and remembered whole: from the bytes the ETag for another token can be computed.
    fn reduced(answer: &Answer, _: &[Self]) -> Option<Vec<u8>> {
        Some(answer.body.to_vec())
    }

    fn restored(reduced: &[u8]) -> Option<Vec<Self>> {
        let body: Installations = serde_json::from_slice(reduced).ok()?;
        Some(body.installations)
    }
}

/// A repository without what all of a page have in common and without names of fields: a page of 100 is 12 kB, and
/// packed 4.
#[derive(Serialize, Deserialize)]
struct Row<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    bool,
    Option<u64>,
    Option<Cow<'a, str>>,
    Option<Cow<'a, str>>,
    Option<Cow<'a, str>>,
    Option<OwnerType>,
    Option<Cow<'a, str>>,
);

impl<'a> Row<'a> {
    fn of(repository: &'a Repository) -> Self {
        let Repository {
            id,
            full_name,
            provider: _,
            is_public,
            stargazers_count,
            pushed_at,
            updated_at,
            created_at,
            owner_type,
            main_branch,
        } = repository;
        Self(
            id.into(),
            full_name.into(),
            *is_public,
            *stargazers_count,
            pushed_at.as_deref().map(Cow::from),
            updated_at.as_deref().map(Cow::from),
            created_at.as_deref().map(Cow::from),
            *owner_type,
            main_branch.as_deref().map(Cow::from),
        )
    }
}

impl Listing for Repository {
    const WHOLE: bool = false;

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn read(github: &Github, answer: &Answer) -> Result<Body<Self>, ProviderError> {
        let page = RepositoriesPage::read(answer, &github.clock)?;
        Ok(Body { items: page.repositories, count: page.count, total: page.total_count })
    }

    fn reduced(_: &Answer, items: &[Self]) -> Option<Vec<u8>> {
        serde_json::to_vec(&items.iter().map(Row::of).collect::<Vec<_>>()).ok()
    }

    fn restored(reduced: &[u8]) -> Option<Vec<Self>> {
        let rows: Vec<Row<'_>> = serde_json::from_slice(reduced).ok()?;
        let repository =
            |Row(id, name, is_public, stars, pushed, updated, created, owner_type, branch)| Self {
                id: Cow::into_owned(id),
                full_name: Cow::into_owned(name),
                provider: ProviderType::Github,
                is_public,
                stargazers_count: stars,
                pushed_at: pushed.map(Cow::into_owned),
                updated_at: updated.map(Cow::into_owned),
                created_at: created.map(Cow::into_owned),
                owner_type,
                main_branch: branch.map(Cow::into_owned),
            };
        Some(rows.into_iter().map(repository).collect())
    }
}
