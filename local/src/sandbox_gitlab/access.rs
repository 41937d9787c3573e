//! Who may see what: memberships that are inherited downwards, shared, or only of something inside.
//! The things themselves live in `world`.

use std::collections::BTreeSet;

use super::world::{AccessLevel, Group, GroupId, Namespace, Project, User, UserId, Visibility, World};

impl World {
    /// What a user may do in a group, by a membership in it or in one above it.
    pub(super) fn group_level(&self, user: UserId, group: GroupId) -> Option<AccessLevel> {
        self.chain(group).filter_map(|group| group.members.get(&user).copied()).max()
    }

    /// What a user may do in a project as its member in any way; being able to see a public one is no membership.
    pub(super) fn project_level(&self, user: UserId, project: &Project) -> Option<AccessLevel> {
        let inherited = match project.namespace {
            Namespace::User(owner) => (owner == user).then_some(AccessLevel::Owner),
            Namespace::Group(group) => self.group_level(user, group),
        };
        let shared = project
            .shared_with
            .iter()
            .filter_map(|(group, most)| Some(self.group_level(user, *group)?.min(*most)))
            .max();
        project.members.get(&user).copied().max(inherited).max(shared)
    }

    /// Whether a user sees a project at all.
    pub(super) fn sees_project(&self, user: &User, project: &Project) -> bool {
        user.admin
            || project.visibility != Visibility::Private
            || self.project_level(user.id, project).is_some()
    }

    /// Whether a user may read a project's code: a guest of a private one may not.
    pub(super) fn reads_code(&self, user: &User, project: &Project) -> bool {
        user.admin
            || project.visibility != Visibility::Private
            || self.project_level(user.id, project) >= Some(AccessLevel::Reporter)
    }

    /// The groups that a user belongs to: by membership with all inside, by membership of something inside
    /// (a subgroup, a project), and through a project that is shared with one of the user's groups.
    pub(super) fn authorized_groups(&self, user: UserId) -> BTreeSet<GroupId> {
        let by_membership =
            self.groups.keys().copied().filter(|group| self.group_level(user, *group).is_some());
        let by_project = self.projects.values().filter_map(|project| match project.namespace {
            Namespace::Group(group) if self.project_level(user, project).is_some() => Some(group),
            _ => None,
        });
        let mut all = BTreeSet::new();
        for group in by_membership.chain(by_project) {
            if !all.contains(&group) {
                all.extend(self.chain(group).map(|group| group.id));
            }
        }
        all
    }

    /// Whether a user sees a group at all.
    pub(super) fn sees_group(&self, user: &User, group: &Group) -> bool {
        user.admin
            || group.visibility != Visibility::Private
            || self.authorized_groups(user.id).contains(&group.id)
    }
}
