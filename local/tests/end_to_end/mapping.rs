//! `GET /api/users/{user_id}/installations`: whose rows, in which form, at which price (DESIGN 3, 4).
//! How rows come to be and stay true is in `mapping_repair`.

use http::{Method, StatusCode};
use local::data_folder::DemoUser;

use crate::github_lab::{app_jwt, claims};
use crate::harness::{Answer, Running, start};

fn path(user_id: &str) -> String {
    format!("/api/users/{user_id}/installations")
}

/// `User not found`, to the last header.
fn assert_no_such_user(answer: &Answer, why: &str) {
    let form = "404 Not Found\n\
                cache-control: no-store\n\
                content-type: application/json\n\
                vary: Cookie, Authorization, X-Session-API-Key\n\
                x-content-type-options: nosniff\n\n\
                {\"statusCode\":404,\"statusMessage\":\"Not Found\",\"data\":{\"message\":\"User not found\"}}";
    assert_eq!(answer.wire(), form, "{why}");
}

/// The body with this run's user, times and ports in words.
fn settled(answer: &Answer, user: &DemoUser) -> String {
    let mut text = answer.wire().replace(&user.user_id, "[user]");
    for row in answer.json().as_array().unwrap() {
        for name in ["created_at", "updated_at"] {
            let date = row[name].as_str().unwrap();
            let format = time::format_description::well_known::Rfc3339;
            let parsed = time::OffsetDateTime::parse(date, &format).unwrap();
            assert!(date.len() == 20 && date.ends_with('Z') && parsed.offset().is_utc(), "{date}");
            text = text.replace(date, "[now]");
        }
    }
    text.replace("},{", "},\n{")
}

#[tokio::test]
async fn rows_have_ten_keys_in_order_and_dates_in_utc() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = running.get(&path(&user.user_id)).api_key(&user).send().await;
    insta::assert_snapshot!(settled(&answer, &user));
}

#[tokio::test]
async fn a_user_without_installations_has_an_empty_list() {
    let running = start().await;
    let user = running.sign_in("newcomer").await;
    let answer = running.get(&path(&user.user_id)).session(&user).send().await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "[]"));
}

#[tokio::test]
async fn forty_installations_are_forty_rows() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    let rows = running.shown_rows(&user).await;
    assert_eq!(rows.len(), 40);
    let ids: Vec<u64> =
        rows.iter().map(|row| row["github_installation_id"].as_str().unwrap().parse().unwrap()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn users_see_their_own_rows_and_of_others_not_even_that_they_exist() {
    let running = start().await;
    let octocat = running.sign_in("octocat").await;
    let reader = running.sign_in("reader").await;
    for asking in [&octocat, &reader] {
        for asked in [&octocat, &reader] {
            let request = || running.get(&path(&asked.user_id));
            for answer in [
                request().session(asking).send().await,
                request().api_key(asking).send().await,
                request().bearer(&asking.api_key).send().await,
            ] {
                if asking.user_id == asked.user_id {
                    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                    let rows = answer.json();
                    let rows = rows.as_array().unwrap();
                    assert!(
                        !rows.is_empty() && rows.iter().all(|row| row["neptun_user_id"] == *asked.user_id)
                    );
                } else {
                    assert_no_such_user(&answer, "another user's");
                }
            }
        }
    }
}

#[tokio::test]
async fn whatever_is_not_the_own_id_is_the_same_404() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let own = &user.user_id;
    let long = "9".repeat(8 * 1024);
    for id in [
        "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "usr_",
        "0",
        "01",
        "%2B1",
        "-1",
        "1001",
        "99999999999999999999999999",
        "%D9%A1",
        "%2e",
        "%2e%2e",
        ".",
        "..",
        "%2f",
        "*",
        "null",
        "undefined",
        "me",
        "USER%23x",
        &own.to_lowercase(),
        &own[..own.len() - 1],
        &format!("{own}0"),
        &format!("{own}%20"),
        &format!("{own}%00"),
        &format!("{own}%2f..%2f{own}"),
        &long,
    ] {
        let answer = running.get_as_written(&path(id), &user).await;
        assert_no_such_user(&answer, &id[..id.len().min(60)]);
    }
    let too_long = running.get_as_written(&path(&"9".repeat(10_300)), &user).await;
    assert_eq!(too_long.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "API Gateway's own limit");
    let as_sent = running.get_as_written(&path(&own.replace('_', "%5F")), &user).await;
    assert_eq!(as_sent.status, StatusCode::OK, "the own id, percent-encoded");
}

#[tokio::test]
async fn nobody_is_401_in_neptuns_form_whatever_the_id() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let nobody = running.get(&path(&user.user_id)).send().await;
    insta::assert_snapshot!(nobody.wire());
    assert_eq!(running.get(&path("01")).send().await.wire(), nobody.wire());
    let token = running.github().mint_user_token("octocat").access_token;
    let mut wires = Vec::new();
    for (name, value) in [
        ("Authorization", format!("Bearer {token}")),
        ("Authorization", format!("Bearer {}", app_jwt(&claims(&running.clock)))),
        ("Authorization", "Basic b2N0b2NhdDp4".to_owned()),
        ("Authorization", format!("Bearer gik_{}", "A".repeat(43))),
        ("X-Session-API-Key", token.clone()),
        ("X-Session-API-Key", user.session_cookie.clone()),
        ("Cookie", format!("neptun-session={}", user.api_key)),
        ("Cookie", format!("neptun-session={}", "A".repeat(43))),
    ] {
        let answer = running.get(&path(&user.user_id)).header(name, &value).send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {value}");
        wires.push(answer.wire());
    }
    wires.dedup();
    assert_eq!(wires.len(), 1, "all wrong credentials look the same: {wires:?}");
    insta::assert_snapshot!(wires[0]);
}

#[tokio::test]
async fn an_ended_session_or_key_opens_nothing() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let keys = running.get("/api/keys").api_key(&user).send().await.json();
    let id = keys[0]["id"].as_str().or_else(|| keys["keys"][0]["id"].as_str()).unwrap().to_owned();
    let origin = running.stack.url.clone();
    let ended = running.delete(&format!("/api/keys/{id}")).session(&user).header("Origin", &origin);
    assert!(ended.send().await.status.is_success());
    let out = running.post("/auth/logout").session(&user).header("Origin", &origin).send().await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    for answer in [
        running.get(&path(&user.user_id)).api_key(&user).send().await,
        running.get(&path(&user.user_id)).session(&user).send().await,
    ] {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    }
}

async fn calls(running: &Running, user: &DemoUser, by_key: bool) -> usize {
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    let request = running.get(&path(&user.user_id));
    let request = if by_key { request.api_key(user) } else { request.session(user) };
    assert_eq!(request.send().await.status, StatusCode::OK);
    hook.all_calls().values().sum()
}

#[tokio::test]
async fn a_request_costs_two_reads_of_the_table_and_no_call_of_github() {
    let running = start().await;
    let user = running.sign_in("forty-installations").await;
    assert_eq!(calls(&running, &user, false).await, 2);
    assert_eq!(calls(&running, &user, true).await, 4, "the first use of a key is noted in two places");
    assert_eq!(calls(&running, &user, true).await, 2);
    running.get(&path("somebody-else")).session(&user).send().await;
    assert_eq!(running.stack.dynamodb.hook().all_calls().values().sum::<usize>(), 3, "only who asks");
    assert_eq!(running.paths(), [""; 0]);
}

#[tokio::test]
async fn rows_are_served_while_github_is_down() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.github().fail(local::sandbox_github::Fault::under(
        "/",
        local::sandbox_github::FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR),
    ));
    assert_eq!(running.shown_rows(&user).await.len(), 4);
}

#[tokio::test]
async fn a_table_that_fails_is_503_in_neptuns_form_and_never_an_empty_list() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    running.shown_rows(&user).await;
    for (operation, at) in [("GetItem", "who asks"), ("Query", "the rows")] {
        running.fail_dynamodb(operation, 0);
        let failed = running.get(&path(&user.user_id)).session(&user).send().await;
        assert_eq!(failed.header("retry-after"), Some("5"), "{at}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(failed.wire(), @r#"
            503 Service Unavailable
            cache-control: no-store
            content-type: application/json
            retry-after: 5
            vary: Cookie, Authorization, X-Session-API-Key
            x-content-type-options: nosniff

            {"statusCode":503,"statusMessage":"Service Unavailable","data":{"message":"The service cannot reach a part of itself. Try again in a few seconds."}}
            "#);
        }
        assert_eq!(running.shown_rows(&user).await.len(), 4, "{at}");
    }
}

#[tokio::test]
async fn other_methods_are_no_routes() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let answer = running.request(method.clone(), &path(&user.user_id)).api_key(&user).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(running.shown_rows(&user).await.len(), 4);
}
