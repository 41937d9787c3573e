//! Signing in, from the link to the session: what the browser is sent, and where it ends up.
//!
//! The rows of the security table (reference: GitHub, 5.1) that concern `/auth`, and where they are proved:
//!
//! | rule | tests |
//! |---|---|
//! | state: bound to the browser, single use, ten minutes | `sign_in_state::{a_callback_without_a_state_of_this_browser_is_refused_before_github_is_asked, a_state_is_good_once, a_state_is_good_for_ten_minutes, of_many_callbacks_with_one_state_one_signs_in, who_merely_knows_a_state_cannot_use_it_up}` |
//! | PKCE S256 | `sign_in_state::{a_code_of_another_flow_does_not_fit_this_browsers_verifier, the_challenge_is_s256_and_the_verifier_is_in_no_url}` |
//! | login CSRF and session fixation | `sign_in_state::{a_session_that_was_set_before_is_not_the_session_afterwards, signing_in_again_ends_the_session_before}` |
//! | cookie: opaque, hashed, idle and absolute expiry, ended by logout | `session::{a_session_that_is_not_used_for_a_week_ends, no_session_lives_longer_than_thirty_days, logging_out_ends_the_session_and_removes_the_cookie}`, `stored_secrets::a_dump_of_the_table_signs_nobody_in` |
//! | SameSite=Lax for the flow's cookie | `a_sign_in_goes_out_to_github_and_comes_back_with_a_session` |
//! | errors show nothing of GitHub's; no-store | `sign_in_failures::*` (each through `assert_page`) |
//! | no open redirect after login | `a_return_to_that_could_lead_elsewhere_is_refused` |
//! | tokens are revoked at logout, failure tolerated | `session::{the_last_logout_revokes_the_token_at_github, a_logout_succeeds_when_github_fails_to_revoke}` |
//! | an installation id is anybody's word (5.2) | `setup::{a_victims_installation_is_refused_and_no_row_is_written, another_apps_installation_is_refused, a_member_who_may_only_read_is_no_admin, an_invited_owner_is_no_admin_before_accepting, a_demoted_owner_is_no_admin_any_more}` |

use http::StatusCode;

use crate::behind::{TOKEN_ENDPOINT, assert_page, encoded, granted, parameter, redacted};
use crate::harness::{Setup, start, without_ports};

#[tokio::test]
async fn a_sign_in_goes_out_to_github_and_comes_back_with_a_session() {
    let running = start().await;
    let browser = running.browser();
    let login = browser.get("/auth/github/login").await;
    insta::assert_snapshot!("login", redacted(&login));

    let back = browser.approve(login.location(), "octocat");
    let finished = browser.get(&back).await;
    insta::assert_snapshot!("callback", redacted(&finished));

    let session = browser.get(finished.location()).await;
    assert_eq!(session.status, StatusCode::OK, "{session:?}");
    insta::assert_json_snapshot!("session", session.json(), {
        ".user_id" => "[user]",
        ".providers[].linked_at" => "[date]",
        ".providers[].avatar_url" => insta::dynamic_redaction(|url, _| without_ports(url.as_str().unwrap_or_default())),
    });
    let cookies: Vec<String> = browser.cookie_header().split("; ").map(ToOwned::to_owned).collect();
    assert!(cookies.len() == 1 && cookies[0].starts_with("neptun-session="), "{cookies:?}");
    assert_eq!(running.token_calls(), 1);
}

#[tokio::test]
async fn behind_https_every_cookie_is_secure_and_the_flows_is_this_hosts_alone() {
    let running = Setup::default().setting("PUBLIC_URL", "https://git.example.com").start().await;
    let browser = running.browser();
    let login = browser.get("/auth/github/login").await;
    insta::assert_snapshot!("login_behind_https", redacted(&login));

    // The sandbox's App has no callback URL there, so its answers are given to it.
    running.token_endpoint_answers(&granted(&running.github().mint_user_token("octocat")));
    let back = format!("/auth/github/callback?code=any&state={}", parameter(login.location(), "state"));
    // A cookie that another host of the domain could have set is none.
    let set_by_others = browser.cookie_header().replace("__Host-", "");
    let refused = running.get(&back).header("Cookie", &set_by_others).send().await;
    assert_page(&refused, 400, "state_missing");

    let finished = browser.get(&back).await;
    insta::assert_snapshot!("callback_behind_https", redacted(&finished));
    let out = running
        .post("/auth/logout")
        .header("Cookie", &browser.cookie_header())
        .header("Origin", "https://git.example.com")
        .send()
        .await;
    insta::assert_snapshot!("logout_behind_https", redacted(&out));
}

#[tokio::test]
async fn the_sessions_cookie_is_named_by_the_setting() {
    let running = Setup::default().setting("SESSION_COOKIE_NAME", "sid").start().await;
    let browser = running.browser();
    browser.sign_in("octocat").await;
    assert!(browser.cookie_header().starts_with("sid="), "{}", browser.cookie_header());
    assert_eq!(browser.get("/auth/session").await.json()["signed_in"], true);
}

#[tokio::test]
async fn a_sign_in_ends_where_it_was_asked_to() {
    let running = start().await;
    for path in ["/", "/conversations/1?tab=files#top", "/a?next=//elsewhere"] {
        let browser = running.browser();
        let login = format!("/auth/github/login?return_to={}", encoded(path));
        let authorize = browser.start_sign_in(&login).await;
        let finished = browser.get(&browser.approve(&authorize, "octocat")).await;
        assert_eq!((finished.status, finished.location()), (StatusCode::SEE_OTHER, path));
    }
}

#[tokio::test]
async fn a_return_to_that_could_lead_elsewhere_is_refused() {
    let running = start().await;
    let long = format!("/{}", "a".repeat(2048));
    for path in [
        "",
        "evil",
        "//evil",
        "///evil",
        "/\\evil",
        "\\\\evil",
        "https:evil",
        "https://evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\t/evil",
        "/\r\nSet-Cookie: a=b",
        "/\n/evil",
        " /a",
        "/é",
        "/%2f/evil",
        "/%5cevil",
        "/%0d%0aSet-Cookie:%20a=b",
        "/\0",
        &long,
    ] {
        let answer = running.get(&format!("/auth/github/login?return_to={}", encoded(path))).send().await;
        assert_page(&answer, 400, "invalid_request");
        assert!(answer.body.contains("return_to"), "{path:?}: {answer:?}");
        assert!(answer.header("location").is_none(), "{path:?}: {answer:?}");
    }
    // Of two, the one that counts is the one that is looked at.
    let two = running.get("/auth/github/login?return_to=/a&return_to=//evil").send().await;
    assert_page(&two, 400, "invalid_request");
    assert!(running.items().await.is_empty(), "a refused sign-in was started");
}

#[tokio::test]
async fn providers_that_are_not_set_up_say_so_and_others_are_not_found() {
    let running = start().await;
    for provider in ["gitlab", "bitbucket", "enterprise_sso"] {
        for step in ["login", "callback?code=c&state=s"] {
            let answer = running.get(&format!("/auth/{provider}/{step}")).send().await;
            assert_page(&answer, 404, "provider_not_configured");
        }
    }
    for path in
        ["/auth/myspace/login", "/auth/GitHub/login", "/auth/github%00/login", "/auth/%67itlab%2f/login"]
    {
        let answer = running.get(path).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
        assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none(), "{path}");
    }
    assert!(running.github().calls().iter().all(|call| call.path != TOKEN_ENDPOINT));
}
