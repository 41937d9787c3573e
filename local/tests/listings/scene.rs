//! A world made to measure: a user, the accounts whose repositories the user reaches or does not, an organisation
//! with so many repositories that they fill several pages, and at times so many installations that these do.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use local::sandbox_github::{Access, AccountId, Role, Selection, Target, World};
use proptest::prelude::*;

use crate::change::install;

/// The user's own account, two organisations that the user belongs to, one that the user does not belong to, and
/// another user.
pub(crate) const ACCOUNTS: usize = 5;
/// The organisation whose repositories fill several pages.
pub(crate) const ALPHA: usize = 1;
const GAMMA: usize = 3;
const OTHER: usize = 4;
pub(crate) const ORGANIZATIONS: Range<usize> = ALPHA..OTHER;
/// Who lists.
pub(crate) const LOGIN: &str = "member";

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Repositories of each account.
    pub(crate) sizes: [usize; ACCOUNTS],
    /// Whether the App is installed there, and on all repositories.
    pub(crate) installed: [Option<bool>; ACCOUNTS],
    /// Further organisations of the user, each with the App and one repository.
    pub(crate) crowd: usize,
    /// `UPSTREAM_CONCURRENCY`: with 1 every call waits for the one before it.
    pub(crate) at_once: usize,
}

/// What of it has to be known later.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) member: AccountId,
    accounts: [AccountId; ACCOUNTS],
    numbers: Arc<AtomicUsize>,
}

impl Scene {
    pub(crate) const fn account(&self, number: usize) -> AccountId {
        self.accounts[number]
    }

    /// For names that nothing else has.
    pub(crate) fn next_number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let big = prop_oneof![3 => 101_usize..115, 1 => 196_usize..204];
    let small = || prop_oneof![4 => 0_usize..4, 1 => 99_usize..102];
    let installed = || prop_oneof![1 => Just(None), 3 => any::<bool>().prop_map(Some)];
    let at_once = prop_oneof![Just(1), Just(32)];
    let others = (installed(), installed(), installed(), installed());
    (big, [small(), small(), small(), small()], others, at_once).prop_map(
        |(big, [own, beta, gamma, other], (a, b, c, d), at_once)| Plan {
            sizes: [own, big, beta, gamma, other],
            installed: [a, Some(true), b, c, d],
            crowd: 0,
            at_once,
        },
    )
}

/// So many installations that they fill more than one page, each of them small.
pub(crate) fn crowded() -> impl Strategy<Value = Plan> {
    (plan(), 98_usize..102).prop_map(|(plan, crowd)| Plan { sizes: [1, 3, 1, 2, 1], crowd, ..plan })
}

impl Plan {
    pub(crate) fn world(&self) -> (World, Scene) {
        let mut world = World::new();
        let member = world.add_user(LOGIN, "Lists installations and repositories");
        let organizations = ["alpha", "beta", "gamma"].map(|login| world.add_organization(login));
        let other = world.add_user("other", "Has repositories too");
        let [alpha, beta, gamma] = organizations;
        world.add_member(alpha, member, Role::Member);
        world.add_member(beta, member, Role::Admin);
        for organization in organizations {
            world.add_member(organization, other, Role::Admin);
        }
        let accounts = [member, alpha, beta, gamma, other];
        let scene = Scene { member, accounts, numbers: Arc::default() };
        for (number, (account, size)) in accounts.into_iter().zip(self.sizes).enumerate() {
            for repository in 0..size {
                let id = world.add_repository(account, &format!("repository-{repository:03}"));
                let granted = matches!(number, GAMMA | OTHER) && repository % 2 == 0;
                if let Some(one) = world.repositories.get_mut(&id).filter(|_| granted) {
                    one.collaborators.insert(member, Access::Write);
                }
            }
        }
        let corp = world.add_enterprise("corp", "Corp");
        world.install(Target::Enterprise(corp), Selection::All);
        if let Some(corp) = world.enterprises.get_mut(&corp) {
            corp.members.insert(member);
        }
        for number in 0..self.crowd {
            let organization = world.add_organization(&format!("crowd-{number:03}"));
            world.add_member(organization, member, Role::Member);
            world.add_repository(organization, "only");
            world.install(Target::Account(organization), Selection::All);
        }
        for number in 0..ACCOUNTS {
            if let Some(all) = self.installed[number] {
                install(&mut world, &scene, number, all);
            }
        }
        // What others have, and nobody else sees.
        let strangers = world.add_organization("strangers");
        world.add_member(strangers, other, Role::Admin);
        world.add_repository(strangers, "secret");
        world.install(Target::Account(strangers), Selection::All);
        (world, scene)
    }
}
