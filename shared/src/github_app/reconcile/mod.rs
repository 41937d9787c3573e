//! Reconciliation: what webhooks did not tell is found out and repaired, a little every quarter of an hour
//! and everything once a night. What a repair is, `mapping` knows; here is what to look at and when to stop.

mod redelivery;
mod sweep;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::mapping::{
    Difference, News, Outcome, Repositories, Rows, Source, Told, Verdict, What, decide, tell,
};
use crate::clock::random;
use crate::failure::Failure;
use crate::metrics::Metric;
use crate::provider::ProviderError;
use crate::provider::github::Installation;
use crate::provider::upstream::Budget;
use crate::secrets::SecretsError;
use crate::service::Service;
use crate::store::{KnownInstallation, ReconcileState, StoreError};

/// Kept back of the function's own time: what is being written then and the lease that is given back may each
/// take a call to DynamoDB at its longest, which is four seconds.
const RESERVE: Duration = Duration::from_secs(10);
/// Changes are asked for again that were made so long before the last run, in seconds: GitHub's lists
/// follow its changes within moments, and pages shift while they are read.
const OVERLAP: i64 = 600;
/// After so long without a full run the next one is full, whatever the schedule says: a day and a margin.
const FULL_AFTER: i64 = 26 * 3600;
/// Installations about which one run asks GitHub because they are unsure.
const UNSURE: usize = 200;

/// What a run has looked at and done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `changes`, `full`, `none` when another run was under way, or `not_set_up` when the App's secret is not filled
    /// in yet.
    pub run: &'static str,
    /// Whether it came to its end; else the next run goes on with the rest.
    pub finished: bool,
    /// Installations that GitHub has shown.
    pub installations: u64,
    /// Installations that were different, by kind.
    pub drift: BTreeMap<&'static str, u64>,
    /// Users' rows that were written or removed.
    pub rows: u64,
    /// Installations that were asked about because what was told contradicted itself.
    pub unsure: u64,
    /// Installations that GitHub has shown in a form that cannot be read, or could not be asked about.
    pub unreadable: u64,
    /// Failed deliveries that GitHub was asked to send again.
    pub redelivered: u64,
    /// Failed deliveries that were asked for often enough.
    pub given_up: u64,
    /// Calls to GitHub, tries among them.
    pub github_calls: u64,
}

/// What all steps of a run share.
struct Run<'a> {
    service: &'a Service,
    budget: Budget,
    state: ReconcileState,
    summary: Summary,
}

/// Why a step did not come to its end.
enum Stopped {
    /// No time is left, or another run goes on.
    Later,
    /// Nobody has said yet which App this is.
    NotSetUp,
    Failed(Failure),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Later,
            error => Self::Failed(error.into()),
        }
    }
}

type Step = Result<(), Stopped>;

/// One run that ends before the budget's deadline. Every repair is conditional on what it repairs, so that webhooks
/// and other runs may come in between; the lease only saves calls.
///
/// # Errors
/// [`Failure`] when GitHub or the table fails; what was done until then is done, and the next run goes on.
pub async fn run(service: &Service, full: bool, budget: Budget) -> Result<Summary, Failure> {
    let deadline = budget.deadline();
    let end = deadline.checked_sub(RESERVE).unwrap_or(deadline);
    let now = service.clock.unix();
    let holder = format!("{:032x}", u128::from_be_bytes(random()?));
    let left =
        i64::try_from(deadline.saturating_duration_since(Instant::now()).as_secs()).unwrap_or(i64::MAX);
    if !service.table.take_reconcile_lease(&holder, now.saturating_add(left), now).await? {
        tracing::info!("another run is under way");
        return Ok(Summary { run: "none", finished: true, ..Summary::default() });
    }
    let mut run = Run {
        service,
        budget: budget.ending(end),
        state: ReconcileState::default(),
        summary: Summary { run: "changes", ..Summary::default() },
    };
    let result = run.steps(full).await;
    run.summary.github_calls = run.budget.record().so_far().calls();
    let given_back = service.table.give_back_reconcile_lease(&holder).await;
    if !matches!(result, Err(Stopped::NotSetUp)) {
        run.count();
    }
    match result {
        Ok(()) => run.summary.finished = true,
        Err(Stopped::Later) => tracing::info!("no time is left; the next run goes on"),
        Err(Stopped::NotSetUp) => {
            tracing::info!("the App's secret is not filled in yet; there is nothing to look at");
            run.summary.run = "not_set_up";
        }
        Err(Stopped::Failed(failure)) => return Err(failure),
    }
    // Held on, it ends by itself.
    if let Err(error) = given_back {
        tracing::warn!(%error, "the lease was not given back");
    }
    Ok(run.summary)
}

impl Run<'_> {
    async fn steps(&mut self, full: bool) -> Step {
        self.state = self.service.table.reconcile_state().await?;
        self.same_app().await?;
        let github = &self.service.github;
        let app = self.service.github_app.app(github, &self.budget).await;
        let app = self.judged(app)?;
        if let (Some(there), Some(known)) = (app.id, self.state.app_id)
            && there != known
        {
            return Err(Stopped::Failed(Failure::Internal(format!(
                "the secret's key is that of the App {there}, and the table holds installations of the App {known}"
            ))));
        }
        let started_at = app.date.unwrap_or_else(|| self.service.clock.unix());
        let counted_here = self.service.table.count_installations().await?;

        if let Some(since) = self.state.since {
            self.changes(since - OVERLAP).await?;
            self.state.since = Some(started_at);
            self.keep().await?;
        }
        // What GitHub's log of deliveries does not tell keeps nothing else from being repaired.
        let redelivered = match self.redeliver(started_at).await {
            Err(Stopped::Failed(failure)) if !is_rate_limit(&failure) => Err(Stopped::Failed(failure)),
            other => Ok(other?),
        };

        // Whatever was repaired just now is not in the count that was taken before.
        let difference =
            app.installations_count.map(|there| signed(there) - signed(counted_here) - self.repaired());
        let alarm = difference.is_some_and(|difference| difference != self.state.settled_difference);
        let now = self.service.clock.unix();
        let due = self.state.full_at.is_none_or(|full_at| full_at + FULL_AFTER < now);
        let planned = full || due || self.state.sweep.is_some();
        if alarm && !planned {
            tracing::warn!(?difference, "GitHub counts another number of installations: looking at all");
        }
        if alarm || planned {
            self.summary.run = "full";
            self.sweep(started_at, difference).await?;
        }
        self.ask_about_unsure().await?;
        redelivered
    }

    /// Tombstones are final: installations of another App are none of this table's, and a wrong secret
    /// must not make all of them look gone. The secret says which App it is, and GitHub whose key is in it.
    async fn same_app(&mut self) -> Step {
        let app_id = match self.service.github_app.credentials().await {
            Ok(app) => app.app_id,
            // As the stack was deployed. A table that knows an App already has had a secret, which is gone.
            Err(SecretsError::NotFilledIn(_)) if self.state.app_id.is_none() => {
                return Err(Stopped::NotSetUp);
            }
            Err(error) => return Err(Stopped::Failed(error.into())),
        };
        match self.state.app_id {
            None => self.state.app_id = Some(app_id),
            Some(known) if known == app_id => {}
            Some(known) => {
                return Err(Stopped::Failed(Failure::Internal(format!(
                    "the secret is that of the App {app_id}, and the table holds installations of the App {known}"
                ))));
            }
        }
        Ok(())
    }

    /// Notes how far the run has come.
    async fn keep(&mut self) -> Step {
        Ok(self.service.table.keep_reconcile_state(&mut self.state).await?)
    }

    /// Whether a step may go on: a call that begins has time to end.
    fn has_time(&self) -> Step {
        if Instant::now() < self.budget.deadline() { Ok(()) } else { Err(Stopped::Later) }
    }

    /// A call that ended with the run's own time is no failure of GitHub's.
    fn judged<T>(&self, result: Result<T, Failure>) -> Result<T, Stopped> {
        result.map_err(|failure| match failure {
            Failure::Provider { error: ProviderError::Timeout, .. } if self.has_time().is_err() => {
                Stopped::Later
            }
            failure => Stopped::Failed(failure),
        })
    }

    /// What has changed at GitHub since then.
    async fn changes(&mut self, since: i64) -> Step {
        let mut page = 1;
        loop {
            self.has_time()?;
            let service = self.service;
            let answer =
                service.github_app.installations_page(&service.github, Some(since), page, &self.budget).await;
            let answer = self.judged(answer)?;
            self.summary.unreadable += answer.unreadable as u64;
            let ids: Vec<u64> = answer.installations.iter().map(|installation| installation.id).collect();
            let known = service.table.known_installations(&ids).await?;
            let known = known.into_iter().map(|known| (known.installation_id, known)).collect();
            self.compare(&answer.installations, &known).await?;
            if !answer.next {
                return Ok(());
            }
            page += 1;
        }
    }

    /// Repairs what is known of installations where GitHub shows them otherwise.
    async fn compare(&mut self, shown: &[Installation], known: &HashMap<u64, KnownInstallation>) -> Step {
        self.summary.installations += shown.len() as u64;
        let now = self.service.clock.unix();
        for installation in shown {
            let news = News::of(installation, Source::Listing);
            let known = known.get(&installation.id);
            let finished = known.is_some_and(|known| known.rows_at == known.version);
            if finished && decide(known, &news, now) == Verdict::Nothing {
                continue;
            }
            self.repair(installation.id, What::News(news), Repositories::Untold).await?;
        }
        Ok(())
    }

    /// Tells the mapping something, and counts what was different.
    async fn repair(&mut self, installation_id: u64, what: What, repositories: Repositories) -> Step {
        self.has_time()?;
        let told = Told { installation_id, what, rows: Rows::Owner, repositories, delivery: None };
        match tell(self.service, &told, &self.budget).await {
            Ok(Outcome::Changed { difference, rows }) => {
                self.summary.rows += rows as u64;
                if let Some(difference) = difference {
                    *self.summary.drift.entry(difference.as_str()).or_default() += 1;
                }
                Ok(())
            }
            Ok(Outcome::Unchanged | Outcome::Repeated) => Ok(()),
            // One odd installation does not keep the others from being repaired.
            Err(Failure::Provider { error: error @ ProviderError::BadResponse { .. }, .. }) => {
                tracing::warn!(installation_id, %error, "GitHub could not be asked about an installation");
                self.summary.unreadable += 1;
                Ok(())
            }
            Err(failure) => self.judged(Err(failure)),
        }
    }

    /// How many installations more the table holds because of this run.
    fn repaired(&self) -> i64 {
        let count = |difference: Difference| {
            signed(self.summary.drift.get(difference.as_str()).copied().unwrap_or_default())
        };
        count(Difference::Added) - count(Difference::Deleted)
    }

    /// Asks about installations of which contradicting things were told.
    async fn ask_about_unsure(&mut self) -> Step {
        let table = &self.service.table;
        let marked = table.unsure_installations().await?;
        let known = table.known_installations(&marked).await?;
        let unsure = known.into_iter().filter_map(|known| {
            // GitHub lists nothing of a suspended one: it waits until it is not, and takes no other's turn.
            let list = known.facts.suspended_at.is_none() && known.repositories.is_some_and(|at| at.unsure);
            (known.unsure || list).then_some((known.installation_id, list))
        });
        for (id, list) in unsure.take(UNSURE) {
            let repositories = if list { Repositories::Ask } else { Repositories::Untold };
            self.repair(id, What::Ask, repositories).await?;
            self.summary.unsure += 1;
        }
        Ok(())
    }

    fn count(&self) {
        let metrics = &self.service.metrics;
        // A zero says that somebody looked.
        metrics.count(Metric::MappingDrift, 0);
        for (kind, count) in &self.summary.drift {
            metrics.count_kind(Metric::MappingDrift, kind, *count);
        }
        metrics.count(Metric::RedeliveryRequested, self.summary.redelivered);
        metrics.count(Metric::RedeliveryGivenUp, self.summary.given_up);
    }
}

const fn is_rate_limit(failure: &Failure) -> bool {
    matches!(failure, Failure::Provider { error: ProviderError::RateLimited { .. }, .. })
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
