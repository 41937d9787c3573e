//! The log of deliveries, redelivery, and what goes wrong on a webhook's way.
//! What the webhooks say is tested in `webhooks`.

use std::time::Duration;

use local::sandbox_github::{DeliveryFaults, HowMany, webhook_signature};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Clock;

use super::lab::{Lab, Reply, WEBHOOK_SECRET};
use super::receiver::Receiver;

async fn connected() -> (Lab, Receiver) {
    let (lab, receiver) = (Lab::new().await, Receiver::start().await);
    lab.github.set_webhook_url(Some(receiver.url.clone()));
    (lab, receiver)
}

async fn call(lab: &Lab, method: Method, path: &str, version: &str) -> Reply {
    let jwt = lab.jwt();
    let headers = [("authorization", jwt.as_str()), ("x-github-api-version", version)];
    lab.send(method, format!("{}{path}", lab.github.api_url()), &headers, String::new()).await
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn the_log_is_paged_by_a_cursor_newest_first_and_filtered_by_status() {
    let (lab, receiver) = connected().await;
    for status in [200, 500, 200, 404, 302] {
        receiver.answer(status);
        lab.github.ping();
        lab.github.drain().await;
    }
    let list = async |query: &str| lab.get(&format!("/app/hook/deliveries{query}"), &lab.jwt()).await;
    let first = list("?per_page=2").await;
    let codes = |reply: &Reply| -> Vec<u64> {
        reply.json().as_array().unwrap().iter().map(|one| one["status_code"].as_u64().unwrap()).collect()
    };
    assert_eq!(codes(&first), [302, 404]);
    let next = |reply: &Reply| {
        let link = reply.header("link").to_owned();
        link.strip_prefix('<')
            .and_then(|link| link.split_once(">; rel=\"next\""))
            .map(|(url, _)| url.to_owned())
    };
    // What is delivered in the meantime moves no page.
    lab.github.ping();
    lab.github.drain().await;
    let address = next(&first).unwrap();
    assert!(address.contains("per_page=2&cursor=v1_"), "{address}");
    let jwt = lab.jwt();
    let second = lab.send(Method::GET, address, &[("authorization", &jwt)], String::new()).await;
    assert_eq!(codes(&second), [200, 500]);
    let third =
        lab.send(Method::GET, next(&second).unwrap(), &[("authorization", &jwt)], String::new()).await;
    assert_eq!((codes(&third), next(&third)), (vec![200], None));
    assert_eq!(codes(&list("?status=failure").await), [404, 500]);
    assert_eq!(codes(&list("?status=success").await), [302, 302, 200, 200]);
    assert_eq!(list("?status=other").await.status, 422);
    assert_eq!(list("?cursor=other").await.status, 400);
    assert_eq!(lab.get("/app/hook/deliveries", &lab.token("octocat")).await.status, 401);

    let example: Value =
        serde_json::from_str(include_str!("examples/openapi.hook-delivery-items.json")).unwrap();
    let item = first.json()[0].clone();
    assert_eq!(keys(&item), keys(&example[0]));
    assert_eq!(item["event"], "ping");
    let config = lab.get("/app/hook/config", &lab.jwt()).await.json();
    assert_eq!(
        config,
        json!({"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": receiver.url})
    );
}

#[tokio::test]
async fn a_redelivery_keeps_guid_and_bytes_for_three_days() {
    let (lab, receiver) = connected().await;
    receiver.answer(503);
    let id = lab.installation_of("octo-org");
    let suspended = format!("/app/installations/{id}/suspended");
    assert_eq!(call(&lab, Method::PUT, &suspended, "").await.status, 204);
    lab.github.drain().await;
    let first = receiver.take().remove(0);
    assert_eq!(first.name(), "installation.suspend");
    let delivery = lab.github.delivery_log().remove(0);
    assert_eq!((delivery.status_code(), delivery.status()), (503, "Invalid HTTP Response: 503"));
    assert_eq!(delivery.installation_id, Some(id));

    receiver.answer(200);
    lab.github.set_webhook_secret("rotated");
    let again = format!("/app/hook/deliveries/{}/attempts", delivery.id);
    assert_eq!(call(&lab, Method::POST, &again, "").await.status, 202);
    lab.github.drain().await;
    let second = receiver.take().remove(0);
    assert_eq!(second.header("x-github-delivery"), first.header("x-github-delivery"));
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("x-hub-signature-256"), webhook_signature("rotated", &first.body));
    let log = lab.github.delivery_log();
    assert_eq!(log.len(), 2);
    assert!(log[1].redelivery && log[1].guid == log[0].guid && log[1].id > log[0].id);

    let example: Value = serde_json::from_str(include_str!("examples/openapi.hook-delivery.json")).unwrap();
    let one = lab.get(&format!("/app/hook/deliveries/{}", log[1].id), &lab.jwt()).await.json();
    assert_eq!(keys(&one), keys(&example));
    assert_eq!(one["request"]["payload"], first.json());
    assert_eq!(one["request"]["headers"]["X-GitHub-Delivery"], log[1].guid);
    assert_eq!(one["response"]["payload"], "heard");
    assert_eq!(lab.get("/app/hook/deliveries/1", &lab.jwt()).await.status, 404);
    lab.clock.advance(Duration::from_secs(3 * 86_400 + 1));
    assert_eq!(call(&lab, Method::POST, &again, "").await.status, 422);
}

#[tokio::test]
async fn the_app_uninstalls_and_suspends_by_its_jwt() {
    let (lab, receiver) = connected().await;
    let ids = [lab.installation_of("octo-org"), lab.installation_of("octocat")];
    let count = async || lab.get("/app", &lab.jwt()).await.json()["installations_count"].as_u64().unwrap();
    let before = count().await;
    let path = |id: u64| format!("/app/installations/{id}");
    let suspended = format!("{}/suspended", path(ids[0]));
    for (method, path, version, status) in [
        (Method::PUT, suspended.clone(), "", 204),
        (Method::PUT, suspended.clone(), "", 204),
        (Method::DELETE, suspended, "", 204),
        (Method::DELETE, path(ids[0]), "", 204),
        (Method::DELETE, path(ids[1]), "2026-03-10", 202),
        (Method::DELETE, path(ids[1]), "", 404),
        (Method::PUT, format!("{}/suspended", path(ids[1])), "", 404),
    ] {
        assert_eq!(call(&lab, method, &path, version).await.status, status, "{path}");
    }
    lab.github.drain().await;
    let expected =
        ["suspend", "unsuspend", "deleted", "deleted"].map(|action| format!("installation.{action}"));
    assert_eq!(receiver.names(), expected);
    assert_eq!(count().await, before - 2);
}

#[tokio::test]
async fn deliveries_are_lost_refused_repeated_late_and_shuffled_on_demand() {
    let (lab, receiver) = connected().await;
    let faults = DeliveryFaults::default;
    let set = |faults| lab.github.deliveries(faults);
    let pings = |count: usize| (0..count).for_each(|_| lab.github.ping());
    let guids = || -> Vec<String> {
        receiver.take().iter().map(|one| one.header("x-github-delivery").to_owned()).collect()
    };

    set(DeliveryFaults { drop: HowMany::Next(2), ..faults() });
    pings(3);
    lab.github.drain().await;
    assert_eq!((guids().len(), lab.github.delivery_log().len()), (1, 1), "lost without a trace");

    set(DeliveryFaults { fail: HowMany::Next(1), ..faults() });
    pings(2);
    lab.github.drain().await;
    let codes: Vec<u16> = lab.github.delivery_log().iter().skip(1).map(|one| one.status_code()).collect();
    assert_eq!((guids().len(), codes), (1, vec![502, 200]));

    set(DeliveryFaults { repeat: 2, ..faults() });
    pings(1);
    lab.github.drain().await;
    let repeated = guids();
    assert!(repeated.len() == 3 && repeated.iter().all(|guid| *guid == repeated[0]));

    set(faults().delayed(Duration::from_millis(80)));
    let begun = std::time::Instant::now();
    pings(1);
    lab.github.drain().await;
    assert!(begun.elapsed() >= Duration::from_millis(80) && guids().len() == 1);

    let order = async |reorder: Option<u64>| {
        set(DeliveryFaults { hold: true, reorder, ..faults() });
        for login in ["octo-a", "octo-b", "octo-c", "octo-d", "octo-e", "octo-f"] {
            lab.github.world(|world| {
                let octocat = world.users.keys().next().copied().unwrap();
                world.rename(octocat, login);
            });
        }
        lab.github.drain().await;
        assert!(receiver.take().is_empty(), "held");
        lab.github.deliver_now().await;
        let login = |one: &super::receiver::Received| one.json()["account"]["login"].to_string();
        receiver.take().iter().map(login).collect::<Vec<_>>()
    };
    let in_order = order(None).await;
    let shuffled = order(Some(7)).await;
    assert_eq!(shuffled, order(Some(7)).await, "the same seed, the same order");
    assert_ne!(shuffled, in_order);
    let mut sorted = shuffled.clone();
    sorted.sort();
    assert_eq!(sorted, in_order);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_in_the_log() {
    let lab = Lab::new().await;
    lab.github.set_webhook_url(Some("http://127.0.0.1:9/webhooks".to_owned()));
    lab.github.ping();
    lab.github.drain().await;
    let log = lab.github.delivery_log();
    assert_eq!((log[0].status_code(), log[0].status()), (502, "failed to connect to host"));
    let one = lab.get(&format!("/app/hook/deliveries/{}", log[0].id), &lab.jwt()).await.json();
    assert_eq!(one["response"], json!({"headers": null, "payload": null}));
}

#[tokio::test]
async fn log_and_waiting_events_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("github.json");
    let (clock, receiver) = (Clock::system(), Receiver::start().await);
    let lab = Lab::remembering(Some(file.clone()), &clock).await;
    lab.github.set_webhook_url(Some(receiver.url.clone()));
    lab.github.ping();
    lab.github.drain().await;
    lab.github.set_webhook_url(None);
    lab.github.revoke_grant("octocat");
    let log = lab.github.delivery_log();
    lab.github.stop().await;
    assert!(!std::fs::read_to_string(&file).unwrap().contains(WEBHOOK_SECRET));

    let lab = Lab::remembering(Some(file), &clock).await;
    assert_eq!(lab.github.delivery_log(), log);
    receiver.take();
    lab.github.set_webhook_url(Some(receiver.url.clone()));
    lab.github.drain().await;
    assert_eq!(receiver.names(), ["github_app_authorization.revoked"]);
}
