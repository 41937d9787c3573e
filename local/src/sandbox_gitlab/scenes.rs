//! The built-in world: who is there to show what. Names describe; nobody is a person; nothing is random.
//! What can be in a world at all lives in `world`.

use super::world::{
    AccessLevel, BEGINNING, GroupId, Namespace, Project, ProjectId, UserId, Visibility, World,
};

/// Top-level groups of `many-groups`.
const GROUPS: usize = 137;
/// Projects in each group of `three-groups`.
const EACH: usize = 500;
/// Projects of `ten-thousand`: more than GitLab counts.
const UNCOUNTED: usize = 10_137;
/// A day and a bit, so that dates differ in everything.
const STEP: i64 = 90_061;

/// The world of a sandbox that was told nothing else: one user for each thing that a client should get right.
#[must_use]
pub fn demo_world() -> World {
    let mut world = World::new();
    let cat =
        world.add_user("gitlab-cat", "An ordinary developer: own projects, nested groups, a guest somewhere");
    let many = world.add_user("many-groups", "Member of 137 top-level groups");
    let three = world.add_user("three-groups", "Member of 3 groups with 500 projects each");
    let huge = world.add_user("ten-thousand", "Member of more projects than GitLab counts");
    world.add_user("newcomer", "Has no groups and no projects yet");
    let blocked = world.add_user("blocked", "Was blocked by an administrator");
    let root = world.add_user("root", "Administrates the instance, and sees everything");
    let stranger = world.add_user("stranger", "Owns what nobody else sees, and one public project");
    if let Some(user) = world.users.get_mut(&blocked) {
        user.blocked = true;
    }
    if let Some(user) = world.users.get_mut(&root) {
        user.admin = true;
    }

    own_projects(&mut world, cat);
    let collective = collective(&mut world, cat, stranger);
    elsewhere(&mut world, cat, stranger, collective);
    for number in 1..=GROUPS {
        let group = world.add_group(&format!("group-{number:03}"), None);
        world.add_member(group, many, AccessLevel::Developer);
        add(&mut world, Namespace::Group(group), "service", |project| {
            project.last_activity_at = date(number);
        });
    }
    for number in 1..=3 {
        let group = world.add_group(&format!("large-{number}"), None);
        world.add_member(group, three, AccessLevel::Maintainer);
        fill(&mut world, group, EACH);
    }
    let group = world.add_group("warehouse", None);
    world.add_member(group, huge, AccessLevel::Reporter);
    fill(&mut world, group, UNCOUNTED);
    world
}

fn date(step: usize) -> i64 {
    BEGINNING + i64::try_from(step).unwrap_or_default() * STEP
}

fn add(world: &mut World, namespace: Namespace, path: &str, change: impl FnOnce(&mut Project)) -> ProjectId {
    let id = world.add_project(namespace, path);
    if let Some(project) = world.projects.get_mut(&id) {
        change(project);
    }
    id
}

/// Many projects that differ in everything a listing can sort or filter by.
fn fill(world: &mut World, group: GroupId, count: usize) {
    for number in 1..=count {
        add(world, Namespace::Group(group), &format!("project-{number:05}"), |project| {
            project.visibility = if number % 5 == 0 { Visibility::Public } else { Visibility::Private };
            project.created_at = date(number % 97);
            // Neither in the order of the names nor in that of the numbers.
            project.last_activity_at = date(100 + number * 37 % 613);
            project.stars = (number * number % 251) as u64;
            if number % 7 == 0 {
                "trunk".clone_into(&mut project.default_branch);
            }
        });
    }
}

fn own_projects(world: &mut World, cat: UserId) {
    let own = Namespace::User(cat);
    add(world, own, "dotfiles", |project| {
        project.visibility = Visibility::Public;
        project.stars = 12;
        project.last_activity_at = date(300);
    });
    add(world, own, "notes", |project| project.last_activity_at = date(250));
    add(world, own, "old-experiments", |project| project.archived = true);
}

/// A group with groups in it, and one project of every kind.
fn collective(world: &mut World, cat: UserId, stranger: UserId) -> GroupId {
    let collective = world.add_group("cat-collective", None);
    world.add_member(collective, cat, AccessLevel::Owner);
    world.add_member(collective, stranger, AccessLevel::Guest);
    let platform = world.add_group("platform", Some(collective));
    let edge = world.add_group("edge", Some(platform));
    let of = Namespace::Group;
    add(world, of(collective), "website", |project| {
        project.visibility = Visibility::Public;
        project.stars = 40;
        project.last_activity_at = date(310);
    });
    add(world, of(collective), "internal-tools", |project| {
        project.visibility = Visibility::Internal;
        project.last_activity_at = date(200);
    });
    add(world, of(collective), "empty", |project| project.empty = true);
    add(world, of(collective), "retired", |project| project.archived = true);
    let gone = add(world, of(collective), "gone", |project| project.last_activity_at = date(320));
    world.mark_for_deletion(gone, "2026-11-18");
    add(world, of(platform), "deploy", |project| project.last_activity_at = date(290));
    add(world, of(edge), "api", |project| {
        project.stars = 3;
        project.last_activity_at = date(305);
        "trunk".clone_into(&mut project.default_branch);
    });
    collective
}

/// Where gitlab-cat is a member of something inside only, a guest, or there through a share.
fn elsewhere(world: &mut World, cat: UserId, stranger: UserId, collective: GroupId) {
    let laboratory = world.add_group("laboratory", None);
    world.add_member(laboratory, stranger, AccessLevel::Owner);
    add(world, Namespace::Group(laboratory), "secret", |_| {});
    let hardware = world.add_group("hardware", Some(laboratory));
    world.add_member(hardware, cat, AccessLevel::Developer);
    add(world, Namespace::Group(hardware), "firmware", |project| project.last_activity_at = date(280));

    let agency = world.add_group("agency", None);
    world.add_member(agency, stranger, AccessLevel::Owner);
    add(world, Namespace::Group(agency), "without-code", |project| {
        project.members.insert(cat, AccessLevel::Guest);
        project.last_activity_at = date(270);
    });
    add(world, Namespace::Group(agency), "shared", |project| {
        project.shared_with.insert(collective, AccessLevel::Reporter);
        project.last_activity_at = date(260);
    });
    add(world, Namespace::User(stranger), "in-the-open", |project| project.visibility = Visibility::Public);
    add(world, Namespace::User(stranger), "diary", |_| {});
}
