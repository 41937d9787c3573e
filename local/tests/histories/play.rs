//! A history played against a running service, beside a model of whom a row is owed to; what a row says is
//! GitHub's state itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_github::{
    AccountId, Fault, FaultKind, InstallationId, PathPattern, RepositoryId, Role, Selection, SignedDelivery,
    Target, World,
};
use serde_json::Value;
use shared::runtime::Scheduled;
use tokio::time::Instant;

use crate::action::{ACCOUNTS, Action, Fate, REPOSITORIES, USERS};
use crate::harness::{Running, Setup};
use crate::invariants;

pub(crate) struct Play {
    running: Running,
    users: Vec<DemoUser>,
    accounts: Vec<AccountId>,
    repositories: Vec<Vec<RepositoryId>>,
    /// Webhooks that wait, in the order of the events.
    waiting: Vec<SignedDelivery>,
    /// User and installation: by a listing, or by a `created` that has arrived.
    owed: BTreeSet<(usize, InstallationId)>,
    lost: bool,
    down: bool,
    was_down: bool,
    dated: bool,
}

impl Play {
    pub(crate) async fn start(dated: bool) -> Self {
        let mut world = World::new();
        world.repositories_date_installations = dated;
        let mut accounts: Vec<AccountId> =
            (0..USERS).map(|number| world.add_user(&format!("user-{number}"), "One of three")).collect();
        for number in USERS..ACCOUNTS {
            let organization = world.add_organization(&format!("org-{number}"));
            world.add_member(organization, accounts[0], Role::Admin);
            world.add_member(organization, accounts[number - USERS + 1], Role::Member);
            accounts.push(organization);
        }
        let repositories = accounts
            .iter()
            .map(|account| {
                let name = |number| format!("repository-{number}");
                (0..REPOSITORIES).map(|number| world.add_repository(*account, &name(number))).collect()
            })
            .collect();
        let running = Setup { world, ..Setup::default() }.start().await;
        let mut users = Vec::new();
        for number in 0..USERS {
            let user = local::demo_user::sign_in(&running.stack, &format!("user-{number}")).await;
            users.push(user.expect("the sign-in works"));
        }
        drop(running.github().take_undelivered());
        Self {
            running,
            users,
            accounts,
            repositories,
            waiting: Vec::new(),
            owed: BTreeSet::new(),
            lost: false,
            down: false,
            was_down: false,
            dated,
        }
    }

    fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        self.running.github().world(f)
    }

    fn installed(&self, account: usize) -> Option<InstallationId> {
        let target = Target::Account(self.accounts[account]);
        self.world(|world| world.installation_on(target).map(|one| one.id))
    }

    pub(crate) async fn act(&mut self, action: &Action) {
        match action {
            Action::Install(account, all) => {
                if self.installed(*account).is_none() {
                    let target = Target::Account(self.accounts[*account]);
                    let first = self.repositories[*account][0];
                    let selection = if *all { Selection::All } else { Selection::Selected([first].into()) };
                    self.world(|world| world.install(target, selection));
                }
            }
            Action::Wait(seconds) => self.running.clock.advance(Duration::from_secs(u64::from(*seconds))),
            Action::Look(user) => self.look(*user).await,
            Action::Deliver(some) => self.deliver(some).await,
            Action::Down(down) => self.set_down(*down),
            Action::Reconcile => self.reconcile(false).await,
            Action::Rename(account, name) => {
                let login = format!("account-{account}-{name}");
                let id = self.accounts[*account];
                self.world(|world| world.rename(id, &login));
            }
            Action::Uninstall(account) => self.change(*account, |world, id| world.uninstall(id)),
            Action::Suspend(account) => self.change(*account, World::suspend_by_owner),
            Action::Unsuspend(account) => self.change(*account, |world, id| world.unsuspend(id)),
            Action::AcceptPermissions(account) => self.change(*account, |world, id| {
                world.app.permissions.insert("issues".to_owned(), "read".to_owned());
                world.accept_permissions(id);
            }),
            Action::SelectAll(account) => {
                self.change(*account, |world, id| world.select_repositories(id, Selection::All));
            }
            Action::Add(account, one) => {
                let one = self.repositories[*account][*one];
                self.change(*account, |world, id| world.add_repository_to_installation(id, one));
            }
            Action::Remove(account, one) => {
                let one = self.repositories[*account][*one];
                self.change(*account, |world, id| world.remove_repository_from_installation(id, one));
            }
        }
        self.waiting.extend(self.running.github().take_undelivered());
    }

    fn change(&self, account: usize, change: impl FnOnce(&mut World, InstallationId)) {
        if let Some(id) = self.installed(account) {
            self.world(|world| change(world, id));
        }
    }

    fn set_down(&mut self, down: bool) {
        self.running.github().clear_faults();
        if down {
            let fault = FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR);
            self.running.github().fail(Fault {
                method: None,
                path: PathPattern::Prefix("/".to_owned()),
                query_contains: None,
                kind: fault,
                times: None,
            });
        }
        self.down = down;
        self.was_down |= down;
    }

    /// The user's own listing; what it has shown is owed as a row.
    async fn look(&mut self, user: usize) {
        let answer =
            self.running.get("/user/installations?per_page=100").api_key(&self.users[user]).send().await;
        if self.down {
            return;
        }
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        for shown in answer.json()["installations"].as_array().unwrap() {
            self.owed.insert((user, InstallationId(shown["id"].as_u64().unwrap())));
        }
    }

    async fn deliver(&mut self, some: &[(usize, Fate)]) {
        let mut sent = Vec::new();
        for (index, fate) in some {
            if self.waiting.is_empty() {
                break;
            }
            let index = index % self.waiting.len();
            match fate {
                Fate::Lost => {
                    drop(self.waiting.remove(index));
                    self.lost = true;
                }
                Fate::Again => sent.push(self.waiting[index].clone()),
                Fate::Once => sent.push(self.waiting.remove(index)),
                Fate::Twice => {
                    let delivery = self.waiting.remove(index);
                    sent.extend([delivery.clone(), delivery]);
                }
            }
        }
        let posts = sent.iter().map(|delivery| self.post(delivery));
        let accepted = futures::future::join_all(posts).await;
        for (delivery, accepted) in sent.into_iter().zip(accepted) {
            if accepted {
                self.arrived(&delivery);
            } else {
                // GitHub could not be asked: it comes again.
                assert!(
                    self.down,
                    "refused while GitHub answers: {}",
                    String::from_utf8_lossy(&delivery.body)
                );
                self.waiting.push(delivery);
            }
        }
    }

    async fn post(&self, delivery: &SignedDelivery) -> bool {
        let mut request = self.running.post("/webhooks/github").body(delivery.body.clone());
        for (name, value) in &delivery.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await;
        assert!(answer.status == StatusCode::OK || answer.status.is_server_error(), "{answer:?}");
        answer.status == StatusCode::OK
    }

    /// Who has installed an App is owed a row from when we hear of it.
    fn arrived(&mut self, delivery: &SignedDelivery) {
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        if body["action"] == "created" {
            let id = InstallationId(body["installation"]["id"].as_u64().unwrap());
            let sender = body["sender"]["id"].as_u64().unwrap();
            let user = self.accounts[..USERS].iter().position(|account| account.0 == sender);
            self.owed.extend(user.map(|user| (user, id)));
        }
    }

    async fn reconcile(&mut self, full: bool) {
        if self.down {
            return;
        }
        let service = self.running.stack.functions["reconcile"].clone();
        let budget = service.budget_until(Instant::now() + Duration::from_secs(60));
        let summary = reconcile::handle(service, Scheduled { full }, budget).await.expect("GitHub answers");
        assert!(summary.finished && summary.run != "none", "{summary:?}");
    }

    /// Everything that still waits arrives, the last first; then the rows are looked at, and again after
    /// everything was reconciled.
    pub(crate) async fn finish(mut self) {
        self.set_down(false);
        while !self.waiting.is_empty() {
            let last = self.waiting.len() - 1;
            self.deliver(&[(last, Fate::Once)]).await;
        }
        if !self.lost && !self.is_unsure().await {
            self.assert_rows("before anything is reconciled").await;
            invariants::hold(&self.running.stack.service.table, &self.users, &self.running.clock).await;
        }
        self.reconcile(true).await;
        assert!(!self.is_unsure().await, "everything was asked about");
        self.assert_rows("after everything is reconciled").await;
        invariants::hold(&self.running.stack.service.table, &self.users, &self.running.clock).await;
        if !self.lost {
            self.assert_repositories().await;
        }
        self.running.stack.stop().await;
    }

    /// Whether GitHub would have had to be asked about an installation while it was down.
    async fn is_unsure(&self) -> bool {
        let table = &self.running.stack.service.table;
        let marked = table.unsure_installations().await.unwrap();
        let unsure = table.known_installations(&marked).await.unwrap().iter().any(|known| known.unsure);
        assert!(!unsure || self.was_down, "GitHub could be asked");
        unsure
    }

    async fn assert_rows(&self, when: &str) {
        for (number, user) in self.users.iter().enumerate() {
            let expected = self.expected(number);
            let path = format!("/api/users/{}/installations", user.user_id);
            let answer = self.running.get(&path).api_key(user).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            let rows = answer.json();
            let shown: BTreeMap<String, Row> = rows
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    let text = |name: &str| row[name].as_str().unwrap().to_owned();
                    (
                        text("github_installation_id"),
                        (
                            text("github_account_name"),
                            text("github_account_type"),
                            text("repository_selection"),
                            row["suspended_at"].as_str().map(ToOwned::to_owned),
                        ),
                    )
                })
                .collect();
            assert_eq!(shown.len(), rows.as_array().unwrap().len(), "an installation twice: {rows}");
            assert_eq!(shown, expected, "rows of user {number} {when}");
        }
    }

    /// The rows that GitHub's state implies: of installations that are there, for those who own the account
    /// and those who were shown it.
    fn expected(&self, user: usize) -> BTreeMap<String, Row> {
        self.world(|world| {
            world
                .installations
                .values()
                .filter(|one| {
                    one.target == Target::Account(self.accounts[user]) || self.owed.contains(&(user, one.id))
                })
                .map(|one| {
                    let Target::Account(account) = one.target else { panic!("accounts only") };
                    let organization = self.accounts[USERS..].contains(&account);
                    let selection = if one.selection == Selection::All { "all" } else { "selected" };
                    let row = (
                        world.login(account).unwrap().to_owned(),
                        if organization { "Organization" } else { "User" }.to_owned(),
                        selection.to_owned(),
                        one.suspended.as_ref().map(|suspension| suspension.at.clone()),
                    );
                    (one.id.to_string(), row)
                })
                .collect()
        })
    }

    /// The lists of repositories that were told whole are those that GitHub has. Changes that have no date of
    /// their own and fall into different seconds cannot be told apart, so this is for dated ones.
    async fn assert_repositories(&self) {
        if !self.dated {
            return;
        }
        let table = &self.running.stack.service.table;
        for known in table.all_installations().await.unwrap() {
            let Some(list) = table.known_repositories(&known).await.unwrap() else { continue };
            let reached: Vec<u64> = list.reached().map(|(id, _)| id).collect();
            let id = InstallationId(known.installation_id);
            let expected: Vec<u64> = self.world(|world| {
                let one = &world.installations[&id];
                let Target::Account(account) = one.target else { panic!("accounts only") };
                match &one.selection {
                    Selection::Selected(chosen) => chosen.iter().map(|one| one.0).collect(),
                    Selection::All => {
                        let owned = world.repositories.values().filter(|one| one.owner == account);
                        owned.map(|one| one.id.0).collect()
                    }
                }
            });
            if list.whole && !list.unsure {
                assert_eq!(reached, expected, "repositories of {id}");
            }
            let suspended = known.facts.suspended_at.is_some();
            assert!(!list.unsure || suspended, "reconciling lists anew what is unsure: {id}");
        }
    }
}

/// Name, kind, selection, since when suspended.
type Row = (String, String, String, Option<String>);
