//! Two users at the enterprise SSO, who reach other accounts at the same hosts: nothing of one ever shows for the
//! other, whichever route is asked, and neither can end or become the other.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_openid::SandboxOpenid;
use serde_json::{Value, json};

use crate::harness::{Browser, Running};
use crate::sso_lab::{INSTALLATIONS, REPOSITORIES, start};
use crate::sso_logout::send;

const HOSTS: [&str; 3] = ["github", "gitlab", "bitbucket"];

/// Two who have nothing in common at any host.
async fn two(running: &Running) -> [DemoUser; 2] {
    with_other_accounts(running.openid());
    let cat = running.browser().sso_user("sso-cat").await;
    let other = running.browser().sso_user("sso-plain").await;
    assert_ne!(cat.user_id, other.user_id);
    [cat, other]
}

fn with_other_accounts(openid: &SandboxOpenid) {
    openid.world(|world| {
        let user = world.user_mut("sso-plain").expect("it is in the world");
        for (alias, login) in
            [("github", "forty-installations"), ("gitlab", "three-groups"), ("bitbucket", "large-workspaces")]
        {
            user.accounts.insert(alias.to_owned(), login.to_owned());
        }
    });
}

async fn list(running: &Running, user: &DemoUser, path: &str) -> Vec<Value> {
    let answer = running.get(path).api_key(user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    assert_eq!(answer.header("x-partial-result"), None, "{path}: {answer:?}");
    answer.json().as_array().expect("a list").clone()
}

async fn keys(running: &Running, user: &DemoUser, path: &str) -> BTreeSet<String> {
    let found = list(running, user, path).await;
    found
        .iter()
        .map(|one| {
            one.as_str().map_or_else(|| format!("{} {}", one["git_provider"], one["id"]), str::to_owned)
        })
        .collect()
}

async fn user_of(browser: &Browser<'_>) -> Value {
    browser.session().await["user_id"].clone()
}

#[tokio::test]
async fn each_is_shown_what_their_own_brokered_accounts_reach_also_when_both_ask_at_once() {
    let running = start().await;
    let [cat, other] = two(&running).await;
    let mut paths =
        vec![INSTALLATIONS.to_owned(), REPOSITORIES.to_owned(), "/api/user/repositories".to_owned()];
    for host in HOSTS {
        paths.push(format!("/api/user/installations?provider={host}"));
        paths.push(format!("/api/user/repositories?selected_provider={host}"));
    }
    for path in &paths {
        let (mine, theirs) = (keys(&running, &cat, path).await, keys(&running, &other, path).await);
        assert!(!mine.is_empty() && !theirs.is_empty() && mine.is_disjoint(&theirs), "{path}");
        let (again, others) = futures::join!(keys(&running, &cat, path), keys(&running, &other, path));
        assert_eq!((again, others), (mine, theirs), "{path}");
    }
    // The same after all that is brokered was fetched anew, by both at once.
    running.clock.advance(std::time::Duration::from_secs(9 * 3600));
    let before = futures::join!(keys(&running, &cat, REPOSITORIES), keys(&running, &other, REPOSITORIES));
    assert!(before.0.is_disjoint(&before.1));
}

#[tokio::test]
async fn an_installation_a_row_and_a_key_of_the_other_are_as_unknown_as_one_that_does_not_exist() {
    let running = start().await;
    let users = two(&running).await;
    for (user, of) in [(&users[0], &users[1]), (&users[1], &users[0])] {
        for installation in keys(&running, of, INSTALLATIONS).await.iter().take(50).step_by(7) {
            for host in HOSTS.into_iter().chain(["enterprise_sso"]) {
                let path = format!(
                    "/api/user/repositories?selected_provider={host}&installation_id={installation}&page=1"
                );
                let answer = running.get(&path).api_key(user).send().await;
                let refused = matches!(
                    answer.status,
                    StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY
                );
                assert!(refused || answer.json() == json!([]), "{path}: {answer:?}");
            }
        }
        let path = format!("/api/users/{}/installations", of.user_id);
        let rows = list(&running, of, &path).await;
        let row = &rows[0]["id"];
        let key = list(&running, of, "/api/keys").await[0]["id"].as_str().expect("an id").to_owned();
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::DELETE, format!("{path}/{row}")),
            (Method::DELETE, format!("/api/users/{}/installations/{row}", user.user_id)),
            (Method::GET, format!("{path}/{row}/imports")),
            (Method::GET, format!("/api/users/{}/installations/{row}/imports", user.user_id)),
            (Method::DELETE, format!("/api/keys/{key}")),
        ] {
            let answer = running.request(method.clone(), &path).api_key(user).send().await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:?}");
        }
        assert_eq!(list(&running, of, &path).await, rows);
    }
}

#[tokio::test]
async fn who_claims_the_same_address_gets_nothing_of_the_other() {
    let running = start().await;
    let (cat, namesake) = (running.browser(), running.browser());
    let user = cat.sso_user("sso-cat").await;
    let other = namesake.sso_user("sso-namesake").await;
    assert_ne!(user.user_id, other.user_id);
    for path in [INSTALLATIONS, REPOSITORIES, "/api/user/repositories"] {
        assert_eq!(list(&running, &other, path).await, Vec::<Value>::new(), "{path}");
        assert!(!list(&running, &user, path).await.is_empty(), "{path}");
    }
    let linked = namesake.session().await["providers"].as_array().expect("providers").len();
    assert_eq!(linked, 1, "the enterprise SSO only");
    let rows =
        running.get(&format!("/api/users/{}/installations", user.user_id)).api_key(&other).send().await;
    assert_eq!(rows.status, StatusCode::NOT_FOUND, "{rows:?}");
}

#[tokio::test]
async fn a_logout_token_of_one_ends_no_session_and_no_token_of_the_other() {
    let running = start().await;
    with_other_accounts(running.openid());
    let (cat, other) = (running.browser(), running.browser());
    cat.sso_sign_in("sso-cat").await;
    other.sso_sign_in("sso-plain").await;
    let (of_cat, id) = (user_of(&cat).await, user_of(&other).await);
    let tokens = async |id: &Value| {
        let user = crate::behind::user(id.as_str().expect("somebody is signed in"));
        running.stack.service.table.provider_tokens(&user).await.expect("the table answers")
    };
    let before = tokens(&id).await;
    // Of the session, of the subject, and of a session that is not the subject's: that is still one person's.
    let sid = {
        let mut sid = Value::Null;
        running.openid().logout_token("sso-plain", |_, claims| sid = claims["sid"].clone()).unwrap();
        sid
    };
    for change in ["sid", "sub", ""] {
        let token =
            running.openid().logout_token("sso-cat", |_, claims| drop(claims.remove(change))).unwrap();
        assert_eq!(send(&running, &token).await.status, StatusCode::OK, "without {change}");
        assert_eq!(user_of(&other).await, id, "without {change}");
        assert_eq!(tokens(&id).await, before, "without {change}");
        assert_eq!(cat.session().await["signed_in"], false, "without {change}");
        cat.sso_sign_in("sso-cat").await;
        assert_eq!(user_of(&cat).await, of_cat);
    }
    // And one that names nobody's session here.
    let foreign = running
        .openid()
        .logout_token("sso-cat", |_, claims| drop(claims.insert("sid".to_owned(), json!(format!("{sid}x")))))
        .unwrap();
    assert_eq!(send(&running, &foreign).await.status, StatusCode::OK);
    assert_eq!((user_of(&cat).await, user_of(&other).await), (of_cat, id));
}

#[tokio::test]
async fn a_session_of_one_does_not_become_the_others_by_the_others_callback() {
    let running = start().await;
    let (cat, attacker) = (running.browser(), running.browser());
    cat.sso_sign_in("sso-cat").await;
    let (id, cookie) = (user_of(&cat).await, cat.cookie("neptun-session"));
    // The attacker's own sign-in, finished in cat's browser: cat would work, and save, in the attacker's name.
    let callback = attacker.chosen("sso-plain").await;
    let answer = cat.get(&callback).await;
    assert_eq!(answer.header("x-error-code"), Some("state_missing"), "{answer:?}");
    assert_eq!((user_of(&cat).await, cat.cookie("neptun-session")), (id.clone(), cookie.clone()));
    // Cat's own, to which the attacker's code is tied.
    let own = cat.chosen("sso-cat").await;
    let code = |url: &str| crate::behind::parameter(url, "code");
    let mixed = own.replace(&crate::behind::encoded(&code(&own)), &crate::behind::encoded(&code(&callback)));
    assert_ne!(mixed, own);
    let answer = cat.get(&mixed).await;
    assert_eq!(answer.header("x-error-code"), Some("sign_in_failed"), "{answer:?}");
    assert_eq!((user_of(&cat).await, cat.cookie("neptun-session")), (id.clone(), cookie.clone()));
    // And even the attacker's whole sign-in, started in cat's browser, is refused: cat has another account there.
    let answer = cat.sso_sign_in("sso-plain").await;
    assert_eq!(answer.header("x-error-code"), Some("identity_of_another_user"), "{answer:?}");
    assert_eq!((user_of(&cat).await, cat.cookie("neptun-session")), (id, cookie));
}
