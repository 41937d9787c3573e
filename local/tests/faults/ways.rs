//! Every call that the service makes to a host, and a way to cause it over a public route or a scheduled run.
//! How each way is gone is `drive`'s business.

use std::collections::BTreeSet;

use local::other_hosts::OtherHosts;
use local::sandbox_github::{Role, Selection, Target, World, demo_world};
use local::sandbox_gitlab::Namespace;
use shared::provider::ProviderType::{self, Bitbucket, EnterpriseSso, Github, Gitlab};

use crate::front::Endpoint;

/// What is done so that a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drive {
    /// A GET with the user's API key.
    Get(&'static str),
    /// The same once the user's token has ended: the own one, the brokered one at GitLab, or that and the issuer's.
    Renew(&'static str, Ended),
    /// `GET /user/installations` with a token of GitHub's own.
    Forwarded,
    /// `GET /users/octocat/installation` with a JWT of the App's.
    AppJwt,
    /// `GET /users/{username}/installation` with a login that the user has had for a moment.
    NewLogin,
    /// What can be imported through the installation on the own account.
    Imports,
    /// The browser comes back from the host.
    Callback,
    /// The browser is sent to the issuer.
    Login,
    /// A token that the user brings.
    Bring,
    LogOut,
    Unset,
    /// The App's setup URL, for octo-org.
    Setup,
    /// A webhook that tells of a rename.
    Webhook,
    /// A logout token of the issuer's.
    Backchannel,
    /// A run of the reconciliation.
    Run {
        full: bool,
        scene: Scene,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Own,
    Brokered,
    BrokeredAndIssuers,
}

/// What a run of the reconciliation finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    Nothing,
    /// An account has another name, and no webhook told.
    Renamed,
    /// A webhook did not arrive.
    FailedDelivery,
    /// Two webhooks of one second contradict each other.
    Contradiction,
}

/// A call, and how it is caused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) title: &'static str,
    pub(crate) endpoint: Endpoint,
    /// What the query must contain.
    pub(crate) query: &'static str,
    /// Whether the call proves itself with a user's token, so that a 401 is about the sign-in.
    pub(crate) by_user: bool,
    /// Who it is, and at which host they are signed in.
    pub(crate) who: (&'static str, &'static str),
    pub(crate) drive: Drive,
    pub(crate) world: fn() -> World,
    /// What is at GitLab and Bitbucket beside their usual worlds.
    pub(crate) beside: fn(&OtherHosts),
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// The setting with the host's address, where no call of this way goes there before this one.
    pub(crate) first: Option<&'static str>,
    /// What the answer lacks where it is given all the same.
    pub(crate) costs: &'static str,
    /// Whether a host's own bytes are the answer.
    pub(crate) relays: bool,
}

impl Way {
    const fn new(
        title: &'static str,
        host: ProviderType,
        call: (&'static str, &'static str),
        drive: Drive,
    ) -> Self {
        let who = match host {
            Github => ("github", "octocat"),
            Gitlab => ("gitlab", "gitlab-cat"),
            Bitbucket => ("bitbucket", "bitbucket-cat"),
            EnterpriseSso => ("enterprise_sso", "sso-dev"),
        };
        Self {
            title,
            endpoint: Endpoint { host, method: call.0, path: call.1 },
            query: "",
            by_user: true,
            who,
            drive,
            world: demo_world,
            beside: |_| (),
            settings: &[],
            first: None,
            costs: "",
            relays: false,
        }
    }

    const fn asking(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    /// With our own proof, or none: a 401 is no word about the user.
    const fn ours(self) -> Self {
        Self { by_user: false, ..self }
    }

    const fn of(self, login: &'static str) -> Self {
        Self { who: (self.who.0, login), ..self }
    }

    const fn within(self, world: fn() -> World, login: &'static str) -> Self {
        Self { world, ..self.of(login) }
    }

    const fn beside(self, beside: fn(&OtherHosts), login: &'static str) -> Self {
        Self { beside, ..self.of(login) }
    }

    const fn first_at(self, setting: &'static str) -> Self {
        Self { first: Some(setting), ..self }
    }

    const fn costing(self, costs: &'static str) -> Self {
        Self { costs, ..self }
    }

    const fn relaying(self) -> Self {
        Self { relays: true, ..self }
    }

    /// The call and how it is caused.
    pub(crate) fn name(&self) -> String {
        format!("{} {}{}: {}", self.endpoint.method, self.endpoint.path, self.query, self.title)
    }

    const fn without_copies(self) -> Self {
        Self { settings: &[("STALE_IF_ERROR_SECONDS", "0"), ("PREDICT_ETAGS", "false")], ..self }
    }
}

/// The address of the issuer is in a secret and not in a setting.
pub(crate) const ISSUER: &str = "ISSUER";

const LIST: (&str, &str) = ("GET", "/user/installations");
const OF_INSTALLATION: (&str, &str) = ("GET", "/user/installations/{}/repositories");
const USER: (&str, &str) = ("GET", "/user");
const GITHUB_TOKEN: (&str, &str) = ("POST", "/login/oauth/access_token");
const END_GITHUB_TOKEN: (&str, &str) = ("DELETE", "/applications/{}/token");
const OF_USER: (&str, &str) = ("GET", "/users/{}/installation");
const APP: (&str, &str) = ("GET", "/app");
const APP_LIST: (&str, &str) = ("GET", "/app/installations");
const APP_ONE: (&str, &str) = ("GET", "/app/installations/{}");
const DELIVERIES: (&str, &str) = ("GET", "/app/hook/deliveries");
const ATTEMPTS: (&str, &str) = ("POST", "/app/hook/deliveries/{}/attempts");
const APP_TOKEN: (&str, &str) = ("POST", "/app/installations/{}/access_tokens");
const REACHED: (&str, &str) = ("GET", "/installation/repositories");
const GROUPS: (&str, &str) = ("GET", "/groups");
const GITLAB_TOKEN: (&str, &str) = ("POST", "/oauth/token");
const BITBUCKET_TOKEN: (&str, &str) = ("POST", "/site/oauth2/access_token");
const WORKSPACES: (&str, &str) = ("GET", "/user/workspaces");
const IN_WORKSPACE: (&str, &str) = ("GET", "/repositories/{}");
const DISCOVERY: (&str, &str) = ("GET", "/.well-known/openid-configuration");
const KEYS: (&str, &str) = ("GET", "/protocol/openid-connect/certs");
const ISSUER_TOKEN: (&str, &str) = ("POST", "/protocol/openid-connect/token");
const BROKER: (&str, &str) = ("GET", "/broker/{}/token");

const INSTALLATIONS: &str = "/api/user/installations?provider=github";
const REPOSITORIES: &str = "/api/user/repositories?selected_provider=github";
const PAGE: &str = "/api/user/repositories?selected_provider=github&installation_id=5001&page=1&per_page=30";
const AT_GITLAB: &str = "/api/user/installations?provider=gitlab";
const AT_BITBUCKET: &str = "/api/user/installations?provider=bitbucket";
const BROKERED: &str = "/api/user/repositories?selected_provider=enterprise_sso";
const PLAIN_RUN: Drive = Drive::Run { full: false, scene: Scene::Nothing };
const FULL_RUN: Drive = Drive::Run { full: true, scene: Scene::Nothing };

/// Every call, at least once; a call that means another thing on another route once more.
pub(crate) const WAYS: &[Way] = &[
    Way::new("`GET /api/user/installations`", Github, LIST, Drive::Get(INSTALLATIONS))
        .first_at("GITHUB_API_URL"),
    Way::new("`GET /api/user/installations`, its second page", Github, LIST, Drive::Get(INSTALLATIONS))
        .asking("page=2")
        .within(crowd, "crowd"),
    Way::new("`GET /user/installations`", Github, LIST, Drive::Get("/user/installations"))
        .without_copies()
        .relaying(),
    Way::new("`GET /user/installations`, with a copy", Github, LIST, Drive::Get("/user/installations"))
        .relaying(),
    Way::new("`GET /user/installations` with a forwarded token", Github, LIST, Drive::Forwarded).relaying(),
    Way::new("`GET /auth/github/callback`, for the mapping", Github, LIST, Drive::Callback)
        .costing("rows of the mapping"),
    Way::new("`GET /auth/github/setup`", Github, LIST, Drive::Setup),
    Way::new("`GET /api/user/repositories`, one installation", Github, OF_INSTALLATION, Drive::Get(PAGE)),
    Way::new(
        "`GET /api/user/repositories`, the second page of the only installation",
        Github,
        OF_INSTALLATION,
        Drive::Get(REPOSITORIES),
    )
    .asking("page=2")
    .within(wide, "wide"),
    Way::new(
        "`GET /api/user/repositories`, every installation",
        Github,
        OF_INSTALLATION,
        Drive::Get(REPOSITORIES),
    ),
    Way::new("`GET .../imports`", Github, OF_INSTALLATION, Drive::Imports),
    Way::new(
        "`GET /auth/github/setup`, whether an owner asks",
        Github,
        ("GET", "/user/memberships/orgs/{}"),
        Drive::Setup,
    )
    .costing("the proof of an owner: a member's row"),
    Way::new("`GET /auth/github/callback`", Github, USER, Drive::Callback).first_at("GITHUB_API_URL"),
    Way::new("`POST /api/add-git-providers`", Github, USER, Drive::Bring),
    Way::new("`GET /users/{username}/installation` after a rename", Github, USER, Drive::NewLogin).relaying(),
    Way::new("`GET /auth/github/callback`, the code", Github, GITHUB_TOKEN, Drive::Callback)
        .ours()
        .first_at("GITHUB_WEB_URL"),
    Way::new(
        "a token that has ended, on `GET /api/user/installations`",
        Github,
        GITHUB_TOKEN,
        Drive::Renew(INSTALLATIONS, Ended::Own),
    )
    .ours()
    .first_at("GITHUB_WEB_URL"),
    Way::new("`POST /auth/logout`", Github, END_GITHUB_TOKEN, Drive::LogOut).ours(),
    Way::new("`POST /api/unset-provider-tokens`", Github, END_GITHUB_TOKEN, Drive::Unset).ours(),
    Way::new(
        "`GET /users/{username}/installation`",
        Github,
        OF_USER,
        Drive::Get("/users/octocat/installation"),
    )
    .ours()
    .without_copies()
    .relaying()
    .first_at("GITHUB_API_URL"),
    Way::new(
        "`GET /users/{username}/installation`, with a copy",
        Github,
        OF_USER,
        Drive::Get("/users/octocat/installation"),
    )
    .ours()
    .relaying(),
    Way::new("`GET /users/{username}/installation` with a JWT", Github, OF_USER, Drive::AppJwt)
        .ours()
        .without_copies()
        .relaying(),
    Way::new("reconciliation", Github, APP, PLAIN_RUN).ours().first_at("GITHUB_API_URL"),
    Way::new("reconciliation, what has changed", Github, APP_LIST, PLAIN_RUN).ours().asking("since="),
    Way::new("reconciliation, everything", Github, APP_LIST, FULL_RUN).ours().asking("page=1"),
    Way::new("reconciliation, the second page of everything", Github, APP_LIST, FULL_RUN)
        .ours()
        .asking("page=2")
        .within(crowd, "crowd"),
    Way::new(
        "reconciliation, after a rename",
        Github,
        APP_ONE,
        Drive::Run { full: true, scene: Scene::Renamed },
    )
    .ours(),
    Way::new("`POST /webhooks/github`, after a rename", Github, APP_ONE, Drive::Webhook)
        .ours()
        .costing("what GitHub says: reconciliation asks"),
    Way::new("reconciliation, failed deliveries", Github, DELIVERIES, PLAIN_RUN).ours(),
    Way::new(
        "reconciliation, a delivery asked for again",
        Github,
        ATTEMPTS,
        Drive::Run { full: false, scene: Scene::FailedDelivery },
    )
    .ours(),
    Way::new(
        "reconciliation, a list that is unsure",
        Github,
        APP_TOKEN,
        Drive::Run { full: false, scene: Scene::Contradiction },
    )
    .ours(),
    Way::new(
        "reconciliation, a list that is unsure",
        Github,
        REACHED,
        Drive::Run { full: false, scene: Scene::Contradiction },
    )
    .ours(),
    Way::new("`GET /api/user/installations`", Gitlab, GROUPS, Drive::Get(AT_GITLAB)).first_at("GITLAB_URL"),
    Way::new("`GET /api/user/installations`, the second page", Gitlab, GROUPS, Drive::Get(AT_GITLAB))
        .asking("&page=2")
        .of("many-groups"),
    Way::new("`GET /api/user/installations`, the own namespace", Gitlab, USER, Drive::Get(AT_GITLAB)),
    Way::new(
        "`GET /api/user/repositories`",
        Gitlab,
        ("GET", "/projects"),
        Drive::Get("/api/user/repositories?selected_provider=gitlab"),
    ),
    Way::new(
        "`GET /api/user/repositories`, the second page",
        Gitlab,
        ("GET", "/projects"),
        Drive::Get("/api/user/repositories?selected_provider=gitlab"),
    )
    .asking("&page=2")
    .beside(many_repositories, "newcomer"),
    Way::new(
        "`GET /api/user/repositories`, a group",
        Gitlab,
        ("GET", "/groups/{}/projects"),
        Drive::Get(
            "/api/user/repositories?selected_provider=gitlab&installation_id=cat-collective&page=1&per_page=100",
        ),
    ),
    Way::new(
        "`GET /api/user/repositories`, the own namespace",
        Gitlab,
        ("GET", "/users/{}/projects"),
        Drive::Get(
            "/api/user/repositories?selected_provider=gitlab&installation_id=gitlab-cat&page=1&per_page=100",
        ),
    ),
    Way::new("`GET /auth/gitlab/callback`", Gitlab, USER, Drive::Callback),
    Way::new("`POST /api/add-git-providers`", Gitlab, USER, Drive::Bring),
    Way::new("`GET /auth/gitlab/callback`, the code", Gitlab, GITLAB_TOKEN, Drive::Callback)
        .ours()
        .first_at("GITLAB_URL"),
    Way::new(
        "a token that has ended, on `GET /api/user/installations`",
        Gitlab,
        GITLAB_TOKEN,
        Drive::Renew(AT_GITLAB, Ended::Own),
    )
    .ours(),
    Way::new("`POST /auth/logout`", Gitlab, ("POST", "/oauth/revoke"), Drive::LogOut).ours(),
    Way::new("`GET /api/user/installations`", Bitbucket, WORKSPACES, Drive::Get(AT_BITBUCKET))
        .first_at("BITBUCKET_API_URL"),
    Way::new(
        "`GET /api/user/installations`, the second page",
        Bitbucket,
        WORKSPACES,
        Drive::Get(AT_BITBUCKET),
    )
    .asking("page=2")
    .of("many-workspaces"),
    Way::new(
        "`GET /api/user/repositories`, every workspace",
        Bitbucket,
        IN_WORKSPACE,
        Drive::Get("/api/user/repositories?selected_provider=bitbucket"),
    ),
    Way::new(
        "`GET /api/user/repositories`, the second page of the only workspace",
        Bitbucket,
        IN_WORKSPACE,
        Drive::Get("/api/user/repositories?selected_provider=bitbucket"),
    )
    .asking("page=2")
    .beside(many_repositories, "bitbucket-newcomer"),
    Way::new(
        "`GET /api/user/repositories`, a workspace",
        Bitbucket,
        IN_WORKSPACE,
        Drive::Get(
            "/api/user/repositories?selected_provider=bitbucket&installation_id=acme-corp&page=1&per_page=100",
        ),
    ),
    Way::new(
        "`GET /api/user/repositories`, whose the personal workspace is",
        Bitbucket,
        USER,
        Drive::Get("/api/user/repositories?selected_provider=bitbucket"),
    )
    .costing("the kind of owner of the personal workspace"),
    Way::new("`GET /auth/bitbucket/callback`", Bitbucket, USER, Drive::Callback)
        .first_at("BITBUCKET_API_URL"),
    Way::new("`POST /api/add-git-providers`", Bitbucket, USER, Drive::Bring),
    Way::new("`GET /auth/bitbucket/callback`, the code", Bitbucket, BITBUCKET_TOKEN, Drive::Callback)
        .ours()
        .first_at("BITBUCKET_WEB_URL"),
    Way::new(
        "a token that has ended, on `GET /api/user/installations`",
        Bitbucket,
        BITBUCKET_TOKEN,
        Drive::Renew(AT_BITBUCKET, Ended::Own),
    )
    .ours(),
    Way::new("`GET /auth/enterprise_sso/login`", EnterpriseSso, DISCOVERY, Drive::Login)
        .ours()
        .first_at(ISSUER),
    Way::new("`GET /auth/enterprise_sso/callback`, the issuer's keys", EnterpriseSso, KEYS, Drive::Callback)
        .ours(),
    Way::new("`POST .../backchannel-logout`, the issuer's keys", EnterpriseSso, KEYS, Drive::Backchannel)
        .ours(),
    Way::new("`GET /auth/enterprise_sso/callback`, the code", EnterpriseSso, ISSUER_TOKEN, Drive::Callback)
        .ours(),
    Way::new(
        "an issuer's token that has ended, on `GET /api/user/repositories`",
        EnterpriseSso,
        ISSUER_TOKEN,
        Drive::Renew(BROKERED, Ended::BrokeredAndIssuers),
    )
    .ours(),
    Way::new("`GET /auth/enterprise_sso/callback`, the broker", EnterpriseSso, BROKER, Drive::Callback)
        .costing("the brokered token: it is asked for when it is needed"),
    Way::new(
        "a brokered token that has ended, on `GET /api/user/repositories`",
        EnterpriseSso,
        BROKER,
        Drive::Renew(BROKERED, Ended::Brokered),
    ),
    Way::new(
        "`POST /auth/logout`",
        EnterpriseSso,
        ("POST", "/protocol/openid-connect/revoke"),
        Drive::LogOut,
    )
    .ours(),
];

/// The calls that the matrix knows.
pub(crate) fn endpoints() -> BTreeSet<Endpoint> {
    WAYS.iter().map(|way| way.endpoint).collect()
}

/// A user whose installations fill more than a page.
pub(crate) fn crowd() -> World {
    let mut world = demo_world();
    let user = world.add_user("crowd", "Member of 101 organisations");
    for number in 1..=101 {
        let organization = world.add_organization(&format!("crowd-{number:03}"));
        world.add_member(organization, user, Role::Member);
        world.install(Target::Account(organization), Selection::All);
    }
    world
}

/// A user whose one installation has more than a page of repositories.
pub(crate) fn wide() -> World {
    let mut world = demo_world();
    let user = world.add_user("wide", "101 repositories in one installation");
    for number in 1..=101 {
        world.add_repository(user, &format!("repository-{number:03}"));
    }
    world.install(Target::Account(user), Selection::All);
    world
}

/// Users with more than a page of repositories, all of their own.
fn many_repositories(hosts: &OtherHosts) {
    hosts.gitlab.world(|world| {
        let owner = Namespace::User(world.user("newcomer").expect("a user").id);
        for number in 1..=101 {
            world.add_project(owner, &format!("repository-{number:03}"));
        }
    });
    hosts.bitbucket.world(|world| {
        let owner = world.user("bitbucket-newcomer").expect("a user").uuid.clone();
        let workspace = world.add_personal_workspace(&owner, "bitbucket-newcomer");
        for number in 1..=101 {
            world.add_repository(&workspace, &format!("repository-{number:03}"));
        }
    });
}
