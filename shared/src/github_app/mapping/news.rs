//! Which news of an installation is newer. GitHub dates a change to the second, does not date a rename at
//! all, and delivers out of order: where dates do not decide, GitHub is asked (reference: GitHub 2.2).

use crate::github_app::webhook::InstallationState;
use crate::provider::github::{Account, Installation, unix_seconds};
use crate::store::{InstallationFacts, KnownInstallation, Rank};

/// How an installation is, as somebody told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which.
    pub installation_id: u64,
    /// What the rows repeat of it.
    pub facts: InstallationFacts,
    /// GitHub's `updated_at`, in Unix seconds.
    pub at: Option<i64>,
    /// Who told it.
    pub source: Source,
}

/// Who told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A webhook: true at the time of the event.
    Event(Rank),
    /// A page of a listing: true when GitHub answered, which was before we read what is known.
    Listing,
    /// GitHub's answer about this installation, asked for after we read what is known.
    Answer,
}

/// What becomes of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is known, or older.
    Nothing,
    /// It is what is known from now on.
    Become {
        /// The facts, completed by older ones.
        facts: InstallationFacts,
        /// GitHub's date, in Unix seconds.
        at: i64,
        /// What told it.
        rank: Rank,
    },
    /// Only GitHub can tell.
    Ask,
}

impl News {
    /// What the REST API says of an installation.
    #[must_use]
    pub fn of(installation: &Installation, source: Source) -> Self {
        Self {
            installation_id: installation.id,
            facts: facts(
                installation.account.as_ref(),
                installation.target_type.as_deref(),
                installation.repository_selection.clone(),
                installation.suspended_at.as_deref().and_then(unix_seconds),
            ),
            at: installation.updated_at.as_deref().and_then(unix_seconds),
            source,
        }
    }

    /// What a webhook says of an installation.
    #[must_use]
    pub fn of_event(installation: &InstallationState, rank: Rank) -> Self {
        Self {
            installation_id: installation.id,
            facts: facts(
                installation.account.as_ref(),
                installation.target_type.as_deref(),
                installation.repository_selection.clone(),
                installation.suspended_at,
            ),
            at: installation.updated_at,
            source: Source::Event(rank),
        }
    }
}

fn facts(
    account: Option<&Account>,
    target_type: Option<&str>,
    repository_selection: Option<String>,
    suspended_at: Option<i64>,
) -> InstallationFacts {
    InstallationFacts {
        account_id: account.map(|account| account.id),
        account_name: account.and_then(Account::name).map(ToOwned::to_owned),
        account_type: account
            .and_then(|account| account.kind.as_deref())
            .or(target_type)
            .map(ToOwned::to_owned),
        account_avatar_url: account.and_then(|account| account.avatar_url.clone()),
        repository_selection,
        suspended_at,
    }
}

/// How long a replica of GitHub's may lag, in seconds.
const LAG: i64 = 600;

/// Whether news is to be believed. A later date always is, an earlier one never: whatever told what is known
/// has told every change up to its own date. The same date with other facts is for GitHub to decide: two
/// changes fell into one second, or it is a rename, which has no date.
#[must_use]
pub fn decide(known: Option<&KnownInstallation>, news: &News, now: i64) -> Verdict {
    let rank = match news.source {
        Source::Event(rank) => rank,
        Source::Listing => Rank::Other,
        Source::Answer => Rank::Suspension,
    };
    let Some(known) = known else {
        return Verdict::Become { facts: news.facts.clone(), at: news.at.unwrap_or(now), rank };
    };
    if known.is_gone() {
        return Verdict::Nothing;
    }
    let facts = news.facts.clone().over(&known.facts);
    let at = news.at.unwrap_or(known.changed_at);
    if at <= known.changed_at && facts == known.facts {
        return Verdict::Nothing;
    }
    if at < known.changed_at {
        // A replica of GitHub's that lags answers with less than an event has told, but not for long.
        return match news.source {
            Source::Answer if !is_recent(known, now) => Verdict::Become { facts, at, rank },
            Source::Listing if !is_recent(known, now) => Verdict::Ask,
            _ => Verdict::Nothing,
        };
    }
    if at > known.changed_at || news.source == Source::Answer {
        return Verdict::Become { facts, at, rank };
    }
    Verdict::Ask
}

const fn is_recent(known: &KnownInstallation, now: i64) -> bool {
    (now - known.changed_at).abs() < LAG
}

/// What to do with news of the same second while GitHub cannot be asked: a suspension outweighs the rest
/// (reference: GitHub 2.2), else what is known stays. Either may be wrong.
pub(super) fn without_github(known: Option<&KnownInstallation>, news: &News) -> Verdict {
    match (known, news.source) {
        (Some(known), Source::Event(rank)) if rank > known.rank => {
            Verdict::Become { facts: news.facts.clone().over(&known.facts), at: known.changed_at, rank }
        }
        _ => Verdict::Nothing,
    }
}

/// What was different at an installation, by what matters most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// Nothing was known of it.
    Added,
    /// It is gone.
    Deleted,
    /// It is suspended.
    Suspended,
    /// It is not suspended any more.
    Unsuspended,
    /// Its account has another name.
    Renamed,
    /// Anything else: the selection, the picture, a date.
    Changed,
}

impl Difference {
    /// As metrics and summaries name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::Suspended => "suspended",
            Self::Unsuspended => "unsuspended",
            Self::Renamed => "renamed",
            Self::Changed => "changed",
        }
    }
}

/// What is different now at the installation itself; none if only its dates are.
#[must_use]
pub fn difference(before: Option<&KnownInstallation>, now: &KnownInstallation) -> Option<Difference> {
    let Some(before) = before else { return Some(Difference::Added).filter(|_| !now.is_gone()) };
    if now.is_gone() {
        return Some(Difference::Deleted).filter(|_| !before.is_gone());
    }
    let (old, new) = (&before.facts, &now.facts);
    if old == new {
        None
    } else if old.suspended_at.is_none() && new.suspended_at.is_some() {
        Some(Difference::Suspended)
    } else if old.suspended_at.is_some() && new.suspended_at.is_none() {
        Some(Difference::Unsuspended)
    } else if old.account_name != new.account_name {
        Some(Difference::Renamed)
    } else {
        Some(Difference::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str) -> InstallationFacts {
        InstallationFacts {
            account_id: Some(7),
            account_name: Some(name.to_owned()),
            account_type: Some("Organization".to_owned()),
            repository_selection: Some("all".to_owned()),
            ..InstallationFacts::default()
        }
    }

    fn known(name: &str, at: i64, rank: Rank) -> KnownInstallation {
        KnownInstallation { version: 3, rows_at: 3, ..KnownInstallation::new(5001, facts(name), at, rank) }
    }

    fn news(name: &str, at: Option<i64>, source: Source) -> News {
        News { installation_id: 5001, facts: facts(name), at, source }
    }

    fn become_(name: &str, at: i64, rank: Rank) -> Verdict {
        Verdict::Become { facts: facts(name), at, rank }
    }

    const EVENT: Source = Source::Event(Rank::Other);

    #[test]
    fn what_nobody_told_before_is_believed() {
        assert_eq!(decide(None, &news("a", Some(10), EVENT), 99), become_("a", 10, Rank::Other));
        assert_eq!(decide(None, &news("a", None, Source::Listing), 99), become_("a", 99, Rank::Other));
    }

    #[test]
    fn a_later_date_is_believed_and_an_earlier_one_is_not_whoever_told_it() {
        let before = known("a", 10, Rank::Suspension);
        for source in [EVENT, Source::Event(Rank::Suspension), Source::Listing, Source::Answer] {
            let rank = match source {
                Source::Event(rank) => rank,
                Source::Listing => Rank::Other,
                Source::Answer => Rank::Suspension,
            };
            assert_eq!(decide(Some(&before), &news("b", Some(11), source), 99), become_("b", 11, rank));
            assert_eq!(decide(Some(&before), &news("b", Some(9), source), 99), Verdict::Nothing);
            assert_eq!(decide(Some(&before), &news("a", Some(9), source), 9_999), Verdict::Nothing);
            assert_eq!(decide(Some(&before), &news("a", Some(10), source), 99), Verdict::Nothing);
        }
    }

    #[test]
    fn other_facts_of_the_same_second_or_of_no_date_are_for_github_to_decide() {
        let before = known("a", 10, Rank::Other);
        for source in [EVENT, Source::Event(Rank::Suspension), Source::Listing] {
            assert_eq!(decide(Some(&before), &news("b", Some(10), source), 99), Verdict::Ask);
            assert_eq!(decide(Some(&before), &news("b", None, source), 99), Verdict::Ask);
        }
        let answer = news("b", Some(10), Source::Answer);
        assert_eq!(decide(Some(&before), &answer, 99), become_("b", 10, Rank::Suspension));
    }

    #[test]
    fn a_date_that_github_does_not_know_is_corrected_when_no_replica_can_lag_so_long() {
        let before = known("a", 10, Rank::Other);
        let older = |source| news("b", Some(9), source);
        assert_eq!(
            decide(Some(&before), &older(Source::Answer), 10 + LAG),
            become_("b", 9, Rank::Suspension)
        );
        assert_eq!(decide(Some(&before), &older(Source::Listing), 10 + LAG), Verdict::Ask);
        assert_eq!(decide(Some(&before), &older(EVENT), 10 + LAG), Verdict::Nothing, "only late");
    }

    #[test]
    fn nothing_brings_back_what_is_gone() {
        let gone = known("a", 10, Rank::Other).gone(20);
        for source in [EVENT, Source::Listing, Source::Answer] {
            assert_eq!(decide(Some(&gone), &news("a", Some(99), source), 99), Verdict::Nothing);
        }
    }

    #[test]
    fn without_github_a_suspension_outweighs_the_rest_of_its_second() {
        let (other, suspension) = (known("a", 10, Rank::Other), known("a", 10, Rank::Suspension));
        let event = |rank| news("b", Some(10), Source::Event(rank));
        let suspended = without_github(Some(&other), &event(Rank::Suspension));
        assert_eq!(suspended, become_("b", 10, Rank::Suspension));
        for (known, news) in [
            (&suspension, event(Rank::Other)),
            (&suspension, event(Rank::Suspension)),
            (&other, event(Rank::Other)),
            (&other, news("b", Some(10), Source::Listing)),
        ] {
            assert_eq!(without_github(Some(known), &news), Verdict::Nothing);
        }
    }

    #[test]
    fn an_account_that_is_not_told_keeps_its_name() {
        let before = known("a", 10, Rank::Other);
        let bare = News { facts: InstallationFacts::default(), ..news("", Some(10), EVENT) };
        assert_eq!(decide(Some(&before), &bare, 99), Verdict::Nothing);
    }

    #[test]
    fn differences_are_named_by_what_matters_most() {
        let before = known("a", 10, Rank::Other);
        let with = |change: fn(&mut InstallationFacts)| {
            let mut now = before.clone();
            change(&mut now.facts);
            difference(Some(&before), &now)
        };
        assert_eq!(difference(None, &before), Some(Difference::Added));
        assert_eq!(difference(None, &before.clone().gone(1)), None);
        assert_eq!(difference(Some(&before), &before.clone().gone(1)), Some(Difference::Deleted));
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|facts| facts.suspended_at = Some(1)), Some(Difference::Suspended));
        assert_eq!(with(|facts| facts.account_name = Some("b".to_owned())), Some(Difference::Renamed));
        assert_eq!(with(|facts| facts.repository_selection = None), Some(Difference::Changed));
    }
}
