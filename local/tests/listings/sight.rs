//! What a user sees at GitHub now, read from the world's own data: without the sandbox's rules and pages, so that
//! neither is taken for right because the other does the same.

use std::collections::BTreeMap;

use local::sandbox_github::{
    AccountId, Installation, InstallationId, MembershipState, Repository, Role, Selection, Target,
    Visibility, World,
};
use serde_json::Value;

/// What GitHub's largest page holds.
const PAGE: usize = 100;

/// A repository as `GET /api/user/repositories` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    full_name: String,
    is_public: bool,
    pushed_at: Option<String>,
    stars: u64,
    owner_type: String,
    main_branch: String,
}

/// What a user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// In GitHub's order.
    pub(crate) installations: Vec<InstallationId>,
    /// How many repositories each of those that are not suspended reaches for the user.
    pub(crate) reachable: BTreeMap<InstallationId, usize>,
    /// By id, each with the installation that it is reached through.
    pub(crate) repositories: BTreeMap<String, (InstallationId, Row)>,
}

impl Sight {
    pub(crate) fn of(world: &World, user: AccountId) -> Self {
        let mut sight =
            Self { installations: Vec::new(), reachable: BTreeMap::new(), repositories: BTreeMap::new() };
        for installation in world.installations.values() {
            if !is_seen(world, user, installation) {
                continue;
            }
            sight.installations.push(installation.id);
            if installation.suspended.is_some() {
                continue;
            }
            let granted = world
                .repositories
                .values()
                .filter(|one| belongs_to(one, installation) && is_granted(world, user, one));
            let rows: Vec<_> = granted.map(|one| (one.id.to_string(), row(world, one))).collect();
            sight.reachable.insert(installation.id, rows.len());
            let reached = rows.into_iter().map(|(id, row)| (id, (installation.id, row)));
            sight.repositories.extend(reached);
        }
        sight
    }

    /// How many calls it takes to ask for the list of installations.
    pub(crate) fn list_pages(&self) -> usize {
        self.installations.len().div_ceil(PAGE).max(1)
    }

    /// How many calls it takes to ask for every page of everything once.
    pub(crate) fn pages(&self) -> usize {
        let of_repositories = self.reachable.values().map(|count| count.div_ceil(PAGE).max(1));
        self.list_pages() + of_repositories.sum::<usize>()
    }

    /// Whether a list of repositories has more than one page.
    pub(crate) fn has_several_pages(&self) -> bool {
        self.reachable.values().any(|count| *count > PAGE)
    }

    pub(crate) fn row(&self, id: &str) -> Option<&Row> {
        self.repositories.get(id).map(|(_, row)| row)
    }
}

fn is_member(world: &World, user: AccountId, account: AccountId) -> bool {
    let organization = world.organizations.get(&account);
    let membership = organization.and_then(|organization| organization.members.get(&user));
    membership.is_some_and(|membership| membership.state == MembershipState::Active)
}

fn belongs_to(one: &Repository, installation: &Installation) -> bool {
    let chosen = match &installation.selection {
        Selection::All => true,
        Selection::Selected(chosen) => chosen.contains(&one.id),
    };
    chosen && installation.target == Target::Account(one.owner)
}

fn is_seen(world: &World, user: AccountId, installation: &Installation) -> bool {
    match installation.target {
        Target::Enterprise(enterprise) => world.enterprises[&enterprise].members.contains(&user),
        Target::Account(account) => {
            let locked = world
                .organizations
                .get(&account)
                .is_some_and(|found| found.requires_saml && !found.saml_sessions.contains(&user));
            let shared = || {
                let mut theirs = world.repositories.values().filter(|one| belongs_to(one, installation));
                theirs.any(|one| one.collaborators.contains_key(&user))
            };
            !locked && (account == user || is_member(world, user, account) || shared())
        }
    }
}

fn is_granted(world: &World, user: AccountId, one: &Repository) -> bool {
    let by_membership = || {
        let organization = world.organizations.get(&one.owner)?;
        let role = organization.members.get(&user)?.role;
        Some(is_member(world, user, one.owner) && (role == Role::Admin || organization.base_access.is_some()))
    };
    one.owner == user || one.collaborators.contains_key(&user) || by_membership() == Some(true)
}

fn row(world: &World, one: &Repository) -> Row {
    let of_organization = world.organizations.contains_key(&one.owner);
    Row {
        full_name: format!("{}/{}", world.login(one.owner).expect("an owner"), one.name),
        is_public: one.visibility == Visibility::Public,
        pushed_at: one.pushed_at.clone(),
        stars: one.stars,
        owner_type: if of_organization { "organization" } else { "user" }.to_owned(),
        main_branch: one.default_branch.clone(),
    }
}

/// The repositories of an answer, with their ids, in its order.
pub(crate) fn rows(answer: &Value) -> Vec<(String, Row)> {
    let text = |item: &Value, key: &str| item[key].as_str().map(ToOwned::to_owned);
    let row = |item: &Value| Row {
        full_name: text(item, "full_name").expect("a name"),
        is_public: item["is_public"].as_bool().expect("public or not"),
        pushed_at: text(item, "pushed_at"),
        stars: item["stargazers_count"].as_u64().expect("a number of stars"),
        owner_type: text(item, "owner_type").expect("an owner's kind"),
        main_branch: text(item, "main_branch").expect("a branch"),
    };
    let items = answer.as_array().expect("a list");
    items.iter().map(|item| (text(item, "id").expect("an id"), row(item))).collect()
}

/// The installations of an answer, in its order.
pub(crate) fn ids(answer: &Value) -> Vec<InstallationId> {
    let id = |item: &Value| item.as_str().expect("a text").parse().expect("a number");
    answer.as_array().expect("a list").iter().map(|item| InstallationId(id(item))).collect()
}
