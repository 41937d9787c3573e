//! `DELETE /api/users/{user_id}/installations/{installation_id}`: the user's own row, by its `id`.

use http::StatusCode;
use local::aws::hook::Fault;

use crate::harness::{Answer, start};

fn path(user_id: &str, id: &str) -> String {
    format!("/api/users/{user_id}/installations/{id}")
}

fn message(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(body["statusCode"], answer.status.as_u16(), "{answer:?}");
    body["data"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_row_is_removed_once_and_the_others_stay() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let ids: Vec<i64> =
        running.shown_rows(&user).await.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    let removed = running.delete(&path(&user.user_id, &ids[1].to_string())).api_key(&user).send().await;
    insta::assert_snapshot!(removed.wire(), @r"
    200 OK
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    true
    ");
    let left: Vec<i64> =
        running.shown_rows(&user).await.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(left, [ids[0], ids[2], ids[3]]);
    let again = running.delete(&path(&user.user_id, &ids[1].to_string())).api_key(&user).send().await;
    assert_eq!((again.status, &*message(&again)), (StatusCode::NOT_FOUND, "Installation not found"));
}

#[tokio::test]
async fn a_row_that_github_still_shows_comes_back_with_an_id_of_its_own() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let before = running.shown_rows(&user).await;
    let id = before[0]["id"].as_i64().unwrap();
    assert_eq!(
        running.delete(&path(&user.user_id, &id.to_string())).api_key(&user).send().await.status,
        StatusCode::OK
    );
    assert_eq!(running.get("/user/installations").api_key(&user).send().await.status, StatusCode::OK);
    let after = running.shown_rows(&user).await;
    assert_eq!(after.len(), before.len());
    assert_eq!(after[0]["github_installation_id"], before[0]["github_installation_id"]);
    assert!(after[0]["id"].as_i64().unwrap() > before.last().unwrap()["id"].as_i64().unwrap());
}

#[tokio::test]
async fn foreign_and_unknown_rows_look_the_same_and_nothing_is_removed() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let other = running.sign_in("reader").await;
    let foreign_id = running.shown_rows(&other).await[0]["id"].clone();
    let foreign = foreign_id.to_string();
    let own = running.shown_rows(&user).await[0]["id"].to_string();
    let installation =
        running.shown_rows(&user).await[0]["github_installation_id"].as_str().unwrap().to_owned();
    let zero = format!("0{own}");
    let huge = "9".repeat(40);
    for id in [
        &*foreign,
        "999999",
        &installation,
        "0",
        &zero,
        "-1",
        "%2b1",
        "1.0",
        "abc",
        "..%2f1",
        &huge,
        "%d9%a1",
    ] {
        let answer = running.delete(&path(&user.user_id, id)).api_key(&user).send().await;
        assert_eq!(
            (answer.status, &*message(&answer)),
            (StatusCode::NOT_FOUND, "Installation not found"),
            "{id}"
        );
    }
    for user_id in [&*other.user_id, "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "x"] {
        let answer = running.delete(&path(user_id, &foreign)).api_key(&user).send().await;
        assert_eq!(
            (answer.status, &*message(&answer)),
            (StatusCode::NOT_FOUND, "User not found"),
            "{user_id}"
        );
    }
    assert_eq!(running.shown_rows(&user).await.len(), 4);
    assert!(running.shown_rows(&other).await.iter().any(|row| row["id"] == foreign_id));
}

#[tokio::test]
async fn nobody_removes_anything_and_a_cookie_only_from_our_own_pages() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let id = running.shown_rows(&user).await[0]["id"].to_string();
    let path = path(&user.user_id, &id);
    assert_eq!(running.delete(&path).send().await.status, StatusCode::UNAUTHORIZED);
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let mut request = running.delete(&path).session(&user);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        assert_eq!(request.send().await.status, StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert_eq!(running.shown_rows(&user).await.len(), 4);
    let own_page = running.delete(&path).session(&user).header("origin", &running.stack.url).send().await;
    assert_eq!(own_page.status, StatusCode::OK);
}

#[tokio::test]
async fn a_table_that_fails_is_503_and_the_row_goes_when_it_is_asked_again() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let id = running.shown_rows(&user).await[0]["id"].to_string();
    let fault = Fault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError");
    running.stack.dynamodb.hook().fail_next("TransactWriteItems", 3, &fault);
    let first = path(&user.user_id, &id);
    let failed = running.delete(&first).api_key(&user).send().await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
    assert_eq!(failed.header("retry-after"), Some("5"));
    assert_eq!(running.shown_rows(&user).await.len(), 4);
    assert_eq!(running.delete(&first).api_key(&user).send().await.status, StatusCode::OK);

    running.stack.dynamodb.hook().fail_next("TransactWriteItems", 1, &Fault::lost_answer());
    let id = running.shown_rows(&user).await[0]["id"].to_string();
    let lost = running.delete(&path(&user.user_id, &id)).api_key(&user).send().await;
    assert_eq!(lost.status, StatusCode::OK, "an answer that was lost is no failure");
    assert_eq!(running.shown_rows(&user).await.len(), 2);
}

#[tokio::test]
async fn a_row_that_a_webhook_is_just_writing_is_removed_all_the_same() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let id = running.shown_rows(&user).await[0]["id"].to_string();
    let conflict = Fault::error(StatusCode::BAD_REQUEST, "TransactionConflictException");
    running.stack.dynamodb.hook().fail_next("TransactWriteItems", 1, &conflict);
    let answer = running.delete(&path(&user.user_id, &id)).api_key(&user).send().await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "true"));
    assert_eq!(running.shown_rows(&user).await.len(), 3, "true means that the row is gone");
}
