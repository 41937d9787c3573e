//! The full run: every page of GitHub's list against everything that is known. Each page that was seen is
//! noted, so that a run that is cut off is gone on with; what no page has shown is asked for by its number.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt};

use super::{Run, Step, signed};
use crate::github_app::mapping::{Repositories, What};
use crate::store::Sweep;

/// Pages that are asked for at once: nobody waits for them, and GitHub asks for patience (reference: 1.7).
const AT_ONCE: u32 = 5;
/// A full run that has not ended after so many seconds begins anew: what its first pages showed is old.
const LONGEST: i64 = 12 * 3600;

impl Run<'_> {
    /// `difference` is how many installations GitHub counts more than the table holds.
    pub(super) async fn sweep(&mut self, started_at: i64, difference: Option<i64>) -> Step {
        let mut sweep = match &self.state.sweep {
            Some(sweep) if sweep.started_at + LONGEST > started_at => sweep.clone(),
            _ => Sweep { started_at, next_page: Some(1), difference },
        };
        self.state.sweep = Some(sweep.clone());
        self.keep().await?;
        self.pages(&mut sweep).await?;
        let (repaired, unreadable) = (self.repaired(), self.summary.unreadable);
        self.ask_for_missing(&sweep).await?;
        sweep.difference = sweep.difference.map(|difference| difference + repaired - self.repaired());
        let all_answered = self.summary.unreadable == unreadable;
        self.end(&sweep, all_answered).await
    }

    async fn pages(&mut self, sweep: &mut Sweep) -> Step {
        let Some(mut first) = sweep.next_page else { return Ok(()) };
        let service = self.service;
        let known: HashMap<_, _> = service
            .table
            .all_installations()
            .await?
            .into_iter()
            .map(|known| (known.installation_id, known))
            .collect();
        let mut last_page = first;
        loop {
            self.has_time()?;
            let pages = first..=last_page.min(first.saturating_add(AT_ONCE - 1));
            let end = *pages.end();
            let answers: Vec<_> = {
                let (github, budget) = (&service.github, &self.budget);
                stream::iter(pages)
                    .map(|page| async move {
                        (page, service.github_app.installations_page(github, None, page, budget).await)
                    })
                    .buffered(AT_ONCE as usize)
                    .collect()
                    .await
            };
            let mut more = false;
            let repaired = self.repaired();
            for (page, answer) in answers {
                let answer = self.judged(answer)?;
                self.summary.unreadable += answer.unreadable as u64;
                self.compare(&answer.installations, &known).await?;
                let ids = answer.installations.iter().map(|installation| installation.id).collect();
                service.table.note_swept_page(sweep, page, ids, service.clock.unix()).await?;
                last_page = last_page.max(answer.last_page);
                more = answer.next;
            }
            // What only the last page names may have been added while we were reading.
            last_page = if more { last_page.max(end + 1) } else { last_page };
            first = end + 1;
            sweep.next_page = Some(first).filter(|first| *first <= last_page);
            sweep.difference = sweep.difference.map(|difference| difference + repaired - self.repaired());
            self.state.sweep = Some(sweep.clone());
            self.keep().await?;
            if sweep.next_page.is_none() {
                return Ok(());
            }
        }
    }

    /// No page has shown these: they are gone, or pages have shifted while they were read. GitHub says which.
    async fn ask_for_missing(&mut self, sweep: &Sweep) -> Step {
        let seen: HashSet<u64> = self.service.table.swept(sweep).await?.into_iter().collect();
        for known in self.service.table.all_installations().await? {
            // What came after the start need not be on a page that was read before.
            if !seen.contains(&known.installation_id) && known.changed_at <= sweep.started_at {
                self.repair(known.installation_id, What::Ask, Repositories::Untold).await?;
            }
        }
        Ok(())
    }

    async fn end(&mut self, sweep: &Sweep, all_answered: bool) -> Step {
        let service = self.service;
        self.has_time()?;
        let app = service.github_app.app(&service.github, &self.budget).await;
        let there = self.judged(app)?.installations_count;
        let here = service.table.count_installations().await?;
        let difference = there.map(|there| signed(there) - signed(here));
        // Another one than at the start, or about which GitHub failed, is no reason of GitHub's own: something
        // went unnoticed behind the pages that were read, and the next run is to be alarmed.
        if all_answered && difference == sweep.difference {
            self.state.settled_difference = difference.unwrap_or_default();
        }
        self.state.full_at = Some(service.clock.unix());
        self.state.since = self.state.since.max(Some(sweep.started_at));
        self.state.sweep = None;
        self.keep().await
    }
}
