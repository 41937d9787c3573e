//! Who there is under load: users of the sandbox hosts with what they reach, signed in, and what each must be answered.
//! What is asked of the service is in `mix`.

use std::time::Duration;

use local::data_folder::DemoUser;
use local::demo_user;
use local::sandbox_github::{AccountId, InstallationId, Role, SandboxGithub, Selection, Target, World};
use local::stack::{Options, Stack};
use shared::clock::Clock;
use tokio::sync::RwLock;

use crate::tally::Tally;

/// Users with what they reach: never changed, so that every answer is known.
const USERS: usize = 8;
/// Organisations of each.
const ORGANIZATIONS: usize = 3;
/// Repositories of an organisation; the first user's last one has more, so that there are pages.
const REPOSITORIES: usize = 35;
const MANY_REPOSITORIES: usize = 230;
/// Whose installations come and go.
pub(crate) const OBSERVER: &str = "observer";
/// A token of GitHub's lives for eight hours.
const BEYOND_A_TOKEN: Duration = Duration::from_secs(8 * 3600 + 60);

/// A user with what there is to be found.
pub(crate) struct Visitor {
    pub(crate) login: String,
    pub(crate) user: DemoUser,
    /// The installations on organisations.
    pub(crate) organizations: Vec<u64>,
    /// Repositories in all, in the first of them, in the last.
    pub(crate) repositories: usize,
    pub(crate) in_the_first: usize,
    pub(crate) in_the_last: usize,
}

impl Visitor {
    /// The personal account has an installation too.
    pub(crate) fn installations(&self) -> usize {
        self.organizations.len() + 1
    }
}

/// The running service with its visitors.
pub(crate) struct Scene {
    pub(crate) stack: Stack,
    pub(crate) http: reqwest::Client,
    pub(crate) visitors: Vec<Visitor>,
    pub(crate) observer: DemoUser,
    pub(crate) tally: Tally,
    /// Held by who must not see the time leap: a sign-in under way, a token that nobody can renew.
    pub(crate) steady: RwLock<()>,
    clock: Clock,
    passing: (AccountId, InstallationId),
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let mut world = World::new();
        for number in 0..USERS {
            add_user(&mut world, number);
        }
        let observer = world.add_user(OBSERVER, "Sees installations come and go");
        let passing = world.add_organization("passing");
        world.add_member(passing, observer, Role::Admin);
        world.add_repository(passing, "first");
        let installation = world.install(Target::Account(passing), Selection::All);
        let clock = Clock::system();
        let options =
            Options { webhooks: true, other_hosts: true, ..Options::in_memory(world, clock.clone()) };
        let stack = Stack::start(options).await.expect("the stack starts");
        let mut visitors = Vec::new();
        for number in 0..USERS {
            let login = login(number);
            let user = demo_user::sign_in(&stack, &login).await.expect("signed in");
            let of = |organization: &str| {
                github_of(&stack).world(|world| {
                    let account = world.organization(organization).expect("an organisation").id;
                    world.installation_on(Target::Account(account)).expect("installed").id.0
                })
            };
            let organizations: Vec<u64> =
                (0..ORGANIZATIONS).map(|which| of(&organization(number, which))).collect();
            let (in_the_first, in_the_last) =
                (repositories(number, 0), repositories(number, ORGANIZATIONS - 1));
            let repositories = (0..ORGANIZATIONS).map(|which| repositories(number, which)).sum::<usize>() + 1;
            visitors.push(Visitor { login, user, organizations, repositories, in_the_first, in_the_last });
        }
        let observer = demo_user::sign_in(&stack, OBSERVER).await.expect("signed in");
        Self {
            stack,
            http: client(),
            visitors,
            observer,
            tally: Tally::default(),
            steady: RwLock::default(),
            clock,
            passing: (passing, installation),
        }
    }

    pub(crate) fn github(&self) -> &SandboxGithub {
        github_of(&self.stack)
    }

    /// Ends every access token of today.
    pub(crate) async fn leap(&self) {
        let _nobody = self.steady.write().await;
        self.clock.advance(BEYOND_A_TOKEN);
    }

    /// Something happens at GitHub, of which webhooks tell.
    pub(crate) fn change(&self, step: usize) {
        let (account, installation) = self.passing;
        self.github().world(|world| match step % 4 {
            0 => world.suspend(installation, account),
            1 => world.unsuspend(installation),
            2 => drop(world.add_repository(account, &format!("repository-{step}"))),
            _ => {
                let name = if step % 8 == 3 { "passing-by" } else { "passing" };
                world.rename(account, name);
            }
        });
    }

    /// What the sandbox hosts remember of calls is for tests, and would grow for ever; nor are their limits meant.
    pub(crate) fn forget_calls(&self) {
        self.github().clear_calls();
        self.github().reset_rate_limits();
        if let Some(hosts) = &self.stack.other_hosts {
            hosts.gitlab.clear_calls();
            hosts.bitbucket.clear_calls();
            hosts.openid.clear_calls();
        }
    }
}

fn add_user(world: &mut World, number: usize) {
    let user = world.add_user(&login(number), "Is asked for often");
    for which in 0..ORGANIZATIONS {
        let organization = world.add_organization(&organization(number, which));
        world.add_member(organization, user, Role::Admin);
        for repository in 0..repositories(number, which) {
            world.add_repository(organization, &format!("repository-{repository}"));
        }
        world.install(Target::Account(organization), Selection::All);
    }
    world.add_repository(user, "own");
    world.install(Target::Account(user), Selection::All);
}

fn login(number: usize) -> String {
    format!("user-{number}")
}

fn organization(number: usize, which: usize) -> String {
    format!("organization-{number}-{which}")
}

const fn repositories(number: usize, which: usize) -> usize {
    if number == 0 && which == ORGANIZATIONS - 1 { MANY_REPOSITORIES } else { REPOSITORIES }
}

fn github_of(stack: &Stack) -> &SandboxGithub {
    stack.github.as_ref().expect("there is a sandbox GitHub")
}

/// A client that follows nothing, because each step is looked at.
fn client() -> reqwest::Client {
    let tls = shared::provider::upstream::tls_config(&[]).expect("TLS without further roots");
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .no_gzip()
        // GitHub answers nobody without a name.
        .user_agent("load")
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}
