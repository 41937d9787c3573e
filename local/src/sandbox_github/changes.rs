//! What can be done to installations and accounts: every change is dated and written into the journal.
//! What becomes of the journal lives in `journal`; the things themselves in `world`.

use std::collections::BTreeSet;

use super::journal::Happening;
use super::world::{
    AccountId, Installation, InstallationId, RepositoryId, Selection, Suspension, Target, World, take,
};

impl World {
    /// Names the user who makes the next change: the `sender` of its webhook.
    ///
    /// Without it the account itself, or the first owner of the organisation, is the sender.
    pub fn acting_as(&mut self, user: AccountId) -> &mut Self {
        self.journal.sender = Some(user);
        self
    }

    /// Names the user who asked for the next change, which an owner approves: the webhook's `requester`.
    pub fn requested_by(&mut self, user: AccountId) -> &mut Self {
        self.journal.requester = Some(user);
        self
    }

    /// Installs the App with what it asks for today.
    pub fn install(&mut self, target: Target, selection: Selection) -> InstallationId {
        let id = InstallationId(take(&mut self.next.installation));
        let installation = Installation {
            id,
            target,
            account_is_null: false,
            selection,
            permissions: self.app.permissions.clone(),
            events: self.app.events.clone(),
            suspended: None,
            created_at: self.stamp(),
            updated_at: self.stamp(),
        };
        self.installations.insert(id, installation);
        self.happened(id, Happening::Created);
        id
    }

    /// Suspends an installation; nothing happens if it is suspended already.
    pub fn suspend(&mut self, installation: InstallationId, by: AccountId) {
        let at = self.stamp();
        let Some(found) = self.installations.get_mut(&installation) else { return };
        if found.suspended.is_none() {
            found.updated_at.clone_from(&at);
            found.suspended = Some(Suspension { at, by });
            self.journal.sender.get_or_insert(by);
            self.happened(installation, Happening::Suspended);
        }
    }

    /// Suspends an installation in the name of the account's owner.
    pub fn suspend_by_owner(&mut self, installation: InstallationId) {
        let target = self.installations.get(&installation).map(|found| found.target);
        if let Some(owner) = target.and_then(|target| self.somebody(target)) {
            self.suspend(installation, owner);
        }
    }

    /// Ends a suspension; nothing happens if there is none.
    pub fn unsuspend(&mut self, installation: InstallationId) {
        let at = self.stamp();
        let Some(found) = self.installations.get_mut(&installation) else { return };
        if let Some(suspension) = found.suspended.take() {
            found.updated_at = at;
            self.journal.sender.get_or_insert(suspension.by);
            self.happened(installation, Happening::Unsuspended);
        }
    }

    /// Uninstalls; the number is never given again.
    pub fn uninstall(&mut self, installation: InstallationId) {
        if let Some(gone) = self.installations.remove(&installation) {
            self.record(gone, Happening::Deleted);
        }
    }

    /// Grants what the App asks for today; nothing happens if that was granted already.
    pub fn accept_permissions(&mut self, installation: InstallationId) {
        let at = self.stamp();
        let Some(found) = self.installations.get_mut(&installation) else { return };
        if found.permissions != self.app.permissions || found.events != self.app.events {
            found.permissions.clone_from(&self.app.permissions);
            found.events.clone_from(&self.app.events);
            found.updated_at = at;
            self.happened(installation, Happening::PermissionsAccepted);
        }
    }

    /// Chooses anew which repositories an installation reaches.
    ///
    /// Its webhooks say what is reached now and was not before, and what is not reached any more.
    pub fn select_repositories(&mut self, installation: InstallationId, selection: Selection) {
        let at = self.stamp();
        let dated = self.repositories_date_installations;
        let Some(found) = self.installations.get_mut(&installation) else { return };
        if found.selection == selection {
            return;
        }
        let before = found.clone();
        found.selection = selection;
        if dated {
            found.updated_at = at;
        }
        self.selection_changed(&before);
    }

    /// Adds a repository to those that were chosen; an installation on all reaches it already.
    pub fn add_repository_to_installation(&mut self, installation: InstallationId, repository: RepositoryId) {
        let chosen = self.installations.get(&installation).map(|found| &found.selection);
        if let Some(Selection::Selected(chosen)) = chosen {
            let mut chosen = chosen.clone();
            chosen.insert(repository);
            self.select_repositories(installation, Selection::Selected(chosen));
        }
    }

    /// Removes a repository from those that are reached; an installation on all becomes one on the others.
    pub fn remove_repository_from_installation(
        &mut self,
        installation: InstallationId,
        repository: RepositoryId,
    ) {
        let Some(found) = self.installations.get(&installation) else { return };
        let mut chosen: BTreeSet<RepositoryId> = match &found.selection {
            Selection::All => self.reached(found).map(|one| one.id).collect(),
            Selection::Selected(chosen) => chosen.clone(),
        };
        if chosen.remove(&repository) {
            self.select_repositories(installation, Selection::Selected(chosen));
        }
    }

    /// Deletes a repository: no installation reaches it any more.
    pub fn delete_repository(&mut self, repository: RepositoryId) {
        let reaching: Vec<InstallationId> = self
            .installations
            .values()
            .filter(|one| self.reached(one).any(|reached| reached.id == repository))
            .map(|one| one.id)
            .collect();
        for installation in reaching {
            if let Some(found) = self.installations.get_mut(&installation)
                && let Selection::Selected(chosen) = &mut found.selection
            {
                chosen.remove(&repository);
            }
            self.happened(installation, Happening::Removed(vec![repository]));
        }
        self.repositories.remove(&repository);
    }

    /// A new repository belongs to an installation on all repositories of its owner at once.
    pub(super) fn repository_appeared(&mut self, repository: RepositoryId) {
        let Some(owner) = self.repositories.get(&repository).map(|one| one.owner) else { return };
        let on_all =
            self.installation_on(Target::Account(owner)).filter(|one| one.selection == Selection::All);
        if let Some(installation) = on_all.map(|one| one.id) {
            self.happened(installation, Happening::Added(vec![repository]));
        }
    }

    /// Renames a user or an organisation; the old login is free for somebody else at once.
    pub fn rename(&mut self, account: AccountId, login: &str) {
        let name = match (self.users.get_mut(&account), self.organizations.get_mut(&account)) {
            (Some(user), _) => &mut user.login,
            (None, Some(organization)) => &mut organization.login,
            (None, None) => return,
        };
        let from = std::mem::replace(name, login.to_owned());
        if from != login {
            self.renamed(account, &from);
        }
    }
}
