//! `GET /auth/github/setup`: the installation id in its address is anybody's word (reference: GitHub, 5.2).
//! It becomes a row only if the user's own token shows it, and an administrator's only if GitHub says so.

use http::{HeaderMap, StatusCode};
use local::sandbox_github::{
    Access, AccountId, Fault, FaultKind, Membership, MembershipState, Role, Selection, Target,
};
use serde_json::json;
use shared::store::Proof;

use crate::behind::{TOKEN_ENDPOINT, assert_page, encoded, parameter};
use crate::harness::{Answer, Running, start};

fn setup(installation: u64) -> String {
    format!("/auth/github/setup?installation_id={installation}&setup_action=install")
}

async fn sent_to_setup(running: &Running, session: &str, installation: u64) -> Answer {
    let cookie = format!("neptun-session={session}");
    running.get(&setup(installation)).header("Cookie", &cookie).send().await
}

fn organization(running: &Running, login: &str) -> AccountId {
    running.github().world(|world| world.organization(login).unwrap().id)
}

fn person(running: &Running, login: &str) -> AccountId {
    running.github().world(|world| world.user(login).unwrap().id)
}

#[tokio::test]
async fn a_new_installation_on_the_own_account_becomes_an_administrators_row() {
    let running = start().await;
    let user = running.sign_in("newcomer").await;
    assert!(running.rows(&user.user_id).await.is_empty());
    let account = Target::Account(person(&running, "newcomer"));
    let id = running.github().world(|world| world.install(account, Selection::All)).0;

    let answer = sent_to_setup(&running, &user.session_cookie, id).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/auth/session"));
    assert_eq!(running.proof(&user.user_id, id).await, Some(Proof::Admin));
    // Sent there again (`setup_action=update`), nothing is doubled.
    let again = running.get(&setup(id).replace("install&", "update&")).session(&user).send().await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(running.rows(&user.user_id).await.len(), 1);
}

#[tokio::test]
async fn a_victims_installation_is_refused_and_no_row_is_written() {
    let running = start().await;
    let attacker = running.sign_in("newcomer").await;
    running.sign_in("octocat").await;
    for victim in ["octocat", "octo-org", "octo-labs", "big-installation"] {
        let id = running.installation_on(victim);
        let answer = sent_to_setup(&running, &attacker.session_cookie, id).await;
        assert_page(&answer, 403, "installation_not_yours");
        assert_eq!(running.proof(&attacker.user_id, id).await, None, "{victim}");
    }
    // One that is nobody's looks the same.
    assert_page(
        &sent_to_setup(&running, &attacker.session_cookie, 999_999).await,
        403,
        "installation_not_yours",
    );
    assert!(running.rows(&attacker.user_id).await.is_empty());
}

#[tokio::test]
async fn another_apps_installation_is_refused() {
    let running = start().await;
    let user = running.sign_in("newcomer").await;
    let account = json!({ "id": 1006, "login": "newcomer", "type": "User" });
    let shown = json!({
        "total_count": 1,
        "installations": [{ "id": 7001, "app_id": 424_242, "account": account, "target_type": "User" }],
    });
    let kind =
        FaultKind::Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: shown.to_string() };
    running.github().fail(Fault::get("/user/installations", kind));
    let answer = sent_to_setup(&running, &user.session_cookie, 7001).await;
    assert_page(&answer, 403, "installation_not_yours");
    assert!(running.rows(&user.user_id).await.is_empty());
}

#[tokio::test]
async fn a_member_who_may_only_read_is_no_admin() {
    let running = start().await;
    let reader = running.sign_in("reader").await;
    // Of the organisation, and of a person's account with one repository to label in.
    for account in ["octo-org", "octocat"] {
        let id = running.installation_on(account);
        let answer = sent_to_setup(&running, &reader.session_cookie, id).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        assert_eq!(running.proof(&reader.user_id, id).await, Some(Proof::Member), "{account}");
    }
}

#[tokio::test]
async fn an_owner_of_the_organisation_is_an_admin() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let id = running.installation_on("octo-org");
    assert_eq!(running.proof(&owner.user_id, id).await, Some(Proof::Member), "by the sign-in alone");
    sent_to_setup(&running, &owner.session_cookie, id).await;
    assert_eq!(running.proof(&owner.user_id, id).await, Some(Proof::Admin));
}

#[tokio::test]
async fn an_invited_owner_is_no_admin_before_accepting() {
    let running = start().await;
    let (organization, invited) = (organization(&running, "octo-org"), person(&running, "pending-admin"));
    // Otherwise the installation would not be shown at all.
    running.github().world(|world| {
        let repository = world.repositories.values_mut().find(|repository| repository.name == "api").unwrap();
        repository.collaborators.insert(invited, Access::Read);
    });
    let user = running.sign_in("pending-admin").await;
    let id = running.installation_on("octo-org");
    assert_eq!(sent_to_setup(&running, &user.session_cookie, id).await.status, StatusCode::SEE_OTHER);
    assert_eq!(running.proof(&user.user_id, id).await, Some(Proof::Member));

    let accepted = Membership { state: MembershipState::Active, role: Role::Admin };
    running.github().world(|world| world.set_membership(organization, invited, accepted));
    sent_to_setup(&running, &user.session_cookie, id).await;
    assert_eq!(running.proof(&user.user_id, id).await, Some(Proof::Admin));
}

#[tokio::test]
async fn a_demoted_owner_is_no_admin_any_more() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let id = running.installation_on("octo-org");
    sent_to_setup(&running, &owner.session_cookie, id).await;
    assert_eq!(running.proof(&owner.user_id, id).await, Some(Proof::Admin));
    let (organization, person) = (organization(&running, "octo-org"), person(&running, "octocat"));
    running.github().world(|world| world.add_member(organization, person, Role::Member));
    sent_to_setup(&running, &owner.session_cookie, id).await;
    assert_eq!(running.proof(&owner.user_id, id).await, Some(Proof::Member));
}

#[tokio::test]
async fn what_github_does_not_tell_is_not_proved_and_not_guessed() {
    let running = start().await;
    let owner = running.sign_in("octocat").await;
    let id = running.installation_on("octo-org");
    sent_to_setup(&running, &owner.session_cookie, id).await;
    let membership = "/user/memberships/orgs/octo-org";
    // GitHub fails: nothing is known, so nothing changes.
    running.github().fail(Fault::get(membership, FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    assert_page(&sent_to_setup(&running, &owner.session_cookie, id).await, 502, "bad_gateway");
    assert_eq!(running.proof(&owner.user_id, id).await, Some(Proof::Admin));
    running.github().clear_faults();
    // The App may not read members (any more): administration cannot be proved.
    running.github().fail(Fault::get(membership, FaultKind::Status(StatusCode::FORBIDDEN)));
    assert_eq!(sent_to_setup(&running, &owner.session_cookie, id).await.status, StatusCode::SEE_OTHER);
    assert_eq!(running.proof(&owner.user_id, id).await, Some(Proof::Member));
    running.github().clear_faults();
    // The listing fails: no row on a guess.
    running.github().fail(Fault::get("/user/installations", FaultKind::Status(StatusCode::BAD_GATEWAY)));
    assert_page(&sent_to_setup(&running, &owner.session_cookie, id).await, 502, "bad_gateway");
}

#[tokio::test]
async fn a_request_that_an_owner_must_approve_has_its_page() {
    let running = start().await;
    for query in ["setup_action=request", "setup_action=request&installation_id=rubbish"] {
        let answer = running.get(&format!("/auth/github/setup?{query}")).send().await;
        assert_page(&answer, 200, "approval_pending");
    }
    let user = running.sign_in("newcomer").await;
    let answer = running.get("/auth/github/setup?setup_action=request").session(&user).send().await;
    assert_page(&answer, 200, "approval_pending");
    assert!(running.github().calls().is_empty());
}

#[tokio::test]
async fn who_is_not_signed_in_goes_through_the_sign_in_and_comes_back() {
    let running = start().await;
    let browser = running.browser();
    let id = running.installation_on("octo-org");
    let to_login = browser.get(&setup(id)).await;
    let back = format!("/auth/github/setup?installation_id={id}");
    assert_eq!(to_login.status, StatusCode::SEE_OTHER);
    assert_eq!(to_login.location(), format!("/auth/github/login?return_to={}", encoded(&back)));
    let authorize = browser.start_sign_in(to_login.location()).await;
    let finished = browser.get(&browser.approve(&authorize, "octocat")).await;
    assert_eq!(finished.location(), back);
    let done = browser.get(finished.location()).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/auth/session"));
    let user_id = browser.get("/auth/session").await.json()["user_id"].as_str().unwrap().to_owned();
    assert_eq!(running.proof(&user_id, id).await, Some(Proof::Admin));
    // An API key says nothing to a page.
    let user = running.sign_in("newcomer").await;
    let with_key = running.get(&setup(id)).api_key(&user).send().await;
    assert!(with_key.location().starts_with("/auth/github/login?"), "{with_key:?}");
}

#[tokio::test]
async fn who_has_lost_the_token_is_sent_to_sign_in_again() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.clock.advance(std::time::Duration::from_secs(60));
    running.github().revoke_grant("octocat");
    let answer = sent_to_setup(&running, &user.session_cookie, running.installation_on("octo-org")).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-error-code")), (401, Some("sign_in_expired")));
    assert!(answer.body.contains("href=\"/auth/github/login\""), "{answer:?}");
}

#[tokio::test]
async fn an_installation_id_that_is_no_number_of_one_is_named() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let rows = running.rows(&user.user_id).await;
    for id in [
        "",
        "0",
        "-5001",
        "+5001",
        "5001/../../user",
        "5001%2F..%2F..%2Fuser",
        "5001?x",
        "5001%23",
        "5001%20",
        "5001%00",
        "5001.0",
        "5e3",
        "0x1389",
        "%D9%A5%D9%A0%D9%A0%D9%A1",
        "abc",
        "12345678901234567890",
        "99999999999999999999999999",
    ] {
        for path in ["setup?", "callback?code=c&"] {
            let answer =
                running.get(&format!("/auth/github/{path}installation_id={id}")).session(&user).send().await;
            assert_page(&answer, 400, "invalid_request");
            assert!(answer.body.contains("installation_id"), "{id}: {answer:?}");
        }
    }
    let none = running.get("/auth/github/setup").session(&user).send().await;
    assert_page(&none, 400, "invalid_request");
    assert!(running.github().calls().is_empty(), "GitHub was asked: {:?}", running.github().calls());
    assert_eq!(running.rows(&user.user_id).await, rows);
}

#[tokio::test]
async fn a_callback_of_the_installation_without_our_state_leads_to_setup_and_its_code_is_not_used() {
    let running = start().await;
    let browser = running.browser();
    let authorize = browser.start_sign_in("/auth/github/login").await;
    let code = parameter(&browser.approve(&authorize, "reader"), "code");
    let id = running.installation_on("octo-org");
    let path = format!("/auth/github/callback?code={code}&installation_id={id}&setup_action=install");
    let answer = browser.get(&path).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert_eq!(answer.location(), format!("/auth/github/setup?installation_id={id}"));
    assert!(running.github().calls().iter().all(|call| call.path != TOKEN_ENDPOINT));
    assert!(browser.cookie("neptun-session").is_none());
}
