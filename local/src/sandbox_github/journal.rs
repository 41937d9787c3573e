//! The journal of the world: what has happened since webhooks were last sent, in its order.
//! The changes write it; what was changed behind their back, through the public fields, is found here.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{AccountId, Installation, InstallationId, RepositoryId, Role, Selection, Target, World};

/// What a webhook tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    Created,
    Deleted,
    Suspended,
    Unsuspended,
    PermissionsAccepted,
    /// Repositories that are reached now.
    Added(Vec<RepositoryId>),
    /// Repositories that are not reached any more.
    Removed(Vec<RepositoryId>),
    /// The account has another login than this.
    Renamed(String),
}

/// A repository as webhooks name it, at the time of the event.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) id: RepositoryId,
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) private: bool,
}

/// One thing that happened, with the installation as it was just after it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) happening: Happening,
    pub(super) installation: Installation,
    /// All that are reached, or those that were added or removed.
    pub(super) repositories: Vec<Named>,
    pub(super) sender: Option<AccountId>,
    pub(super) requester: Option<AccountId>,
}

/// What happened, and what the webhooks have told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    /// A world that is still being made keeps no journal.
    open: bool,
    events: Vec<Event>,
    /// The installations as the events so far describe them.
    told: BTreeMap<InstallationId, Installation>,
    /// The logins of installed accounts as the events so far describe them.
    logins: BTreeMap<AccountId, String>,
    pub(super) sender: Option<AccountId>,
    pub(super) requester: Option<AccountId>,
}

impl World {
    /// From here on everything that happens is written down.
    pub(super) fn open_journal(&mut self) {
        self.journal = Journal { open: true, told: self.installations.clone(), ..Journal::default() };
        self.journal.logins = self.installed_logins();
    }

    /// What happened since the last time, and what the public fields say that no event has told.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        if self.journal.open {
            self.tell_the_rest();
        }
        self.journal.sender = None;
        self.journal.requester = None;
        std::mem::take(&mut self.journal.events)
    }

    /// Writes down what happened to an installation that exists.
    pub(super) fn happened(&mut self, id: InstallationId, happening: Happening) {
        if self.journal.open
            && let Some(installation) = self.installations.get(&id).cloned()
        {
            self.record(installation, happening);
        }
    }

    /// Writes down what happened to an installation.
    pub(super) fn record(&mut self, installation: Installation, happening: Happening) {
        let (sender, requester) = (self.journal.sender.take(), self.journal.requester.take());
        if !self.journal.open {
            return;
        }
        let unknown = !self.journal.told.contains_key(&installation.id);
        if unknown && !matches!(happening, Happening::Created | Happening::Deleted) {
            self.record(installation.clone(), Happening::Created);
        }
        let repositories = match &happening {
            Happening::Created | Happening::Deleted | Happening::PermissionsAccepted => {
                self.reached(&installation).map(|one| self.named(one)).collect()
            }
            Happening::Added(ids) | Happening::Removed(ids) => {
                ids.iter().filter_map(|id| self.repositories.get(id)).map(|one| self.named(one)).collect()
            }
            Happening::Suspended | Happening::Unsuspended | Happening::Renamed(_) => Vec::new(),
        };
        self.remember(&installation, &happening);
        // Repositories that were made together are told together.
        if let Happening::Added(_) = happening
            && sender.is_none()
            && let Some(last) = self.journal.events.last_mut()
            && matches!(last.happening, Happening::Added(_))
            && last.installation == installation
            && installation.selection == Selection::All
        {
            last.repositories.extend(repositories);
            return;
        }
        let sender = sender.or_else(|| self.somebody(installation.target));
        self.journal.events.push(Event { happening, installation, repositories, sender, requester });
    }

    /// An account has another login: each installation on it is told.
    pub(super) fn renamed(&mut self, account: AccountId, from: &str) {
        let target = Target::Account(account);
        let on_it: Vec<_> = self.installations.values().filter(|one| one.target == target).cloned().collect();
        let sender = self.journal.sender.take();
        for installation in on_it {
            self.journal.sender = sender;
            self.record(installation, Happening::Renamed(from.to_owned()));
        }
    }

    /// The difference that a new selection makes. With none, what is told has an empty list.
    pub(super) fn selection_changed(&mut self, before: &Installation) {
        let Some(after) = self.installations.get(&before.id).cloned().filter(|_| self.journal.open) else {
            return;
        };
        let old: BTreeSet<RepositoryId> = self.reached(before).map(|one| one.id).collect();
        let new: BTreeSet<RepositoryId> = self.reached(&after).map(|one| one.id).collect();
        let added: Vec<_> = new.difference(&old).copied().collect();
        let removed: Vec<_> = old.difference(&new).copied().collect();
        let (sender, requester) = (self.journal.sender, self.journal.requester);
        if !added.is_empty() || (removed.is_empty() && after.selection == Selection::All) {
            self.record(after.clone(), Happening::Added(added));
        } else if removed.is_empty() {
            self.record(after.clone(), Happening::Removed(Vec::new()));
        }
        if !removed.is_empty() {
            self.journal.sender = sender;
            self.journal.requester = requester;
            self.record(after, Happening::Removed(removed));
        }
    }

    /// What the webhooks have told now: only the side of the installation that this event is about.
    fn remember(&mut self, installation: &Installation, happening: &Happening) {
        if *happening == Happening::Deleted {
            self.journal.told.remove(&installation.id);
            return;
        }
        let told = self.journal.told.entry(installation.id).or_insert_with(|| installation.clone());
        match happening {
            Happening::Suspended | Happening::Unsuspended => {
                told.suspended.clone_from(&installation.suspended);
            }
            Happening::PermissionsAccepted => {
                told.permissions.clone_from(&installation.permissions);
                told.events.clone_from(&installation.events);
            }
            Happening::Added(_) | Happening::Removed(_) => told.selection.clone_from(&installation.selection),
            Happening::Created | Happening::Deleted | Happening::Renamed(_) => {}
        }
        told.updated_at.clone_from(&installation.updated_at);
        if let Target::Account(account) = installation.target
            && matches!(happening, Happening::Created | Happening::Renamed(_))
            && let Some(login) = self.login(account).map(str::to_owned)
        {
            self.journal.logins.insert(account, login);
        }
    }

    /// Finds what was changed through the public fields.
    fn tell_the_rest(&mut self) {
        if self.journal.told != self.installations {
            let told = std::mem::take(&mut self.journal.told);
            self.journal.told.clone_from(&told);
            for gone in told
                .values()
                .filter(|one| !self.installations.contains_key(&one.id))
                .cloned()
                .collect::<Vec<_>>()
            {
                self.record(gone, Happening::Deleted);
            }
            let now: Vec<Installation> =
                self.installations.values().filter(|one| told.get(&one.id) != Some(one)).cloned().collect();
            for installation in now {
                let Some(before) = told.get(&installation.id) else {
                    self.record(installation, Happening::Created);
                    continue;
                };
                self.tell_difference(before, installation);
            }
        }
        let logins = self.installed_logins();
        if self.journal.logins != logins {
            let told = std::mem::replace(&mut self.journal.logins, logins.clone());
            for (account, login) in logins {
                if let Some(from) = told.get(&account).filter(|from| **from != login) {
                    self.renamed(account, &from.clone());
                }
            }
        }
    }

    fn tell_difference(&mut self, before: &Installation, now: Installation) {
        if before.permissions != now.permissions || before.events != now.events {
            self.record(now.clone(), Happening::PermissionsAccepted);
        }
        if before.selection != now.selection {
            self.selection_changed(before);
        }
        match (&before.suspended, &now.suspended) {
            (None, Some(_)) => self.record(now.clone(), Happening::Suspended),
            (Some(_), None) => self.record(now.clone(), Happening::Unsuspended),
            _ => {}
        }
        // What is left, such as a date, is told by no webhook.
        self.journal.told.insert(now.id, now);
    }

    fn named(&self, repository: &super::world::Repository) -> Named {
        Named {
            id: repository.id,
            name: repository.name.clone(),
            full_name: super::repository_object::full_name(self, repository),
            private: repository.visibility != super::world::Visibility::Public,
        }
    }

    /// Who makes a change when nobody was named: the user, or the first owner or member.
    pub(super) fn somebody(&self, target: Target) -> Option<AccountId> {
        match target {
            Target::Account(account) if self.users.contains_key(&account) => Some(account),
            Target::Account(account) => {
                let organization = self.organizations.get(&account)?;
                let members = || organization.members.keys().copied();
                let owner = members().find(|user| organization.active_role(*user) == Some(Role::Admin));
                owner.or_else(|| members().find(|user| organization.active_role(*user).is_some()))
            }
            Target::Enterprise(enterprise) => {
                self.enterprises.get(&enterprise).and_then(|found| found.members.first().copied())
            }
        }
        .or_else(|| self.users.keys().next().copied())
    }

    fn installed_logins(&self) -> BTreeMap<AccountId, String> {
        let accounts = self.installations.values().filter_map(|one| match one.target {
            Target::Account(account) => Some(account),
            Target::Enterprise(_) => None,
        });
        accounts.filter_map(|account| Some((account, self.login(account)?.to_owned()))).collect()
    }
}
