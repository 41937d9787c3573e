//! What is reached through the enterprise SSO: the hosts that it brokers, their tokens renewed, what is missing.
//! How one signs in there is tested in `sso_sign_in`.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_gitlab::{Fault as GitlabFault, FaultKind as GitlabFaultKind};
use local::sandbox_openid::{Fault, FaultKind, OfflineAccess};
use serde_json::Value;
use shared::provider::ProviderType;
use shared::store::TokenSlot;

use crate::harness::{Answer, Running};
use crate::sso_lab::{INSTALLATIONS, REPOSITORIES, start};

const TOKEN: &str = "/protocol/openid-connect/token";
/// Longer than any access token of the sandbox hosts and of the issuer.
const NINE_HOURS: Duration = Duration::from_secs(9 * 3600);

async fn ask(running: &Running, user: &DemoUser, path: &str) -> Answer {
    running.get(path).api_key(user).send().await
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    serde_json::from_str(&answer.body).expect("a list of ids")
}

fn providers(answer: &Answer) -> BTreeSet<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.column("git_provider").into_iter().collect()
}

fn broker_calls(running: &Running, alias: &str) -> usize {
    running.issuer_calls(&format!("/broker/{alias}/token"))
}

#[tokio::test]
async fn the_union_over_what_is_brokered_names_the_real_hosts() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    let union = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(providers(&union), ["bitbucket", "github", "gitlab"].map(String::from).into());
    assert_eq!(union.header("x-partial-result"), None);

    // What each host shows alone, with the brokered token, and what all linked ones show together.
    let mut repositories = 0;
    let mut installations = Vec::new();
    for provider in ["github", "gitlab", "bitbucket"] {
        let alone =
            ask(&running, &user, &format!("/api/user/repositories?selected_provider={provider}")).await;
        repositories += alone.json().as_array().unwrap().len();
        let alone = ask(&running, &user, &format!("/api/user/installations?provider={provider}")).await;
        installations.extend(ids(&alone));
    }
    assert_eq!(union.header("x-total-count"), Some(&*repositories.to_string()));
    assert_eq!(ids(&ask(&running, &user, INSTALLATIONS).await), installations);
    let all = ask(&running, &user, "/api/user/repositories").await;
    assert_eq!(all.body, union.body);
    // The mapping and GitHub's own routes work as for somebody who signed in at GitHub.
    assert_eq!(ask(&running, &user, "/user/installations").await.status, StatusCode::OK);
    let rows = ask(&running, &user, &format!("/api/users/{}/installations", user.user_id)).await;
    assert_eq!(rows.json().as_array().map(Vec::len), Some(4));
    let own = ask(&running, &user, "/users/octocat/installation").await;
    assert_eq!(own.status, StatusCode::OK, "{own:?}");
}

#[tokio::test]
async fn who_brokers_nothing_has_empty_lists_and_who_is_not_linked_is_told_so() {
    let running = start().await;
    for username in ["sso-plain", "sso-saml"] {
        let user = running.browser().sso_user(username).await;
        for path in [INSTALLATIONS, REPOSITORIES, "/api/user/repositories"] {
            let answer = ask(&running, &user, path).await;
            assert_eq!(
                (answer.status, &*answer.body),
                (StatusCode::OK, "[]"),
                "{username} {path}: {answer:?}"
            );
        }
    }
    // Who may not read what is held is told so: that is no empty list.
    let user = running.browser().sso_user("sso-no-role").await;
    for path in [INSTALLATIONS, REPOSITORIES] {
        let answer = ask(&running, &user, path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert_eq!(answer.json()["provider"], "enterprise_sso");
    }
    let octocat = running.sign_in("octocat").await;
    for path in [INSTALLATIONS, REPOSITORIES] {
        let answer = ask(&running, &octocat, path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    }
}

#[tokio::test]
async fn an_installation_of_the_union_gives_its_page_whichever_host_it_is_of() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    for id in ids(&ask(&running, &user, INSTALLATIONS).await) {
        let path = format!("{REPOSITORIES}&installation_id={id}&page=1&per_page=2");
        let page = ask(&running, &user, &path).await;
        let suspended = id == "5003";
        let expected = if suspended { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(page.status, expected, "{id}: {page:?}");
    }
    let unknown = ask(&running, &user, &format!("{REPOSITORIES}&installation_id=no-such-thing")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{unknown:?}");
}

#[tokio::test]
async fn a_brokered_host_that_is_down_does_not_cost_the_others() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    let gitlab = &running.stack.other_hosts.as_ref().unwrap().gitlab;
    gitlab.fail(GitlabFault::under("/", GitlabFaultKind::Status(StatusCode::BAD_GATEWAY)));
    let union = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(providers(&union), ["bitbucket", "github"].map(String::from).into());
    assert_eq!(union.header("x-partial-result"), Some("gitlab=502"));
    let installations = ask(&running, &user, INSTALLATIONS).await;
    assert_eq!(installations.header("x-partial-result"), Some("gitlab=502"));
    assert!(ids(&installations).contains(&"5001".to_owned()));
    // Of one host that is all there is.
    let only = running.browser().sso_user("sso-dev").await;
    assert_eq!(ask(&running, &only, REPOSITORIES).await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn fifty_requests_with_expired_tokens_ask_the_broker_once_for_each_host() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    // The issuer's session outlives nothing that is not renewed: it is made to live, its access token is not.
    for _ in 0..3 {
        running.clock.advance(Duration::from_secs(1_500));
        running.openid().clear_calls();
        running.openid().forget_all_brokered("gitlab");
        let stale = TokenSlot::brokered(ProviderType::Gitlab);
        expire(&running, &user, stale).await;
        let answers = futures::future::join_all((0..50).map(|_| ask(&running, &user, REPOSITORIES))).await;
        for answer in &answers {
            assert_eq!(answer.header("x-partial-result"), None, "{answer:?}");
            assert_eq!(answer.body, answers[0].body);
        }
        assert_eq!(running.issuer_calls(TOKEN), 1, "the issuer's own token is refreshed once");
        assert_eq!(broker_calls(&running, "gitlab"), 1);
        assert_eq!((broker_calls(&running, "github"), broker_calls(&running, "bitbucket")), (0, 0));
    }
}

/// Lets a token that is kept end now.
async fn expire(running: &Running, user: &DemoUser, slot: TokenSlot) {
    let (table, id) = (&running.stack.service.table, crate::behind::user(&user.user_id));
    let row = table.provider_token(&id, slot).await.unwrap().expect("a token");
    let expired = shared::store::ProviderToken { access_expires_at: Some(1), ..row.clone() };
    table.put_provider_token(&id, &expired, Some(row.version)).await.unwrap();
}

#[tokio::test]
async fn tokens_that_the_hosts_have_ended_are_fetched_again_from_the_broker() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    let before = ask(&running, &user, REPOSITORIES).await;
    // A token that is a moment old is waited for, not replaced: the host may not know it everywhere yet.
    running.clock.advance(Duration::from_secs(10));
    // Nobody told us when GitHub's and Bitbucket's end: their 401 does.
    for alias in ["github", "gitlab", "bitbucket"] {
        running.openid().forget_all_brokered(alias);
    }
    let hosts = running.stack.other_hosts.as_ref().unwrap();
    running.github().revoke_grant("octocat");
    hosts.gitlab.revoke_grant("gitlab-cat");
    hosts.bitbucket.revoke_grant("bitbucket-cat");
    running.openid().clear_calls();
    let after = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(after.header("x-partial-result"), None, "{after:?}");
    assert_eq!(after.body, before.body);
    for alias in ["github", "gitlab", "bitbucket"] {
        assert_eq!(broker_calls(&running, alias), 1, "{alias}");
    }
}

#[tokio::test]
async fn when_the_session_at_the_issuer_is_over_only_its_hosts_ask_for_a_new_sign_in() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_user("sso-dev").await;
    browser.sign_in("octocat").await;
    let user = browser.as_user().await;
    running.openid().end_sessions("sso-dev");
    running.clock.advance(NINE_HOURS);
    let answer = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    let all = ask(&running, &user, "/api/user/repositories").await;
    assert_eq!(providers(&all), ["github".to_owned()].into());
    assert_eq!(all.header("x-partial-result"), Some("gitlab=401"));
    // A new sign-in mends it.
    running.browser().sso_user("sso-dev").await;
    assert_eq!(ask(&running, &user, REPOSITORIES).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_broker_that_hands_out_what_has_expired_is_an_error_and_no_empty_list() {
    let running = start().await;
    let user = running.browser().sso_user("sso-dev").await;
    running.clock.advance(Duration::from_secs(10));
    running.openid().refresh_brokered(false);
    let gitlab = &running.stack.other_hosts.as_ref().unwrap().gitlab;
    gitlab.revoke_grant("many-groups");
    let answer = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    running.openid().refresh_brokered(true);
    running.openid().forget_all_brokered("gitlab");
    assert_eq!(ask(&running, &user, INSTALLATIONS).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_broker_that_was_down_at_sign_in_is_asked_when_its_token_is_needed() {
    let running = start().await;
    let down = Fault::under("/broker/", FaultKind::Status(StatusCode::BAD_GATEWAY));
    running.openid().fail(down);
    let user = running.browser().sso_user("sso-cat").await;
    let answer = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "an empty list would be a lie: {answer:?}");
    running.openid().clear_faults();
    let union = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(providers(&union).len(), 3);
    assert_eq!(union.header("x-partial-result"), None);
}

#[tokio::test]
async fn what_is_brokered_no_more_is_gone_after_the_next_sign_in() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    running.openid().world(|world| world.user_mut("sso-cat").unwrap().accounts.remove("gitlab"));
    running.browser().sso_user("sso-cat").await;
    let union = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(providers(&union), ["bitbucket", "github"].map(String::from).into());
}

#[tokio::test]
async fn a_token_of_the_users_own_and_a_brokered_one_live_beside_each_other() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_user("sso-reader").await;
    let user = browser.as_user().await;
    let sso_before = ask(&running, &user, REPOSITORIES).await;
    // An own sign-in at GitLab, and a token brought for GitLab, change nothing of what the SSO reaches.
    let own = running.stack.other_hosts.as_ref().unwrap().personal_token("gitlab", "gitlab-cat").unwrap();
    let body = serde_json::json!({"provider_tokens": {"gitlab": {"token": own}}});
    let added = running.post("/api/add-git-providers").api_key(&user).json(&body).send().await;
    assert_eq!(added.status, StatusCode::OK, "{added:?}");
    assert_eq!(ask(&running, &user, REPOSITORIES).await.body, sso_before.body);
    let all = ask(&running, &user, "/api/user/repositories").await;
    assert_eq!(providers(&all), ["github", "gitlab"].map(String::from).into());

    let unset = running.post("/api/unset-provider-tokens").api_key(&user).send().await;
    assert_eq!(unset.status, StatusCode::OK, "{unset:?}");
    for path in [REPOSITORIES, "/api/user/repositories"] {
        assert_eq!(ask(&running, &user, path).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn an_account_that_belongs_to_another_user_is_reached_but_not_taken() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let browser = running.browser();
    let sso = browser.sso_user("sso-cat").await;
    assert_ne!(sso.user_id, octocat.user_id);
    assert!(providers(&ask(&running, &sso, REPOSITORIES).await).contains("github"));
    let linked = browser.session().await;
    let linked: Vec<&Value> =
        linked["providers"].as_array().unwrap().iter().map(|of| &of["provider"]).collect();
    assert_eq!(linked, ["bitbucket", "enterprise_sso", "github", "gitlab"]);
    // Nobody is found by what is brokered: who signs in at the host itself is who linked it there, or a new user.
    assert_eq!(running.sign_in("octocat").await.user_id, octocat.user_id);
    let gitlab = running.browser();
    gitlab.link("gitlab", "gitlab-cat").await;
    assert_ne!(gitlab.session().await["user_id"], sso.user_id);
}

#[tokio::test]
async fn who_links_the_account_that_is_brokered_already_is_found_by_it_from_then_on() {
    let running = start().await;
    let browser = running.browser();
    let sso = browser.sso_user("sso-cat").await;
    let linked = browser.link("gitlab", "gitlab-cat").await;
    assert_eq!(linked.status, StatusCode::SEE_OTHER, "{linked:?}");
    let other = running.browser();
    other.link("gitlab", "gitlab-cat").await;
    assert_eq!(other.session().await["user_id"], sso.user_id);
}

#[tokio::test]
async fn what_is_brokered_outlives_the_session_at_the_issuer_where_it_allows_that() {
    let running = start().await;
    let user = running.browser().sso_user("sso-cat").await;
    // Keycloak ends a session that is idle for half an hour; an API key is used again after a month.
    running.clock.advance(Duration::from_secs(40 * 24 * 3600));
    let union = ask(&running, &user, REPOSITORIES).await;
    assert_eq!(providers(&union).len(), 3);
    assert_eq!(union.header("x-partial-result"), None);
}

#[tokio::test]
async fn an_issuer_that_allows_no_more_than_its_session_signs_in_all_the_same() {
    for refusal in [OfflineAccess::NotForClient, OfflineAccess::NotForUsers] {
        let running = start().await;
        running.openid().offline_access(refusal);
        let browser = running.browser();
        let again = browser.sso_sign_in("sso-cat").await;
        assert_eq!(again.status, StatusCode::FOUND, "{refusal:?}: {again:?}");
        let (page, query) = again.location().split_once('?').expect("to the issuer, without the scope");
        assert!(!query.contains("offline_access"), "{query}");
        let chosen = browser.form(page, &format!("{query}&choice=sso-cat")).await;
        let signed_in = browser.get(chosen.location()).await;
        assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{refusal:?}: {signed_in:?}");
        let user = browser.as_user().await;
        assert_eq!(ask(&running, &user, REPOSITORIES).await.header("x-partial-result"), None);
        // Half an hour of nothing, and then longer than what is brokered lives.
        running.clock.advance(NINE_HOURS);
        let answer = ask(&running, &user, REPOSITORIES).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{refusal:?}: {answer:?}");
    }
}
