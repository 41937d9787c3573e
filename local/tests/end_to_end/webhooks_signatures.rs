//! Webhooks that anybody can send: only what the App's secret has signed, byte by byte, is read at all
//! (reference: GitHub 2.1, 5.1). A refusal changes nothing and is counted.

use http::StatusCode;
use local::sandbox_github::{Selection, Target};
use local::sandbox_github::{SignedDelivery, webhook_signature};
use local::stack::{GITHUB_APP_SECRET, SANDBOX_WEBHOOK_SECRET, sandbox_app_secret};
use serde_json::{Value, json};
use shared::metrics::Metric;

use crate::github_lab::unavailable;
use crate::harness::{Running, start};
use crate::webhooks::{SIGNATURE, assert_refused, message, with_body, with_header};

/// A delivery that would change something, whoever is known here.
fn installed(running: &Running) -> SignedDelivery {
    let account = running.account("newcomer");
    running.github().world(|world| world.install(Target::Account(account), Selection::All));
    running.taken()
}

fn signature(delivery: &SignedDelivery) -> &str {
    &delivery.headers.iter().find(|(name, _)| name == SIGNATURE).expect("signed").1
}

/// The App's secret with these webhook secrets.
fn store_secret(running: &Running, webhook_secret: &Value) {
    let mut secret: Value = serde_json::from_str(&sandbox_app_secret()).unwrap();
    secret["webhook_secret"] = webhook_secret.clone();
    running.stack.secrets.set(GITHUB_APP_SECRET, &secret.to_string());
}

#[tokio::test]
async fn what_the_secret_has_not_signed_byte_by_byte_changes_nothing_and_is_counted() {
    let running = start().await;
    running.sign_in("newcomer").await;
    let right = installed(&running);
    let value = signature(&right).to_owned();
    let sha1 = with_header(&right, SIGNATURE, None);
    let body = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = right.clone();
        change(&mut changed.body);
        changed
    };
    let mut twice = right.clone();
    twice.headers.push((SIGNATURE.to_owned(), value.clone()));
    let mut flipped = value.clone().into_bytes();
    let last = flipped.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let with_value = |value: &str| with_header(&right, SIGNATURE, Some(value));
    let forged = [
        ("one bit off", with_value(std::str::from_utf8(&flipped).unwrap())),
        ("too short", with_value(&value[..value.len() - 1])),
        ("too long", with_value(&format!("{value}0"))),
        ("upper case", with_value(&format!("sha256={}", value["sha256=".len()..].to_uppercase()))),
        ("upper prefix", with_value(&value.replace("sha256", "SHA256"))),
        ("no prefix", with_value(&value["sha256=".len()..])),
        ("empty", with_value("")),
        ("another secret", with_value(&webhook_signature("another-secret", &right.body))),
        ("an empty secret", with_value(&webhook_signature("", &right.body))),
        ("missing", sha1.clone()),
        (
            "the header of old only",
            with_header(&sha1, "X-Hub-Signature", Some(&format!("sha1={}", "0".repeat(40)))),
        ),
        ("sha1 in the new header", with_value(&format!("sha1={}", "0".repeat(40)))),
        ("twice", twice),
        ("a newline more", body(&|body| body.push(b'\n'))),
        ("a byte order mark", body(&|body| drop(body.splice(..0, [0xEF, 0xBB, 0xBF])))),
        ("a blank less", body(&|body| body.truncate(body.len() - 1))),
        ("empty body", body(&Vec::clear)),
        (
            "one digit changed",
            body(&|body| {
                let at = body.iter().position(|byte| *byte == b'5').unwrap();
                body[at] = b'6';
            }),
        ),
        ("not text", body(&|body| body.push(0xFF))),
    ];
    let before = running.items().await;
    for (number, (what, delivery)) in (1..).zip(&forged) {
        let answer = running.deliver(delivery).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {answer:?}");
        assert_eq!(answer.json()["error"], "signature", "{what}");
        assert!(!answer.body.contains(SANDBOX_WEBHOOK_SECRET), "{what}");
        assert_eq!(running.counted(Metric::WebhookRefused), number, "{what}");
    }
    assert_eq!(running.items().await, before);
    assert_eq!(running.dealt(&right).await, "applied", "it would have changed something");
    assert_eq!(running.counted(Metric::WebhookRefused), forged.len() as u64);
}

#[tokio::test]
async fn what_is_rightly_signed_and_not_json_is_a_bad_request_and_no_failure_of_ours() {
    let running = start().await;
    let right = installed(&running);
    let before = running.items().await;
    let mut invalid = right.body.clone();
    let at = invalid.windows(9).position(|part| part == b"\"created\"").unwrap();
    invalid[at + 1] = 0xFF;
    let mut marked = right.body.clone();
    marked.splice(..0, [0xEF, 0xBB, 0xBF]);
    for body in [&b""[..], b"{", b"[]", b"null", b"payload=%7B%7D", b"\xFF\xFE\x00", &invalid, &marked] {
        let answer = running.deliver(&with_body(&right, body)).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "body");
    }
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"installation\":{deep}");
    assert_refused(&running.deliver(&with_body(&right, nested)).await, StatusCode::BAD_REQUEST, "body");
    assert_eq!(running.items().await, before);
    assert_eq!(running.counted(Metric::WebhookRefused), 0, "the signature was right");
    let newline = with_body(&right, [right.body.as_slice(), b"\r\n"].concat());
    assert_eq!(running.dealt(&newline).await, "applied", "signed with its newline");
}

#[tokio::test]
async fn each_secret_of_the_list_is_accepted_while_it_rotates() {
    let running = start().await;
    store_secret(&running, &json!(["new-secret", SANDBOX_WEBHOOK_SECRET]));
    for (secret, status) in
        [("new-secret", 200), (SANDBOX_WEBHOOK_SECRET, 200), ("older-secret", 401), ("", 401)]
    {
        let ping = message("ping", r#"{"zen":"Design for failure."}"#);
        let ping = with_header(&ping, SIGNATURE, Some(&webhook_signature(secret, &ping.body)));
        assert_eq!(running.deliver(&ping).await.status.as_u16(), status, "{secret}");
    }
}

#[tokio::test]
async fn the_first_delivery_with_a_new_secret_is_accepted_without_a_restart() {
    let running = start().await;
    assert_eq!(running.dealt(&message("ping", "{}")).await, "pong");
    running.wait(11);
    store_secret(&running, &json!("new-secret"));
    running.github().set_webhook_secret("new-secret");
    let new = installed(&running);
    assert_eq!(running.dealt(&new).await, "applied");
    assert_eq!(running.deliver(&message("ping", "{}")).await.status, StatusCode::UNAUTHORIZED, "the old one");
}

#[tokio::test]
async fn a_flood_of_wrong_signatures_reads_the_secret_every_ten_seconds_at_most() {
    let running = start().await;
    assert_eq!(running.dealt(&message("ping", "{}")).await, "pong");
    let wrong = with_header(&message("ping", "{}"), SIGNATURE, Some(&webhook_signature("wrong", b"{}")));
    running.wait(10);
    let hook = running.stack.secrets_manager.hook();
    hook.reset();
    let begun = running.clock.unix();
    for _ in 0..30 {
        for _ in 0..4 {
            assert_eq!(running.deliver(&wrong).await.status, StatusCode::UNAUTHORIZED);
        }
        running.wait(1);
    }
    // The clock goes on by itself too.
    let passed = usize::try_from(running.clock.unix() - begun).unwrap();
    let read = hook.calls("GetSecretValue");
    assert!((3..=passed / 10 + 1).contains(&read), "{read} times in {passed} seconds");
    assert_eq!(running.counted(Metric::WebhookRefused), 120);
    // What is malformed needs no secret at all.
    running.wait(60);
    running.deliver(&with_header(&wrong, SIGNATURE, Some("sha256=0"))).await;
    running.deliver(&with_header(&wrong, SIGNATURE, None)).await;
    assert_eq!(hook.calls("GetSecretValue"), read);
}

#[tokio::test]
async fn deliveries_are_read_with_the_secret_at_hand_while_secrets_manager_is_down() {
    let running = start().await;
    assert_eq!(running.dealt(&message("ping", "{}")).await, "pong");
    running.stack.secrets_manager.hook().fail_next("GetSecretValue", 1_000, &unavailable());
    running.wait(3_600);
    assert_eq!(running.dealt(&installed(&running)).await, "applied");
    let forged = with_header(&message("ping", "{}"), SIGNATURE, Some(&webhook_signature("wrong", b"{}")));
    running.wait(11);
    assert_eq!(running.deliver(&forged).await.status, StatusCode::UNAUTHORIZED);
    // One that never had it has nothing to check with: GitHub notes a failure, and it can come again.
    let running = start().await;
    running.stack.secrets_manager.hook().fail_next("GetSecretValue", 1_000, &unavailable());
    let answer = running.deliver(&message("ping", "{}")).await;
    assert!(answer.status.is_server_error() && answer.header("retry-after").is_some(), "{answer:?}");
}
