//! Flows of people and their programs: signing in and out, keys, tokens, lists, rows.

use std::time::Duration;

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use local::demo_user::link;
use local::sandbox_github::{Selection, Target};
use serde_json::json;

use crate::bench::Bench;
use crate::flows::Again::{Anew, Same, Spent};
use crate::flows::{Family, Flow, Request, Step, at_three_hosts, get, octocat, path_at, request};

/// So long that the next use of a key or a session is noted.
const PAUSE: Duration = Duration::from_secs(11 * 60);
const THREE_HOURS: Duration = Duration::from_secs(3 * 3_600);
const NINE_HOURS: Duration = Duration::from_secs(9 * 3_600);

const LIST: &str = "/api/user/repositories";

macro_rules! flow {
    ($name:literal, $function:literal, $family:ident, $again:expr, $acknowledges:literal, |$bench:ident| $prepare:expr) => {
        Flow {
            name: $name,
            function: $function,
            family: Family::$family,
            prepare: |$bench: &Bench| Box::pin($prepare),
            again: $again,
            acknowledges: $acknowledges,
        }
    };
}
pub(crate) use flow;

/// The browser's way to the host and back: the address that it is sent to, as this user there.
async fn chosen(bench: &Bench, session: Option<&DemoUser>, provider: &str, login: &str) -> Request {
    let running = &bench.running;
    let browser = running.browser();
    if let Some(user) = session {
        browser.set_cookie("neptun-session", &user.session_cookie);
    }
    let authorize = browser.start_sign_in(&format!("/auth/{provider}/login")).await;
    let back = if provider == "github" {
        browser.approve(&authorize, login)
    } else {
        let (page, query) = authorize.split_once('?').unwrap();
        let chosen = browser.form(page, &format!("{query}&choice={login}")).await;
        assert_eq!(chosen.status, StatusCode::FOUND, "{chosen:?}");
        chosen.location().to_owned()
    };
    get(path_at(running, &back)).header("Cookie", browser.cookie_header())
}

async fn callback(bench: &Bench, provider: &str, login: &str) -> Step {
    chosen(bench, None, provider, login).await.step()
}

async fn listed(bench: &Bench, user: &DemoUser, path: &str) {
    let answer = bench.running.get(path).api_key(user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// A list at one host, whose token has ended.
async fn after_the_end(bench: &Bench, provider: &str, later: Duration) -> Step {
    let user = at_three_hosts(&bench.running).await;
    bench.running.clock.advance(later);
    get(format!("/api/user/installations?provider={provider}")).key(&user).step()
}

async fn end_last_key(bench: &Bench, user: &DemoUser) {
    let running = &bench.running;
    let keys = running.get("/api/keys").api_key(user).send().await.json();
    let path = format!("/api/keys/{}", keys[0]["id"].as_str().unwrap());
    assert_eq!(running.delete(&path).api_key(user).send().await.status, StatusCode::NO_CONTENT);
}

fn logout(bench: &Bench, user: &DemoUser) -> Step {
    request(Method::POST, "/auth/logout").session(bench, user).step()
}

fn rows(user: &DemoUser) -> String {
    format!("/api/users/{}/installations", user.user_id)
}

async fn first_row(bench: &Bench, user: &DemoUser) -> String {
    let rows = bench.running.get(&rows(user)).api_key(user).send().await.json();
    rows[0]["id"].to_string()
}

async fn sso_user(bench: &Bench, login: &str) -> DemoUser {
    let user = octocat(&bench.running).await;
    link(&bench.running.stack, &user, "enterprise_sso", login).await.unwrap()
}

/// A form, as the issuer sends its logout tokens.
async fn logout_token(bench: &Bench) -> Step {
    sso_user(bench, "sso-cat").await;
    let hosts = bench.running.stack.other_hosts.as_ref().unwrap();
    let token = hosts.openid.logout_token("sso-cat", |_, _| {}).unwrap();
    let mut request = request(Method::POST, "/auth/enterprise_sso/backchannel-logout")
        .header("content-type", "application/x-www-form-urlencoded");
    request.body = format!("logout_token={token}").into_bytes();
    request.step()
}

pub(crate) fn flows() -> Vec<Flow> {
    let mut all = sign_ins();
    all.extend(vec![
        flow!("the session", "sign-in", Auth, Same(&["200"]), false, |bench| async move {
            let user = octocat(&bench.running).await;
            bench.running.clock.advance(PAUSE);
            get("/auth/session").session(bench, &user).step()
        }),
        flow!("sign-out, a key stays", "sign-in", Auth, Same(&["204"]), true, |bench| async move {
            let user = octocat(&bench.running).await;
            listed(bench, &user, LIST).await;
            logout(bench, &user)
        }),
        flow!("sign-out, the last", "sign-in", Auth, Same(&["204"]), true, |bench| async move {
            let user = octocat(&bench.running).await;
            listed(bench, &user, LIST).await;
            end_last_key(bench, &user).await;
            logout(bench, &user)
        }),
        flow!(
            "sign-out from enterprise SSO",
            "sign-in",
            Auth,
            Same(&["200", "204"]),
            true,
            |bench| async move {
                let user = sso_user(bench, "sso-cat").await;
                logout(bench, &user)
            }
        ),
        // What was dealt with before it failed is told as a replay.
        flow!("logout token", "sign-in", Auth, Same(&["200", "400"]), true, |bench| logout_token(bench)),
        flow!("list of keys", "connections", OpenHands, Same(&["200"]), false, |bench| async move {
            let user = octocat(&bench.running).await;
            bench.running.clock.advance(PAUSE);
            get("/api/keys").key(&user).step()
        }),
        flow!("new key", "connections", OpenHands, Same(&["201"]), true, |bench| async move {
            let user = octocat(&bench.running).await;
            request(Method::POST, "/api/keys").key(&user).json(&json!({"name": "laptop"})).step()
        }),
        flow!("end of a key", "connections", OpenHands, Same(&["204", "404"]), true, |bench| async move {
            let running = &bench.running;
            let user = octocat(running).await;
            let made = running.post("/api/keys").api_key(&user).json(&json!({"name": "laptop"})).send().await;
            let path = format!("/api/keys/{}", made.json()["id"].as_str().unwrap());
            request(Method::DELETE, path).key(&user).step()
        }),
        flow!(
            "tokens that a user brings",
            "connections",
            OpenHands,
            Same(&["200"]),
            true,
            |bench| async move {
                let running = &bench.running;
                let user = octocat(running).await;
                let hosts = running.stack.other_hosts.as_ref().unwrap();
                let token = |provider, login| hosts.personal_token(provider, login).unwrap();
                let tokens = json!({"provider_tokens": {
                    "gitlab": {"token": token("gitlab", "gitlab-cat")},
                    "bitbucket": {"token": token("bitbucket", "bitbucket-cat")},
                }});
                request(Method::POST, "/api/add-git-providers").key(&user).json(&tokens).step()
            }
        ),
        flow!(
            "tokens that a user takes away",
            "connections",
            OpenHands,
            Same(&["200"]),
            true,
            |bench| async move {
                let user = at_three_hosts(&bench.running).await;
                listed(bench, &user, LIST).await;
                listed(bench, &user, "/user/installations").await;
                request(Method::POST, "/api/unset-provider-tokens").key(&user).step()
            }
        ),
        flow!(
            "list of installations",
            "user-installations",
            OpenHands,
            Same(&["200"]),
            false,
            |bench| async move {
                let user = octocat(&bench.running).await;
                get("/api/user/installations?provider=github").key(&user).step()
            }
        ),
        flow!(
            "list of all repositories",
            "user-repositories",
            OpenHands,
            Same(&["200"]),
            false,
            |bench| async move {
                let user = at_three_hosts(&bench.running).await;
                get(LIST).key(&user).step()
            }
        ),
        flow!(
            "the same list again",
            "user-repositories",
            OpenHands,
            Same(&["200"]),
            false,
            |bench| async move {
                let user = at_three_hosts(&bench.running).await;
                listed(bench, &user, LIST).await;
                get(LIST).key(&user).step()
            }
        ),
        flow!(
            "rows of the mapping",
            "mapped-installations",
            Neptun,
            Same(&["200"]),
            true,
            |bench| async move {
                let user = octocat(&bench.running).await;
                get(rows(&user)).key(&user).step()
            }
        ),
        flow!("import of a row", "mapped-installations", Neptun, Same(&["200"]), false, |bench| async move {
            let user = octocat(&bench.running).await;
            get(format!("{}/{}/imports", rows(&user), first_row(bench, &user).await)).key(&user).step()
        }),
        flow!(
            "end of a row",
            "mapped-installations",
            Neptun,
            Same(&["200", "404"]),
            true,
            |bench| async move {
                let user = octocat(&bench.running).await;
                listed(bench, &user, "/user/installations").await;
                let path = format!("{}/{}", rows(&user), first_row(bench, &user).await);
                request(Method::DELETE, path).key(&user).step()
            }
        ),
    ]);
    all.extend(renewals());
    all
}

fn sign_ins() -> Vec<Flow> {
    vec![
        flow!("start of a sign-in", "sign-in", Auth, Same(&["302"]), true, |bench| async move {
            let _ = bench;
            get("/auth/github/login").step()
        }),
        flow!("first sign-in at GitHub", "sign-in", Auth, Anew, false, |bench| callback(
            bench, "github", "octocat"
        )),
        flow!("sign-in at GitHub again", "sign-in", Auth, Anew, false, |bench| async move {
            octocat(&bench.running).await;
            callback(bench, "github", "octocat").await
        }),
        flow!("first sign-in at GitLab", "sign-in", Auth, Anew, true, |bench| callback(
            bench,
            "gitlab",
            "gitlab-cat"
        )),
        flow!("first sign-in at Bitbucket", "sign-in", Auth, Anew, true, |bench| callback(
            bench,
            "bitbucket",
            "bitbucket-cat"
        )),
        flow!("first sign-in at enterprise SSO", "sign-in", Auth, Anew, false, |bench| callback(
            bench,
            "enterprise_sso",
            "sso-cat"
        )),
        flow!("account linked to a user", "sign-in", Auth, Anew, true, |bench| {
            async move {
                let user = octocat(&bench.running).await;
                chosen(bench, Some(&user), "gitlab", "gitlab-cat").await.step()
            }
        }),
        flow!("installation set up", "sign-in", Auth, Same(&["303"]), true, |bench| async move {
            let running = &bench.running;
            let user = running.sign_in("newcomer").await;
            let id = running.github().world(|world| {
                let newcomer = world.user("newcomer").unwrap().id;
                world.install(Target::Account(newcomer), Selection::All).0
            });
            let path = format!("/auth/github/setup?installation_id={id}&setup_action=install");
            get(path).session(bench, &user).step()
        }),
    ]
}

fn renewals() -> Vec<Flow> {
    // Where the new pair cannot be kept, the host's token is lost, and the user signs in there again.
    const AGAIN: &[&str] = &["200", "401"];
    vec![
        flow!("renewal at GitHub", "user-installations", OpenHands, Spent(AGAIN), false, |bench| {
            after_the_end(bench, "github", NINE_HOURS)
        }),
        flow!("renewal at GitLab", "user-installations", OpenHands, Spent(AGAIN), false, |bench| {
            after_the_end(bench, "gitlab", THREE_HOURS)
        }),
        flow!("renewal at Bitbucket", "user-installations", OpenHands, Spent(AGAIN), false, |bench| {
            after_the_end(bench, "bitbucket", THREE_HOURS)
        }),
        flow!(
            "renewal at the broker",
            "user-installations",
            OpenHands,
            Spent(AGAIN),
            false,
            |bench| async move {
                let user = sso_user(bench, "sso-cat").await;
                bench.running.clock.advance(NINE_HOURS);
                get("/api/user/installations?provider=enterprise_sso").key(&user).step()
            }
        ),
    ]
}
