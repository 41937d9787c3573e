//! Pages by numbers and pages by ids, with all that GitLab says about further ones, and what it does not.
//! Which items there are is the endpoints' affair.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::Gitlab;
use super::answers::{Parameters, Problem};

const PER_PAGE: u64 = 20;
const MAX_PER_PAGE: u64 = 100;
/// Above so many items GitLab names neither their number nor the last page.
pub(super) const COUNTED: usize = 10_000;

/// What one page of a listing has.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) headers: HeaderMap,
}

/// A listing's own address, for the links to its pages.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    pub(super) gitlab: &'a Gitlab,
    pub(super) parameters: &'a Parameters,
    /// As it was sent, below `/api/v4`.
    pub(super) path: &'a str,
    /// What GitLab calls the items.
    pub(super) kind: &'static str,
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl Listing<'_> {
    fn per_page(&self) -> Result<u64, Problem> {
        Ok(self.parameters.positive("per_page")?.unwrap_or(PER_PAGE).min(MAX_PER_PAGE))
    }

    fn link(&self, changes: &[(&str, &str)], relation: &str) -> String {
        let base = &self.gitlab.link_base;
        format!("<{base}/api/v4{}?{}>; rel=\"{relation}\"", self.path, self.parameters.query_with(changes))
    }

    /// A page of all items, by its number.
    pub(super) fn by_number<T>(&self, items: Vec<T>) -> Result<Page<T>, Problem> {
        let per_page = self.per_page()?;
        let page = self.parameters.positive("page")?.unwrap_or(1);
        let limit = self.gitlab.offset_limit;
        if page.saturating_mul(per_page) > limit {
            return Err(Problem::error(
                StatusCode::METHOD_NOT_ALLOWED,
                &format!(
                    "Offset pagination has a maximum allowed offset of {limit} for requests that return objects of type {}. Remaining records can be retrieved using keyset pagination.",
                    self.kind
                ),
            ));
        }
        let total = items.len();
        let pages = (total as u64).div_ceil(per_page).max(1);
        let counted = total <= COUNTED;
        let next = (page < pages).then(|| page + 1);
        let previous = (page > 1).then(|| (page - 1).min(pages));
        let mut links = Vec::new();
        let number = |page: u64| page.to_string();
        let size = number(per_page);
        let mut add = |page: Option<u64>, relation: &str| {
            links.extend(
                page.map(|page| self.link(&[("page", &number(page)), ("per_page", &size)], relation)),
            );
        };
        add(previous, "prev");
        add(next, "next");
        add(Some(1), "first");
        add(counted.then_some(pages), "last");
        let mut headers = HeaderMap::new();
        set(&mut headers, "link", &links.join(", "));
        set(&mut headers, "x-page", &number(page));
        set(&mut headers, "x-per-page", &size);
        set(&mut headers, "x-next-page", &next.map(number).unwrap_or_default());
        set(&mut headers, "x-prev-page", &previous.map(number).unwrap_or_default());
        if counted {
            set(&mut headers, "x-total", &total.to_string());
            set(&mut headers, "x-total-pages", &number(pages));
        }
        let (skip, take) = (to_usize((page - 1) * per_page), to_usize(per_page));
        Ok(Page { items: items.into_iter().skip(skip).take(take).collect(), headers })
    }

    /// The first items of those that are left, which are in the order of their ids already. Whatever page has
    /// an item links to a next one; that one may be empty, and then has no link.
    pub(super) fn by_id<T>(&self, items: Vec<T>, id: impl Fn(&T) -> u64) -> Result<Page<T>, Problem> {
        let items: Vec<T> = items.into_iter().take(to_usize(self.per_page()?)).collect();
        let mut headers = HeaderMap::new();
        if let Some(last) = items.last().map(id) {
            let descending = self.parameters.word("sort", &["desc", "asc"])? == "desc";
            let cursor = if descending { "id_before" } else { "id_after" };
            set(&mut headers, "link", &self.link(&[(cursor, &last.to_string())], "next"));
        }
        Ok(Page { items, headers })
    }

    /// Whether pages by ids are asked for.
    ///
    /// # Errors
    /// GitLab's 405 where it has none: projects have them, in the order of their ids.
    pub(super) fn is_by_id(&self, available: bool) -> Result<bool, Problem> {
        if self.parameters.text("pagination") != Some("keyset") {
            return Ok(false);
        }
        if available && self.parameters.text("order_by") == Some("id") {
            return Ok(true);
        }
        let words = "Keyset pagination is not yet available for this type of request";
        Err(Problem::error(StatusCode::METHOD_NOT_ALLOWED, words))
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
