//! Reading many of Bitbucket's pages: all of a listing, or the part of it that one page of ours shows.
//! Which addresses may be asked is decided in `paging`; what an item is, in the modules of the items.

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use http::StatusCode;
use serde_json::value::RawValue;
use url::Url;

use super::paging::{Page, Trail, Walk};
use super::{Bitbucket, MAX_PAGELEN, errors};
use crate::provider::paging::AT_ONCE;
use crate::provider::token::TokenSource;
use crate::provider::upstream::{Answer, Budget};
use crate::provider::{CallError, ProviderError};

/// Smaller pages that are tried where Bitbucket refuses a size.
const SMALLER: [u32; 2] = [50, 10];

/// What somebody reads of each item of a listing.
pub(super) trait Item: Sized + Send {
    /// Reads one item for the user of this uuid; `None` if it lacks what identifies it. No other field costs it.
    fn read(item: &str, own: Option<&str>) -> Option<Self>;
    /// What no two items share.
    fn key(&self) -> &str;
}

/// One odd item never costs the page (DESIGN 4): what cannot be identified is left out, and logged.
pub(super) fn identified<I: Item>(item: &RawValue, own: Option<&str>) -> Option<I> {
    let found = I::read(item.get(), own);
    if found.is_none() {
        tracing::warn!("an item without the fields that identify it was left out of a page of Bitbucket");
    }
    found
}

impl Bitbucket {
    /// Every item of a listing, each once, in the host's order. A failing page costs itself and what only it leads
    /// to; the error stands beside what was found. A listing that changed while it was read is read once more.
    pub(super) async fn all<I: Item, T: TokenSource>(
        &self,
        url: &Url,
        own: Option<&str>,
        source: &T,
        budget: &Budget,
    ) -> (Vec<I>, Option<CallError>) {
        let mut found: Vec<I> = Vec::new();
        let mut result = self.walk(url, own, &mut found, source, budget).await;
        if matches!(result, Ok(true)) {
            result = self.walk(url, own, &mut found, source, budget).await;
        }
        let mut seen = HashSet::with_capacity(found.len());
        found.retain(|item| seen.insert(item.key().to_owned()));
        (found, result.err())
    }

    /// Reads all pages once and tells whether the listing changed meanwhile.
    async fn walk<I: Item, T: TokenSource>(
        &self,
        url: &Url,
        own: Option<&str>,
        found: &mut Vec<I>,
        source: &T,
        budget: &Budget,
    ) -> Result<bool, CallError> {
        let (first, answer) = self.first(url, source, budget).await?;
        let mut opening = Some(answer);
        let mut walk = Walk::new(&self.host.api, first);
        let mut failed = None;
        loop {
            let asks = walk.batch().map_err(ProviderError::from)?;
            if asks.is_empty() {
                return failed.map_or(Ok(walk.has_moved()), Err);
            }
            let mut answers = stream::iter(asks)
                .map(|ask| {
                    let ready = opening.take();
                    async move {
                        let answer = match ready {
                            Some(answer) => Ok(answer),
                            None => self.get(ask.url.clone(), source, budget).await,
                        };
                        (answer.and_then(|answer| Ok(Page::read(&answer)?)), ask)
                    }
                })
                .buffered(AT_ONCE as usize);
            while let Some((page, ask)) = answers.next().await {
                match page {
                    Ok(page) => {
                        found.extend(page.values.iter().filter_map(|item| identified(item, own)));
                        if let Err(refused) = walk.saw(&ask, &page) {
                            failed.get_or_insert(ProviderError::from(refused).into());
                        }
                    }
                    Err(error @ (CallError::Token(_) | CallError::Host(ProviderError::Unauthorized))) => {
                        return Err(error);
                    }
                    Err(_) if walk.is_past_the_end(&ask) => {}
                    Err(error) => {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
    }

    /// The items of our page `page` of `per_page`, and whether more follow.
    ///
    /// One call where the host's pages have numbers and our size. Else its own pages are read, from as near as
    /// they can be entered, until ours is full.
    pub(super) async fn window<T: TokenSource>(
        &self,
        url: &Url,
        page: u32,
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<(Vec<Box<RawValue>>, bool), CallError> {
        let mut size = per_page.clamp(1, MAX_PAGELEN);
        let wanted = size as usize;
        let before = u64::from(page.max(1) - 1) * u64::from(size);
        loop {
            let number = u32::try_from(before / u64::from(size) + 1).unwrap_or(u32::MAX);
            let (first, answer) = self.open(url, size, number, source, budget).await?;
            if errors::is_invalid_pagelen(&answer)
                && let Some(smaller) = smaller(size)
            {
                size = smaller;
                continue;
            }
            if number > 1 && matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
                break;
            }
            let opening = Page::read(&answer)?;
            // A page that is followed by another is full: its size is what the host gives at most.
            if let Some(told) = opening.pagelen.filter(|told| *told < size && opening.next.is_some()) {
                size = told;
                continue;
            }
            if number > 1 && !opening.is_number(number) {
                break;
            }
            let skip = usize::try_from(before % u64::from(size)).unwrap_or(usize::MAX);
            return self.gather(first, opening, skip, wanted, source, budget).await;
        }
        // Numbers do not lead there, or there is nothing: that is seen from the beginning only.
        let (first, answer) = self.first(url, source, budget).await?;
        let opening = Page::read(&answer)?;
        if opening.size.is_some_and(|size| size <= before) {
            return Ok((Vec::new(), false));
        }
        let skip = usize::try_from(before).unwrap_or(usize::MAX);
        self.gather(first, opening, skip, wanted, source, budget).await
    }

    /// Items from an opened page on: `wanted` of them after the first `skip`.
    async fn gather<T: TokenSource>(
        &self,
        first: Url,
        opening: Page,
        skip: usize,
        wanted: usize,
        source: &T,
        budget: &Budget,
    ) -> Result<(Vec<Box<RawValue>>, bool), CallError> {
        let mut trail = Trail::new(&self.host.api);
        trail.ask(&first).map_err(ProviderError::from)?;
        let end = skip.saturating_add(wanted);
        let mut page = opening;
        let mut seen = 0_usize;
        let mut found = Vec::with_capacity(wanted);
        loop {
            let next = trail.next(&page).map_err(ProviderError::from)?;
            for item in page.values {
                if (skip..end).contains(&seen) {
                    found.push(item);
                }
                seen = seen.saturating_add(1);
            }
            match next {
                Some(next) if seen < end => {
                    trail.ask(&next).map_err(ProviderError::from)?;
                    page = Page::read(&self.get(next, source, budget).await?)?;
                }
                next => return Ok((found, next.is_some() || seen > end)),
            }
        }
    }

    /// The first page of a listing, as large as the host gives it.
    async fn first<T: TokenSource>(
        &self,
        url: &Url,
        source: &T,
        budget: &Budget,
    ) -> Result<(Url, Answer), CallError> {
        let mut size = MAX_PAGELEN;
        loop {
            let (first, answer) = self.open(url, size, 1, source, budget).await?;
            match smaller(size) {
                Some(smaller) if errors::is_invalid_pagelen(&answer) => size = smaller,
                _ => return Ok((first, answer)),
            }
        }
    }

    /// One page by its number, and the address that was asked for.
    async fn open<T: TokenSource>(
        &self,
        url: &Url,
        size: u32,
        number: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<(Url, Answer), CallError> {
        let mut url = url.clone();
        url.query_pairs_mut().append_pair("pagelen", &size.to_string());
        if number > 1 {
            url.query_pairs_mut().append_pair("page", &number.to_string());
        }
        let answer = self.get(url.clone(), source, budget).await?;
        Ok((url, answer))
    }
}

/// The next size to be tried where the host refuses this one.
fn smaller(size: u32) -> Option<u32> {
    SMALLER.into_iter().find(|smaller| *smaller < size)
}
