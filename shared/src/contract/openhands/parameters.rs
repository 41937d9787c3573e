//! The query parameters of `/api/user/installations` and `/api/user/repositories`.
//! Values are read as FastAPI and pydantic read them (OpenHands 0.53.0); all problems are listed at once.

use serde_json::{Value, json};

use super::installation_id;
use super::integer;
use crate::contract::query::Query;
use crate::failure::{Failure, FieldProblem, Location};
use crate::provider::{ProviderType, Sort};

/// The page that is meant where none is given (DESIGN 4).
pub const DEFAULT_PAGE: u32 = 1;

/// The size of a page where none is given (DESIGN 4).
pub const DEFAULT_PER_PAGE: u32 = 30;

const MAX_PER_PAGE: u32 = 100;

/// No listing is that long; `page * per_page` still fits 32 bits.
const MAX_PAGE: u32 = 10_000_000;

const PROVIDERS: &str = "'github', 'gitlab', 'bitbucket' or 'enterprise_sso'";

/// The query of `GET /api/user/installations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallationsQuery {
    /// The provider whose installations are asked for; required.
    pub provider: ProviderType,
}

impl InstallationsQuery {
    /// Reads the part of the URL behind `?`.
    ///
    /// # Errors
    /// [`Failure::Invalid`] with pydantic's `missing` or `enum`.
    pub fn parse(raw_query: &str) -> Result<Self, Failure> {
        let provider = match Query::new(raw_query).last("provider") {
            Some(name) => provider("provider", &name),
            None => Err(Box::new(FieldProblem {
                kind: "missing",
                location: in_query("provider"),
                message: "Field required".to_owned(),
                input: Value::Null,
                context: None,
            })),
        };
        provider.map(|provider| Self { provider }).map_err(|problem| Failure::Invalid(vec![*problem]))
    }
}

/// The query of `GET /api/user/repositories`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoriesQuery {
    /// The order; an unknown one is `pushed`.
    pub sort: Sort,
    /// The one provider that is asked; without it all linked ones are.
    pub selected_provider: Option<ProviderType>,
    /// The page, at least 1.
    ///
    /// DESIGN 4 clamps it to 1..100 together with `per_page`. Its upper end is left open here: with 1,500
    /// repositories and `per_page=10` the client follows `link_header` to page 150, and a page that turned into
    /// page 100 again would lose repositories and never end.
    pub page: Option<u32>,
    /// The size of a page, 1 to 100.
    pub per_page: Option<u32>,
    /// The installation whose repositories are asked for, in a form that is safe in a URL of
    /// `selected_provider`. An empty one means none; without a provider it has no meaning and is ignored.
    pub installation_id: Option<String>,
}

impl RepositoriesQuery {
    /// Reads the part of the URL behind `?`.
    ///
    /// # Errors
    /// [`Failure::Invalid`] with every problem, in the order in which OpenHands declares the parameters.
    pub fn parse(raw_query: &str) -> Result<Self, Failure> {
        let query = Query::new(raw_query);
        let mut problems = Vec::new();
        let mut keep = |problem: Box<FieldProblem>| problems.push(*problem);

        let sort = query.last("sort").map_or_else(Sort::default, |name| Sort::from_name(&name));
        let selected_provider = query
            .last("selected_provider")
            .and_then(|name| provider("selected_provider", &name).map_err(&mut keep).ok());
        let page = number(&query, "page", MAX_PAGE).map_err(&mut keep).unwrap_or_default();
        let per_page = number(&query, "per_page", MAX_PER_PAGE).map_err(&mut keep).unwrap_or_default();
        let installation_id = query
            .last("installation_id")
            .filter(|id| !id.is_empty())
            .zip(selected_provider)
            .and_then(|(id, provider)| installation_id::check(provider, &id).map_err(&mut keep).ok());

        if problems.is_empty() {
            Ok(Self { sort, selected_provider, page, per_page, installation_id })
        } else {
            Err(Failure::Invalid(problems))
        }
    }

    /// The page and its size with the defaults filled in, or nothing if everything is asked for at once: neither
    /// `page` nor `per_page` is given, nor an installation, which is always answered in pages (DESIGN 4).
    #[must_use]
    pub fn paging(&self) -> Option<(u32, u32)> {
        (self.page.is_some() || self.per_page.is_some() || self.installation_id.is_some())
            .then(|| (self.page.unwrap_or(DEFAULT_PAGE), self.per_page.unwrap_or(DEFAULT_PER_PAGE)))
    }
}

fn provider(parameter: &str, name: &str) -> Result<ProviderType, Box<FieldProblem>> {
    ProviderType::from_name(name).ok_or_else(|| {
        Box::new(FieldProblem {
            kind: "enum",
            location: in_query(parameter),
            message: format!("Input should be {PROVIDERS}"),
            input: Value::from(name),
            context: Some(json!({ "expected": PROVIDERS })),
        })
    })
}

fn number(query: &Query<'_>, parameter: &str, most: u32) -> Result<Option<u32>, Box<FieldProblem>> {
    let Some(text) = query.last(parameter) else { return Ok(None) };
    let value = integer::parse(&text).map_err(|error| Box::new(error.problem(parameter, &text)))?;
    Ok(Some(u32::try_from(value.clamp(1, i64::from(most))).unwrap_or(most)))
}

fn in_query(parameter: &str) -> Vec<Location> {
    vec![Location::Name("query".to_owned()), Location::Name(parameter.to_owned())]
}

#[cfg(test)]
mod tests;
