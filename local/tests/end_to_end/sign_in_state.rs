//! `state` and PKCE: only the browser that has begun a sign-in can end it, once, within ten minutes.
//! Whatever else comes back is refused before GitHub is asked for anything.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use ring::digest::{SHA256, digest};
use url::Url;

use crate::behind::{assert_page, parameter};
use crate::harness::{Browser, Running, start};

const LOGIN: &str = "/auth/github/login";

/// A sign-in that GitHub has approved: the address to come back to.
async fn approved(browser: &Browser<'_>, login: &str) -> String {
    let authorize = browser.start_sign_in(LOGIN).await;
    browser.approve(&authorize, login)
}

async fn is_signed_in(running: &Running, cookie: &str) -> bool {
    let session = running.get("/auth/session").header("Cookie", cookie).send().await;
    session.json()["signed_in"] == true
}

#[tokio::test]
async fn a_callback_without_a_state_of_this_browser_is_refused_before_github_is_asked() {
    let running = start().await;
    let browser = running.browser();
    let back = approved(&browser, "octocat").await;
    let (code, state) = (parameter(&back, "code"), parameter(&back, "state"));
    let other = running.browser();
    let others = parameter(&other.start_sign_in(LOGIN).await, "state");
    let never_given = "A".repeat(43);
    for query in [
        format!("code={code}"),
        format!("code={code}&state="),
        format!("code={code}&state=rubbish"),
        format!("code={code}&state={state}A"),
        format!("code={code}&state=%00%0d%0a"),
        format!("code={code}&state={}", "A".repeat(4000)),
        format!("code={code}&state={never_given}"),
        format!("code={code}&state={others}"),
        format!("code={code}&state={state}&state={others}"),
        format!("error=access_denied&state={others}"),
        String::new(),
    ] {
        let answer = browser.get(&format!("/auth/github/callback?{query}")).await;
        assert_page(&answer, 400, "state_missing");
    }
    assert_eq!(running.token_calls(), 0);
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER, "the sign-in itself is untouched");
}

#[tokio::test]
async fn who_merely_knows_a_state_cannot_use_it_up() {
    let running = start().await;
    let browser = running.browser();
    let back = approved(&browser, "octocat").await;
    let thief = running.browser();
    // With no cookie, with one of an own sign-in, and with one made up in the right name.
    assert_page(&thief.get(&back).await, 400, "state_missing");
    thief.start_sign_in(LOGIN).await;
    assert_page(&thief.get(&back).await, 400, "state_missing");
    let (name, _) =
        browser.cookie_header().split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
    thief.set_cookie(&name, &"A".repeat(43));
    assert_page(&thief.get(&back).await, 400, "state_missing");
    assert_eq!(running.token_calls(), 0);
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_state_is_good_once() {
    let running = start().await;
    let browser = running.browser();
    let back = approved(&browser, "octocat").await;
    let binding = browser.cookie_header();
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    let again = running.get(&path_of(&back)).header("Cookie", &binding).send().await;
    assert_page(&again, 400, "state_reused");
    assert_eq!(running.token_calls(), 1);
    // The browser's own cookie is gone with the sign-in: the address in its history is worth nothing.
    assert_page(&browser.get(&back).await, 400, "state_missing");
    assert_eq!(running.token_calls(), 1);
}

#[tokio::test]
async fn of_many_callbacks_with_one_state_one_signs_in() {
    let running = start().await;
    let browser = running.browser();
    let back = approved(&browser, "octocat").await;
    let attempts: Vec<_> = (0..8)
        .map(|_| running.get(&path_of(&back)).header("Cookie", &browser.cookie_header()).send())
        .map(tokio::spawn)
        .collect();
    let mut signed_in = 0;
    for attempt in attempts {
        let answer = attempt.await.unwrap();
        if answer.status == StatusCode::SEE_OTHER {
            signed_in += 1;
        } else {
            assert_page(&answer, 400, "state_reused");
        }
    }
    assert_eq!((signed_in, running.token_calls()), (1, 1));
}

#[tokio::test]
async fn a_state_is_good_for_ten_minutes() {
    let running = start().await;
    let (in_time, late) = (running.browser(), running.browser());
    let authorize = (in_time.start_sign_in(LOGIN).await, late.start_sign_in(LOGIN).await);
    running.clock.advance(Duration::from_secs(595));
    let answer = in_time.get(&in_time.approve(&authorize.0, "octocat")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    running.github().clear_calls();
    running.clock.advance(Duration::from_secs(6));
    let back = late.approve(&authorize.1, "octocat");
    assert_page(&late.get(&back).await, 400, "state_expired");
    running.clock.advance(Duration::from_secs(3600));
    assert_eq!(late.get(&back).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(running.token_calls(), 0);
}

#[tokio::test]
async fn a_late_browser_still_has_the_cookie_that_tells_it_was_late() {
    let running = start().await;
    let login = running.get(LOGIN).send().await;
    let cookie = login.header("set-cookie").unwrap();
    let age = cookie.split("; ").find_map(|part| part.strip_prefix("Max-Age=")).unwrap();
    assert!(age.parse::<u32>().unwrap() > 600, "{cookie}");
}

#[tokio::test]
async fn a_code_of_another_flow_does_not_fit_this_browsers_verifier() {
    let running = start().await;
    let (victim, attacker) = (running.browser(), running.browser());
    let stolen = parameter(&approved(&victim, "octocat").await, "code");
    let own = parameter(&attacker.start_sign_in(LOGIN).await, "state");
    let answer = attacker.get(&format!("/auth/github/callback?code={stolen}&state={own}")).await;
    assert_page(&answer, 502, "sign_in_failed");
    assert_eq!(running.token_calls(), 1, "GitHub was asked, and saw that the verifier is another's");
    assert!(!is_signed_in(&running, &attacker.cookie_header()).await);
    assert!(running.items_of("TOKEN#").await.is_empty());
}

#[tokio::test]
async fn the_challenge_is_s256_and_the_verifier_is_in_no_url() {
    let running = start().await;
    let browser = running.browser();
    let authorize = browser.start_sign_in(LOGIN).await;
    assert_eq!(parameter(&authorize, "code_challenge_method"), "S256");
    let challenge = parameter(&authorize, "code_challenge");
    assert_eq!(challenge.len(), 43);
    let back = browser.approve(&authorize, "octocat");
    let finished = browser.get(&back).await;

    let called = running.github().calls();
    assert!(called.iter().any(|call| call.path == crate::behind::TOKEN_ENDPOINT && call.query.is_empty()));
    let urls = called.iter().map(|call| format!("http://localhost{}?{}", call.path, call.query));
    for url in urls.chain([authorize, back, format!("http://localhost{}", finished.location())]) {
        for (name, value) in Url::parse(&url).unwrap().query_pairs() {
            let hashed = URL_SAFE_NO_PAD.encode(digest(&SHA256, value.as_bytes()));
            assert_ne!(hashed, challenge, "{name} of {url} is the verifier");
        }
    }
}

#[tokio::test]
async fn every_sign_in_has_a_state_and_a_challenge_of_its_own() {
    let running = start().await;
    let browser = running.browser();
    let first = browser.start_sign_in(LOGIN).await;
    let second = browser.start_sign_in(LOGIN).await;
    for name in ["state", "code_challenge"] {
        let (first, second) = (parameter(&first, name), parameter(&second, name));
        // 43 characters of base64url are 256 bits, twice what is asked for.
        assert!(first != second && first.len() == 43, "{name}: {first}, {second}");
    }
}

#[tokio::test]
async fn two_tabs_may_sign_in_at_once() {
    let running = start().await;
    let browser = running.browser();
    let first = approved(&browser, "octocat").await;
    let second = approved(&browser, "octocat").await;
    for back in [second, first] {
        let finished = browser.get(&back).await;
        assert_eq!(finished.status, StatusCode::SEE_OTHER, "{finished:?}");
        assert!(is_signed_in(&running, &browser.cookie_header()).await);
    }
}

#[tokio::test]
async fn a_session_that_was_set_before_is_not_the_session_afterwards() {
    let running = start().await;
    let browser = running.browser();
    let planted = "B".repeat(43);
    browser.set_cookie("neptun-session", &planted);
    browser.sign_in("octocat").await;
    assert!(is_signed_in(&running, &browser.cookie_header()).await);
    assert_ne!(browser.cookie("neptun-session").unwrap(), planted);
    assert!(!is_signed_in(&running, &format!("neptun-session={planted}")).await);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let running = start().await;
    let browser = running.browser();
    browser.sign_in("octocat").await;
    let before = browser.cookie_header();
    let answer = browser.sign_in("octocat").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert!(is_signed_in(&running, &browser.cookie_header()).await);
    assert!(!is_signed_in(&running, &before).await);
}

fn path_of(url: &str) -> String {
    let url = Url::parse(url).unwrap();
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}
