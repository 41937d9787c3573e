//! What may happen: at GitHub, on a webhook's way, at the service. A history is a list of it, which proptest
//! makes and shortens.

use proptest::prelude::*;

/// How many accounts there are: users first, then organisations.
pub(crate) const USERS: usize = 3;
pub(crate) const ACCOUNTS: usize = 5;
/// Repositories of each account.
pub(crate) const REPOSITORIES: usize = 4;

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// On an account; on all repositories or on the first.
    Install(usize, bool),
    Uninstall(usize),
    Suspend(usize),
    Unsuspend(usize),
    AcceptPermissions(usize),
    SelectAll(usize),
    Add(usize, usize),
    Remove(usize, usize),
    Rename(usize, u8),
    /// Seconds go by.
    Wait(u8),
    /// A user lists the installations.
    Look(usize),
    /// Webhooks that wait are delivered, all of these at once.
    Deliver(Vec<(usize, Fate)>),
    /// GitHub's API stops answering, or answers again.
    Down(bool),
    /// A quarter of an hour has gone by.
    Reconcile,
}

/// What becomes of one webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Once,
    Twice,
    /// Delivered, and waits still: GitHub sends it again later.
    Again,
    Lost,
}

fn fate(may_lose: bool) -> impl Strategy<Value = Fate> {
    let lost = if may_lose { 3 } else { 0 };
    prop_oneof![5 => Just(Fate::Once), 1 => Just(Fate::Twice), 1 => Just(Fate::Again), lost => Just(Fate::Lost)]
}

fn action(may_lose: bool) -> impl Strategy<Value = Action> {
    let account = || 0..ACCOUNTS;
    prop_oneof![
        4 => (account(), any::<bool>()).prop_map(|(account, all)| Action::Install(account, all)),
        2 => account().prop_map(Action::Uninstall),
        2 => account().prop_map(Action::Suspend),
        2 => account().prop_map(Action::Unsuspend),
        1 => account().prop_map(Action::AcceptPermissions),
        1 => account().prop_map(Action::SelectAll),
        2 => (account(), 0..REPOSITORIES).prop_map(|(account, one)| Action::Add(account, one)),
        2 => (account(), 0..REPOSITORIES).prop_map(|(account, one)| Action::Remove(account, one)),
        2 => (account(), 0_u8..3).prop_map(|(account, name)| Action::Rename(account, name)),
        2 => (1_u8..4).prop_map(Action::Wait),
        3 => (0..USERS).prop_map(Action::Look),
        6 => proptest::collection::vec((0_usize..8, fate(may_lose)), 1..4).prop_map(Action::Deliver),
        1 => any::<bool>().prop_map(Action::Down),
        1 => Just(Action::Reconcile),
    ]
}

/// Whether a change of repositories dates the installation, and what happens.
pub(crate) fn history(may_lose: bool) -> impl Strategy<Value = (bool, Vec<Action>)> {
    let actions = action(may_lose).prop_filter("without loss nothing is reconciled", move |action| {
        may_lose || *action != Action::Reconcile
    });
    (any::<bool>(), proptest::collection::vec(actions, 1..40))
}
