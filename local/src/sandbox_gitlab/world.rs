//! The model: users, nested groups, memberships, projects.
//! Who may see what is decided in `access`; the wire's form is in `objects`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A user's number.
    UserId,
    /// A group's number.
    GroupId,
    /// A project's number; never given twice.
    ProjectId,
}

/// A person's account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The number that survives a rename.
    pub id: UserId,
    /// The name in URLs; compared without regard to case.
    pub username: String,
    /// One line for the authorize page: what this user is there to show.
    pub about: String,
    /// Sees everything.
    pub admin: bool,
    /// May not use the API.
    pub blocked: bool,
}

/// What a member may do, weakest first; the numbers are GitLab's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Reads issues; not the code of a private project.
    Guest = 10,
    /// Plans; not the code of a private project either.
    Planner = 15,
    /// Reads code.
    Reporter = 20,
    /// Writes code.
    Developer = 30,
    /// Manages projects.
    Maintainer = 40,
    /// Everything.
    Owner = 50,
}

/// Who sees a group or project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Its members.
    Private,
    /// Everybody who is signed in.
    Internal,
    /// Everybody.
    Public,
}

impl Visibility {
    /// The word in parameters and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// A group, or a subgroup of one.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its number.
    pub id: GroupId,
    /// The last part of its name in URLs.
    pub path: String,
    /// The group that it is in.
    pub parent: Option<GroupId>,
    /// Who sees it.
    pub visibility: Visibility,
    /// Its direct members.
    pub members: BTreeMap<UserId, AccessLevel>,
}

/// Where a project is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// A user's own.
    User(UserId),
    /// A group's.
    Group(GroupId),
}

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its number.
    pub id: ProjectId,
    /// Where it is.
    pub namespace: Namespace,
    /// The last part of its name in URLs.
    pub path: String,
    /// Who sees it.
    pub visibility: Visibility,
    /// Stars.
    pub stars: u64,
    /// Creation, in Unix seconds.
    pub created_at: i64,
    /// The last activity of any kind, in Unix seconds.
    pub last_activity_at: i64,
    /// The default branch; of an empty one, what would be.
    pub default_branch: String,
    /// Nothing was ever pushed.
    pub empty: bool,
    /// Read only for everybody.
    pub archived: bool,
    /// The day on which its deletion was asked for; it is still listed then.
    pub marked_for_deletion_on: Option<String>,
    /// Its direct members.
    pub members: BTreeMap<UserId, AccessLevel>,
    /// The groups that it is shared with, and what their members may do at most.
    pub shared_with: BTreeMap<GroupId, AccessLevel>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The users.
    pub users: BTreeMap<UserId, User>,
    /// The groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// The projects.
    pub projects: BTreeMap<ProjectId, Project>,
    /// The highest number that was given to a project, also to one that is gone.
    newest: u64,
}

/// 2024-02-01T09:00:00Z, from which dates are counted when nobody said another one.
pub(super) const BEGINNING: i64 = 1_706_778_000;

impl World {
    /// A world without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user.
    pub fn add_user(&mut self, username: &str, about: &str) -> UserId {
        let id = UserId(self.users.keys().next_back().map_or(7, |id| id.0 + 1));
        let (username, about) = (username.to_owned(), about.to_owned());
        self.users.insert(id, User { id, username, about, admin: false, blocked: false });
        id
    }

    /// Adds a private group.
    pub fn add_group(&mut self, path: &str, parent: Option<GroupId>) -> GroupId {
        let id = GroupId(self.groups.keys().next_back().map_or(100, |id| id.0 + 1));
        let visibility = Visibility::Private;
        self.groups
            .insert(id, Group { id, path: path.to_owned(), parent, visibility, members: BTreeMap::new() });
        id
    }

    /// Makes somebody a member of a group, or changes what a member may do.
    pub fn add_member(&mut self, group: GroupId, user: UserId, level: AccessLevel) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.members.insert(user, level);
        }
    }

    /// Adds a private project with code.
    pub fn add_project(&mut self, namespace: Namespace, path: &str) -> ProjectId {
        self.newest += 1;
        let id = ProjectId(self.newest);
        let project = Project {
            id,
            namespace,
            path: path.to_owned(),
            visibility: Visibility::Private,
            stars: 0,
            created_at: BEGINNING,
            last_activity_at: BEGINNING,
            default_branch: "main".to_owned(),
            empty: false,
            archived: false,
            marked_for_deletion_on: None,
            members: BTreeMap::new(),
            shared_with: BTreeMap::new(),
        };
        self.projects.insert(id, project);
        id
    }

    /// Asks for a project's deletion, as its owner can: it is renamed, and listed until it is gone.
    pub fn mark_for_deletion(&mut self, project: ProjectId, day: &str) {
        if let Some(project) = self.projects.get_mut(&project) {
            project.path = format!("{}-deletion_scheduled-{}", project.path, project.id);
            project.marked_for_deletion_on = Some(day.to_owned());
        }
    }

    /// The user of that name.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<&User> {
        self.users.values().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The group of that full path.
    #[must_use]
    pub fn group(&self, full_path: &str) -> Option<&Group> {
        self.groups.values().find(|group| self.group_path(group.id).eq_ignore_ascii_case(full_path))
    }

    /// A group and all that it is in, from the inside out.
    pub(super) fn chain(&self, group: GroupId) -> impl Iterator<Item = &Group> {
        std::iter::successors(self.groups.get(&group), |group| self.groups.get(&group.parent?))
    }

    /// A group's full path.
    #[must_use]
    pub fn group_path(&self, group: GroupId) -> String {
        let mut parts: Vec<&str> = self.chain(group).map(|group| group.path.as_str()).collect();
        parts.reverse();
        parts.join("/")
    }

    /// A namespace's full path.
    pub(super) fn namespace_path(&self, namespace: Namespace) -> String {
        match namespace {
            Namespace::Group(group) => self.group_path(group),
            Namespace::User(user) => {
                self.users.get(&user).map(|user| user.username.clone()).unwrap_or_default()
            }
        }
    }

    /// A project's full path.
    #[must_use]
    pub fn project_path(&self, project: &Project) -> String {
        format!("{}/{}", self.namespace_path(project.namespace), project.path)
    }
}
