//! What may happen at GitHub between two calls: to repositories, to installations, to who belongs where.

use std::collections::BTreeSet;

use local::sandbox_github::{
    Access, AccountId, Installation, RepositoryId, Role, Selection, Target, Visibility, World,
};
use proptest::prelude::*;

use crate::scene::{ACCOUNTS, ALPHA, ORGANIZATIONS, Scene};

/// Which of several things: the share of those that stand before it. Smaller ones stand on the first page.
pub(crate) type Which = u8;

/// One thing that happens; the first number is the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create(usize),
    Delete(usize, Which),
    /// Into what the installation on the account was given, and out of it.
    Select(usize, Which),
    Deselect(usize, Which),
    SelectAll(usize),
    RenameRepository(usize, Which),
    RenameAccount(usize),
    /// Public, or private again.
    Publish(usize, Which),
    /// To another account, and there into the selection or not.
    Transfer(usize, Which, usize, bool),
    Star(usize, Which),
    Push(usize, Which),
    /// Granted to the user alone, or withdrawn.
    Collaborate(usize, Which),
    Suspend(usize),
    Unsuspend(usize),
    Uninstall(usize),
    Install(usize, bool),
    /// The user leaves an organisation, or joins one.
    Leave(Which),
    Join(Which),
    /// The organisation demands a SAML session that the user does not have, or demands it no more.
    Saml(usize),
}

/// The big account more often than the others.
fn account() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(ALPHA), 3 => 0..ACCOUNTS]
}

/// One repository comes to an installation or goes.
pub(crate) fn one_comes_or_goes() -> impl Strategy<Value = Change> {
    prop_oneof![
        account().prop_map(Change::Create),
        (account(), any::<Which>()).prop_map(|(account, which)| Change::Delete(account, which)),
        (account(), any::<Which>()).prop_map(|(account, which)| Change::Select(account, which)),
        (account(), any::<Which>()).prop_map(|(account, which)| Change::Deselect(account, which)),
    ]
}

/// A repository goes from one account to another, and the installation there reaches it.
pub(crate) fn moved() -> impl Strategy<Value = Change> {
    (account(), any::<Which>(), account())
        .prop_map(|(from, which, to)| Change::Transfer(from, which, to, true))
}

/// One goes and another comes: often on the first page and on the last, with no other count than before. Of
/// repositories, or of the organisations that the user belongs to.
pub(crate) fn exchanged() -> impl Strategy<Value = Vec<Change>> {
    let repositories = (account(), any::<Which>(), any::<bool>()).prop_map(|(account, which, deleted)| {
        let gone = if deleted { Change::Delete } else { Change::Deselect };
        // One of these has an effect, whatever the installation was given.
        vec![gone(account, which), Change::Create(account), Change::Select(account, Which::MAX)]
    });
    let organizations = (any::<Which>(), any::<Which>())
        .prop_map(|(left, joined)| vec![Change::Join(joined), Change::Leave(left)]);
    prop_oneof![repositories, organizations]
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    use Change::{
        Collaborate, Install, Join, Leave, Publish, Push, RenameAccount, RenameRepository, Saml, SelectAll,
        Star, Suspend, Transfer, Uninstall, Unsuspend,
    };
    let of = || (account(), any::<Which>());
    let organization = || ORGANIZATIONS;
    prop_oneof![
        6 => one_comes_or_goes(),
        4 => (of(), account(), any::<bool>())
            .prop_map(|((from, which), to, selected)| Transfer(from, which, to, selected)),
        1 => account().prop_map(SelectAll),
        1 => of().prop_map(|(account, which)| RenameRepository(account, which)),
        1 => account().prop_map(RenameAccount),
        1 => of().prop_map(|(account, which)| Publish(account, which)),
        1 => of().prop_map(|(account, which)| Star(account, which)),
        1 => of().prop_map(|(account, which)| Push(account, which)),
        1 => of().prop_map(|(account, which)| Collaborate(account, which)),
        1 => account().prop_map(Suspend),
        2 => account().prop_map(Unsuspend),
        1 => account().prop_map(Uninstall),
        2 => (account(), any::<bool>()).prop_map(|(account, all)| Install(account, all)),
        1 => any::<Which>().prop_map(Leave),
        2 => any::<Which>().prop_map(Join),
        1 => organization().prop_map(Saml),
    ]
}

impl Change {
    /// Makes it happen; nothing does where there is nothing that it could happen to.
    pub(crate) fn happen(&self, world: &mut World, scene: &Scene) {
        match *self {
            Self::Create(account) => {
                let number = scene.next_number();
                world.add_repository(scene.account(account), &format!("created-{number}"));
            }
            Self::Delete(account, which) => {
                if let Some(one) = owned(world, scene, account, which) {
                    world.delete_repository(one);
                }
            }
            Self::Select(account, which) => select(world, scene, account, which),
            Self::Deselect(account, which) => {
                let one = nth(reached(world, scene, account), which);
                if let (Some(one), Some(on)) = (one, on(world, scene, account)) {
                    let id = on.id;
                    world.remove_repository_from_installation(id, one);
                }
            }
            Self::SelectAll(account) => {
                if let Some(id) = on(world, scene, account).map(|on| on.id) {
                    world.select_repositories(id, Selection::All);
                }
            }
            Self::RenameAccount(account) => {
                let login = format!("renamed-{}", scene.next_number());
                world.rename(scene.account(account), &login);
            }
            Self::RenameRepository(account, which) => {
                let name = format!("renamed-{}", scene.next_number());
                if let Some(one) = repository(world, scene, account, which) {
                    one.name = name;
                }
            }
            Self::Publish(account, which) => {
                if let Some(one) = repository(world, scene, account, which) {
                    let public = one.visibility == Visibility::Public;
                    one.visibility = if public { Visibility::Private } else { Visibility::Public };
                }
            }
            Self::Star(account, which) => {
                if let Some(one) = repository(world, scene, account, which) {
                    one.stars += 1;
                }
            }
            Self::Push(account, which) => {
                let minute = scene.next_number();
                if let Some(one) = repository(world, scene, account, which) {
                    one.pushed_at =
                        Some(format!("2025-01-01T{:02}:{:02}:00Z", minute / 60 % 24, minute % 60));
                }
            }
            Self::Collaborate(account, which) => {
                let member = scene.member;
                if let Some(one) = repository(world, scene, account, which)
                    && one.collaborators.remove(&member).is_none()
                {
                    one.collaborators.insert(member, Access::Read);
                }
            }
            Self::Transfer(from, which, to, selected) => {
                if let Some(one) = owned(world, scene, from, which) {
                    transfer(world, one, scene.account(to), selected);
                }
            }
            Self::Suspend(account) => {
                if let Some(id) = on(world, scene, account).map(|on| on.id) {
                    world.suspend_by_owner(id);
                }
            }
            Self::Unsuspend(account) => {
                if let Some(id) = on(world, scene, account).map(|on| on.id) {
                    world.unsuspend(id);
                }
            }
            Self::Uninstall(account) => {
                if let Some(id) = on(world, scene, account).map(|on| on.id) {
                    world.uninstall(id);
                }
            }
            Self::Install(account, all) => install(world, scene, account, all),
            Self::Leave(which) => {
                if let Some(left) = organization(world, scene, true, which) {
                    world.remove_member(left, scene.member);
                }
            }
            Self::Join(which) => {
                if let Some(joined) = organization(world, scene, false, which) {
                    world.add_member(joined, scene.member, Role::Member);
                }
            }
            Self::Saml(account) => {
                if let Some(organization) = world.organizations.get_mut(&scene.account(account)) {
                    organization.requires_saml = !organization.requires_saml;
                }
            }
        }
    }
}

fn nth<T>(ids: Vec<T>, which: Which) -> Option<T> {
    let index = usize::from(which) * ids.len() / 256;
    ids.into_iter().nth(index)
}

/// One of the organisations that the user belongs to, or of the others.
fn organization(world: &World, scene: &Scene, joined: bool, which: Which) -> Option<AccountId> {
    let all = world.organizations.values();
    let ids = all.filter(|one| one.members.contains_key(&scene.member) == joined).map(|one| one.id);
    nth(ids.collect(), which)
}

fn ids_of(world: &World, account: AccountId) -> Vec<RepositoryId> {
    world.repositories.values().filter(|one| one.owner == account).map(|one| one.id).collect()
}

fn owned(world: &World, scene: &Scene, account: usize, which: Which) -> Option<RepositoryId> {
    nth(ids_of(world, scene.account(account)), which)
}

fn repository<'a>(
    world: &'a mut World,
    scene: &Scene,
    account: usize,
    which: Which,
) -> Option<&'a mut local::sandbox_github::Repository> {
    let id = owned(world, scene, account, which)?;
    world.repositories.get_mut(&id)
}

fn on<'a>(world: &'a World, scene: &Scene, account: usize) -> Option<&'a Installation> {
    world.installation_on(Target::Account(scene.account(account)))
}

fn reached(world: &World, scene: &Scene, account: usize) -> Vec<RepositoryId> {
    match on(world, scene, account).map(|on| &on.selection) {
        None => Vec::new(),
        Some(Selection::All) => ids_of(world, scene.account(account)),
        Some(Selection::Selected(chosen)) => chosen.iter().copied().collect(),
    }
}

fn select(world: &mut World, scene: &Scene, account: usize, which: Which) {
    let Some(id) = on(world, scene, account).map(|on| on.id) else { return };
    let mut others = ids_of(world, scene.account(account));
    let reached = reached(world, scene, account);
    others.retain(|one| !reached.contains(one));
    if let Some(one) = nth(others, which) {
        world.add_repository_to_installation(id, one);
    }
}

/// On all repositories, or on those with an even number.
pub(crate) fn install(world: &mut World, scene: &Scene, account: usize, all: bool) {
    if on(world, scene, account).is_some() {
        return;
    }
    let mut chosen: BTreeSet<RepositoryId> = ids_of(world, scene.account(account)).into_iter().collect();
    chosen.retain(|one| one.0 % 2 == 0);
    let selection = if all { Selection::All } else { Selection::Selected(chosen) };
    world.install(Target::Account(scene.account(account)), selection);
}

/// What was chosen of the old owner's repositories is not chosen any more.
fn transfer(world: &mut World, one: RepositoryId, to: AccountId, selected: bool) {
    let Some(from) = world.repositories.get(&one).map(|found| found.owner).filter(|from| *from != to) else {
        return;
    };
    let selection = |world: &mut World, account| {
        let id = world.installation_on(Target::Account(account)).map(|on| on.id);
        id.and_then(|id| match &world.installations[&id].selection {
            Selection::All => None,
            Selection::Selected(chosen) => Some((id, chosen.clone())),
        })
    };
    if let Some((id, mut chosen)) = selection(world, from) {
        chosen.remove(&one);
        world.select_repositories(id, Selection::Selected(chosen));
    }
    if let Some(found) = world.repositories.get_mut(&one) {
        found.owner = to;
    }
    if let Some((id, mut chosen)) = selection(world, to).filter(|_| selected) {
        chosen.insert(one);
        world.select_repositories(id, Selection::Selected(chosen));
    }
}
