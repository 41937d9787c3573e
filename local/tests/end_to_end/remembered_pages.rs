//! What a repeated listing costs, what it shows after something changed, and when what was remembered is gone.
//! That no history of changes leads it astray is the business of the tests in `listings`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use local::aws::hook;
use local::sandbox_github::{Fault, FaultKind, Selection, Target};
use local::{data_folder::DemoUser, demo_user::link};

use crate::behind::text;
use crate::harness::{Answer, Running, Setup, start};
use crate::openhands::{INSTALLATIONS, OCTOCAT, REPOSITORIES, world_with_installations};

const GITHUB: &str = "/api/user/repositories?selected_provider=github";

async fn list(running: &Running, user: &DemoUser) -> Answer {
    let answer = running.get(GITHUB).api_key(user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer
}

/// How many points of a user's rate limit are used up; the question is one, because for a token that is only
/// forwarded nothing is remembered.
async fn points(running: &Running, login: &str) -> u64 {
    let token = running.github().mint_user_token(login).access_token;
    let answer = running.get("/user/installations").bearer(&token).send().await;
    answer.header("x-ratelimit-used").expect("GitHub says it").parse().expect("a number")
}

/// The calls that the listing makes, and the calls to the table.
async fn calls_of(running: &Running, user: &DemoUser) -> (Vec<StatusCode>, BTreeMap<String, usize>) {
    running.github().clear_calls();
    running.stack.dynamodb.hook().reset();
    list(running, user).await;
    let statuses = running.github().calls().iter().map(|call| call.status.expect("an answer")).collect();
    (statuses, running.stack.dynamodb.hook().all_calls())
}

fn written(calls: &BTreeMap<String, usize>) -> usize {
    let writes = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];
    writes.iter().filter_map(|operation| calls.get(*operation)).sum()
}

#[tokio::test]
async fn a_repeated_listing_spends_no_rate_limit_and_writes_nothing() {
    let running = start().await;
    for (login, pages, count) in
        [("octocat", 4, 9), ("forty-installations", 41, 1_200), ("big-installation", 16, 1_500)]
    {
        let user = running.sign_in(login).await;
        let first = list(&running, &user).await;
        assert_eq!(first.names().len(), count);
        let before = points(&running, login).await;
        let (statuses, table) = calls_of(&running, &user).await;
        assert_eq!(statuses, vec![StatusCode::NOT_MODIFIED; pages], "{login}");
        // Who asks, the token, and what is remembered.
        assert_eq!(written(&table), 0, "{login}: {table:?}");
        assert_eq!(list(&running, &user).await.body, first.body);
        // The question for the points is one itself.
        assert_eq!(points(&running, login).await - before, 1, "{login}");
    }
}

#[tokio::test]
async fn a_listing_reads_and_writes_the_table_so_often() {
    let running = start().await;
    let mut told = Vec::new();
    for login in ["octocat", "forty-installations", "big-installation"] {
        let user = running.sign_in(login).await;
        for time in ["first", "repeated"] {
            let (_, table) = calls_of(&running, &user).await;
            told.push(format!("{login}, {time}: {table:?}"));
        }
    }
    let user = running.sign_in("octocat").await;
    running.wait(60);
    for path in [INSTALLATIONS, "/user/installations", "/users/octocat/installation"] {
        for time in ["first", "repeated"] {
            running.stack.dynamodb.hook().reset();
            running.get(path).api_key(&user).send().await;
            told.push(format!("{path}, {time}: {:?}", running.stack.dynamodb.hook().all_calls()));
        }
    }
    insta::assert_snapshot!(told.join("\n"));
}

/// What the README says of read and write units.
#[tokio::test]
async fn a_page_of_a_hundred_repositories_takes_five_write_units_at_most() {
    let running = start().await;
    let user = running.sign_in("big-installation").await;
    list(&running, &user).await;
    let sizes: Vec<usize> = running
        .items_of("PAGE#github#REPOSITORIES#")
        .await
        .iter()
        // Base64 is a third longer than what counts; names and the rest of an item are some 400 bytes.
        .map(|item| item["content"]["B"].as_str().expect("bytes").len() * 3 / 4 + 400)
        .collect();
    assert_eq!(sizes.len(), 15);
    assert!(sizes.iter().all(|size| (1_000..5_000).contains(size)), "{sizes:?}");
}

#[tokio::test]
async fn what_is_known_is_asked_for_at_once_and_what_changed_is_all_that_costs() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    list(&running, &user).await;
    let before = points(&running, "octocat").await;
    let octocat = running.account("octocat");
    running.github().world(|world| world.add_repository(octocat, "brand-new"));
    let names = list(&running, &user).await.names();
    assert!(names.contains(&"octocat/brand-new".to_owned()), "{names:?}");
    assert_eq!(names.len(), 10);
    // The page that changed, and the question for the points; the second look costs nothing.
    assert_eq!(points(&running, "octocat").await - before, 2);
}

#[tokio::test]
async fn an_installation_that_comes_or_goes_is_shown_or_not_at_once() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let before = list(&running, &user).await.names();
    let id = running.installation("octo-org");
    let page = |installation: u64| format!("PAGE#github#REPOSITORIES#{installation}#");
    assert_eq!(running.items_of(&page(id.0)).await.len(), 1);
    running.github().world(|world| world.suspend_by_owner(id));
    let suspended = list(&running, &user).await.names();
    assert!(suspended.len() < before.len());
    assert!(!suspended.iter().any(|name| name.starts_with("octo-org/")), "{suspended:?}");
    assert_eq!(running.items_of(&page(id.0)).await.len(), 0, "what is not reached is not remembered");
    running.github().world(|world| world.unsuspend(id));
    assert_eq!(list(&running, &user).await.names(), before);
    running.github().world(|world| world.uninstall(id));
    assert_eq!(list(&running, &user).await.names(), suspended);
    let organization = running.account("octo-org");
    let again = running.github().world(|world| world.install(Target::Account(organization), Selection::All));
    let all = list(&running, &user).await.names();
    assert!(all.iter().any(|name| name.starts_with("octo-org/")), "{all:?}");
    assert_eq!(running.items_of(&page(again.0)).await.len(), 1);
}

#[tokio::test]
async fn the_installations_are_remembered_too() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let ids = async || running.get(INSTALLATIONS).api_key(&user).send().await.json();
    assert_eq!(ids().await, serde_json::json!(OCTOCAT));
    running.github().clear_calls();
    assert_eq!(ids().await, serde_json::json!(OCTOCAT));
    let calls = running.github().calls();
    assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [Some(StatusCode::NOT_MODIFIED)]);
    let id = running.installation("octo-org");
    running.github().world(|world| world.uninstall(id));
    assert_eq!(ids().await.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_token_that_was_renewed_gets_all_anew_in_one_wave() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    let first = list(&running, &user).await.body;
    running.clock.advance(std::time::Duration::from_secs(8 * 3_600 + 1));
    let (statuses, _) = calls_of(&running, &user).await;
    let renewal = 1;
    assert_eq!(statuses.len(), 41 + renewal);
    // The list is known by its computed ETag; the pages are reduced, and cost what they cost.
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 40 + renewal);
    let (statuses, table) = calls_of(&running, &user).await;
    assert_eq!((statuses, written(&table)), (vec![StatusCode::NOT_MODIFIED; 41], 0));
    assert_eq!(list(&running, &user).await.body, first);
}

#[tokio::test]
async fn the_list_of_installations_is_known_under_a_renewed_token_too_unless_that_is_switched_off() {
    for (predict, statuses) in
        [("true", [StatusCode::OK, StatusCode::NOT_MODIFIED]), ("false", [StatusCode::OK; 2])]
    {
        let running = Setup::default().setting("PREDICT_ETAGS", predict).start().await;
        let user = running.sign_in("octocat").await;
        let ids = async || running.get(INSTALLATIONS).api_key(&user).send().await.json();
        let first = ids().await;
        running.wait(8 * 3_600 + 1);
        running.github().clear_calls();
        assert_eq!(ids().await, first);
        let calls = running.github().calls();
        // The renewal, and the list.
        assert_eq!(calls.iter().filter_map(|call| call.status).collect::<Vec<_>>(), statuses, "{predict}");
        let organization = running.account("octocat");
        running.github().world(|world| world.rename(organization, "tentacle"));
        running.wait(8 * 3_600 + 1);
        running.github().clear_calls();
        assert_eq!(ids().await, first);
        let calls = running.github().calls();
        assert_eq!(
            calls.iter().filter_map(|call| call.status).collect::<Vec<_>>(),
            [StatusCode::OK; 2],
            "{predict}"
        );
    }
}

#[tokio::test]
async fn a_page_is_remembered_for_a_day() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    list(&running, &user).await;
    for item in running.items_of("PAGE#").await {
        let expires: i64 = item["expires_at"]["N"].as_str().expect("a number").parse().expect("a number");
        assert!((86_395..=86_400).contains(&(expires - running.clock.unix())), "{expires}");
    }
    // Items that have expired stay readable until DynamoDB gets to them.
    running.wait(23 * 3_600);
    running.browser().sign_in("octocat").await;
    list(&running, &user).await;
    running.wait(3_601);
    list(&running, &user).await;
    let (statuses, _) = calls_of(&running, &user).await;
    assert_eq!(statuses, vec![StatusCode::NOT_MODIFIED; 4]);
}

#[tokio::test]
async fn signing_out_unlinking_and_a_revocation_leave_no_page_behind() {
    let running = Setup { webhooks: true, ..Setup::default() }.start().await;
    let remembered = async || running.items_of("PAGE#").await.len();
    let browser = running.browser();
    browser.sign_in("octocat").await;
    assert_eq!(browser.get(GITHUB).await.status, StatusCode::OK);
    assert_eq!(remembered().await, 4);
    browser.post("/auth/logout", None).await;
    assert_eq!(remembered().await, 0);

    let user = running.sign_in("octocat").await;
    list(&running, &user).await;
    assert_eq!(remembered().await, 4);
    running.post("/api/unset-provider-tokens").api_key(&user).send().await;
    assert_eq!(remembered().await, 0);

    let user = running.sign_in("octocat").await;
    list(&running, &user).await;
    assert_eq!(remembered().await, 4);
    running.github().revoke_grant("octocat");
    running.github().drain().await;
    assert_eq!(remembered().await, 0);
}

#[tokio::test]
async fn who_signs_out_while_pages_are_on_their_way_leaves_none_behind() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let slow = hook::Fault::delay(std::time::Duration::from_millis(300));
    running.stack.dynamodb.hook().fail_next("BatchWriteItem", 1, &slow);
    let listing = running.get(GITHUB).api_key(&user).send();
    let leaving = async {
        while running.stack.dynamodb.hook().calls("BatchWriteItem") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        running.post("/api/unset-provider-tokens").api_key(&user).send().await
    };
    let (listed, left) = futures::join!(listing, leaving);
    assert_eq!((listed.status, left.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(running.items_of("PAGE#").await.len(), 0);
}

#[tokio::test]
async fn pages_are_of_one_user_and_of_one_token_slot() {
    let running = Setup { other_hosts: true, ..Setup::default() }.start().await;
    let octocat = running.sign_in("octocat").await;
    list(&running, &octocat).await;
    let reader = running.sign_in("reader").await;
    list(&running, &reader).await;
    let both = link(&running.stack, &octocat, "enterprise_sso", "sso-cat").await.expect("it is linked");
    assert_eq!(running.get(REPOSITORIES).api_key(&both).send().await.status, StatusCode::OK);
    let mut owners = BTreeMap::<String, usize>::new();
    for item in running.items_of("PAGE#").await {
        let slot = text(&item, "sk").split("#INSTALLATIONS").next().unwrap_or_default().to_owned();
        let slot = slot.split("#REPOSITORIES").next().unwrap_or_default().to_owned();
        *owners
            .entry(format!("{} {slot}", text(&item, "pk") == format!("USER#{}", octocat.user_id)))
            .or_default() += 1;
    }
    let kinds: Vec<&str> = owners.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["false PAGE#github", "true PAGE#enterprise_sso#github", "true PAGE#github"]);
}

#[tokio::test]
async fn a_table_that_remembers_nothing_costs_time_and_no_answer() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let whole = list(&running, &user).await.body;
    let hook = running.stack.dynamodb.hook();
    let fault = hook::Fault::error(StatusCode::BAD_REQUEST, "ValidationException");
    hook.fail_next("Query", 1, &fault);
    assert_eq!(list(&running, &user).await.body, whole);
    running.github().world(|world| {
        let octocat = world.user("octocat").expect("octocat").id;
        world.add_repository(octocat, "brand-new")
    });
    hook.fail_next("BatchWriteItem", 1, &fault);
    assert_eq!(list(&running, &user).await.names().len(), 10);
    assert_eq!(list(&running, &user).await.names().len(), 10);
}

#[tokio::test]
async fn a_page_that_was_damaged_in_the_table_is_fetched_again() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let whole = list(&running, &user).await.body;
    for mut item in running.items_of("PAGE#").await {
        item["content"]["B"] = "AAAA".into();
        running.put_item(&item).await;
    }
    assert_eq!(list(&running, &user).await.body, whole);
}

#[tokio::test]
async fn a_host_that_fails_once_is_asked_for_all_of_it_the_next_time() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let whole = list(&running, &user).await;
    let path = format!("/user/installations/{}/repositories", running.installation("octo-org").0);
    running.github().fail(Fault::get(&path, FaultKind::Status(StatusCode::FORBIDDEN)));
    let partial = list(&running, &user).await;
    assert!(partial.header("x-partial-result").is_some());
    assert!(partial.names().len() < whole.names().len());
    running.github().clear_faults();
    let (statuses, _) = calls_of(&running, &user).await;
    assert_eq!(statuses, vec![StatusCode::NOT_MODIFIED; 4], "what was known is known still");
    assert_eq!(list(&running, &user).await.body, whole.body);
}

#[tokio::test]
async fn an_installation_that_is_refused_for_good_is_asked_for_once_in_each_listing() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    list(&running, &user).await;
    let path = format!("/user/installations/{}/repositories", running.installation("octo-org").0);
    for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
        running.github().clear_faults();
        list(&running, &user).await;
        let mut headers = http::HeaderMap::new();
        headers.insert("x-github-sso", "required; url=https://github.com/orgs/octo-org/sso".parse().unwrap());
        let body = r#"{"message":"Resource protected by organization SAML enforcement."}"#.to_owned();
        running.github().fail(Fault::get(&path, FaultKind::Answer { status, headers, body }));
        // The first time it might have gone this very moment.
        list(&running, &user).await;
        running.github().clear_calls();
        let partial = list(&running, &user).await;
        assert_eq!(partial.header("x-partial-result"), Some(&*format!("github/5002={}", status.as_u16())));
        assert_eq!(running.github().calls().len(), 4, "{status}");
    }
}

#[tokio::test]
async fn pages_are_written_while_others_are_still_fetched() {
    let setup = Setup { latency: Duration::from_millis(10), ..Setup::default() };
    let running = setup.setting("UPSTREAM_CONCURRENCY", "1").start().await;
    let user = running.sign_in("forty-installations").await;
    let hook = running.stack.dynamodb.hook().clone();
    hook.reset();
    let (told, written) = std::sync::mpsc::channel();
    running
        .github()
        .before_call(41, move |_| told.send(hook.calls("BatchWriteItem")).expect("it is waited for"));
    assert_eq!(list(&running, &user).await.names().len(), 1_200);
    assert_eq!(written.recv(), Ok(1), "25 of the 41 pages, before the last was asked for");
}

#[tokio::test]
async fn a_first_listing_asks_what_the_mapping_knows_before_the_host_has_listed_it() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.github().fail(Fault::get("/user/installations", FaultKind::Stall(Duration::from_secs(1))));
    running.github().clear_calls();
    assert_eq!(list(&running, &user).await.names().len(), 9);
    // In the order in which they were answered.
    let calls = running.github().calls();
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[3].path, "/user/installations", "{calls:?}");
}

#[tokio::test]
async fn what_only_the_mapping_knows_is_not_shown_and_not_missed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    running.github().world(|world| world.uninstall(id));
    assert!(!running.github().take_undelivered().is_empty(), "nobody tells us");
    let listing = list(&running, &user).await;
    assert_eq!(listing.header("x-partial-result"), None);
    assert!(!listing.names().is_empty() && listing.names().iter().all(|name| !name.starts_with("octo-org/")));
}

#[tokio::test]
async fn an_installation_that_the_host_lists_twice_is_shown_once() {
    let setup = Setup { world: world_with_installations("member", 101), ..Setup::default() };
    let running = setup.start().await;
    let user = running.sign_in("member").await;
    let ids = running.get(INSTALLATIONS).api_key(&user).send().await.json();
    let twice = serde_json::json!({"total_count": 101, "installations": [{"id": 5001}]}).to_string();
    let again = FaultKind::Answer { status: StatusCode::OK, headers: http::HeaderMap::new(), body: twice };
    running.github().fail(Fault::get("/user/installations", again).where_query("&page=2"));
    let shown = running.get(INSTALLATIONS).api_key(&user).send().await.json();
    let (ids, shown) = (ids.as_array().expect("a list"), shown.as_array().expect("a list").clone());
    assert_eq!((ids.len(), &*shown), (101, &ids[..100]));
}

#[tokio::test]
async fn of_many_requests_at_once_two_ask_the_host() {
    let running = Setup { latency: std::time::Duration::from_millis(150), ..Setup::default() }.start().await;
    let user = running.sign_in("octocat").await;
    let asked = (0..20).map(|_| running.get(GITHUB).api_key(&user).send());
    let answers = join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK && answer.body == answers[0].body));
    let calls = running.github().calls().len();
    assert!(calls <= 3 * 4, "{calls} calls: one listing is 4");
}
