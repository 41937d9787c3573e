//! The clients of the hosts as the targets use them: nothing is ever sent, their addresses are nobody's.
//! What their answers have to keep is in the targets.

use std::sync::LazyLock;

use shared::clock::Clock;
use shared::config::{BitbucketHost, GithubHost, GitlabHost};
use shared::provider::bitbucket::Bitbucket;
use shared::provider::enterprise_sso::{EnterpriseSso, SsoClient};
use shared::provider::github::Github;
use shared::provider::gitlab::Gitlab;
use shared::provider::oauth::OauthClient;
use shared::provider::upstream::{Upstream, http_client};
use url::Url;

pub(crate) static HOSTS: LazyLock<Hosts> = LazyLock::new(Hosts::new);

/// One client for each host.
pub(crate) struct Hosts {
    pub(crate) clock: Clock,
    pub(crate) github: Github,
    pub(crate) gitlab: Gitlab,
    pub(crate) bitbucket: Bitbucket,
    pub(crate) sso: EnterpriseSso,
    pub(crate) sso_client: SsoClient,
}

impl Hosts {
    fn new() -> Self {
        let clock = Clock::system();
        let upstream = Upstream::new(http_client(&[]).expect("a client without further roots"));
        let github = GithubHost { api: url("https://api.github.test"), web: url("https://github.test") };
        let gitlab = GitlabHost { base: url("https://gitlab.test/below") };
        let bitbucket =
            BitbucketHost { api: url("https://api.bitbucket.test/2.0"), web: url("https://bitbucket.test") };
        Self {
            github: Github::new(upstream.clone(), github, clock.clone()),
            gitlab: Gitlab::new(upstream.clone(), gitlab, clock.clone()),
            bitbucket: Bitbucket::new(upstream.clone(), bitbucket, clock.clone()),
            sso: EnterpriseSso::new(upstream, clock.clone()),
            sso_client: SsoClient {
                issuer: "https://sso.test/realms/acme".parse().expect("an issuer"),
                client: OauthClient {
                    client_id: "git-installations".to_owned(),
                    client_secret: "secret".to_owned().into(),
                },
                broker: std::collections::BTreeMap::new(),
            },
            clock,
        }
    }
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().expect("an address")
}
