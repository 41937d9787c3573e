//! What is left when a refresh at GitLab or Bitbucket was answered and we could not keep the answer: the table
//! fails, or the process dies. Where the host's refresh token has rotated, the new pair is lost, and that host alone
//! asks for a new sign-in; where it lives on, or where the row was written after all, nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use local::aws::hook;
use local::data_folder::DemoUser;
use local::demo_user::link;
use local::sandbox_bitbucket::{self, RefreshRule};
use local::sandbox_gitlab;
use shared::provider::ProviderType;
use shared::store::{Lease, TokenSlot};

use crate::behind::user;
use crate::harness::{Answer, Running};
use crate::other_hosts::{get, hosts, linked, start};

const PROVIDERS: [&str; 3] = ["github", "gitlab", "bitbucket"];
/// Longer than access tokens live at either host, shorter than at GitHub.
const LATER: Duration = Duration::from_secs(3 * 3_600);
/// How often a new pair is written before it is given up.
const KEEP_TRIES: usize = 5;

/// octocat with accounts at three hosts, whose tokens have ended at the one in question.
struct Lab {
    running: Running,
    user: DemoUser,
    provider: &'static str,
    /// The names of the repositories at each host.
    before: BTreeMap<&'static str, Vec<String>>,
}

impl Lab {
    async fn at(provider: &'static str) -> Self {
        let running = start().await;
        let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
        let mut lab = Self { running, user, provider, before: BTreeMap::new() };
        for provider in PROVIDERS {
            let names = lab.list(provider).await.names();
            assert!(!names.is_empty(), "{provider}");
            lab.before.insert(provider, names);
        }
        lab.running.clock.advance(LATER);
        hosts(&lab.running).gitlab.clear_calls();
        hosts(&lab.running).bitbucket.clear_calls();
        lab.hook().reset();
        lab
    }

    async fn bitbucket(rule: RefreshRule) -> Self {
        let lab = Self::at("bitbucket").await;
        hosts(&lab.running).bitbucket.world(|world| world.refresh = rule);
        lab
    }

    fn hook(&self) -> &hook::Hook {
        self.running.stack.dynamodb.hook()
    }

    /// Leaves the first write alone, which takes the lease, and does this to those after it.
    fn after_the_lease(&self, times: usize, fault: &hook::Fault) {
        self.hook().fail_next("PutItem", 1, &hook::Fault::default());
        self.hook().fail_next("PutItem", times, fault);
    }

    async fn list(&self, provider: &str) -> Answer {
        let path = format!("/api/user/repositories?selected_provider={provider}");
        get(&self.running, &self.user, &path).await
    }

    async fn installations(&self) -> Answer {
        get(&self.running, &self.user, &self.installations_path()).await
    }

    fn installations_path(&self) -> String {
        format!("/api/user/installations?provider={}", self.provider)
    }

    /// How often the host was asked for tokens.
    fn refreshes(&self) -> usize {
        let hosts = hosts(&self.running);
        if self.provider == "gitlab" {
            hosts.gitlab.calls().iter().filter(|call| call.path == "/oauth/token").count()
        } else {
            let calls = hosts.bitbucket.calls();
            calls.iter().filter(|call| call.path == "/site/oauth2/access_token").count()
        }
    }

    /// The host rotates and answers, and half of its answer is lost.
    fn cut_off_the_next_refresh(&self) {
        let hosts = hosts(&self.running);
        if self.provider == "gitlab" {
            let half = sandbox_gitlab::FaultKind::TruncatedJson;
            hosts.gitlab.fail(sandbox_gitlab::Fault::post("/oauth/token", half).times(1));
        } else {
            let half = sandbox_bitbucket::FaultKind::TruncatedJson;
            hosts.bitbucket.fail(sandbox_bitbucket::Fault::under("/site/oauth2/access_token", half).times(1));
        }
    }

    /// How many versions of the stored token there were: they begin with the time of the sign-in.
    async fn version(&self) -> String {
        let tokens = self.running.items_of(&format!("TOKEN#{}", self.provider)).await;
        crate::token_renewal::count(&tokens[0]["version"]["N"])
    }

    async fn leases(&self) -> usize {
        self.running.items_of(&format!("LEASE#{}", self.provider)).await.len()
    }

    /// Nothing was lost: the token is renewed after so many refreshes in all, and renews itself again.
    async fn assert_renewed(&self, refreshes: usize) {
        let answer = self.list(self.provider).await;
        assert_eq!(answer.names(), self.before[self.provider]);
        assert_eq!((self.refreshes(), self.version().await.as_str()), (refreshes, "2"));
        assert_eq!(self.leases().await, 0, "nobody has to wait for it");
        // What is kept renews itself the next time.
        self.running.clock.advance(LATER);
        assert_eq!(self.list(self.provider).await.names(), self.before[self.provider]);
        assert_eq!((self.refreshes(), self.version().await.as_str()), (refreshes + 1, "3"));
    }

    /// The pair is lost: this host asks for a new sign-in and says so by name, every other host's list is whole,
    /// and signing in mends it.
    async fn assert_lost_here_only(&self) {
        let Self { running, user, provider, before } = self;
        for answer in [self.installations().await, self.list(provider).await] {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            assert_eq!(answer.body, format!("\"Invalid {provider} token\""));
        }
        assert_eq!(self.refreshes(), 2, "its end is noted, and the host not asked again");
        let all = get(running, user, "/api/user/repositories").await;
        assert_eq!(all.header("x-partial-result"), Some(&*format!("{provider}=401")), "{all:?}");
        let mut found = all.names();
        let mut expected: Vec<String> = Vec::new();
        for other in PROVIDERS.into_iter().filter(|other| other != provider) {
            assert_eq!(self.list(other).await.names(), before[other], "{other}");
            expected.extend(before[other].clone());
        }
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "the others' lists are whole");
        let session = running.get("/auth/session").session(user).send().await.json();
        for one in session["providers"].as_array().expect("providers") {
            let status = if one["provider"] == *provider { "expired" } else { "linked" };
            assert_eq!(one["status"], status, "{session}");
        }

        let login = if *provider == "gitlab" { "gitlab-cat" } else { "bitbucket-cat" };
        link(&running.stack, user, provider, login).await.expect("signing in again helps");
        assert_eq!(self.list(provider).await.names(), before[provider]);
    }

    /// A process that was answered by the host and died while it wrote the answer down.
    async fn die_before_the_write(&self) {
        let process = self.running.mortal_process().await;
        self.after_the_lease(100, &hook::Fault::delay(Duration::from_secs(3_600)));
        let url = format!("{}{}", process.url, self.installations_path());
        let request = self.running.http.get(url).header("X-Session-API-Key", &self.user.api_key);
        let request = tokio::spawn(request.send());
        until("the host has answered and the row is being written", || {
            self.refreshes() == 1 && self.hook().calls("PutItem") >= 2
        })
        .await;
        process.kill();
        assert!(request.await.expect("no panic").is_err(), "it answers nobody any more");
        self.hook().reset();
        assert_eq!((self.leases().await, self.version().await.as_str()), (1, "1"));
    }

    /// A request that waits for the lease, respects it, and is let go by the clock.
    async fn wait_for_the_lease_to_end(&self) -> Answer {
        let before = (self.refreshes(), self.hook().calls("PutItem"));
        let path = self.installations_path();
        let waiting = tokio::spawn(self.running.get(&path).api_key(&self.user).send());
        // It has tried to take the lease three times, and was refused each time.
        until("it waits", || self.hook().calls("PutItem") >= before.1 + 3).await;
        assert!(!waiting.is_finished(), "the lease was not respected");
        assert_eq!(self.refreshes(), before.0);
        self.running.clock.advance(Duration::from_secs(21));
        waiting.await.expect("no panic")
    }
}

/// Waits for something that another task brings about.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

/// An error that the SDK does not try again by itself, so that every try is one of ours.
fn refused() -> hook::Fault {
    hook::Fault::error(StatusCode::BAD_REQUEST, "ResourceNotFoundException")
}

async fn a_table_that_refuses_to_the_last(lab: &Lab) {
    lab.after_the_lease(KEEP_TRIES, &refused());
    let failed = lab.installations().await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
    assert_eq!(
        failed.json()["code"],
        "unavailable",
        "it is our failure, not the host's, and no sign-in's end"
    );
    assert!(failed.header("retry-after").is_some(), "{failed:?}");
    assert_eq!((lab.refreshes(), lab.version().await.as_str()), (1, "1"));
    assert_eq!(lab.leases().await, 0, "nobody has to wait for it");
}

#[tokio::test]
async fn a_gitlab_pair_that_the_table_never_took_is_lost_at_gitlab_only() {
    let lab = Lab::at("gitlab").await;
    a_table_that_refuses_to_the_last(&lab).await;
    lab.assert_lost_here_only().await;
}

#[tokio::test]
async fn a_bitbucket_pair_that_the_table_never_took_is_lost_at_bitbucket_only() {
    let lab = Lab::bitbucket(RefreshRule::Rotates).await;
    a_table_that_refuses_to_the_last(&lab).await;
    lab.assert_lost_here_only().await;
}

#[tokio::test]
async fn where_bitbuckets_refresh_token_lives_on_a_table_that_fails_costs_nothing() {
    for rule in [RefreshRule::Stays, RefreshRule::StaysUntold] {
        let lab = Lab::bitbucket(rule).await;
        a_table_that_refuses_to_the_last(&lab).await;
        lab.assert_renewed(2).await;
    }
}

#[tokio::test]
async fn a_gitlab_process_that_dies_before_its_write_loses_gitlabs_pair_only() {
    let lab = Lab::at("gitlab").await;
    lab.die_before_the_write().await;
    let answer = lab.wait_for_the_lease_to_end().await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (401, "\"Invalid gitlab token\""));
    lab.assert_lost_here_only().await;
}

#[tokio::test]
async fn a_bitbucket_process_that_dies_before_its_write_loses_bitbuckets_pair_only() {
    let lab = Lab::bitbucket(RefreshRule::Rotates).await;
    lab.die_before_the_write().await;
    let answer = lab.wait_for_the_lease_to_end().await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (401, "\"Invalid bitbucket token\""));
    lab.assert_lost_here_only().await;
}

#[tokio::test]
async fn where_bitbuckets_refresh_token_lives_on_a_process_that_dies_costs_a_wait() {
    for rule in [RefreshRule::Stays, RefreshRule::StaysUntold] {
        let lab = Lab::bitbucket(rule).await;
        lab.die_before_the_write().await;
        let answer = lab.wait_for_the_lease_to_end().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        lab.assert_renewed(2).await;
    }
}

#[tokio::test]
async fn a_process_that_died_before_it_asked_the_host_costs_a_wait() {
    for provider in ["gitlab", "bitbucket"] {
        let lab = Lab::at(provider).await;
        let (table, clock) = (&lab.running.stack.service.table, &lab.running.clock);
        let lease = Lease::new(clock, 20, 1).unwrap();
        let (id, host) = (user(&lab.user.user_id), ProviderType::from_name(provider).unwrap());
        assert!(table.take_lease(&id, TokenSlot::own(host), &lease, clock.unix()).await.unwrap());
        let answer = lab.wait_for_the_lease_to_end().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        lab.assert_renewed(1).await;
    }
}

#[tokio::test]
async fn a_pair_whose_answer_was_cut_off_is_lost_at_its_host_only() {
    for provider in ["gitlab", "bitbucket"] {
        let lab = Lab::at(provider).await;
        lab.cut_off_the_next_refresh();
        let failed = lab.installations().await;
        assert_eq!(failed.status, StatusCode::BAD_GATEWAY, "{failed:?}");
        assert_eq!(failed.json()["provider"], provider);
        assert_eq!(lab.refreshes(), 1, "whether it was used nobody knows, so it is not sent again at once");
        lab.assert_lost_here_only().await;
    }
}

#[tokio::test]
async fn where_bitbuckets_refresh_token_lives_on_an_answer_that_was_cut_off_costs_one_request() {
    let lab = Lab::bitbucket(RefreshRule::StaysUntold).await;
    lab.cut_off_the_next_refresh();
    assert_eq!(lab.installations().await.status, StatusCode::BAD_GATEWAY);
    lab.assert_renewed(2).await;
}

#[tokio::test]
async fn a_table_that_fails_for_a_moment_after_the_grant_loses_nothing() {
    for provider in ["gitlab", "bitbucket"] {
        let lab = Lab::at(provider).await;
        lab.after_the_lease(2, &refused());
        assert_eq!(lab.installations().await.status, StatusCode::OK, "{provider}");
        lab.assert_renewed(1).await;
    }
}

#[tokio::test]
async fn a_write_that_happened_and_whose_answer_was_lost_loses_nothing() {
    for provider in ["gitlab", "bitbucket"] {
        let lab = Lab::at(provider).await;
        lab.after_the_lease(1, &hook::Fault::lost_answer());
        assert_eq!(lab.installations().await.status, StatusCode::OK, "{provider}");
        lab.assert_renewed(1).await;
    }
}

#[tokio::test]
async fn a_write_that_happened_and_whose_every_answer_was_lost_loses_nothing() {
    for provider in ["gitlab", "bitbucket"] {
        let lab = Lab::at(provider).await;
        // As often as all tries together: the first one wrote, the others find another version than theirs.
        lab.after_the_lease(100, &hook::Fault::lost_answer());
        let answer = lab.installations().await;
        lab.hook().reset();
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "nobody told it that the row was written, and it looked: {answer:?}"
        );
        lab.assert_renewed(1).await;
    }
}

#[tokio::test]
async fn a_holder_whose_write_comes_after_its_lease_still_keeps_the_pair() {
    for provider in ["gitlab", "bitbucket"] {
        let lab = Lab::at(provider).await;
        // Shorter than the SDK waits for one try, and long enough for another request to come between.
        lab.after_the_lease(1, &hook::Fault::delay(Duration::from_millis(1_300)));
        let slow = tokio::spawn(lab.running.get(&lab.installations_path()).api_key(&lab.user).send());
        until("the host has answered and the row is being written", || {
            lab.refreshes() == 1 && lab.hook().calls("PutItem") >= 2
        })
        .await;
        lab.running.clock.advance(Duration::from_secs(21));
        // Its refresh token is used up, so that it notes an end; unless the writer was faster after all.
        let overtaking = lab.installations().await;
        assert!([401, 200].contains(&overtaking.status.as_u16()), "{overtaking:?}");
        assert_eq!(slow.await.expect("no panic").status, StatusCode::OK, "{provider}");
        let asked = lab.refreshes();
        lab.assert_renewed(asked).await;
    }
}
