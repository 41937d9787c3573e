//! The model: users, organisations, an enterprise, the App, its installations and repositories.
//! Installations change in `changes`; who may see what is decided in `access`; the wire's form is in `objects`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::journal::Journal;

/// The date that the world's things carry when nobody said another one.
const BEGINNING: &str = "2024-02-09T20:51:14Z";

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
    /// A user's or an organisation's number: both come from one sequence at GitHub.
    AccountId,
    /// An enterprise account's number.
    EnterpriseId,
    /// An installation's number; never given twice, so a re-installation has a new one.
    InstallationId,
    /// A repository's number.
    RepositoryId,
}

/// A person's account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The number that survives a rename.
    pub id: AccountId,
    /// The name in URLs; compared without regard to case.
    pub login: String,
    /// One line for the authorize page: what this user is there to show.
    pub about: String,
    /// When the account was made.
    pub created_at: String,
}

/// Whether a membership is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MembershipState {
    /// The user accepted.
    Active,
    /// The user was invited: not a member yet, whatever the role says.
    Pending,
}

/// What a member may do with the organisation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An owner of the organisation.
    Admin,
    /// Everybody else.
    Member,
}

/// A user's place in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Accepted or only invited.
    pub state: MembershipState,
    /// Owner or member.
    pub role: Role,
}

/// What a user may do with a repository, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read (`pull`).
    Read,
    /// Read and label.
    Triage,
    /// Write (`push`).
    Write,
    /// Write and some settings.
    Maintain,
    /// Everything.
    Admin,
}

/// An organisation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Organization {
    /// The number that survives a rename.
    pub id: AccountId,
    /// The name in URLs; compared without regard to case.
    pub login: String,
    /// Everybody who belongs to it or was invited.
    pub members: BTreeMap<AccountId, Membership>,
    /// What every active member may do with every repository; `None`: nothing by itself.
    pub base_access: Option<Access>,
    /// Whether it demands a SAML session of its members.
    pub requires_saml: bool,
    /// The members whose SAML session is in force.
    pub saml_sessions: BTreeSet<AccountId>,
    /// When the account was made.
    pub created_at: String,
}

/// An enterprise account: a slug and a name, but no login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enterprise {
    /// Its number.
    pub id: EnterpriseId,
    /// The name in URLs.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// Who belongs to it.
    pub members: BTreeSet<AccountId>,
}

/// What the App itself shows of itself at `GET /app` and on the authorize page.
///
/// Its ids and secrets are not part of the world: they are given at the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct App {
    /// The name for people.
    pub name: String,
    /// What it asks for, by permission name.
    pub permissions: BTreeMap<String, String>,
    /// The webhooks it asks for.
    pub events: Vec<String>,
}

/// What an installation is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A user or an organisation.
    Account(AccountId),
    /// An enterprise account.
    Enterprise(EnterpriseId),
}

/// Which of the target's repositories an installation reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// All, those of tomorrow too.
    All,
    /// Those that were chosen.
    Selected(BTreeSet<RepositoryId>),
}

/// Who suspended an installation, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When.
    pub at: String,
    /// By whom.
    pub by: AccountId,
}

/// The App, installed on an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Its number.
    pub id: InstallationId,
    /// What it is on.
    pub target: Target,
    /// Serves `"account": null`, as the schema allows (reference/github.md 1.3).
    pub account_is_null: bool,
    /// Which repositories it reaches.
    pub selection: Selection,
    /// What was granted; what the App asks for today may be more.
    pub permissions: BTreeMap<String, String>,
    /// The webhooks that were granted.
    pub events: Vec<String>,
    /// Set while it is suspended.
    pub suspended: Option<Suspension>,
    /// When it was installed.
    pub created_at: String,
    /// When it last changed: what `since` compares with.
    pub updated_at: String,
}

/// Who may see a repository without being granted anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Who was granted access.
    Private,
    /// The members of the enterprise; `private` is true for it.
    Internal,
}

/// A repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repository {
    /// Its number.
    pub id: RepositoryId,
    /// Whose it is.
    pub owner: AccountId,
    /// Serves `"owner": null`, as GitHub does when the owner's account is gone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub owner_is_null: bool,
    /// The name without its owner.
    pub name: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// Not always `main`.
    pub default_branch: String,
    /// `None`: nobody pushed yet.
    pub pushed_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// How many users starred it.
    pub stars: u64,
    /// Read only for everybody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub archived: bool,
    /// A copy of another repository.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fork: bool,
    /// The main programming language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who was granted access to this repository alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collaborators: BTreeMap<AccountId, Access>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn yes() -> bool {
    true
}

/// The numbers that the next things get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Next {
    account: u64,
    enterprise: u64,
    pub(super) installation: u64,
    repository: u64,
}

/// Everything that the sandbox GitHub knows but tokens and counters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    /// The App as it shows itself.
    pub app: App,
    /// Users by number.
    pub users: BTreeMap<AccountId, User>,
    /// Organisations by number.
    pub organizations: BTreeMap<AccountId, Organization>,
    /// Enterprise accounts by number.
    pub enterprises: BTreeMap<EnterpriseId, Enterprise>,
    /// Installations by number.
    pub installations: BTreeMap<InstallationId, Installation>,
    /// Repositories by number.
    pub repositories: BTreeMap<RepositoryId, Repository>,
    /// Calls per hour for each user, installation and the App: 5,000 at GitHub.
    pub hourly_limit: u64,
    pub(super) next: Next,
    /// Whether adding and removing repositories moves the installation's `updated_at`. The published examples
    /// leave open what GitHub does: a client must be right both ways.
    #[serde(default = "yes")]
    pub repositories_date_installations: bool,
    /// What has happened since webhooks were last sent.
    #[serde(skip)]
    pub(super) journal: Journal,
    /// What changes are dated with; set by the sandbox from its clock.
    #[serde(skip)]
    pub(super) now: Option<String>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with the App and nobody in it.
    #[must_use]
    pub fn new() -> Self {
        let granted = [("contents", "read"), ("members", "read"), ("metadata", "read")];
        Self {
            app: App {
                name: "Sandbox Installations".to_owned(),
                permissions: granted.map(|(name, level)| (name.to_owned(), level.to_owned())).into(),
                events: ["push", "repository"].map(str::to_owned).into(),
            },
            users: BTreeMap::new(),
            organizations: BTreeMap::new(),
            enterprises: BTreeMap::new(),
            installations: BTreeMap::new(),
            repositories: BTreeMap::new(),
            hourly_limit: 5_000,
            next: Next { account: 1_001, enterprise: 31, installation: 5_001, repository: 200_001 },
            repositories_date_installations: true,
            journal: Journal::default(),
            now: None,
        }
    }

    pub(super) fn stamp(&self) -> String {
        self.now.clone().unwrap_or_else(|| BEGINNING.to_owned())
    }

    /// The user of that login, in any case.
    #[must_use]
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users.values().find(|user| user.login.eq_ignore_ascii_case(login))
    }

    /// The organisation of that login, in any case.
    #[must_use]
    pub fn organization(&self, login: &str) -> Option<&Organization> {
        self.organizations.values().find(|organization| organization.login.eq_ignore_ascii_case(login))
    }

    /// The login of a user or an organisation.
    #[must_use]
    pub fn login(&self, account: AccountId) -> Option<&str> {
        let user = self.users.get(&account).map(|user| user.login.as_str());
        user.or_else(|| self.organizations.get(&account).map(|organization| organization.login.as_str()))
    }

    /// The installation on a target: there is at most one.
    #[must_use]
    pub fn installation_on(&self, target: Target) -> Option<&Installation> {
        self.installations.values().find(|installation| installation.target == target)
    }

    /// Adds a user.
    pub fn add_user(&mut self, login: &str, about: &str) -> AccountId {
        let id = AccountId(take(&mut self.next.account));
        let created_at = self.stamp();
        let user = User { id, login: login.to_owned(), about: about.to_owned(), created_at };
        self.users.insert(id, user);
        id
    }

    /// Adds an organisation whose members may read every repository.
    pub fn add_organization(&mut self, login: &str) -> AccountId {
        let id = AccountId(take(&mut self.next.account));
        let organization = Organization {
            id,
            login: login.to_owned(),
            members: BTreeMap::new(),
            base_access: Some(Access::Read),
            requires_saml: false,
            saml_sessions: BTreeSet::new(),
            created_at: self.stamp(),
        };
        self.organizations.insert(id, organization);
        id
    }

    /// Adds an enterprise account.
    pub fn add_enterprise(&mut self, slug: &str, name: &str) -> EnterpriseId {
        let id = EnterpriseId(take(&mut self.next.enterprise));
        let enterprise =
            Enterprise { id, slug: slug.to_owned(), name: name.to_owned(), members: BTreeSet::new() };
        self.enterprises.insert(id, enterprise);
        id
    }

    /// Makes a user an active member of an organisation, or changes the role.
    pub fn add_member(&mut self, organization: AccountId, user: AccountId, role: Role) {
        self.set_membership(organization, user, Membership { state: MembershipState::Active, role });
    }

    /// Sets a user's membership as it is given.
    pub fn set_membership(&mut self, organization: AccountId, user: AccountId, membership: Membership) {
        if let Some(organization) = self.organizations.get_mut(&organization) {
            organization.members.insert(user, membership);
        }
    }

    /// Ends a user's membership.
    pub fn remove_member(&mut self, organization: AccountId, user: AccountId) {
        if let Some(organization) = self.organizations.get_mut(&organization) {
            organization.members.remove(&user);
        }
    }

    /// Adds a private repository on `main`; change it through [`World::repositories`].
    pub fn add_repository(&mut self, owner: AccountId, name: &str) -> RepositoryId {
        let id = RepositoryId(take(&mut self.next.repository));
        let repository = Repository {
            id,
            owner,
            owner_is_null: false,
            name: name.to_owned(),
            visibility: Visibility::Private,
            default_branch: "main".to_owned(),
            pushed_at: Some(self.stamp()),
            created_at: self.stamp(),
            updated_at: self.stamp(),
            stars: 0,
            archived: false,
            fork: false,
            language: None,
            collaborators: BTreeMap::new(),
        };
        self.repositories.insert(id, repository);
        self.repository_appeared(id);
        id
    }
}

pub(super) fn take(next: &mut u64) -> u64 {
    let id = *next;
    *next += 1;
    id
}
