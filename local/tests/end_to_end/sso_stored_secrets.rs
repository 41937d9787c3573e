//! What the table holds of the enterprise SSO opens nothing: the issuer's tokens, the ID token of a session and what
//! is brokered are sealed, each bound to the row that it is in.

use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shared::identity::token_keeping::{open_access, open_refresh};

use crate::behind::{parameter, readable, text, user};
use crate::harness::Running;
use crate::sso_lab::{INSTALLATIONS, LOGIN, REPOSITORIES, start};

/// The row of a user's token.
async fn row(running: &Running, user_id: &str, kind: &str) -> Value {
    let partition = format!("USER#{user_id}");
    let rows = running.items_of("TOKEN#").await;
    let mut found = rows.into_iter().filter(|row| text(row, "pk") == partition && text(row, "sk") == kind);
    found.next().unwrap_or_else(|| panic!("no {kind}"))
}

#[tokio::test]
async fn no_token_of_the_issuers_or_of_its_broker_stands_in_the_table() {
    let running = start().await;
    let browser = running.browser();
    let authorize = browser.start_sign_in(LOGIN).await;
    let binding = browser.cookie_header();
    let (page, query) = authorize.split_once('?').expect("a query");
    let callback = browser.form(page, &format!("{query}&choice=sso-cat")).await.location().to_owned();
    let under_way = running.items().await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::SEE_OTHER);
    let signed_in = browser.as_user().await;
    for later in [0, 600] {
        running.clock.advance(std::time::Duration::from_secs(later));
        assert_eq!(running.get(REPOSITORIES).api_key(&signed_in).send().await.status, StatusCode::OK);
    }
    let logout_token = running.openid().logout_token("sso-cat", |_, _| ()).unwrap();

    let mut secrets = vec![
        ("a JWT", "eyJ".to_owned()),
        ("client secret", local::other_hosts::CLIENT_SECRET.to_owned()),
        ("session cookie", browser.cookie("neptun-session").expect("a session")),
        ("state", parameter(&authorize, "state")),
        ("nonce", parameter(&authorize, "nonce")),
        ("binding cookie", binding.split_once('=').expect("a cookie").1.to_owned()),
        ("code", parameter(&callback, "code")),
        ("logout token", logout_token),
    ];
    let (service, id) = (&running.stack.service, user(&signed_in.user_id));
    for token in service.table.provider_tokens(&id).await.expect("the table answers") {
        let access = open_access(service, &id, &token).await.expect("it opens");
        secrets.push(("access token", access.expose_secret().to_owned()));
        if let Some(refresh) = open_refresh(service, &id, &token).await.expect("it opens") {
            secrets.push(("refresh token", refresh.expose_secret().to_owned()));
        }
    }
    assert_eq!(secrets.len(), 8 + 5, "the issuer's two, and one for each host");
    let items = running.items().await;
    for name in ["sealed_access", "sealed_refresh", "sealed_id_token"] {
        assert!(items.iter().any(|item| !item[name]["B"].is_null()), "{name} is kept");
    }
    let dump: String = under_way.iter().chain(&items).map(readable).collect();
    for (name, secret) in secrets {
        assert!(secret.len() > 2 && !dump.contains(&secret), "the {name} stands in the table");
    }
}

#[tokio::test]
async fn a_token_that_is_copied_to_another_row_of_its_user_does_not_open() {
    let running = start().await;
    let browser = running.browser();
    browser.sso_user("sso-cat").await;
    // A token of the user's own at GitHub, beside the brokered one.
    browser.sign_in("octocat").await;
    let signed_in = browser.as_user().await;
    let (own, brokered) = ("TOKEN#github", "TOKEN#enterprise_sso#github");
    for (from, to, path) in [
        (brokered, own, "/api/user/installations?provider=github"),
        (own, brokered, INSTALLATIONS),
        ("TOKEN#enterprise_sso", own, "/api/user/installations?provider=github"),
        ("TOKEN#enterprise_sso#gitlab", brokered, INSTALLATIONS),
        (own, "TOKEN#enterprise_sso#gitlab", INSTALLATIONS),
    ] {
        let kept = row(&running, &signed_in.user_id, to).await;
        let mut copy = row(&running, &signed_in.user_id, from).await;
        let whole = running.get(path).api_key(&signed_in).send().await;
        copy["sk"] = kept["sk"].clone();
        // As it is, and changed to look as if it belonged there.
        let mut dressed = copy.clone();
        for name in ["provider", "brokered", "version"] {
            dressed[name] = kept[name].clone();
        }
        for copy in [copy, dressed] {
            running.put_item(&copy).await;
            running.github().clear_calls();
            let answer = running.get(path).api_key(&signed_in).send().await;
            let partial = answer.header("x-partial-result").is_some();
            // A row that says that it is another is none of this host's, as if it were not there.
            let missing =
                answer.status == StatusCode::OK && answer.body != whole.body && path == INSTALLATIONS;
            assert!(partial || missing || answer.status.is_server_error(), "{from} {to}: {answer:?}");
            if to.ends_with("github") {
                assert!(running.github().calls().is_empty(), "{from} {to}: it was sent to GitHub");
            }
        }
        running.put_item(&kept).await;
        let answer = running.get(path).api_key(&signed_in).send().await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, whole.body), "{from} {to}");
    }
}

#[tokio::test]
async fn a_token_that_is_copied_to_another_user_does_not_open() {
    let running = start().await;
    let (victim, thief) = (running.browser(), running.browser());
    let victim = victim.sso_user("sso-cat").await;
    let attacker = thief.sso_user("sso-reader").await;
    for kind in ["TOKEN#enterprise_sso#github", "TOKEN#enterprise_sso"] {
        let kept = row(&running, &attacker.user_id, kind).await;
        let mut stolen = row(&running, &victim.user_id, kind).await;
        stolen["pk"] = kept["pk"].clone();
        running.put_item(&stolen).await;
        running.github().clear_calls();
        running.openid().clear_calls();
        if kind == "TOKEN#enterprise_sso" {
            // What it is needed for: the brokered token has ended.
            let mut ended = row(&running, &attacker.user_id, "TOKEN#enterprise_sso#github").await;
            ended["access_expires_at"] = json!({ "N": "1" });
            running.put_item(&ended).await;
        }
        let answer = running.get(INSTALLATIONS).api_key(&attacker).send().await;
        assert!(answer.status.is_server_error(), "{kind}: {answer:?}");
        assert!(running.github().calls().is_empty() && running.openid().calls().is_empty(), "{kind}");
        running.put_item(&kept).await;
    }
    // The ID token of a session: signing out does not show the other's to the issuer.
    let logins: Vec<Value> =
        running.items().await.into_iter().filter(|item| !item["sealed_id_token"].is_null()).collect();
    let of = |id: &str| logins.iter().find(|item| text(item, "user_id") == id).expect("a sign-in").clone();
    let (kept, mut stolen) = (of(&attacker.user_id), of(&victim.user_id));
    for name in ["pk", "sk"] {
        stolen[name] = kept[name].clone();
    }
    running.put_item(&stolen).await;
    let logout = thief.post("/auth/logout", None).await;
    assert_eq!((logout.status, &*logout.body), (StatusCode::NO_CONTENT, ""), "{logout:?}");
}
