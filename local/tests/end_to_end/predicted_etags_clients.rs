//! What becomes of a client's own `If-None-Match` beside the tag that we compute (RFC 9110, 13.1.2): 304 only for the
//! body that the client says to have, and for any other the body itself.

use http::{HeaderMap, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};

use crate::github_lab::LIST;
use crate::harness::{Answer, Running, start};
use crate::predicted_etags::{answered, ask, counted, next_token};

const OTHER: &str = "\"of-another-body\"";

async fn knowing(running: &Running, user: &DemoUser, tags: &str) -> Answer {
    running.get(LIST).api_key(user).header("If-None-Match", tags).send().await
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

fn assert_not_modified(answer: &Answer, why: &str) {
    assert_eq!((answer.status, &*answer.body), (StatusCode::NOT_MODIFIED, ""), "{why}: {answer:?}");
    assert_eq!(answer.header("content-type"), None, "{why}");
    for name in ["etag", "vary", "cache-control", "x-github-request-id", "x-ratelimit-limit"] {
        assert!(answer.header(name).is_some(), "{why}: {name} in {answer:?}");
    }
}

#[tokio::test]
async fn a_tag_of_an_earlier_token_is_304_while_the_body_is_the_same() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, LIST, &user).await;
    next_token(&running);
    answered(&running, LIST);
    for tags in [
        etag(&first),
        format!("W/{}", etag(&first).trim_start_matches("W/")),
        format!("{OTHER}, {}", etag(&first)),
    ] {
        let same = knowing(&running, &user, &tags).await;
        assert_not_modified(&same, &tags);
        assert_ne!(etag(&same), etag(&first), "it is today's");
        assert_eq!(answered(&running, LIST), [(304, true)], "{tags}");
    }
    let renamed = running.account("octo-org");
    running.github().world(|world| world.rename(renamed, "octo-renamed"));
    let changed = knowing(&running, &user, &etag(&first)).await;
    assert!(changed.status == StatusCode::OK && changed.body.contains("octo-renamed"), "{changed:?}");
}

#[tokio::test]
async fn todays_tag_is_the_clients_own_and_no_guess() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, LIST, &user).await;
    for _ in 0..2 {
        assert_not_modified(&knowing(&running, &user, &etag(&first)).await, "today's");
    }
    assert_eq!(counted(&running), (0, 0));
}

#[tokio::test]
async fn a_tag_of_another_body_is_answered_with_the_body_that_github_has_confirmed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, LIST, &user).await;
    next_token(&running);
    answered(&running, LIST);
    let other = knowing(&running, &user, OTHER).await;
    assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body));
    assert_eq!((answered(&running, LIST), counted(&running)), (vec![(304, true)], (1, 0)));
}

#[tokio::test]
async fn the_clients_newer_tag_is_304_though_our_copy_is_older() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    let copy = running.items_of("ANSWER#").await.remove(0);
    let renamed = running.account("octo-org");
    running.github().world(|world| world.rename(renamed, "octo-renamed"));
    let newer = ask(&running, LIST, &user).await;
    running.put_item(&copy).await;
    assert_not_modified(&knowing(&running, &user, &etag(&newer)).await, "the client's is today's");
    assert_eq!(counted(&running), (0, 2), "what was kept has changed");
    assert_eq!(ask(&running, LIST, &user).await.body, newer.body);
}

#[tokio::test]
async fn a_wildcard_goes_to_github_alone() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    ask(&running, LIST, &user).await;
    next_token(&running);
    let any = knowing(&running, &user, "*").await;
    assert_not_modified(&any, "whatever there is");
    assert_eq!(counted(&running), (0, 0));
}

#[tokio::test]
async fn a_304_that_does_not_say_of_what_is_asked_again_with_the_clients_tag_alone() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, LIST, &user).await;
    answered(&running, LIST);
    let silent = || FaultKind::Answer {
        status: StatusCode::NOT_MODIFIED,
        headers: HeaderMap::new(),
        body: String::new(),
    };
    running.github().fail(Fault::get(LIST, silent()).times(1));
    let other = knowing(&running, &user, OTHER).await;
    assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body));
    assert_eq!(answered(&running, LIST), [(304, true), (200, true)]);
    // Where ours was the only one, there is no doubt.
    running.github().fail(Fault::get(LIST, silent()).times(1));
    let again = ask(&running, LIST, &user).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    assert_eq!(again.header("x-ratelimit-used"), None, "the copy does not tell what another call has used");
    // The sandbox calls the body that this 304 does not have a plain text.
    assert_eq!(again.header("content-type"), first.header("content-type"), "the copy is of its own type");
    assert_eq!(answered(&running, LIST), [(304, true)]);
}

#[tokio::test]
async fn an_old_answer_without_vary_is_no_guess_and_the_next_one_is() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let first = ask(&running, LIST, &user).await;
    let mut copy = running.items_of("ANSWER#").await.remove(0);
    // As an earlier version of the service has kept it.
    let headers = copy["headers"]["L"].as_array_mut().unwrap();
    headers.retain(|pair| pair["L"][0]["S"] != "vary");
    running.put_item(&copy).await;
    running.wait(200);
    answered(&running, LIST);
    assert_eq!(ask(&running, LIST, &user).await.body, first.body);
    assert_eq!(ask(&running, LIST, &user).await.body, first.body);
    assert_eq!(answered(&running, LIST), [(200, false), (304, true)]);
}
