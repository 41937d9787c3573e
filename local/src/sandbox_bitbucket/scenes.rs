//! The built-in world: who is there to show what. Logins describe; nobody is a person; nothing is random.
//! What can be in a world at all lives in `world`.

use super::world::{Access, World, timestamp};

/// Workspaces of `many-workspaces`, the personal one among them.
const MANY: usize = 137;
/// Workspaces of `large-workspaces`, and repositories of each.
const LARGE: (usize, usize) = (3, 500);

/// The world of `cargo run`: one user for each thing that a client of Bitbucket should get right.
#[must_use]
pub fn demo_world() -> World {
    let mut world = World::new();
    let cat = world.add_user("bitbucket-cat", "An ordinary developer: a personal workspace and two others");
    let many = world.add_user("many-workspaces", "Belongs to 137 workspaces");
    let large = world.add_user("large-workspaces", "Belongs to three workspaces with 500 repositories each");
    world.add_user("bitbucket-newcomer", "Belongs to no workspace yet");

    ordinary(&mut world, &cat);
    many_workspaces(&mut world, &many);
    for number in 1..=LARGE.0 {
        let workspace = world.add_workspace(&format!("large-{number}"));
        world.add_member(&workspace, &large, Access::Write);
        fill(&mut world, &workspace, &format!("unit-{number}"), LARGE.1);
    }
    world
}

/// No two of these repositories are alike.
fn ordinary(world: &mut World, cat: &str) {
    if let Some(user) = world.users.iter_mut().find(|user| user.uuid == cat) {
        user.tells_username = true;
    }
    let own = world.add_personal_workspace(cat, "bitbucket-cat");
    world.add_repository(&own, "dotfiles").updated_on = timestamp(900);
    let empty = world.add_repository(&own, "empty");
    (empty.main_branch, empty.language) = (None, None);
    let site = world.add_repository(&own, "site");
    site.is_private = false;
    site.main_branch = Some("gh-pages".to_owned());
    site.name = "The Site".to_owned();

    let corp = world.add_workspace("acme-corp");
    world.add_member(&corp, cat, Access::Write);
    world.add_repository(&corp, "api").updated_on = timestamp(1_000);
    let homeless = world.add_repository(&corp, "homeless");
    homeless.workspace_is_null = true;
    world.add_repository(&corp, "tools").is_private = false;

    // Not a member there: one repository was granted, another is open to everybody.
    let guild = world.add_workspace("printing-guild");
    world.add_repository(&guild, "press").collaborators.insert(cat.to_owned(), Access::Read);
    world.add_repository(&guild, "ledger");
    world.add_repository(&guild, "catalogue").is_private = false;
}

fn many_workspaces(world: &mut World, many: &str) {
    let own = world.add_personal_workspace(many, "many-workspaces");
    world.add_repository(&own, "notes");
    for number in 2..=MANY {
        let workspace = world.add_workspace(&format!("team-{number:03}"));
        let access = if number % 4 == 0 { Access::Admin } else { Access::Read };
        world.add_member(&workspace, many, access);
        world.add_repository(&workspace, "work");
    }
}

/// Many repositories that differ in everything a listing can sort by.
fn fill(world: &mut World, workspace: &str, prefix: &str, count: usize) {
    for number in 1..=count {
        let repository = world.add_repository(workspace, &format!("{prefix}-{number:04}"));
        repository.is_private = number % 3 != 0;
        // Neither in the order of the names nor in that of the creation.
        repository.updated_on = timestamp(2_000 + number * 37 % 613);
        if number % 11 == 0 {
            repository.main_branch = None;
        }
    }
}
