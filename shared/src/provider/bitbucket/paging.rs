//! Bitbucket's pages: what an answer says of itself, which addresses are asked next, when it is over.
//! No call is made here; that is `reading`'s business (reference: Bitbucket 2.2 and Enterprise hosts 4).

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::provider::ProviderError;
use crate::provider::field::value;
use crate::provider::paging::{AT_ONCE, pages};
use crate::provider::upstream::Answer;

/// The most addresses that one listing asks for: as many as hold 10,000 items in Bitbucket's smallest pages.
const MOST_PAGES: usize = 1_000;

/// One page, its items not read yet, so that an odd one costs itself only.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) values: Vec<Box<RawValue>>,
    /// How many items there are on all pages, where the answer tells it.
    pub(super) size: Option<u64>,
    /// Its number, where the answer tells it.
    pub(super) number: Option<u32>,
    /// How many items a page holds, where the answer tells it.
    pub(super) pagelen: Option<u32>,
    /// The address of the next page, not trusted yet.
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    values: Vec<Box<RawValue>>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    page: Option<&'a RawValue>,
    pagelen: Option<&'a RawValue>,
    next: Option<String>,
}

impl Page {
    pub(super) fn read(answer: &Answer) -> Result<Self, ProviderError> {
        let envelope: Envelope<'_> = super::errors::read_json(answer)?;
        Ok(Self {
            values: envelope.values,
            size: value(envelope.size),
            number: value(envelope.page),
            pagelen: value(envelope.pagelen).filter(|pagelen| *pagelen > 0),
            next: envelope.next.filter(|next| !next.is_empty()),
        })
    }

    /// Whether this is the page of that number: hosts with cursors may ignore the number that is asked for.
    pub(super) fn is_number(&self, number: u32) -> bool {
        let next = || {
            let next = Url::parse(self.next.as_deref()?).ok()?;
            let (_, value) = next.query_pairs().find(|(name, _)| name == "page")?;
            value.parse::<u32>().ok()?.checked_sub(1)
        };
        self.number.or_else(next) == Some(number)
    }
}

/// The host named a next page that is not followed. What was found so far is not all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not an address, or not one of the configured API.
    Elsewhere,
    /// A page that was read already.
    Loop,
    /// More pages than any listing has.
    Endless,
}

impl From<Refused> for ProviderError {
    fn from(refused: Refused) -> Self {
        // The address itself stays out of the log: it may hold anything.
        tracing::warn!(?refused, "Bitbucket names a next page that is not followed");
        Self::BadResponse { status: 200 }
    }
}

/// The addresses that one listing has asked for.
#[derive(Debug)]
pub(super) struct Trail<'a> {
    api: &'a Url,
    asked: HashSet<Url>,
}

impl<'a> Trail<'a> {
    pub(super) fn new(api: &'a Url) -> Self {
        Self { api, asked: HashSet::new() }
    }

    /// Notes an address that is asked for.
    pub(super) fn ask(&mut self, url: &Url) -> Result<(), Refused> {
        if self.asked.len() >= MOST_PAGES {
            return Err(Refused::Endless);
        }
        if self.asked.insert(url.clone()) { Ok(()) } else { Err(Refused::Loop) }
    }

    /// The next page's address as the host gives it, if it may be followed: on the API's origin, below its path.
    pub(super) fn next(&self, page: &Page) -> Result<Option<Url>, Refused> {
        let Some(next) = &page.next else { return Ok(None) };
        let next = Url::parse(next).map_err(|_| Refused::Elsewhere)?;
        let below = format!("{}/", self.api.path().trim_end_matches('/'));
        let ours = next.origin() == self.api.origin()
            && next.path().starts_with(&below)
            && next.username().is_empty()
            && next.password().is_none();
        if !ours {
            return Err(Refused::Elsewhere);
        }
        if self.asked.contains(&next) { Err(Refused::Loop) } else { Ok(Some(next)) }
    }
}

/// An address to be asked for, and its number where it was made from one.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) url: Url,
    pub(super) number: Option<u32>,
}

/// Pages that the first one counted: numbers from `next` to `last` are still to be asked for.
#[derive(Debug)]
struct Counted {
    template: Url,
    next: u32,
    last: u32,
}

/// All pages of one listing, in batches to be asked for at once.
///
/// Where the first page tells how many items there are and its `next` has a page number, the counted pages are
/// asked for in parallel; else, and behind them, each `next` is followed as it is.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    trail: Trail<'a>,
    follow: Option<Url>,
    counted: Option<Counted>,
    /// The first counted page that named no next one.
    end: Option<u32>,
    begun: bool,
    size: Option<u64>,
    moved: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(api: &'a Url, first: Url) -> Self {
        let (trail, follow) = (Trail::new(api), Some(first));
        Self { trail, follow, counted: None, end: None, begun: false, size: None, moved: false }
    }

    /// What is to be asked for now; nothing: that was all.
    pub(super) fn batch(&mut self) -> Result<Vec<Ask>, Refused> {
        let asks: Vec<Ask> = if let Some(url) = self.follow.take() {
            vec![Ask { url, number: None }]
        } else if let Some(counted) = self.counted.as_mut().filter(|_| self.end.is_none()) {
            let end = counted.last.min(counted.next.saturating_add(AT_ONCE - 1));
            let numbers = counted.next..=end;
            counted.next = end + 1;
            let ask = |number| Ask { url: with_number(&counted.template, number), number: Some(number) };
            numbers.map(ask).collect()
        } else {
            Vec::new()
        };
        for ask in &asks {
            self.trail.ask(&ask.url)?;
        }
        Ok(asks)
    }

    /// Notes the answer to an address of the batch, in the batch's order.
    pub(super) fn saw(&mut self, ask: &Ask, page: &Page) -> Result<(), Refused> {
        self.moved |= matches!((self.size, page.size), (Some(before), Some(now)) if before != now);
        self.size = self.size.or(page.size);
        let first = !std::mem::replace(&mut self.begun, true);
        match ask.number {
            Some(number) if page.next.is_none() => {
                self.end.get_or_insert(number);
            }
            // Of the counted pages only the last one can name a page that was not asked for.
            Some(number) if !self.is_last(number) => {}
            _ => {
                let Some(next) = self.trail.next(page)? else { return Ok(()) };
                self.counted = if first { count(ask, page, &next) } else { None };
                self.follow = if self.counted.is_some() { None } else { Some(next) };
            }
        }
        Ok(())
    }

    fn is_last(&self, number: u32) -> bool {
        self.end.is_none() && self.counted.as_ref().is_some_and(|counted| counted.last == number)
    }

    /// Whether a failure of this address means nothing: the listing had ended before it.
    pub(super) fn is_past_the_end(&self, ask: &Ask) -> bool {
        matches!((ask.number, self.end), (Some(number), Some(end)) if number > end)
    }

    /// Whether the listing became longer or shorter while it was read, so that an item may have moved from a page
    /// that was not read yet to one that was.
    pub(super) const fn has_moved(&self) -> bool {
        self.moved
    }
}

/// The pages behind the first one, where it tells how many there are and they have numbers.
fn count(ask: &Ask, page: &Page, next: &Url) -> Option<Counted> {
    let holds = page.pagelen.or_else(|| u32::try_from(page.values.len()).ok())?;
    let (number, last) = (numbered(&ask.url, next)?, pages(page.size?, holds));
    (number <= last).then(|| Counted { template: next.clone(), next: number, last })
}

/// The number of the page that `next` names, if a number is all that it adds to the address that was asked for.
/// With anything more (`after`, `ctx`), numbers alone may not lead to the same pages.
fn numbered(asked: &Url, next: &Url) -> Option<u32> {
    let mut number = None;
    for (name, value) in next.query_pairs() {
        if name == "page" {
            number = Some(value.parse().ok().filter(|number| *number > 1 && *number < u32::MAX)?);
        } else if !asked.query_pairs().any(|(known, _)| known == name) {
            return None;
        }
    }
    number
}

/// The address with another page number, all else as the host wrote it.
fn with_number(template: &Url, number: u32) -> Url {
    let parts = template.query().unwrap_or_default().split('&');
    let parts: Vec<String> = parts
        .map(|part| if part.starts_with("page=") { format!("page={number}") } else { part.to_owned() })
        .collect();
    let mut url = template.clone();
    url.set_query(Some(&parts.join("&")));
    url
}

#[cfg(test)]
mod tests;
