//! The end of a session that came from the enterprise SSO: ended here, ended there, and what anybody may not end.
//! OpenID Connect RP-Initiated Logout 1.0 and Back-Channel Logout 1.0.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, Running};
use crate::sso_lab::start;

const BACKCHANNEL: &str = "/auth/enterprise_sso/backchannel-logout";

/// Posts a logout token as an issuer does.
pub(crate) async fn send(running: &Running, logout_token: &str) -> Answer {
    form(running, &format!("logout_token={logout_token}")).await
}

async fn form(running: &Running, form: &str) -> Answer {
    let request = running.post(BACKCHANNEL).header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await
}

async fn is_signed_in(browser: &Browser<'_>) -> bool {
    browser.session().await["signed_in"] == true
}

#[tokio::test]
async fn signing_out_tells_a_script_where_the_session_at_the_issuer_ends_and_it_ends_there() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_sign_in("sso-cat").await;
    assert_eq!(running.openid().sessions("sso-cat"), 1);
    let answer = browser.post("/auth/logout", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(!is_signed_in(&browser).await);
    let url = answer.json()["end_session_url"].as_str().expect("an address").to_owned();
    assert!(url.starts_with(&running.openid().issuer()), "{url}");
    let back = browser.get(&url).await;
    assert_eq!(back.status, StatusCode::FOUND, "{back:?}");
    assert_eq!(back.location(), format!("{}/auth/session", running.stack.url));
    assert_eq!(running.openid().sessions("sso-cat"), 0);
}

#[tokio::test]
async fn a_form_is_sent_on_to_the_issuer() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_sign_in("sso-cat").await;
    let answer = running
        .post("/auth/logout")
        .header("cookie", &browser.cookie_header())
        .header("origin", &running.stack.url)
        .header("accept", "text/html,application/xhtml+xml")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert!(answer.location().starts_with(&running.openid().issuer()));
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn other_sign_ins_end_with_204_as_ever_and_an_issuer_that_is_down_keeps_nobody_signed_in() {
    let running = start().await;
    let browser = running.browser();
    browser.sign_in("octocat").await;
    assert_eq!(browser.post("/auth/logout", None).await.status, StatusCode::NO_CONTENT);

    browser.sso_sign_in("sso-plain").await;
    // What is known of the issuer is a day old, and it does not answer.
    running.clock.advance(std::time::Duration::from_secs(25 * 3600));
    let down = local::sandbox_openid::FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE);
    running.openid().fail(local::sandbox_openid::Fault::under("/", down));
    assert_eq!(browser.post("/auth/logout", None).await.status, StatusCode::NO_CONTENT);
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_session_that_ends_at_the_issuer_ends_here_and_no_other_does() {
    let running = start().await;
    let (first, second, github) = (running.browser(), running.browser(), running.browser());
    first.sso_sign_in("sso-cat").await;
    second.sso_sign_in("sso-cat").await;
    github.sign_in("reader").await;
    // The newest is the second one's.
    let status = running.openid().backchannel_logout("sso-cat").await.expect("it is sent");
    assert_eq!(status, StatusCode::OK);
    assert_eq!((is_signed_in(&first).await, is_signed_in(&second).await), (true, false));
    assert!(is_signed_in(&github).await);
}

#[tokio::test]
async fn a_logout_of_a_subject_ends_all_sessions_that_came_from_there_and_those_only() {
    let running = start().await;
    let (first, second) = (running.browser(), running.browser());
    let user = first.sso_user("sso-cat").await;
    second.sso_sign_in("sso-cat").await;
    // The same user by way of GitLab, linked in another browser.
    let gitlab = running.browser();
    gitlab.sso_sign_in("sso-cat").await;
    let linked = gitlab.link("gitlab", "newcomer").await;
    assert_eq!(linked.status, StatusCode::SEE_OTHER, "{linked:?}");
    let elsewhere = running.browser();
    elsewhere.link("gitlab", "newcomer").await;
    assert_eq!(elsewhere.session().await["user_id"], user.user_id);
    let token = running.openid().logout_token("sso-cat", |_, claims| drop(claims.remove("sid"))).unwrap();
    assert_eq!(send(&running, &token).await.status, StatusCode::OK);
    assert_eq!((is_signed_in(&first).await, is_signed_in(&second).await), (false, false));
    // Who linked another account went on in the session at the issuer; who signed in at GitLab never had one.
    assert_eq!((is_signed_in(&gitlab).await, is_signed_in(&elsewhere).await), (false, true));
    // An API key is not a session: what it reaches stays.
    assert_eq!(running.get(crate::sso_lab::REPOSITORIES).api_key(&user).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_the_last_session_the_brokered_tokens_go_too() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_sign_in("sso-cat").await;
    let id = browser.session().await["user_id"].as_str().unwrap().to_owned();
    let tokens =
        async || running.stack.service.table.provider_tokens(&crate::behind::user(&id)).await.unwrap().len();
    assert_eq!(tokens().await, 4, "the issuer's own and three brokered ones");
    running.openid().backchannel_logout("sso-cat").await.expect("it is sent");
    assert_eq!(tokens().await, 0);
}

#[tokio::test]
async fn a_body_that_is_too_long_for_a_logout_token_is_refused_before_anybody_is_asked() {
    let running = start().await;
    running.browser().sso_sign_in("sso-cat").await;
    let token = running.openid().logout_token("sso-cat", |_, _| ()).unwrap();
    // A process that knows no key of the issuer's yet would have to ask for them.
    let fresh = running.another_process(std::time::Duration::from_secs(29)).await;
    running.openid().clear_calls();
    let padded = format!("logout_token={token}&padding={}", "x".repeat(16 * 1024));
    let request = running.request_at(http::Method::POST, &format!("{fresh}{BACKCHANNEL}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let refused = request.body(padded).send().await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    assert_eq!(refused.json()["error_description"], "the body is too long");
    assert!(running.openid().calls().is_empty(), "{:?}", running.openid().calls());
    // Without the padding it is good.
    assert_eq!(send(&running, &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_logout_token_works_once() {
    let running = start().await;
    running.browser().sso_sign_in("sso-cat").await;
    let token = running.openid().logout_token("sso-cat", |_, _| ()).unwrap();
    assert_eq!(send(&running, &token).await.status, StatusCode::OK);
    let again = running.browser();
    again.sso_sign_in("sso-cat").await;
    let replayed = send(&running, &token).await;
    assert_eq!(replayed.status, StatusCode::BAD_REQUEST, "{replayed:?}");
    insta::assert_snapshot!("a_replayed_logout_token", replayed.wire());
    assert!(is_signed_in(&again).await);
}

#[tokio::test]
async fn a_replayed_token_of_a_subject_ends_no_later_session() {
    let running = start().await;
    running.browser().sso_sign_in("sso-cat").await;
    let token = running.openid().logout_token("sso-cat", |_, claims| drop(claims.remove("sid"))).unwrap();
    assert_eq!(send(&running, &token).await.status, StatusCode::OK);
    let again = running.browser();
    again.sso_sign_in("sso-cat").await;
    assert_eq!(send(&running, &token).await.status, StatusCode::BAD_REQUEST);
    assert!(is_signed_in(&again).await);
}

#[tokio::test]
async fn a_session_whose_id_token_does_not_open_any_more_ends_all_the_same() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_sign_in("sso-cat").await;
    // A new key ring without the key that sealed it.
    let other = r#"{"current":"k9","keys":{"k9":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}}"#;
    running.stack.secrets.set(local::stack::TOKEN_KEYS_SECRET, other);
    running.clock.advance(std::time::Duration::from_secs(301));
    assert_eq!(browser.post("/auth/logout", None).await.status, StatusCode::NO_CONTENT);
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_logout_token_that_breaks_a_rule_ends_nothing_and_is_told_why() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_sign_in("sso-cat").await;
    type Change = fn(&mut serde_json::Map<String, Value>, &mut serde_json::Map<String, Value>);
    let changes: [(&str, Change); 11] = [
        ("an id_token's type", |header, _| drop(header.insert("typ".into(), json!("at+jwt")))),
        ("no algorithm", |header, _| drop(header.insert("alg".into(), json!("none")))),
        ("another key", |header, _| drop(header.insert("kid".into(), json!("other")))),
        ("another issuer", |_, claims| drop(claims.insert("iss".into(), json!("https://evil.example")))),
        ("another audience", |_, claims| drop(claims.insert("aud".into(), json!("another-client")))),
        ("expired", |_, claims| drop(claims.insert("exp".into(), json!(1)))),
        ("no id", |_, claims| drop(claims.remove("jti"))),
        ("no event", |_, claims| drop(claims.remove("events"))),
        ("another event", |_, claims| drop(claims.insert("events".into(), json!({"other": {}})))),
        ("a nonce", |_, claims| drop(claims.insert("nonce".into(), json!("n")))),
        ("nobody", |_, claims| {
            claims.remove("sid");
            claims.remove("sub");
        }),
    ];
    for (what, change) in changes {
        let token = running.openid().logout_token("sso-cat", change).unwrap();
        let answer = send(&running, &token).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}: {answer:?}");
        assert_eq!(answer.json()["error"], "invalid_request", "{what}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!answer.body.contains(&token), "{what}");
    }
    let id_token_as_logout = running.openid().logout_token("sso-cat", |_, claims| {
        claims.insert("sid".into(), json!("somebody-elses"));
        claims.remove("sub");
    });
    assert_eq!(send(&running, &id_token_as_logout.unwrap()).await.status, StatusCode::OK, "nothing to end");
    for body in ["", "logout_token=", "logout_token=a.b.c&logout_token=a.b.c", "other=1"] {
        assert_eq!(form(&running, body).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let long = format!("logout_token={}", "a".repeat(20_000));
    assert_eq!(form(&running, &long).await.status, StatusCode::BAD_REQUEST);
    assert!(is_signed_in(&browser).await);
}

#[tokio::test]
async fn without_an_issuer_in_the_settings_nobody_is_logged_out() {
    let running = crate::harness::start().await;
    assert_eq!(send(&running, "a.b.c").await.status, StatusCode::NOT_FOUND);
}
