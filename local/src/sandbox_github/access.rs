//! Who may see what: the rules that GitHub applies to users, Apps and SAML.
//! The things themselves live in `world`.

use super::world::{
    Access, AccountId, Installation, MembershipState, Organization, Repository, Role, Selection, Target,
    World,
};

impl Organization {
    /// The membership of a user if it is in force.
    pub(super) fn active_role(&self, user: AccountId) -> Option<Role> {
        let membership = self.members.get(&user)?;
        (membership.state == MembershipState::Active).then_some(membership.role)
    }
}

impl World {
    /// What a user was granted on a repository; being able to read a public one is no grant.
    pub(super) fn access(&self, user: AccountId, repository: &Repository) -> Option<Access> {
        if repository.owner == user {
            return Some(Access::Admin);
        }
        let organization = self.organizations.get(&repository.owner);
        let by_role = organization.and_then(|organization| match organization.active_role(user)? {
            Role::Admin => Some(Access::Admin),
            Role::Member => organization.base_access,
        });
        by_role.max(repository.collaborators.get(&user).copied())
    }

    /// The repositories that an installation reaches, in the order of their numbers.
    pub(super) fn reached<'a>(
        &'a self,
        installation: &'a Installation,
    ) -> impl Iterator<Item = &'a Repository> + 'a {
        self.repositories.values().filter(move |repository| {
            installation.target == Target::Account(repository.owner)
                && match &installation.selection {
                    Selection::All => true,
                    Selection::Selected(chosen) => chosen.contains(&repository.id),
                }
        })
    }

    /// Whether `/user/installations` shows an installation to a user: the own account, an active membership,
    /// or access to at least one repository. Read access is enough (reference/github.md 1.1, 5.2).
    pub(super) fn is_associated(&self, user: AccountId, installation: &Installation) -> bool {
        let belongs = match installation.target {
            Target::Account(account) => {
                account == user
                    || self
                        .organizations
                        .get(&account)
                        .is_some_and(|organization| organization.active_role(user).is_some())
            }
            Target::Enterprise(enterprise) => {
                self.enterprises.get(&enterprise).is_some_and(|enterprise| enterprise.members.contains(&user))
            }
        };
        belongs || self.reached(installation).any(|repository| repository.collaborators.contains_key(&user))
    }

    /// The organisation whose SAML session a user would need to see an account's things.
    pub(super) fn saml_barrier(&self, user: AccountId, account: AccountId) -> Option<&Organization> {
        let organization = self.organizations.get(&account)?;
        (organization.requires_saml && !organization.saml_sessions.contains(&user)).then_some(organization)
    }

    /// The same for an installation.
    pub(super) fn saml_barrier_of(
        &self,
        user: AccountId,
        installation: &Installation,
    ) -> Option<&Organization> {
        match installation.target {
            Target::Account(account) => self.saml_barrier(user, account),
            Target::Enterprise(_) => None,
        }
    }
}
