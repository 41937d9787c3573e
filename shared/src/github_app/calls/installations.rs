//! The App's installations as the App sees them: how many, page by page, and one by its number.
//! What is read of an installation is `provider::github`'s to say; what a change means is the caller's.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{date, failed, read_items};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::github_app::GithubApp;
use crate::provider::github::{Github, Installation, MAX_PER_PAGE, further, read_json};
use crate::provider::upstream::{Answer, Budget};
use crate::provider::{ProviderError, paging};

/// The App, `GET /app`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppSummary {
    /// Its number, where GitHub says so.
    pub id: Option<u64>,
    /// How many installations there are, where GitHub says so.
    pub installations_count: Option<u64>,
    /// GitHub's time, in seconds since the Unix epoch.
    pub date: Option<i64>,
}

/// A page of the App's installations, `GET /app/installations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationsPage {
    /// The installations of this page that can be read, in GitHub's order.
    pub installations: Vec<Installation>,
    /// How many more there are on this page: whoever takes a missing one for removed must look at this.
    pub unreadable: usize,
    /// The last page that the answer names, its own where it names none.
    pub last_page: u32,
    /// Whether the answer names a page after this one.
    pub next: bool,
    /// GitHub's time, in seconds since the Unix epoch.
    pub date: Option<i64>,
}

impl InstallationsPage {
    pub(super) fn read(answer: &Answer, page: u32, clock: &Clock) -> Result<Self, ProviderError> {
        let (installations, unreadable) = read_items(answer, "installation", clock)?;
        let link = answer.header("link");
        let next = link.and_then(|link| paging::page_of(link, "next"));
        Ok(Self {
            installations,
            unreadable,
            last_page: further(link, page),
            // A page is never its own successor, or somebody would read it for ever.
            next: next.is_some_and(|next| next > page),
            date: date(answer),
        })
    }
}

impl AppSummary {
    pub(super) fn read(answer: &Answer, clock: &Clock) -> Result<Self, ProviderError> {
        #[derive(Deserialize)]
        struct App {
            id: Option<u64>,
            installations_count: Option<u64>,
        }
        let App { id, installations_count } = read_json(answer, clock)?;
        Ok(Self { id, installations_count, date: date(answer) })
    }
}

impl GithubApp {
    /// The App itself, with the number of its installations.
    ///
    /// # Errors
    /// [`Failure`] when we cannot act as the App, or GitHub does not answer as it should.
    pub async fn app(&self, github: &Github, budget: &Budget) -> Result<AppSummary, Failure> {
        let answer = self.ask(github, &["app"], &[], budget).await?;
        AppSummary::read(&answer, &self.clock).map_err(failed)
    }

    /// A page of up to 100 installations: of all, or of those that changed at `since` (in seconds since the
    /// Unix epoch) or later.
    ///
    /// # Errors
    /// [`Failure`] when we cannot act as the App, or GitHub does not answer as it should.
    pub async fn installations_page(
        &self,
        github: &Github,
        since: Option<i64>,
        page: u32,
        budget: &Budget,
    ) -> Result<InstallationsPage, Failure> {
        let (per_page, number) = (MAX_PER_PAGE.to_string(), page.to_string());
        let mut query = vec![("per_page", per_page.as_str()), ("page", number.as_str())];
        let since = since.map(rfc3339).transpose()?;
        query.extend(since.as_deref().map(|since| ("since", since)));
        let answer = self.ask(github, &["app", "installations"], &query, budget).await?;
        InstallationsPage::read(&answer, page, &self.clock).map_err(failed)
    }

    /// One installation by its number; `None` only where GitHub says that there is none.
    ///
    /// # Errors
    /// [`Failure`] when we cannot act as the App, or GitHub does not answer as it should.
    pub async fn installation(
        &self,
        github: &Github,
        id: u64,
        budget: &Budget,
    ) -> Result<Option<Installation>, Failure> {
        let answer = self.ask(github, &["app", "installations", &id.to_string()], &[], budget).await?;
        match read_json(&answer, &self.clock) {
            Ok(installation) => Ok(Some(installation)),
            Err(ProviderError::NotFound) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A time as GitHub reads it.
fn rfc3339(unix: i64) -> Result<String, Failure> {
    let time = OffsetDateTime::from_unix_timestamp(unix).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.ok_or_else(|| Failure::Internal(format!("{unix} is no time to ask GitHub about")))
}
