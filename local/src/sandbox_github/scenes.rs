//! The built-in world: who is there to show what. Logins describe; nobody is a person; nothing is random.
//! What can be in a world at all lives in `world`.

use std::collections::BTreeSet;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::world::{
    Access, AccountId, Membership, MembershipState, Repository, RepositoryId, Role, Selection, Target,
    Visibility, World,
};

/// Organisations of `forty-installations`.
const MANY: usize = 40;
/// Repositories of each of them.
const EACH: usize = 30;
/// Repositories of `big-installation`.
const BIG: usize = 1_500;
/// 2023-11-14T22:13:20Z, from which the dates are counted.
const EPOCH: i64 = 1_700_000_000;

/// The world of `cargo run`: one user for each thing that a client of GitHub should get right.
#[must_use]
pub fn demo_world() -> World {
    let mut world = World::new();
    let octocat = world.add_user("octocat", "An ordinary developer: own repositories, three organisations");
    let forty = world.add_user("forty-installations", "Member of 40 organisations with 30 repositories each");
    let big = world.add_user("big-installation", "One installation with 1,500 repositories");
    let reader =
        world.add_user("reader", "May only read in octo-org, and label in one repository of octocat");
    let pending = world.add_user("pending-admin", "Was invited to own octo-org, and has not accepted");
    let newcomer = world.add_user("newcomer", "Has installed nothing yet; owns new-org");
    let lapsed = world.add_user("sso-lapsed", "Member of an organisation whose SAML session has ended");
    let gone = world.add_user("account-gone", "Sees an installation whose account is null");
    let manager = world.add_user("lab-manager", "Owns octo-labs and suspended its installation");

    own_account(&mut world, octocat, reader);
    octo_org(&mut world, octocat, reader, pending);
    octo_labs(&mut world, octocat, manager);
    octo_business(&mut world, octocat);
    forty_organizations(&mut world, forty);
    fill(&mut world, big, "repository", BIG);
    world.install(Target::Account(big), Selection::All);
    saml_org(&mut world, lapsed);
    vanished_org(&mut world, gone);

    let new_org = world.add_organization("new-org");
    world.add_member(new_org, newcomer, Role::Admin);
    world.add_repository(new_org, "first-steps");
    world.add_repository(newcomer, "sketches");
    world
}

/// A day and a bit for each step, so that every date of a listing is another one.
fn date(step: usize) -> String {
    let step = i64::try_from(step).unwrap_or_default();
    let moment = OffsetDateTime::from_unix_timestamp(EPOCH + step * 90_061).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

fn add(
    world: &mut World,
    owner: AccountId,
    name: &str,
    change: impl FnOnce(&mut Repository),
) -> RepositoryId {
    let id = world.add_repository(owner, name);
    if let Some(repository) = world.repositories.get_mut(&id) {
        change(repository);
    }
    id
}

/// Many repositories that differ in everything a listing can sort or filter by.
fn fill(world: &mut World, owner: AccountId, prefix: &str, count: usize) {
    for number in 1..=count {
        add(world, owner, &format!("{prefix}-{number:04}"), |repository| {
            repository.visibility = if number % 3 == 0 { Visibility::Public } else { Visibility::Private };
            repository.created_at = date(number % 97);
            // Neither in the order of the names nor in that of the numbers.
            repository.pushed_at = (number % 11 != 0).then(|| date(100 + number * 37 % 613));
            repository.updated_at = date(100 + number * 53 % 613);
            repository.stars = (number * number % 251) as u64;
            repository.archived = number % 19 == 0;
            repository.fork = number % 23 == 0;
            if number % 7 == 0 {
                "trunk".clone_into(&mut repository.default_branch);
            }
            repository.language = (number % 2 == 0).then(|| "Rust".to_owned());
        });
    }
}

/// octocat's own account: everything is installed, and no two repositories are alike.
fn own_account(world: &mut World, octocat: AccountId, reader: AccountId) {
    add(world, octocat, "hello-world", |repository| {
        repository.visibility = Visibility::Public;
        repository.stars = 80;
        repository.pushed_at = Some(date(300));
        "master".clone_into(&mut repository.default_branch);
        repository.collaborators.insert(reader, Access::Triage);
    });
    add(world, octocat, "dotfiles", |repository| repository.pushed_at = Some(date(250)));
    add(world, octocat, "never-pushed", |repository| repository.pushed_at = None);
    add(world, octocat, "offset-dates", |repository| {
        repository.pushed_at = Some("2024-05-16T08:47:09-07:00".to_owned());
        repository.created_at = "2024-03-01T23:30:00+02:00".to_owned();
        repository.stars = 7;
    });
    add(world, octocat, "old-experiments", |repository| {
        repository.archived = true;
        repository.pushed_at = Some("2019-01-26T19:06:43Z".to_owned());
        "trunk".clone_into(&mut repository.default_branch);
    });
    add(world, octocat, "ownerless", |repository| {
        repository.owner_is_null = true;
        repository.pushed_at = Some(date(120));
    });
    world.install(Target::Account(octocat), Selection::All);
}

/// octocat owns it and chose three of its five repositories; reader may read, pending-admin may nothing yet.
fn octo_org(world: &mut World, octocat: AccountId, reader: AccountId, pending: AccountId) {
    let organization = world.add_organization("octo-org");
    world.add_member(organization, octocat, Role::Admin);
    world.add_member(organization, reader, Role::Member);
    let invited = Membership { state: MembershipState::Pending, role: Role::Admin };
    world.set_membership(organization, pending, invited);
    let chosen: BTreeSet<_> = ["api", "web", "docs"]
        .into_iter()
        .enumerate()
        .map(|(step, name)| {
            add(world, organization, name, |repository| {
                repository.pushed_at = Some(date(310 + step));
                repository.stars = 40 - step as u64;
                if name == "docs" {
                    repository.visibility = Visibility::Public;
                    "gh-pages".clone_into(&mut repository.default_branch);
                }
            })
        })
        .collect();
    world.add_repository(organization, "not-selected");
    add(world, organization, "internal-tools", |repository| repository.visibility = Visibility::Internal);
    world.install(Target::Account(organization), Selection::Selected(chosen));
}

/// octocat is a member; its owner suspended the installation.
fn octo_labs(world: &mut World, octocat: AccountId, manager: AccountId) {
    let organization = world.add_organization("octo-labs");
    world.add_member(organization, octocat, Role::Member);
    world.add_member(organization, manager, Role::Admin);
    world.add_repository(organization, "reactor");
    world.add_repository(organization, "telescope");
    let installation = world.install(Target::Account(organization), Selection::All);
    world.suspend(installation, manager);
}

/// An Enterprise account: no login, no type, no repositories of its own.
fn octo_business(world: &mut World, octocat: AccountId) {
    let enterprise = world.add_enterprise("octo-business", "Octo Business");
    if let Some(enterprise) = world.enterprises.get_mut(&enterprise) {
        enterprise.members.insert(octocat);
    }
    world.install(Target::Enterprise(enterprise), Selection::All);
}

fn forty_organizations(world: &mut World, forty: AccountId) {
    for number in 1..=MANY {
        let organization = world.add_organization(&format!("forty-org-{number:02}"));
        let role = if number % 4 == 0 { Role::Admin } else { Role::Member };
        world.add_member(organization, forty, role);
        fill(world, organization, &format!("service-{number:02}"), EACH);
        world.install(Target::Account(organization), Selection::All);
    }
}

/// Its members need a SAML session; sso-lapsed has none, but has an account of their own.
fn saml_org(world: &mut World, lapsed: AccountId) {
    let organization = world.add_organization("saml-org");
    world.add_member(organization, lapsed, Role::Member);
    if let Some(organization) = world.organizations.get_mut(&organization) {
        organization.requires_saml = true;
    }
    world.add_repository(organization, "behind-saml");
    world.install(Target::Account(organization), Selection::All);
    world.add_repository(lapsed, "in-the-open");
    world.install(Target::Account(lapsed), Selection::All);
}

fn vanished_org(world: &mut World, gone: AccountId) {
    let organization = world.add_organization("vanished-org");
    world.add_member(organization, gone, Role::Member);
    world.add_repository(organization, "left-behind");
    let installation = world.install(Target::Account(organization), Selection::All);
    if let Some(installation) = world.installations.get_mut(&installation) {
        installation.account_is_null = true;
    }
}
