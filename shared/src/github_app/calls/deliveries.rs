//! The App's own log of webhooks at GitHub: which failed, and asking for one of them once more.
//! When a redelivery is worth asking for is the caller's to decide; GitHub grants it for three days.

use http::StatusCode;
use serde::{Deserialize, Deserializer, de};

use super::{failed, read_items};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::github_app::GithubApp;
use crate::link_header;
use crate::provider::ProviderError;
use crate::provider::github::{Github, MAX_PER_PAGE, classify, unix_seconds};
use crate::provider::upstream::{Answer, Budget};

/// One attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HookDelivery {
    /// The attempt's number; a redelivery has one of its own.
    pub id: u64,
    /// The event's GUID; a redelivery has the same.
    pub guid: String,
    /// When, in seconds since the Unix epoch.
    #[serde(deserialize_with = "unix")]
    pub delivered_at: i64,
    /// Whether it was asked for once more.
    #[serde(default)]
    pub redelivery: bool,
    /// What happened, in GitHub's words.
    #[serde(default)]
    pub status: String,
    /// Our status, as far as GitHub got one.
    pub status_code: Option<u16>,
    /// The event, such as `installation`.
    pub event: String,
    /// The action, such as `created`; some events have none.
    pub action: Option<String>,
    /// The installation that the event is about, if it is about one.
    pub installation_id: Option<u64>,
}

/// A page of deliveries, newest first, `GET /app/hook/deliveries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveriesPage {
    /// The deliveries of this page that can be read.
    pub deliveries: Vec<HookDelivery>,
    /// How many more there are on this page.
    pub unreadable: usize,
    /// The cursor of the page after this one, if there is one.
    pub next: Option<String>,
}

impl DeliveriesPage {
    pub(super) fn read(answer: &Answer, cursor: Option<&str>, clock: &Clock) -> Result<Self, ProviderError> {
        let (deliveries, unreadable) = read_items(answer, "delivery", clock)?;
        let next = answer
            .header("link")
            .and_then(|link| link_header::target(link, "next"))
            .and_then(|target| link_header::parameter(target, "cursor"))
            // A page is never its own successor, or somebody would read it for ever.
            .filter(|next| cursor != Some(next.as_str()));
        Ok(Self { deliveries, unreadable, next })
    }
}

impl GithubApp {
    /// A page of up to 100 failed deliveries: the newest, or those after a cursor.
    ///
    /// # Errors
    /// [`Failure`] when we cannot act as the App, or GitHub does not answer as it should.
    pub async fn failed_deliveries(
        &self,
        github: &Github,
        cursor: Option<&str>,
        budget: &Budget,
    ) -> Result<DeliveriesPage, Failure> {
        let per_page = MAX_PER_PAGE.to_string();
        let mut query = vec![("status", "failure"), ("per_page", per_page.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let answer = self.ask(github, &["app", "hook", "deliveries"], &query, budget).await?;
        DeliveriesPage::read(&answer, cursor, &self.clock).map_err(failed)
    }

    /// Asks GitHub to send that delivery's webhook once more.
    ///
    /// # Errors
    /// [`Failure`] when we cannot act as the App, or GitHub refuses: with [`ProviderError::NotFound`] one
    /// that it has forgotten, with 422 one that is too old.
    pub async fn redeliver(&self, github: &Github, id: u64, budget: &Budget) -> Result<(), Failure> {
        let path = ["app", "hook", "deliveries", &id.to_string(), "attempts"];
        let answer = self.post(github, &path, budget).await?;
        if answer.status == StatusCode::ACCEPTED {
            return Ok(());
        }
        Err(failed(classify(&answer, &self.clock)))
    }
}

fn unix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    unix_seconds(&text).ok_or_else(|| de::Error::custom("no RFC 3339 time"))
}
