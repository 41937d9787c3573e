//! The enterprise SSO's flows, good and bad, and afterwards the search.

use std::time::Duration;

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_openid::{Fault, FaultKind, IdTokenChange};
use secrecy::ExposeSecret as _;
use serde_json::json;
use shared::identity::token_keeping::{open_access, open_refresh};

use crate::harness::secret_watch::capture;
use crate::harness::secret_watch::finder::{Known, leaks};
use crate::harness::{Answer, Browser, Running};
use crate::sso_lab::{INSTALLATIONS, LOGIN, REPOSITORIES, start};

const BACKCHANNEL: &str = "/auth/enterprise_sso/backchannel-logout";

#[tokio::test]
async fn nothing_that_happens_at_the_enterprise_sso_logs_a_secret() {
    capture::install();
    let mut known = Known::default();
    known.add(local::other_hosts::CLIENT_SECRET);
    let running = start().await;

    sign_ins(&running, &mut known).await;
    let browser = running.browser();
    let user = browser.sso_user("sso-cat").await;
    known.add(&user.api_key);
    learn_browser(&browser, &mut known);
    learn_tokens(&running, &user, &mut known).await;
    renewals(&running, &user, &mut known).await;
    let browser = running.browser();
    logouts(&running, &browser, &mut known).await;
    running.stack.stop().await;

    let log = capture::text();
    for heard in
        ["a sign-in was refused", "a logout token was refused", "the broker gave no token at sign-in"]
    {
        assert!(log.contains(heard), "the log does not say {heard}: {} bytes", log.len());
    }
    assert!(known.len() > 40, "{} secrets are known", known.len());
    let mut leaks = leaks(&log, &known);
    let count = leaks.len();
    leaks.truncate(10);
    assert!(leaks.is_empty(), "{count} lines:\n{}", leaks.join("\n"));
}

fn learn_browser(browser: &Browser<'_>, known: &mut Known) {
    for pair in browser.cookie_header().split("; ").filter(|pair| !pair.is_empty()) {
        known.add(pair.split_once('=').unwrap().1);
    }
}

fn learn_address(url: &str, known: &mut Known) {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if matches!(&*name, "code" | "state" | "nonce" | "code_challenge" | "id_token_hint") {
            known.add(&value);
        }
    }
}

/// What is kept for a user: the issuer's tokens and those that it brokers.
async fn learn_tokens(running: &Running, user: &DemoUser, known: &mut Known) {
    let service = &running.stack.service;
    let id = serde_json::from_value(json!(user.user_id)).unwrap();
    for token in service.table.provider_tokens(&id).await.unwrap() {
        let access = open_access(service, &id, &token).await.unwrap();
        if !access.expose_secret().is_empty() {
            known.add(access.expose_secret());
        }
        if let Some(refresh) = open_refresh(service, &id, &token).await.unwrap() {
            known.add(refresh.expose_secret());
        }
    }
}

/// A sign-in as far as it comes, with everything that the browser sees of it.
async fn sign_in(browser: &Browser<'_>, username: &str, known: &mut Known) -> Answer {
    let authorize = browser.start_sign_in(LOGIN).await;
    learn_address(&authorize, known);
    learn_browser(browser, known);
    let (page, query) = authorize.split_once('?').unwrap();
    let chosen = browser.form(page, &format!("{query}&choice={username}")).await;
    learn_address(chosen.location(), known);
    let answer = browser.get(chosen.location()).await;
    learn_browser(browser, known);
    answer
}

/// Every kind of failure; one of them says a secret.
fn faults(known: &mut Known) -> Vec<FaultKind> {
    let telling = "the-issuers-secret-0001";
    known.add(telling);
    let body = format!("{{\"error\":\"Bearer {telling}\",\"error_description\":\"{telling}\"}}");
    let status = StatusCode::BAD_REQUEST;
    vec![
        FaultKind::Answer { status, headers: http::HeaderMap::new(), body },
        FaultKind::Status(StatusCode::UNAUTHORIZED),
        FaultKind::Status(StatusCode::BAD_GATEWAY),
        FaultKind::Html,
        FaultKind::TruncatedJson,
        FaultKind::Drop,
        FaultKind::Redirect(format!("https://evil.example/?state={telling}")),
    ]
}

async fn sign_ins(running: &Running, known: &mut Known) {
    for change in [IdTokenChange::NoKid].into_iter().chain(IdTokenChange::ALL) {
        running.openid().id_token_change(change);
        sign_in(&running.browser(), "sso-cat", known).await;
    }
    for path in [
        "/.well-known/openid-configuration",
        "/protocol/openid-connect/certs",
        "/protocol/openid-connect/token",
        "/broker/",
    ] {
        for kind in faults(known) {
            running.clock.advance(Duration::from_secs(2 * 24 * 3600));
            let (browser, other) = (running.browser(), running.browser());
            let authorize = browser.start_sign_in(LOGIN).await;
            learn_address(&authorize, known);
            let (page, query) = authorize.split_once('?').unwrap();
            let chosen = browser.form(page, &format!("{query}&choice=sso-cat")).await;
            learn_address(chosen.location(), known);
            running.openid().fail(Fault::under(path, kind));
            browser.get(chosen.location()).await;
            // What was known of the issuer when the sign-in began is no more.
            running.clock.advance(Duration::from_secs(2 * 24 * 3600));
            other.get(LOGIN).await;
            learn_browser(&browser, known);
            running.openid().clear_faults();
        }
    }
}

/// The issuer's token and the brokered ones are renewed, not renewed, and at last gone.
async fn renewals(running: &Running, user: &DemoUser, known: &mut Known) {
    let ask = async || {
        for path in [INSTALLATIONS, REPOSITORIES, "/api/user/installations?provider=github"] {
            running.get(path).api_key(user).send().await;
        }
    };
    let end = || {
        running.clock.advance(Duration::from_secs(9 * 3600));
        for alias in ["github", "gitlab", "bitbucket"] {
            running.openid().forget_all_brokered(alias);
        }
    };
    for path in ["/broker/", "/protocol/openid-connect/token"] {
        for kind in faults(known) {
            end();
            running.openid().fail(Fault::under(path, kind));
            ask().await;
            running.openid().clear_faults();
            ask().await;
            learn_tokens(running, user, known).await;
        }
    }
    let again = running.browser();
    sign_in(&again, "sso-cat", known).await;
    running.openid().id_token_change(IdTokenChange::ALL[0]);
    end();
    ask().await;
    running.openid().end_sessions("sso-cat");
    end();
    ask().await;
    learn_tokens(running, user, known).await;
}

/// Out by the issuer's way, by a script and by a form, and by logout tokens good and bad.
async fn logouts(running: &Running, browser: &Browser<'_>, known: &mut Known) {
    sign_in(browser, "sso-dev", known).await;
    let told = browser.post("/auth/logout", None).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    learn_address(told.json()["end_session_url"].as_str().unwrap(), known);
    sign_in(browser, "sso-dev", known).await;
    let form = running.post("/auth/logout").header("cookie", &browser.cookie_header());
    let form = form.header("origin", &running.stack.url).header("accept", "text/html").send().await;
    assert_eq!(form.status, StatusCode::SEE_OTHER, "{form:?}");
    learn_address(form.location(), known);

    sign_in(&running.browser(), "sso-dev", known).await;
    let openid = running.openid();
    let good = openid.logout_token("sso-dev", |_, _| ()).unwrap();
    let another = openid.logout_token("sso-dev", |_, claims| drop(claims.remove("events"))).unwrap();
    let unknown_key =
        openid.logout_token("sso-dev", |header, _| drop(header.insert("kid".into(), json!("x")))).unwrap();
    let torn = format!("{}x", &good[..good.len() - 9]);
    for token in [&another, &unknown_key, &torn, &good, &good] {
        known.add(token);
        let request = running.post(BACKCHANNEL).header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("logout_token={token}")).send().await;
    }
    running.clock.advance(Duration::from_secs(2 * 24 * 3600));
    openid.fail(Fault::under("/", FaultKind::Html));
    let request = running.post(BACKCHANNEL).header("content-type", "application/x-www-form-urlencoded");
    request.body(format!("logout_token={good}")).send().await;
}
