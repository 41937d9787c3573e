//! GitHub's two routes when GitHub, DynamoDB or Secrets Manager fail: every answer in GitHub's form, no
//! failure disguised as an empty list, and everything well again afterwards (DESIGN 4, 5).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Fault, FaultKind};

use crate::github_lab::{ATTEMPTS, LIST, app_jwt, claims, github_message, unavailable};
use crate::harness::{Answer, Running, Setup, start};

const OWN: &str = "/users/octocat/installation";

fn answer(status: u16, body: &str) -> FaultKind {
    let headers = HeaderMap::new();
    FaultKind::Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned() }
}

/// Without copies, so that the failure itself is seen.
async fn without_copies() -> Running {
    let setup = Setup::default().setting("STALE_IF_ERROR_SECONDS", "0").setting("PREDICT_ETAGS", "false");
    setup.start().await
}

#[tokio::test]
async fn refusals_of_github_are_carried_with_status_bytes_and_headers() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let token = running.github().mint_user_token("octocat").access_token;
    for (path, kind, status, retry_after) in [
        (LIST, FaultKind::Status(StatusCode::FORBIDDEN), 403, None),
        (LIST, FaultKind::Status(StatusCode::NOT_FOUND), 404, None),
        (LIST, FaultKind::PrimaryRateLimit { reset_in: 77 }, 403, None),
        (LIST, FaultKind::SecondaryRateLimit { retry_after: 30 }, 403, Some("30")),
        (LIST, FaultKind::TooManyRequests { retry_after: 12 }, 429, Some("12")),
        (LIST, answer(410, r#"{"message":"Gone","new_field":[1]}"#), 410, None),
        (OWN, FaultKind::Status(StatusCode::FORBIDDEN), 403, None),
        (OWN, FaultKind::TooManyRequests { retry_after: 12 }, 429, Some("12")),
    ] {
        running.break_github(path, kind.clone());
        let theirs = running.directly(path, &format!("Bearer {token}")).await;
        let mut answers = vec![running.get(path).api_key(&user).send().await];
        if path == LIST {
            answers.push(running.get(path).bearer(&token).send().await);
        }
        for ours in answers {
            assert_eq!(ours.status.as_u16(), status, "{kind:?}: {ours:?}");
            assert_eq!(ours.body, theirs.body, "{kind:?}");
            assert_eq!(ours.header("retry-after"), retry_after, "{kind:?}");
            assert_eq!(ours.header("x-ratelimit-remaining"), theirs.header("x-ratelimit-remaining"));
            assert_eq!(ours.header("x-ratelimit-reset"), theirs.header("x-ratelimit-reset"));
        }
    }
}

/// Both routes, with GitHub failing so at both.
async fn assert_failure(running: &Running, user: &DemoUser, kind: FaultKind, status: u16) {
    running.break_github(LIST, kind.clone());
    running.github().fail(Fault::get(OWN, kind.clone()));
    let (list, own) =
        tokio::join!(running.get(LIST).api_key(user).send(), running.get(OWN).api_key(user).send());
    for answer in [list, own] {
        assert_eq!(answer.status.as_u16(), status, "{kind:?}: {answer:?}");
        assert!(github_message(&answer).starts_with("GitHub "), "{answer:?}");
        assert!(!answer.body.contains("http://"), "no address of another host: {answer:?}");
    }
    running.github().clear_faults();
    let (list, own) =
        tokio::join!(running.get(LIST).api_key(user).send(), running.get(OWN).api_key(user).send());
    assert_eq!((list.status, own.status), (StatusCode::OK, StatusCode::OK), "{kind:?}");
}

#[tokio::test]
async fn a_github_that_answers_nonsense_is_502_and_never_an_empty_list() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    for kind in [
        FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FaultKind::Html,
        FaultKind::TruncatedJson,
        FaultKind::Redirect("http://localhost:1/elsewhere".to_owned()),
        FaultKind::Redirect("http://169.254.169.254/latest".to_owned()),
        answer(200, ""),
        answer(200, "\u{feff}{}"),
        answer(599, "{}"),
    ] {
        assert_failure(&running, &user, kind, 502).await;
    }
}

#[tokio::test]
async fn a_github_that_stays_unreachable_is_502_or_504() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    assert_failure(&running, &user, FaultKind::Status(StatusCode::GATEWAY_TIMEOUT), 504).await;
    assert_failure(&running, &user, FaultKind::CutOff { after: 900 }, 502).await;
}

#[tokio::test]
async fn a_github_that_is_down_answers_a_forwarded_token_with_502() {
    let running = start().await;
    let token = running.github().mint_user_token("octocat").access_token;
    running.break_github(LIST, FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR));
    insta::assert_snapshot!(running.get(LIST).bearer(&token).send().await.wire());
}

#[tokio::test]
async fn a_body_over_the_limit_is_502() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    running.break_github(LIST, FaultKind::Oversized { bytes: 17 * 1024 * 1024 });
    assert_eq!(running.get(LIST).api_key(&user).send().await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_github_that_says_nothing_is_504_within_the_functions_own_time() {
    let running = without_copies().await;
    let user = running.sign_in("octocat").await;
    let process = running.new_process(Duration::from_millis(1_200)).await;
    for path in [LIST, OWN] {
        running.break_github(path, FaultKind::Stall(Duration::from_secs(20)));
        let answer = process.get(path, ("X-Session-API-Key", &user.api_key)).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{path}: {answer:?}");
        assert_eq!(github_message(&answer), "GitHub did not answer in time");
    }
}

#[tokio::test]
async fn one_bad_moment_of_github_is_not_noticed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for kind in [FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE), FaultKind::CutOff { after: 0 }] {
        for path in [LIST, OWN] {
            running.github().fail(Fault::get(path, kind.clone()).times(1));
            let answer = running.get(path).api_key(&user).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {kind:?}: {answer:?}");
            assert_eq!(answer.header("age"), None);
        }
    }
}

fn assert_unavailable(answer: &Answer, at: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{at}: {answer:?}");
    assert_eq!(answer.header("retry-after"), Some("5"), "{at}");
    github_message(answer);
}

#[tokio::test]
async fn a_table_that_fails_where_it_is_needed_is_503_and_the_next_request_is_well() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.get(LIST).api_key(&user).send().await;
    let renamed = running.account("octocat");
    // The copy and whether it was forgotten are read together with what stands second.
    for (path, operation, passing, at) in [
        (LIST, "GetItem", 0, "who asks"),
        (LIST, "GetItem", 1, "the token"),
        (OWN, "GetItem", 0, "who asks"),
        (OWN, "GetItem", 1, "the identity"),
        ("/users/reader/installation", "GetItem", 4, "the token that tells the login"),
    ] {
        running.fail_dynamodb(operation, passing);
        running.stack.dynamodb.hook().fail_next(operation, 2 * ATTEMPTS, &unavailable());
        assert_unavailable(&running.get(path).session(&user).send().await, at);
        running.stack.dynamodb.hook().reset();
        let status = running.get(path).session(&user).send().await.status;
        let well = if path.contains("reader") { StatusCode::NOT_FOUND } else { StatusCode::OK };
        assert_eq!(status, well, "{at}");
    }
    running.github().world(|world| world.rename(renamed, "octocat-renamed"));
    running.fail_dynamodb("Query", 0);
    assert_unavailable(&running.get(OWN).session(&user).send().await, "the known installation");
}

#[tokio::test]
async fn a_table_that_fails_beside_the_answer_does_not_cost_it() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let organization = running.account("octo-org");
    for (path, operation, passing, at) in [
        (LIST, "PutItem", 0, "the copy"),
        (LIST, "GetItem", 4, "the identity"),
        (LIST, "Query", 0, "the rows"),
        (LIST, "TransactWriteItems", 0, "the repair"),
        (OWN, "PutItem", 0, "the copy"),
    ] {
        let login = format!("octo-{operation}-{passing}").to_lowercase();
        running.github().world(|world| world.rename(organization, &login));
        running.fail_dynamodb(operation, passing);
        let answer = running.get(path).session(&user).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{at}: {answer:?}");
        assert_eq!(running.stack.dynamodb.hook().calls(operation), passing + ATTEMPTS, "{at}");
        running.stack.dynamodb.hook().reset();
        running.get(LIST).session(&user).send().await;
        let row = running.row(&user, running.installation(&login)).await;
        assert_eq!(row["github_account_name"], *login, "repaired by the next answer: {at}");
    }
}

#[tokio::test]
async fn a_new_login_that_cannot_be_noted_is_answered_all_the_same() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let account = running.account("octocat");
    running.github().world(|world| world.rename(account, "tentacle"));
    running.fail_dynamodb("UpdateItem", 0);
    let answer = running.get("/users/tentacle/installation").session(&user).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn secrets_that_cannot_be_read_at_first_are_503_until_they_can() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let jwt = format!("Bearer {}", app_jwt(&claims(&running.clock)));
    for (path, header) in [
        (LIST, ("X-Session-API-Key", &user.api_key)),
        (OWN, ("X-Session-API-Key", &user.api_key)),
        (OWN, ("Authorization", &jwt)),
    ] {
        let process = running.new_process(Duration::from_secs(10)).await;
        let hook = running.stack.secrets_manager.hook();
        hook.fail_next("GetSecretValue", ATTEMPTS, &unavailable());
        assert_unavailable(&process.get(path, (header.0, header.1)).await, path);
        let answer = process.get(path, (header.0, header.1)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn secrets_that_were_read_once_outlive_secrets_manager() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for path in [LIST, OWN] {
        assert_eq!(running.get(path).api_key(&user).send().await.status, StatusCode::OK, "{path}");
    }
    running.wait(3600);
    running.stack.secrets_manager.hook().fail_next("GetSecretValue", 1000, &unavailable());
    for path in [LIST, OWN] {
        assert_eq!(running.get(path).api_key(&user).send().await.status, StatusCode::OK, "{path}");
    }
}
