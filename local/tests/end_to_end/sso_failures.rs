//! What every failure of the issuer and of its broker becomes, at sign-in and at renewal: an error that says so,
//! nobody signed in, never an empty list in its place, nothing of the issuer's words, and an end with its cause.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_openid::{Fault, FaultKind};
use shared::provider::ProviderType;
use shared::store::{ProviderToken, TokenSlot};

use crate::behind::user;
use crate::harness::{Answer, Running};
use crate::other_hosts::get;
use crate::sso_lab::{INSTALLATIONS, LOGIN, REPOSITORIES, start};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const CERTS: &str = "/protocol/openid-connect/certs";
const TOKEN: &str = "/protocol/openid-connect/token";
const BROKER: &str = "/broker/gitlab/token";
const HTML: &str = "<!DOCTYPE html><html><head><title>Whoops</title></head><body>Whoops</body></html>";
/// Longer than any copy of the issuer's documents is used.
const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 3600);
/// Longer than the issuer's access token lives, shorter than any host's.
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn said(status: u16, headers: &[(&str, &str)], body: &str) -> FaultKind {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    FaultKind::Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.iter().map(header).collect::<HeaderMap>(),
        body: body.to_owned(),
    }
}

/// What an issuer, or a proxy in front of it, may say; `half` is JSON that ends in the middle. Nothing of the
/// answers here has been carried out, but by the last one.
fn failures(half: &str) -> Vec<(&'static str, FaultKind)> {
    let (json, html) = ([("content-type", "application/json")], [("content-type", "text/html")]);
    let words = r#"{"error":"Whoops","errorMessage":"Whoops"}"#;
    vec![
        ("401", said(401, &json, words)),
        ("401, a page for people", said(401, &html, HTML)),
        ("403", said(403, &json, words)),
        ("404", said(404, &json, words)),
        ("404, a page for people", said(404, &html, HTML)),
        ("429, with its wait", said(429, &[("retry-after", "7")], "Whoops")),
        ("429, empty", said(429, &[], "")),
        ("500", said(500, &json, words)),
        ("502", said(502, &html, HTML)),
        ("503", said(503, &html, HTML)),
        ("200, a page for people", said(200, &html, HTML)),
        ("200, JSON that ends in the middle", said(200, &json, half)),
        ("200, empty", said(200, &json, "")),
        ("302 to another host", FaultKind::Redirect("https://evil.example/".to_owned())),
        ("the connection is dropped", FaultKind::Drop),
    ]
}

/// Status, the headers that a caller goes by, and the body; of a page the word for programs.
fn seen(answer: &Answer) -> String {
    let mut text = answer.status.to_string();
    for name in ["retry-after", "x-error-code", "x-partial-result"] {
        if let Some(value) = answer.header(name) {
            let _ = write!(text, " {name}: {value}");
        }
    }
    let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    if is_page || answer.status == StatusCode::OK { text } else { format!("{text}\n{}", answer.body) }
}

/// Nothing in an answer leads to the issuer, or is of its words.
fn assert_nothing_of_the_issuers(running: &Running, what: &str, answer: &Answer) {
    let text = format!("{:?}{}", answer.headers, answer.body);
    let issuer = running.openid().issuer();
    let authority = issuer.trim_start_matches("http://").trim_end_matches("/realms/sandbox");
    for part in [authority, "/realms/", "/protocol/", "/broker/", "evil.example", "Whoops", "eyJ"] {
        assert!(!text.contains(part), "{what}: {part} in {answer:?}");
    }
}

/// A sign-in at an issuer one of whose endpoints fails, and the same once it does not.
async fn at_sign_in(method: fn(&str, FaultKind) -> Fault, path: &str, half: &str) -> String {
    let running = start().await;
    let mut table = String::new();
    for (name, kind) in failures(half) {
        // Nothing is known of the issuer any more.
        running.clock.advance(TWO_DAYS);
        let browser = running.browser();
        let answer = if path == DISCOVERY {
            running.openid().fail(method(path, kind));
            browser.get(LOGIN).await
        } else {
            let callback = browser.chosen("sso-dev").await;
            running.openid().fail(method(path, kind));
            browser.get(&callback).await
        };
        assert!(!answer.status.is_success() && !answer.status.is_redirection(), "{name}: {answer:?}");
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{name} is about the issuer: {answer:?}");
        assert_nothing_of_the_issuers(&running, name, &answer);
        assert_eq!(browser.cookie("neptun-session"), None, "{name}");
        assert_eq!(browser.session().await["signed_in"], false, "{name}");
        assert_eq!(running.items_of("SESSION").await.len(), 0, "{name}: nobody's session is left behind");
        writeln!(table, "## {name}\n{}\n", seen(&answer)).unwrap();
        // The same browser, at once.
        running.openid().clear_faults();
        let mended = browser.sso_sign_in("sso-dev").await;
        assert_eq!(mended.status, StatusCode::SEE_OTHER, "{name}: {mended:?}");
        let logout = browser.post("/auth/logout", None).await;
        assert!(logout.status.is_success(), "{name}: {logout:?}");
    }
    table
}

/// A user of GitLab by way of the SSO, and of GitHub without it.
struct Renewal {
    running: Running,
    user: DemoUser,
    before: [Answer; 3],
}

const PATHS: [&str; 3] = [INSTALLATIONS, REPOSITORIES, "/api/user/repositories"];

impl Renewal {
    async fn start() -> Self {
        let running = start().await;
        let browser = running.browser();
        browser.sso_user("sso-dev").await;
        browser.sign_in("octocat").await;
        let user = browser.as_user().await;
        let before = [
            get(&running, &user, PATHS[0]).await,
            get(&running, &user, PATHS[1]).await,
            get(&running, &user, PATHS[2]).await,
        ];
        for answer in &before {
            assert_eq!((answer.status, answer.header("x-partial-result")), (StatusCode::OK, None));
        }
        Self { running, user, before }
    }

    /// The brokered token has ended, and the broker has another; the issuer's own has ended too.
    async fn let_end(&self) {
        self.running.clock.advance(TEN_MINUTES);
        self.running.openid().forget_all_brokered("gitlab");
        let (table, id) = (&self.running.stack.service.table, user(&self.user.user_id));
        let slot = TokenSlot::brokered(ProviderType::Gitlab);
        let row = table.provider_token(&id, slot).await.unwrap().expect("a token");
        let ended = ProviderToken { access_expires_at: Some(1), ..row.clone() };
        table.put_provider_token(&id, &ended, Some(row.version)).await.unwrap();
    }

    async fn is_whole(&self) -> bool {
        for (path, before) in PATHS.into_iter().zip(&self.before) {
            let answer = get(&self.running, &self.user, path).await;
            if answer.status != StatusCode::OK || answer.header("x-partial-result").is_some() {
                return false;
            }
            assert_eq!(answer.body, before.body, "{path}");
        }
        true
    }

    /// Every failure on every route: the error itself where nothing else is, else the rest and what is missing.
    async fn table(
        &self,
        method: fn(&str, FaultKind) -> Fault,
        path: &str,
        failures: Vec<(&'static str, FaultKind)>,
    ) -> String {
        let (running, mut table) = (&self.running, String::new());
        for (name, kind) in failures {
            writeln!(table, "## {name}").unwrap();
            for route in PATHS {
                self.let_end().await;
                running.openid().fail(method(path, kind.clone()));
                let answer = get(running, &self.user, route).await;
                assert_nothing_of_the_issuers(running, name, &answer);
                if route == "/api/user/repositories" {
                    assert_eq!(answer.status, StatusCode::OK, "{name}: {answer:?}");
                    assert!(answer.column("git_provider").iter().all(|host| host == "github"), "{name}");
                    assert!(answer.header("x-partial-result").is_some(), "{name}");
                } else {
                    assert!(answer.status.as_u16() >= 400, "{name} is no list: {answer:?}");
                }
                writeln!(table, "{route}\n{}", seen(&answer)).unwrap();
                running.openid().clear_faults();
                if !self.is_whole().await {
                    writeln!(table, "a new sign-in is needed").unwrap();
                    running.browser().sso_user("sso-dev").await;
                    assert!(self.is_whole().await, "{name} {route}: a new sign-in mends it");
                }
            }
            table.push('\n');
        }
        table
    }
}

#[tokio::test]
async fn each_failure_of_the_discovery_document_starts_no_sign_in_and_ends_with_its_cause() {
    insta::assert_snapshot!(at_sign_in(Fault::get, DISCOVERY, r#"{"issuer":"http://127"#).await);
}

#[tokio::test]
async fn each_failure_of_the_issuers_keys_signs_nobody_in_and_ends_with_its_cause() {
    insta::assert_snapshot!(at_sign_in(Fault::get, CERTS, r#"{"keys":[{"kid""#).await);
}

#[tokio::test]
async fn each_failure_of_the_token_endpoint_signs_nobody_in_and_ends_with_its_cause() {
    insta::assert_snapshot!(at_sign_in(Fault::post, TOKEN, r#"{"access_token":"eyJ"#).await);
}

#[tokio::test]
async fn each_failure_of_the_token_endpoint_at_renewal_is_an_error_and_costs_no_other_host() {
    let renewal = Renewal::start().await;
    insta::assert_snapshot!(renewal.table(Fault::post, TOKEN, failures(r#"{"access_token":"eyJ"#)).await);
}

/// Without the answer that `an_empty_answer_of_the_broker_is_no_word_about_the_user` is about.
fn failures_of_the_broker() -> Vec<(&'static str, FaultKind)> {
    failures(r#"{"access_token":"gl"#)
}

#[tokio::test]
async fn each_failure_of_the_broker_at_renewal_is_an_error_and_costs_no_other_host() {
    let renewal = Renewal::start().await;
    insta::assert_snapshot!(renewal.table(Fault::get, BROKER, failures_of_the_broker()).await);
}

#[tokio::test]
async fn each_failure_of_the_broker_at_sign_in_keeps_nobody_out_and_is_no_empty_list() {
    let running = start().await;
    let (mut table, mut whole) = (String::new(), None);
    for (name, kind) in failures_of_the_broker() {
        running.openid().forget_all_brokered("gitlab");
        running.openid().fail(Fault::get(BROKER, kind));
        let user = running.browser().sso_user("sso-dev").await;
        let answer = get(&running, &user, REPOSITORIES).await;
        assert!(answer.status.as_u16() >= 400, "{name} is no list: {answer:?}");
        assert_nothing_of_the_issuers(&running, name, &answer);
        writeln!(table, "## {name}\n{}\n", seen(&answer)).unwrap();
        running.openid().clear_faults();
        let mended = get(&running, &user, REPOSITORIES).await;
        assert_eq!(mended.status, StatusCode::OK, "{name}: {mended:?}");
        assert_eq!(whole.get_or_insert(mended.body.clone()), &mended.body, "{name}");
        // What is known of a token outlives a broker that fails: the next one begins without.
        running.post("/api/unset-provider-tokens").api_key(&user).send().await;
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn an_empty_answer_of_the_broker_is_no_word_about_the_user() {
    let renewal = Renewal::start().await;
    renewal.let_end().await;
    renewal.running.openid().fail(Fault::get(BROKER, said(200, &[("content-type", "application/json")], "")));
    let answer = get(&renewal.running, &renewal.user, REPOSITORIES).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
    renewal.running.openid().clear_faults();
    assert!(renewal.is_whole().await);
}
