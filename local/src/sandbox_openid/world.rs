//! The model: who can sign in, which identity providers are behind the realm, and who has an account at which.
//! Sessions and tokens are in `sessions`; what the identity providers hand out is in `broker`.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

/// The alias of the identity provider that signs in by SAML, and so has no tokens to hand out.
pub const SAML_ALIAS: &str = "corporate-saml";

/// What an identity provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Bitbucket.
    Bitbucket,
    /// Something that speaks SAML.
    Saml,
}

/// An identity provider behind the realm.
#[derive(Clone, Copy, Debug)]
pub struct IdentityProvider {
    /// What it is.
    pub kind: ProviderKind,
    /// The operator's switch "Store tokens"; SAML has none to store in any case.
    pub stores_tokens: bool,
}

/// A person's account.
#[derive(Clone, Debug)]
pub struct User {
    /// The subject: a UUID that follows from the first username and stays the same from run to run.
    pub sub: String,
    /// The name to sign in with.
    pub username: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// The address; not a key, two users may have the same.
    pub email: String,
    /// Whether the address was proved.
    pub email_verified: bool,
    /// One line for the page on which one chooses: what this user is there to show.
    pub about: String,
    /// The login at each identity provider, by its alias.
    pub accounts: BTreeMap<String, String>,
    /// Has the role `read-token` of the client `broker`.
    pub may_read_tokens: bool,
}

impl User {
    /// With an account at an identity provider.
    pub fn with(&mut self, alias: &str, login: &str) -> &mut Self {
        self.accounts.insert(alias.to_owned(), login.to_owned());
        self
    }

    /// The whole name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }
}

/// Everything that is not a session or a token.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The users, in the order of the page.
    pub users: Vec<User>,
    /// The identity providers by their alias.
    pub providers: BTreeMap<String, IdentityProvider>,
}

impl World {
    /// A realm without users, with GitHub, GitLab, Bitbucket and a SAML provider behind it.
    #[must_use]
    pub fn new() -> Self {
        let providers = [
            ("github", ProviderKind::Github),
            ("gitlab", ProviderKind::Gitlab),
            ("bitbucket", ProviderKind::Bitbucket),
            (SAML_ALIAS, ProviderKind::Saml),
        ];
        let providers = providers
            .map(|(alias, kind)| (alias.to_owned(), IdentityProvider { kind, stores_tokens: true }))
            .into();
        Self { users: Vec::new(), providers }
    }

    /// Adds a user with plain data and no account anywhere; answers it for changes.
    pub fn add_user(&mut self, username: &str, about: &str) -> &mut User {
        let last = self.users.len();
        self.users.push(User {
            sub: subject(username),
            username: username.to_owned(),
            given_name: "Sandbox".to_owned(),
            family_name: username.trim_start_matches("sso-").to_owned(),
            email: format!("{username}@example.com"),
            email_verified: true,
            about: about.to_owned(),
            accounts: BTreeMap::new(),
            may_read_tokens: true,
        });
        &mut self.users[last]
    }

    /// Takes an identity provider away, with everybody's accounts there.
    pub fn remove_provider(&mut self, alias: &str) {
        self.providers.remove(alias);
        for user in &mut self.users {
            user.accounts.remove(alias);
        }
    }

    /// The user of that name.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The user of that name, for changes.
    pub fn user_mut(&mut self, username: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The user of a subject.
    pub(super) fn by_sub(&self, sub: &str) -> Option<&User> {
        self.users.iter().find(|user| user.sub == sub)
    }
}

/// A UUID out of a name.
fn subject(username: &str) -> String {
    let hash = digest(&SHA256, username.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid(bytes)
}

/// Sixteen bytes in the form of a UUID of version 4.
pub(super) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The world of a sandbox that was told nothing else: one user for each thing that a client should get right.
#[must_use]
pub fn demo_world() -> World {
    let mut world = World::new();
    world
        .add_user("sso-cat", "Brokers three accounts: octocat, gitlab-cat and bitbucket-cat")
        .with("github", "octocat")
        .with("gitlab", "gitlab-cat")
        .with("bitbucket", "bitbucket-cat");
    world.add_user("sso-dev", "Brokers an account at GitLab only: many-groups").with("gitlab", "many-groups");
    world.add_user("sso-reader", "Brokers an account at GitHub only: reader").with("github", "reader");
    world
        .add_user("sso-large", "Brokers accounts with much in them: 1,500 repositories at each host")
        .with("github", "big-installation")
        .with("gitlab", "three-groups")
        .with("bitbucket", "large-workspaces");
    world.add_user("sso-plain", "Brokers no account anywhere");
    world
        .add_user("sso-saml", "Comes from a SAML provider, which has no tokens to hand out")
        .with(SAML_ALIAS, "saml-user@example.com");
    world
        .add_user("sso-no-role", "Brokers two accounts, but may not read their tokens")
        .with("gitlab", "newcomer")
        .with("bitbucket", "bitbucket-newcomer")
        .may_read_tokens = false;
    world
        .add_user("sso-gone", "Brokers an account that GitLab does not know any more")
        .with("gitlab", "deleted-account");
    let namesake = world
        .add_user("sso-namesake", "Claims sso-cat's email address, unproved; is somebody else all the same");
    "sso-cat@example.com".clone_into(&mut namesake.email);
    namesake.email_verified = false;
    world
}
