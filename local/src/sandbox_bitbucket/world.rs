//! The model: users, workspaces, repositories, and how this Bitbucket behaves where the real one may change.
//! Who is there to show what lives in `scenes`; the wire's form is in `objects`.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::macros::format_description;

/// 2023-11-14T22:13:20Z, from which the dates are counted.
const EPOCH: i64 = 1_700_000_000;
/// Minutes between two dates.
const STEP: i64 = 61;

/// A person's account.
#[derive(Clone, Debug)]
pub struct User {
    /// The uuid in braces; that of the personal workspace too.
    pub uuid: String,
    /// The nickname, by which the sandbox's users are told apart.
    pub login: String,
    /// Whether `/2.0/user` tells a `username` beside the nickname.
    pub tells_username: bool,
    /// What API tokens are sent with.
    pub email: String,
    /// One line for the authorize page: what this user is there to show.
    pub about: String,
}

/// What a user may do, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Everything.
    Admin,
}

/// A workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The uuid in braces.
    pub uuid: String,
    /// The name in URLs.
    pub slug: String,
    /// Its members by uuid, and what they may do with every repository.
    pub members: BTreeMap<String, Access>,
}

impl Workspace {
    /// What a user may do with a repository of it by a grant; that a public one is open to everybody is no grant.
    pub(super) fn access(&self, user: &str, repository: &Repository) -> Option<Access> {
        self.members.get(user).max(repository.collaborators.get(user)).copied()
    }
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The uuid in braces.
    pub uuid: String,
    /// The uuid of its workspace.
    pub workspace: String,
    /// Serves `"workspace": null`, as Bitbucket has been seen to do.
    pub workspace_is_null: bool,
    /// The name in URLs.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// Not visible to everybody.
    pub is_private: bool,
    /// `None`: an empty repository, served as `"mainbranch": null`.
    pub main_branch: Option<String>,
    /// Served as null where there is none.
    pub language: Option<String>,
    /// When it was made.
    pub created_on: String,
    /// When it last changed.
    pub updated_on: String,
    /// Who was granted access to this repository alone, by uuid.
    pub collaborators: BTreeMap<String, Access>,
}

/// How `next` leads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// By number, with `size` and `page` told.
    Numbers,
    /// By an opaque `after`, with neither; a `page` that is asked for is not looked at.
    Cursors,
}

/// What becomes of a refresh token that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRule {
    /// It ends, and another one comes back: announced for May 2026.
    Rotates,
    /// It lives on and comes back.
    Stays,
    /// It lives on; the answer has none.
    StaysUntold,
}

/// Everything that the sandbox Bitbucket knows but tokens.
#[derive(Clone, Debug)]
pub struct World {
    /// Users, in the order in which they were added.
    pub users: Vec<User>,
    /// Workspaces, in the order in which they were added.
    pub workspaces: Vec<Workspace>,
    /// Repositories, in the order in which they were added.
    pub repositories: Vec<Repository>,
    /// How pages follow each other.
    pub paging: Paging,
    /// The largest `pagelen` that is accepted; 100 at Bitbucket.
    pub largest_page: usize,
    /// What becomes of used refresh tokens.
    pub refresh: RefreshRule,
    /// Calls below `/2.0/repositories` in any hour, for each user: 1,000 at Bitbucket.
    pub hourly_limit: usize,
    next: u64,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with nobody in it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            users: Vec::new(),
            workspaces: Vec::new(),
            repositories: Vec::new(),
            paging: Paging::Numbers,
            largest_page: 100,
            refresh: RefreshRule::Rotates,
            hourly_limit: 1_000,
            next: 1,
        }
    }

    /// The user of that login.
    #[must_use]
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users.iter().find(|user| user.login == login)
    }

    /// The workspace of that slug, or of that uuid in braces.
    #[must_use]
    pub fn workspace(&self, id: &str) -> Option<&Workspace> {
        self.workspaces.iter().find(|one| one.slug == id || one.uuid.eq_ignore_ascii_case(id))
    }

    /// The repositories of a workspace.
    pub fn repositories_of<'a>(&'a self, workspace: &'a Workspace) -> impl Iterator<Item = &'a Repository> {
        self.repositories.iter().filter(|repository| repository.workspace == workspace.uuid)
    }

    /// Adds a user, who has no workspace yet; answers the uuid.
    pub fn add_user(&mut self, login: &str, about: &str) -> String {
        let uuid = self.uuid();
        self.users.push(User {
            uuid: uuid.clone(),
            login: login.to_owned(),
            tells_username: false,
            email: format!("{login}@example.com"),
            about: about.to_owned(),
        });
        uuid
    }

    /// Adds the personal workspace of a user: its uuid is the user's.
    pub fn add_personal_workspace(&mut self, user: &str, slug: &str) -> String {
        let members = [(user.to_owned(), Access::Admin)].into();
        self.workspaces.push(Workspace { uuid: user.to_owned(), slug: slug.to_owned(), members });
        user.to_owned()
    }

    /// Adds a workspace without members; answers the uuid.
    pub fn add_workspace(&mut self, slug: &str) -> String {
        let uuid = self.uuid();
        let members = BTreeMap::new();
        self.workspaces.push(Workspace { uuid: uuid.clone(), slug: slug.to_owned(), members });
        uuid
    }

    /// Makes a user a member of a workspace, or changes what the user may do there.
    pub fn add_member(&mut self, workspace: &str, user: &str, access: Access) {
        if let Some(found) = self.workspaces.iter_mut().find(|one| one.uuid == workspace) {
            found.members.insert(user.to_owned(), access);
        }
    }

    /// Adds a private repository on `main`; answers it for changes.
    pub fn add_repository(&mut self, workspace: &str, slug: &str) -> &mut Repository {
        let (uuid, date) = (self.uuid(), timestamp(self.repositories.len()));
        self.repositories.push(Repository {
            uuid,
            workspace: workspace.to_owned(),
            workspace_is_null: false,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            is_private: true,
            main_branch: Some("main".to_owned()),
            language: Some("rust".to_owned()),
            created_on: date.clone(),
            updated_on: date,
            collaborators: BTreeMap::new(),
        });
        let last = self.repositories.len() - 1;
        &mut self.repositories[last]
    }

    /// Whether `/2.0/user/workspaces` shows a workspace: to members, and to who was granted one repository of it.
    pub(super) fn belongs(&self, user: &str, workspace: &Workspace) -> bool {
        workspace.members.contains_key(user)
            || self.repositories_of(workspace).any(|one| one.collaborators.contains_key(user))
    }

    fn uuid(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        // Numbers that differ in their first digits, so that an order by uuid is not that of creation.
        format!("{{{:08x}-0000-4000-8000-{number:012x}}}", (number as u32).wrapping_mul(0x9e37_79b1))
    }
}

/// A moment as Bitbucket writes it: microseconds and an offset.
#[must_use]
pub fn timestamp(step: usize) -> String {
    let format = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6][offset_hour sign:mandatory]:[offset_minute]"
    );
    let seconds = i64::try_from(step).unwrap_or_default().saturating_mul(STEP * 60);
    let moment = OffsetDateTime::from_unix_timestamp(EPOCH.saturating_add(seconds)).ok();
    let moment = moment.map(|moment| moment + time::Duration::microseconds(678_901));
    moment.and_then(|moment| moment.format(format).ok()).unwrap_or_default()
}
