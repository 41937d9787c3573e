//! `GET /users/{username}/installation` for users, who may ask about themselves only (DESIGN 3; reference:
//! GitHub 1.2, 5.1). The App's own calls are in `app_jwt`.

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_github::{Enterprise, EnterpriseId, Selection, Target};

use crate::github_lab::{LIST, app_jwt, claims, github_message};
use crate::harness::{Answer, Running, start};

fn path(login: &str) -> String {
    format!("/users/{login}/installation")
}

async fn ask(running: &Running, login: &str, user: &DemoUser) -> Answer {
    running.get(&path(login)).api_key(user).send().await
}

/// To a user, not installed, not existing and not theirs look the same.
fn assert_not_found(answer: &Answer, why: &str) {
    let form = "404 Not Found\n\
                cache-control: no-store\n\
                content-type: application/json; charset=utf-8\n\
                vary: Cookie, Authorization, X-Session-API-Key\n\
                x-content-type-options: nosniff\n\n\
                {\"message\":\"Not Found\",\"documentation_url\":\"https://docs.github.com/rest\",\"status\":\"404\"}";
    assert_eq!(answer.wire(), form, "{why}");
}

#[tokio::test]
async fn the_own_login_in_any_case_is_githubs_own_answer() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let jwt = app_jwt(&claims(&running.clock));
    let theirs = running.directly(&path("octocat"), &format!("Bearer {jwt}")).await;
    for login in ["octocat", "OctoCat", "OCTOCAT"] {
        for answer in
            [ask(&running, login, &user).await, running.get(&path(login)).session(&user).send().await]
        {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            assert_eq!(answer.body, theirs.body);
        }
    }
    running.github().reset_rate_limits();
    let wire = ask(&running, "octocat", &user).await.wire();
    insta::assert_snapshot!(wire.split_once("\n\n").unwrap().0);
}

#[tokio::test]
async fn another_login_is_not_found_exactly_like_one_that_does_not_exist() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for login in ["big-installation", "nobody-at-all", "octo-org", "reader", "newcomer", "octocat-", "0"] {
        for answer in
            [ask(&running, login, &user).await, running.get(&path(login)).session(&user).send().await]
        {
            assert_not_found(&answer, login);
        }
    }
    assert!(running.paths().iter().all(|path| path == "/user"), "no login of others was looked up");
}

#[tokio::test]
async fn the_own_login_without_an_installation_is_not_found_in_the_same_way() {
    let running = start().await;
    let newcomer = running.sign_in("newcomer").await;
    assert_not_found(&ask(&running, "newcomer", &newcomer).await, "never installed");
    let octocat = running.sign_in("octocat").await;
    let installation = running.installation("octocat");
    running.github().world(|world| world.uninstall(installation));
    assert_not_found(&ask(&running, "octocat", &octocat).await, "uninstalled");
}

#[tokio::test]
async fn after_a_rename_the_old_login_finds_the_known_installation() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let (account, installation) = (running.account("octocat"), running.installation("octocat"));
    running.github().world(|world| world.rename(account, "tentacle"));
    let old = ask(&running, "octocat", &user).await;
    assert_eq!(old.status, StatusCode::OK, "{old:?}");
    assert_eq!(
        (&old.json()["id"], &old.json()["account"]["login"]),
        (&installation.0.into(), &"tentacle".into())
    );
    assert_eq!(running.paths(), [path("octocat"), format!("/app/installations/{installation}")]);
}

#[tokio::test]
async fn after_a_rename_the_new_login_works_and_is_remembered() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let account = running.account("octocat");
    running.github().world(|world| world.rename(account, "tentacle"));
    assert_eq!(ask(&running, "Tentacle", &user).await.status, StatusCode::OK);
    assert_eq!(running.paths(), ["/user".to_owned(), path("Tentacle")]);
    running.github().clear_calls();
    assert_eq!(ask(&running, "tentacle", &user).await.status, StatusCode::OK);
    assert_eq!(running.paths(), [path("tentacle")], "GitHub is not asked again who this is");
    assert_not_found(&ask(&running, "octocat", &user).await, "the old login is not theirs any more");
}

#[tokio::test]
async fn an_old_login_that_somebody_else_registered_shows_nothing_of_theirs() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let account = running.account("octocat");
    let theirs = running.github().world(|world| {
        world.rename(account, "tentacle");
        let squatter = world.add_user("octocat", "Registered the login that became free");
        world.install(Target::Account(squatter), Selection::All)
    });
    assert_not_found(&ask(&running, "octocat", &user).await, "it is somebody else's");
    let everything = running.get(&path("octocat")).api_key(&user).header("If-None-Match", "\"x\", *");
    assert_not_found(&everything.send().await, "a wildcard matches whatever exists");
    running.github().world(|world| world.uninstall(theirs));
    let fallback = ask(&running, "octocat", &user).await;
    assert_eq!(fallback.json()["account"]["id"], account.0, "{fallback:?}");
}

#[tokio::test]
async fn an_enterprise_of_the_same_number_is_not_the_users_own_account() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let account = running.account("octocat");
    let own = running.installation("octocat");
    running.github().world(|world| {
        let id = EnterpriseId(account.0);
        let enterprise = Enterprise {
            id,
            slug: "same-number".to_owned(),
            name: "Same Number".to_owned(),
            members: [account].into(),
        };
        world.enterprises.insert(id, enterprise);
        world.install(Target::Enterprise(id), Selection::All);
    });
    running.get(LIST).api_key(&user).send().await;
    assert!(running.shown_rows(&user).await.iter().any(|row| row["github_account_name"] == "same-number"));
    running.github().world(|world| world.rename(account, "tentacle"));
    assert_eq!(ask(&running, "octocat", &user).await.json()["id"], own.0);
    running.github().world(|world| world.uninstall(own));
    assert_not_found(&ask(&running, "octocat", &user).await, "only the enterprise is installed");
}

#[tokio::test]
async fn a_known_etag_is_304_for_the_own_login_too() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, "octocat", &user).await;
    let etag = first.header("etag").expect("an ETag").to_owned();
    let again = running.get(&path("octocat")).api_key(&user).header("If-None-Match", &etag).send().await;
    assert_eq!((again.status, &*again.body), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.header("x-ratelimit-used"), first.header("x-ratelimit-used"));
}

#[tokio::test]
async fn a_user_whose_sign_in_ended_learns_nothing_about_other_logins() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.wait(10);
    running.github().revoke_grant("octocat");
    for login in ["big-installation", "nobody-at-all"] {
        assert_not_found(&ask(&running, login, &user).await, login);
    }
}

#[tokio::test]
async fn who_proves_nothing_is_401_and_github_is_not_asked() {
    let running = start().await;
    let user_token = running.github().mint_user_token("octocat").access_token;
    running.github().clear_calls();
    insta::assert_snapshot!(running.get(&path("octocat")).send().await.wire());
    for (name, value) in [
        ("Authorization", format!("Bearer {user_token}")),
        ("Authorization", format!("token {user_token}")),
        ("Authorization", "Bearer ghs_installation".to_owned()),
        ("Authorization", "Basic b2N0b2NhdDp4".to_owned()),
        ("X-Session-API-Key", "gik_unknown".to_owned()),
        ("Cookie", format!("neptun-session={}", "A".repeat(43))),
    ] {
        // The caller comes before the parameters.
        for path in [path("octocat"), path("-no-login")] {
            let answer = running.get(&path).header(name, &value).send().await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {name}: {value}");
            assert_eq!(github_message(&answer), "Bad credentials", "{name}: {value}");
        }
    }
    assert_eq!(running.paths(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_a_login_is_404_that_names_the_field_and_github_is_not_asked() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let forty = "a".repeat(40);
    for login in [
        "%2f",
        "..%2foctocat",
        "octocat%2f..%2f..%2fapp",
        "octocat%3fx=1",
        "octocat%23",
        "octo%20cat",
        "octocat%00",
        "%C3%B6ctocat",
        "%E2%80%8Boctocat",
        "%ef%bc%8e%ef%bc%8e",
        "-a",
        "a.b",
        "%2e%2e",
        "..",
        &forty,
    ] {
        let answer = running.get_as_written(&path(login), &user).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{login}: {answer:?}");
        assert!(
            github_message(&answer).starts_with("Not Found: username must be 1 to 39 letters"),
            "{answer:?}"
        );
    }
    let longest = "a".repeat(39);
    assert_not_found(&ask(&running, &longest, &user).await, "a login that could be");
    running.github().clear_calls();
    // These are no paths of the API at all, so that API Gateway answers them itself.
    for path in ["/users//installation", "/users/a/b/installation", "/users/octocat%2finstallation"] {
        let answer = running.get_as_written(path, &user).await;
        assert_eq!(
            (answer.status, &*answer.body),
            (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#),
            "{path}"
        );
    }
    assert_eq!(running.paths(), [""; 0]);
}
