//! Signing in at the enterprise SSO: who somebody is there, what is refused, and what it never depends on.
//! What is reached through it is tested in `sso_listings`, its end in `sso_logout`.

use http::StatusCode;
use local::sandbox_openid::{Algorithm, AnswerIss, Fault, FaultKind, IdTokenChange, OldKeys};
use serde_json::Value;

use crate::harness::{Browser, Running};
use crate::sso_lab::{LOGIN, start};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const CERTS: &str = "/protocol/openid-connect/certs";
const TOKEN: &str = "/protocol/openid-connect/token";

async fn nobody_is_signed_in(browser: &Browser<'_>) {
    assert_eq!(browser.session().await["signed_in"], false);
    assert_eq!(browser.cookie("neptun-session"), None);
}

async fn providers(browser: &Browser<'_>) -> Vec<String> {
    let session = browser.session().await;
    let providers = session["providers"].as_array().expect("a list").iter();
    providers.map(|linked| linked["provider"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_user_is_known_by_issuer_and_subject_and_comes_back_as_the_same() {
    let running = start().await;
    let browser = running.browser();
    let first = browser.sso_user("sso-cat").await;
    let sub = running.openid().world(|world| world.user("sso-cat").unwrap().sub.clone());
    let session = browser.session().await;
    let sso = session["providers"].as_array().unwrap().iter().find(|of| of["provider"] == "enterprise_sso");
    let sso = sso.expect("enterprise SSO is linked");
    assert_eq!(
        (&sso["id"], &sso["login"], &sso["status"]),
        (&sub.into(), &"sso-cat".into(), &"linked".into())
    );

    // Another name, another address: the same subject is the same user.
    running.openid().world(|world| {
        let user = world.user_mut("sso-cat").unwrap();
        "renamed".clone_into(&mut user.username);
        "other@example.com".clone_into(&mut user.email);
    });
    let again = running.browser().sso_user("renamed").await;
    assert_eq!(again.user_id, first.user_id);
}

#[tokio::test]
async fn the_same_address_is_not_the_same_user() {
    let running = start().await;
    let cat = running.browser().sso_user("sso-cat").await;
    let namesake = running.browser().sso_user("sso-namesake").await;
    assert_ne!(cat.user_id, namesake.user_id);
}

#[tokio::test]
async fn every_id_token_that_breaks_a_rule_is_refused_and_signs_nobody_in() {
    let running = start().await;
    let mut refused = 0;
    for change in IdTokenChange::ALL.into_iter().filter(|change| change.must_be_refused()) {
        let browser = running.browser();
        running.openid().id_token_change(change);
        let answer = browser.sso_sign_in("sso-cat").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{change:?}: {answer:?}");
        assert_eq!(answer.header("x-error-code"), Some("sign_in_failed"), "{change:?}");
        nobody_is_signed_in(&browser).await;
        refused += 1;
    }
    assert!(refused >= 16, "{refused} of the reference's 16");
    // None of them has left anything behind that a good one stumbles over.
    running.browser().sso_user("sso-cat").await;
}

#[tokio::test]
async fn a_token_without_a_key_id_is_accepted_where_one_key_fits() {
    let running = start().await;
    running.openid().id_token_change(IdTokenChange::NoKid);
    running.browser().sso_user("sso-cat").await;
}

#[tokio::test]
async fn an_answer_of_another_issuer_or_of_none_is_refused_before_its_code_is_used() {
    let running = start().await;
    for iss in [AnswerIss::Other("https://evil.example".to_owned()), AnswerIss::Missing] {
        running.openid().answer_iss(iss.clone());
        let browser = running.browser();
        let answer = browser.sso_sign_in("sso-cat").await;
        assert_eq!(answer.header("x-error-code"), Some("sign_in_failed"), "{iss:?}: {answer:?}");
        nobody_is_signed_in(&browser).await;
    }
    assert_eq!(running.issuer_calls(TOKEN), 0);
}

#[tokio::test]
async fn who_says_no_is_told_that_nothing_was_changed() {
    let running = start().await;
    let browser = running.browser();
    let authorize = browser.start_sign_in(LOGIN).await;
    let (page, query) = authorize.split_once('?').unwrap();
    let denied = browser.form(page, &format!("{query}&deny=1")).await;
    let answer = browser.get(denied.location()).await;
    assert_eq!(
        (answer.status, answer.header("x-error-code")),
        (StatusCode::FORBIDDEN, Some("access_denied"))
    );
    nobody_is_signed_in(&browser).await;
}

#[tokio::test]
async fn an_answer_that_this_browser_did_not_ask_for_signs_nobody_in() {
    let running = start().await;
    let victim = running.browser();
    let callback = running.browser().chosen("sso-cat").await;
    let answer = victim.get(&callback).await;
    assert_eq!(answer.header("x-error-code"), Some("state_missing"), "{answer:?}");
    nobody_is_signed_in(&victim).await;
}

#[tokio::test]
async fn a_document_of_another_issuer_starts_no_sign_in() {
    let running = start().await;
    running.openid().discovery_issuer(Some("https://evil.example/realms/sandbox"));
    let answer = running.browser().get(LOGIN).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
}

#[tokio::test]
async fn an_issuer_that_redirects_is_not_followed() {
    let running = start().await;
    let elsewhere = Fault::get(DISCOVERY, FaultKind::Redirect(running.stack.url.clone()));
    running.openid().fail(elsewhere);
    let answer = running.browser().get(LOGIN).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_said_so_and_comes_back_without_a_restart() {
    let running = start().await;
    running.openid().fail(Fault::under("/", FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE)));
    let answer = running.browser().get(LOGIN).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
    running.openid().clear_faults();
    running.browser().sso_user("sso-cat").await;
}

#[tokio::test]
async fn documents_are_read_once_for_many_sign_ins_and_again_after_an_hour() {
    let running = start().await;
    for _ in 0..3 {
        running.browser().sso_user("sso-plain").await;
    }
    assert_eq!((running.issuer_calls(DISCOVERY), running.issuer_calls(CERTS)), (1, 1));
    running.clock.advance(std::time::Duration::from_secs(3_700));
    running.browser().sso_user("sso-plain").await;
    assert_eq!((running.issuer_calls(DISCOVERY), running.issuer_calls(CERTS)), (2, 2));
}

#[tokio::test]
async fn keys_that_the_issuer_rotates_are_found_without_a_restart_and_forged_ones_cost_no_calls() {
    let running = start().await;
    running.browser().sso_user("sso-plain").await;
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        running.clock.advance(std::time::Duration::from_secs(301));
        running.openid().rotate_keys(algorithm, OldKeys::Drop).expect("a new key");
        running.browser().sso_user("sso-plain").await;
    }
    assert_eq!(running.issuer_calls(CERTS), 3);

    // Logout tokens may come from anybody: keys nobody has are looked for once in five minutes, whoever asks.
    let forged = |n: usize| {
        running.openid().logout_token("sso-plain", |header, _| {
            header.insert("kid".to_owned(), Value::from(format!("forged-{n}")));
        })
    };
    running.clock.advance(std::time::Duration::from_secs(301));
    running.browser().sso_user("sso-plain").await;
    running.openid().clear_calls();
    for n in 0..100 {
        let answer = crate::sso_logout::send(&running, &forged(n).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    }
    assert_eq!(running.issuer_calls(CERTS), 1);
    // And they do not keep a sign-in from finding a key that is really new.
    running.openid().rotate_keys(Algorithm::Es256, OldKeys::Drop).expect("a new key");
    running.browser().sso_user("sso-plain").await;
}

#[tokio::test]
async fn signing_in_while_signed_in_links_and_what_belongs_to_another_user_is_refused() {
    let running = start().await;
    let browser = running.browser();
    browser.sign_in("reader").await;
    let before = browser.session().await["user_id"].clone();
    browser.sso_user("sso-plain").await;
    assert_eq!(browser.session().await["user_id"], before);
    assert_eq!(providers(&browser).await, ["enterprise_sso", "github"]);

    let other = running.browser();
    other.sign_in("octocat").await;
    let session = other.cookie("neptun-session");
    let answer = other.sso_sign_in("sso-plain").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    assert_eq!(answer.header("x-error-code"), Some("identity_of_another_user"));
    assert_eq!(other.cookie("neptun-session"), session);
    assert_eq!(providers(&other).await, ["github"]);
}

#[tokio::test]
async fn without_an_issuer_in_the_settings_there_is_no_such_sign_in() {
    let running: Running = crate::harness::start().await;
    for path in [LOGIN, "/auth/enterprise_sso/callback?code=1&state=2"] {
        let answer = running.browser().get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
        assert_eq!(answer.header("x-error-code"), Some("provider_not_configured"));
    }
}

#[tokio::test]
async fn who_was_known_to_an_issuer_that_was_replaced_can_link_the_new_one() {
    let running = start().await;
    let browser = running.browser();
    let user = browser.sso_user("sso-plain").await;
    // As a row stands that was written while another issuer was configured.
    let table = &running.stack.service.table;
    let id = crate::behind::user(&user.user_id);
    let provider = shared::provider::ProviderType::EnterpriseSso;
    let now = table.identity(&id, provider).await.unwrap().unwrap();
    let former = shared::store::Identity { subject: "https://old.example.com 1".to_owned(), ..now.clone() };
    table.replace_identity(&now, &former).await.unwrap();

    let signed_in = browser.sso_sign_in("sso-plain").await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{signed_in:?}");
    assert_eq!(browser.session().await["user_id"], user.user_id);
    assert_eq!(table.user_of_identity(provider, &former.subject).await.unwrap(), None);
    assert_eq!(running.browser().sso_user("sso-plain").await.user_id, user.user_id);
}
