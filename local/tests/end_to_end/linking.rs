//! Linking another account to who is signed in: only where the user asks for it, not where another site's page sends
//! the browser, which may be signed in at the host as somebody else.

use http::StatusCode;

use crate::behind::{assert_page, encoded, parameter};
use crate::harness::{Browser, Running};
use crate::sso_lab::start;

const LOGIN: &str = "/auth/gitlab/login";

/// What the page asks the person to follow.
fn link_of(page: &str) -> String {
    let (_, rest) = page.split_once("<p><a href=\"").expect("the page has a link");
    rest.split_once('"').expect("it ends").0.replace("&amp;", "&")
}

async fn providers(browser: &Browser<'_>) -> usize {
    browser.session().await["providers"].as_array().expect("a list").len()
}

/// Chooses an account at GitLab and comes back with it.
async fn choose(browser: &Browser<'_>, authorize: &str) -> StatusCode {
    let (page, query) = authorize.split_once('?').expect("an authorize page takes a query");
    let chosen = browser.form(page, &format!("{query}&choice=gitlab-cat")).await;
    browser.get(chosen.location()).await.status
}

async fn signed_in(running: &Running) -> Browser<'_> {
    let browser = running.browser();
    browser.sign_in("octocat").await;
    browser
}

#[tokio::test]
async fn a_page_of_another_site_links_nothing_without_the_users_own_word() {
    let running = start().await;
    let browser = signed_in(&running).await;
    let items = running.items().await.len();
    for site in ["cross-site", "same-site", "none", "same-origin, cross-site", "SAME-ORIGIN", ""] {
        for path in [LOGIN, "/auth/github/login", "/auth/enterprise_sso/login"] {
            let asked = browser.get_from(site, path).await;
            assert_page(&asked, 200, "confirm_linking");
            assert!(asked.header("location").is_none(), "{site} {path}: {asked:?}");
        }
    }
    // A browser that does not say where it comes from, and a confirmation that is none.
    assert_page(&browser.get(LOGIN).await, 200, "confirm_linking");
    for confirmation in ["", "true", "AAAA", &"A".repeat(43), "%00"] {
        let asked = browser.get(&format!("{LOGIN}?confirmation={confirmation}")).await;
        assert_page(&asked, 200, "confirm_linking");
    }
    assert_eq!(running.items().await.len(), items, "a sign-in was started");
    assert_eq!(providers(&browser).await, 1);
}

#[tokio::test]
async fn who_follows_the_link_of_the_page_links_the_account_in_every_browser() {
    let running = start().await;
    for site in [Some("same-origin"), Some("cross-site"), None] {
        let browser = signed_in(&running).await;
        let path = format!("{LOGIN}?return_to={}", encoded("/conversations/1?a=b&c=%22d%22"));
        let asked = browser.get_from("cross-site", &path).await;
        assert_page(&asked, 200, "confirm_linking");
        let link = link_of(&asked.body);
        let started = match site {
            Some(site) => browser.get_from(site, &link).await,
            None => browser.get(&link).await,
        };
        assert_eq!(started.status, StatusCode::FOUND, "{site:?}: {started:?}");
        assert_eq!(choose(&browser, started.location()).await, StatusCode::SEE_OTHER);
        assert_eq!(providers(&browser).await, 2, "{site:?}");
        assert!(!started.location().contains(&parameter(&format!("http://localhost{link}"), "confirmation")));
    }
}

#[tokio::test]
async fn a_confirmation_is_of_one_session_and_one_provider() {
    let running = start().await;
    let (victim, attacker) = (signed_in(&running).await, signed_in(&running).await);
    let others = link_of(&attacker.get(LOGIN).await.body);
    assert_page(&victim.get(&others).await, 200, "confirm_linking");
    let own = link_of(&victim.get(LOGIN).await.body);
    assert_page(&victim.get(&own.replace("gitlab", "bitbucket")).await, 200, "confirm_linking");
    assert_eq!(victim.get(&own).await.status, StatusCode::FOUND);
    // A new session, such as the one after linking, wants a word of its own.
    victim.sign_in("octocat").await;
    assert_page(&victim.get(&own).await, 200, "confirm_linking");
}

#[tokio::test]
async fn who_is_not_signed_in_or_comes_from_our_own_page_is_not_asked() {
    let running = start().await;
    let stranger = running.browser();
    for site in ["cross-site", "none", "same-origin"] {
        assert_eq!(stranger.get_from(site, LOGIN).await.status, StatusCode::FOUND, "{site}");
    }
    let browser = signed_in(&running).await;
    assert_eq!(browser.get_from("same-origin", LOGIN).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_sign_in_that_another_site_began_before_the_user_signed_in_links_nothing() {
    let running = start().await;
    let browser = running.browser();
    let begun = browser.get_from("cross-site", LOGIN).await;
    browser.sign_in("octocat").await;
    let before = browser.session().await["user_id"].clone();
    choose(&browser, begun.location()).await;
    // The browser is the GitLab account's user now, and octocat has not got it.
    assert_ne!(browser.session().await["user_id"], before);
    assert_eq!(providers(&browser).await, 1);
}
