//! Many pages made one list: by page numbers at once, by page numbers one after the other, or by ids.
//! What is asked for is the listings' business; here nothing is lost that stood still, and nothing loops.

use std::collections::HashSet;
use std::future::Future;

use futures::stream::{self, StreamExt};

use super::MAX_PER_PAGE;
use super::said::{Next, Said};
use crate::provider::paging::{AT_ONCE, Remaining};
use crate::provider::{CallError, ProviderError};

/// What a listing is of; its ids grow with every new one.
pub(super) trait Numbered: Sized {
    /// Reads one item; `None` if it lacks what identifies it.
    fn read(item: &str) -> Option<Self>;
    /// The id.
    fn number(&self) -> u64;
}

/// One page.
#[derive(Clone, Debug)]
pub(super) struct Page<I> {
    /// What could be read.
    pub(super) items: Vec<I>,
    /// How many items there were, the unreadable among them.
    pub(super) length: usize,
    pub(super) said: Said,
}

/// What was found by page numbers.
#[derive(Clone, Debug)]
pub(super) struct Found<I> {
    pub(super) items: Vec<I>,
    /// Whether nothing came or went while we were reading, as far as the host counts: else what stood still
    /// may have moved from a page that was not read yet to one that was.
    pub(super) steady: bool,
}

impl<I: Numbered> Page<I> {
    /// A page of these items. An odd one costs itself only.
    pub(super) fn new<'a>(items: impl ExactSizeIterator<Item = &'a str>, said: Said) -> Self {
        let length = items.len();
        let items: Vec<I> = items.filter_map(I::read).collect();
        if items.len() < length {
            tracing::warn!(
                left_out = length - items.len(),
                "items without the fields that identify them were left out of a page"
            );
        }
        Self { items, length, said }
    }

    /// Whether another page follows. Where the host does not say, a page that is not full is the last.
    pub(super) fn has_next(&self, per_page: u32) -> bool {
        match self.said.next {
            Next::Nothing => false,
            Next::Follows | Next::After(_) => true,
            Next::Elsewhere => self.length > 0,
            Next::Unsaid => self.length >= per_page as usize,
        }
    }

    /// The id behind which a listing by ids goes on, if it does.
    ///
    /// # Errors
    /// [`ProviderError::BadResponse`] where going on would lead in a circle.
    pub(super) fn behind(&self, after: u64) -> Result<Option<u64>, ProviderError> {
        if self.length == 0 || !self.has_next(MAX_PER_PAGE) {
            return Ok(None);
        }
        let last = self.items.iter().map(I::number).max().or(match self.said.next {
            Next::After(id) => Some(id),
            _ => None,
        });
        last.filter(|last| *last > after).map(Some).ok_or(ProviderError::BadResponse { status: 200 })
    }
}

/// All pages by their numbers, `first` being the first: at once where the host counts, else one after the
/// other as long as something new comes.
///
/// # Errors
/// [`CallError`] if any page fails: a cut list would look like a whole one.
pub(super) async fn by_number<I, F>(first: Page<I>, ask: impl Fn(u32) -> F) -> Result<Found<I>, CallError>
where
    I: Numbered,
    F: Future<Output = Result<Page<I>, CallError>>,
{
    let total = first.said.total;
    // Uncounted, they follow one by one: a count of nothing leaves only what the pages themselves name.
    let mut remaining = Remaining::new(
        total.unwrap_or_default(),
        MAX_PER_PAGE,
        if first.has_next(MAX_PER_PAGE) { 2 } else { 1 },
    );
    let mut seen: HashSet<u64> = first.items.iter().map(I::number).collect();
    let mut found = Found { items: first.items, steady: true };
    while let Some(batch) = remaining.batch() {
        let mut pages = stream::iter(batch)
            .map(|number| {
                let page = ask(number);
                async move { (number, page.await) }
            })
            .buffered(AT_ONCE as usize);
        while let Some((number, page)) = pages.next().await {
            let page = page?;
            let unreadable = page.length - page.items.len();
            let new = page.items.iter().filter(|item| seen.insert(item.number())).count();
            let next = if page.has_next(MAX_PER_PAGE) { number.saturating_add(1) } else { number };
            remaining.saw(new + unreadable, next);
            found.steady &= page.said.total == total;
            found.items.extend(page.items);
        }
    }
    Ok(found)
}

/// All items with ids above `after` and, if there is one, below `before`: page by page, each behind the last
/// id of the one before, so that no coming and going moves anything.
///
/// # Errors
/// [`CallError`] if any page fails, or would lead in a circle.
pub(super) async fn by_id<I, F>(
    mut after: u64,
    before: Option<u64>,
    ask: impl Fn(u64, Option<u64>) -> F,
) -> Result<Vec<I>, CallError>
where
    I: Numbered,
    F: Future<Output = Result<Page<I>, CallError>>,
{
    let mut found = Vec::new();
    loop {
        let page = ask(after, before).await?;
        let next = page.behind(after)?;
        found.extend(page.items);
        match next {
            Some(id) => after = id,
            None => return Ok(found),
        }
    }
}

/// The ids above `after` in ranges (`after`, `before`) that can be read at once; `newest` is about the
/// highest, and the last range is open.
pub(super) fn ranges(after: u64, newest: u64) -> Vec<(u64, Option<u64>)> {
    let parts = u64::from(AT_ONCE);
    let step = (newest.saturating_sub(after) / parts).max(1);
    let starts: Vec<u64> = (0..parts)
        .map(|part| after.saturating_add(part.saturating_mul(step)))
        .take_while(|start| *start == after || *start < newest)
        .collect();
    let mut ranges: Vec<_> =
        starts.windows(2).map(|pair| (pair[0], Some(pair[1].saturating_add(1)))).collect();
    ranges.extend(starts.last().map(|start| (*start, None)));
    ranges
}

/// One item of each id: the one that came last, in the order of the ids.
pub(super) fn distinct<I: Numbered>(items: Vec<I>) -> Vec<I> {
    let by_number = items.into_iter().map(|item| (item.number(), item));
    by_number.collect::<std::collections::BTreeMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests;
