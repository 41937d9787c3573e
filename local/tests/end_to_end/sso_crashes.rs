//! What is left when the issuer or its broker has answered and we could not keep the answer: the table fails, or the
//! process dies. The issuer's refresh token rotates, so that a new pair is lost with the process, and the enterprise
//! SSO alone asks for a new sign-in; the broker answers the same question again, and nothing is lost.

use std::time::Duration;

use http::StatusCode;
use local::aws::hook;
use local::data_folder::DemoUser;
use shared::provider::ProviderType;
use shared::store::{Lease, ProviderToken, TokenSlot};

use crate::behind::user;
use crate::harness::{Answer, Running};
use crate::other_host_crashes::until;
use crate::other_hosts::get;
use crate::sso_lab::{INSTALLATIONS, REPOSITORIES, start};

const TOKEN: &str = "/protocol/openid-connect/token";
const BROKER: &str = "/broker/gitlab/token";
const ALL: &str = "/api/user/repositories";
/// Longer than the issuer's access token lives, shorter than any host's.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// octocat at GitHub, who reaches GitLab through the enterprise SSO.
struct Lab {
    running: Running,
    user: DemoUser,
    before: Answer,
    all: Answer,
}

impl Lab {
    /// The brokered token has ended; ten minutes later the issuer's own has, too.
    async fn start(later: Duration) -> Self {
        let running = start().await;
        let browser = running.browser();
        browser.sso_user("sso-dev").await;
        browser.sign_in("octocat").await;
        let user = browser.as_user().await;
        let before = get(&running, &user, INSTALLATIONS).await;
        let all = get(&running, &user, ALL).await;
        assert_eq!((before.status, all.status), (StatusCode::OK, StatusCode::OK));
        let lab = Self { running, user, before, all };
        lab.let_brokered_end(later).await;
        lab.running.openid().clear_calls();
        lab.hook().reset();
        lab
    }

    async fn let_brokered_end(&self, later: Duration) {
        self.running.clock.advance(later);
        self.running.openid().forget_all_brokered("gitlab");
        let row = self.row(TokenSlot::brokered(ProviderType::Gitlab)).await;
        let ended = ProviderToken { access_expires_at: Some(1), ..row.clone() };
        let table = &self.running.stack.service.table;
        table.put_provider_token(&user(&self.user.user_id), &ended, Some(row.version)).await.unwrap();
    }

    fn hook(&self) -> &hook::Hook {
        self.running.stack.dynamodb.hook()
    }

    /// Leaves the first writes alone, and does this to those after them.
    fn after(&self, writes: usize, times: usize, fault: &hook::Fault) {
        self.hook().fail_next("PutItem", writes, &hook::Fault::default());
        self.hook().fail_next("PutItem", times, fault);
    }

    async fn row(&self, slot: TokenSlot) -> ProviderToken {
        let table = &self.running.stack.service.table;
        table.provider_token(&user(&self.user.user_id), slot).await.unwrap().expect("a token")
    }

    async fn ask(&self) -> Answer {
        get(&self.running, &self.user, INSTALLATIONS).await
    }

    async fn leases(&self) -> usize {
        self.running.items_of("LEASE#").await.len()
    }

    /// A process that has asked `path` and died at its write with that number.
    async fn die(&self, path: &str, write: usize) {
        let process = self.running.mortal_process().await;
        self.after(write - 1, 100, &hook::Fault::delay(Duration::from_secs(3_600)));
        let url = format!("{}{INSTALLATIONS}", process.url);
        let request = self.running.http.get(url).header("X-Session-API-Key", &self.user.api_key);
        let request = tokio::spawn(request.send());
        until("it was answered, and the row is being written", || {
            self.running.issuer_calls(path) == 1 && self.hook().calls("PutItem") >= write
        })
        .await;
        process.kill();
        assert!(request.await.expect("no panic").is_err(), "it answers nobody any more");
        self.hook().reset();
    }

    /// A request that waits for the dead process's lease, and is let go by the clock.
    async fn wait_for_the_lease_to_end(&self) -> Answer {
        let asked = (self.running.issuer_calls(TOKEN), self.running.issuer_calls(BROKER));
        let before = self.hook().calls("PutItem");
        let waiting = tokio::spawn(self.running.get(INSTALLATIONS).api_key(&self.user).send());
        until("it waits", || self.hook().calls("PutItem") >= before + 4).await;
        // Nineteen seconds are not enough.
        self.running.clock.advance(Duration::from_secs(19));
        let before = self.hook().calls("PutItem");
        until("it still waits", || self.hook().calls("PutItem") >= before + 2).await;
        assert!(!waiting.is_finished(), "the lease was not respected");
        assert_eq!((self.running.issuer_calls(TOKEN), self.running.issuer_calls(BROKER)), asked);
        self.running.clock.advance(Duration::from_secs(2));
        waiting.await.expect("no panic")
    }

    /// Everything is there again, and renews itself the next time.
    async fn assert_whole(&self) {
        for turn in 0..2 {
            let (answer, all) = (self.ask().await, get(&self.running, &self.user, ALL).await);
            assert_eq!((answer.status, &answer.body), (StatusCode::OK, &self.before.body), "{turn}");
            assert_eq!(all.header("x-partial-result"), None, "{turn}: {all:?}");
            assert_eq!(all.body, self.all.body, "{turn}");
            assert_eq!(self.leases().await, 0, "nobody has to wait for it");
            self.let_brokered_end(TEN_MINUTES).await;
        }
    }

    /// The enterprise SSO and what it brokers ask for a new sign-in, by its name, and nothing else does.
    async fn assert_lost_there_only(&self) {
        let asked = self.running.issuer_calls(TOKEN);
        for path in [INSTALLATIONS, REPOSITORIES] {
            let answer = get(&self.running, &self.user, path).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            assert_eq!(answer.body, "\"Invalid enterprise_sso token\"", "{path}");
        }
        assert_eq!(
            self.running.issuer_calls(TOKEN),
            asked,
            "its end is noted, and the issuer not asked again"
        );
        let all = get(&self.running, &self.user, ALL).await;
        assert_eq!(all.header("x-partial-result"), Some("gitlab=401"), "{all:?}");
        let github = get(&self.running, &self.user, "/api/user/repositories?selected_provider=github").await;
        assert!(!github.names().is_empty() && all.names() == github.names(), "GitHub's list is whole");
        let session = self.running.get("/auth/session").session(&self.user).send().await.json();
        for one in session["providers"].as_array().expect("providers") {
            if one["provider"] != "gitlab" {
                let status = if one["provider"] == "enterprise_sso" { "expired" } else { "linked" };
                assert_eq!(one["status"], status, "{session}");
            }
        }
        self.running.browser().sso_user("sso-dev").await;
        self.assert_whole().await;
    }
}

/// An error that the SDK does not try again by itself.
fn refused() -> hook::Fault {
    hook::Fault::error(StatusCode::BAD_REQUEST, "ResourceNotFoundException")
}

// The writes of a request that renews both: the brokered token's lease, the issuer's lease, the issuer's row, the
// brokered row. Where only the brokered token has ended: its lease, its row.

#[tokio::test]
async fn a_process_that_dies_with_the_issuers_new_pair_costs_a_sign_in_there_and_nothing_else() {
    let lab = Lab::start(TEN_MINUTES).await;
    lab.die(TOKEN, 3).await;
    assert_eq!(lab.leases().await, 2);
    let answer = lab.wait_for_the_lease_to_end().await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    lab.assert_lost_there_only().await;
}

#[tokio::test]
async fn an_issuers_new_pair_that_the_table_never_takes_costs_a_sign_in_there_and_nothing_else() {
    let lab = Lab::start(TEN_MINUTES).await;
    lab.after(2, 5, &refused());
    let failed = lab.ask().await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "it is our failure: {failed:?}");
    assert!(failed.header("retry-after").is_some(), "{failed:?}");
    assert_eq!(lab.leases().await, 0);
    assert_eq!(lab.ask().await.status, StatusCode::UNAUTHORIZED);
    lab.assert_lost_there_only().await;
}

#[tokio::test]
async fn an_issuers_new_pair_is_kept_where_the_table_fails_for_a_moment_or_its_answers_are_lost() {
    let lost = hook::Fault::lost_answer();
    for (times, fault) in [(2, refused()), (1, lost.clone()), (3, lost)] {
        let lab = Lab::start(TEN_MINUTES).await;
        let slot = TokenSlot::own(ProviderType::EnterpriseSso);
        let before = lab.row(slot).await.version;
        lab.after(2, times, &fault);
        let answer = lab.ask().await;
        assert_eq!(answer.status, StatusCode::OK, "{fault:?}: {answer:?}");
        assert_eq!(lab.running.issuer_calls(TOKEN), 1);
        assert_eq!(lab.row(slot).await.version, before + 1);
        lab.assert_whole().await;
    }
}

#[tokio::test]
async fn a_process_that_dies_with_the_brokers_answer_loses_nothing() {
    let lab = Lab::start(Duration::ZERO).await;
    lab.die(BROKER, 2).await;
    assert_eq!(lab.leases().await, 1);
    let answer = lab.wait_for_the_lease_to_end().await;
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &lab.before.body), "{answer:?}");
    assert_eq!((lab.running.issuer_calls(BROKER), lab.running.issuer_calls(TOKEN)), (2, 0));
    lab.assert_whole().await;
}

#[tokio::test]
async fn a_brokers_answer_that_the_table_never_takes_or_whose_write_is_not_confirmed_loses_nothing() {
    let lab = Lab::start(Duration::ZERO).await;
    lab.after(1, 5, &refused());
    let failed = lab.ask().await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
    assert!(failed.header("retry-after").is_some(), "{failed:?}");
    assert_eq!(lab.ask().await.body, lab.before.body);
    assert_eq!(lab.running.issuer_calls(BROKER), 2, "it is asked again");
    lab.assert_whole().await;

    let lab = Lab::start(Duration::ZERO).await;
    lab.after(1, 100, &hook::Fault::lost_answer());
    assert_eq!(lab.ask().await.body, lab.before.body);
    lab.hook().reset();
    assert_eq!(lab.running.issuer_calls(BROKER), 1);
    lab.assert_whole().await;
}

#[tokio::test]
async fn a_lease_of_a_dead_process_ends_by_itself_after_twenty_seconds() {
    for slot in [TokenSlot::own(ProviderType::EnterpriseSso), TokenSlot::brokered(ProviderType::Gitlab)] {
        let lab = Lab::start(TEN_MINUTES).await;
        let (table, clock) = (&lab.running.stack.service.table, &lab.running.clock);
        let lease = Lease::new(clock, 20, 1).unwrap();
        assert!(table.take_lease(&user(&lab.user.user_id), slot, &lease, clock.unix()).await.unwrap());
        let answer = lab.wait_for_the_lease_to_end().await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &lab.before.body), "{slot:?}");
        assert_eq!((lab.running.issuer_calls(TOKEN), lab.running.issuer_calls(BROKER)), (1, 1), "{slot:?}");
        lab.assert_whole().await;
    }
}
