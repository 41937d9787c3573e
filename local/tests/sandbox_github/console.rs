//! The sandbox's own page and API: what is done there is done, and told by webhooks.
//! The webhooks themselves are tested in `webhooks`, their log in `deliveries`.

use reqwest::Method;
use serde_json::{Value, json};

use super::lab::{Lab, Reply};
use super::receiver::Receiver;

const FORM: &str = "application/x-www-form-urlencoded";

async fn api(lab: &Lab, method: Method, path: &str, body: Value) -> Reply {
    let url = format!("{}/sandbox/api/{path}", lab.github.web_url());
    let body = if body.is_null() { String::new() } else { body.to_string() };
    lab.send(method, url, &[("content-type", "application/json")], body).await
}

async fn submit(lab: &Lab, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers: Vec<_> = [("content-type", FORM)].into_iter().chain(headers.iter().copied()).collect();
    lab.send(Method::POST, format!("{}/sandbox", lab.github.web_url()), &headers, body).await
}

async fn connected() -> (Lab, Receiver) {
    let (lab, receiver) = (Lab::new().await, Receiver::start().await);
    lab.github.set_webhook_url(Some(receiver.url.clone()));
    (lab, receiver)
}

#[tokio::test]
async fn everything_can_be_done_by_the_api_and_is_told() {
    let (lab, receiver) = connected().await;
    let body = json!({"account": "New-Org", "repositories": ["first-steps"], "sender": "newcomer", "requester": "reader"});
    let made = api(&lab, Method::POST, "installations", body.clone()).await;
    assert_eq!((made.status.as_u16(), &made.json()["repository_selection"]), (201, &json!("selected")));
    let id = made.json()["id"].as_u64().unwrap();
    let one = format!("installations/{id}");
    let none = Value::Null;
    for (method, path, body, status) in [
        (Method::POST, "installations".to_owned(), body, 422),
        (Method::POST, format!("{one}/suspend"), none.clone(), 200),
        (Method::POST, format!("{one}/unsuspend"), none.clone(), 200),
        (Method::POST, format!("{one}/repositories"), json!({"name": "second-steps"}), 200),
        (Method::POST, format!("{one}/repositories"), json!({"name": "second-steps"}), 422),
        (Method::POST, format!("{one}/repositories"), json!({"name": "no spaces"}), 422),
        (Method::DELETE, format!("{one}/repositories/first-steps"), none.clone(), 200),
        (Method::DELETE, format!("{one}/repositories/unknown"), none.clone(), 404),
        (Method::PUT, format!("{one}/selection"), json!({}), 200),
        (Method::POST, "app/permissions".to_owned(), json!({"issues": "write"}), 204),
        (Method::POST, format!("{one}/accept-permissions"), none.clone(), 200),
        (Method::POST, "accounts/new-org/rename".to_owned(), json!({"login": "newer-org"}), 204),
        (Method::POST, "accounts/newer-org/rename".to_owned(), json!({"login": "octo-org"}), 422),
        (Method::POST, "users/newcomer/revoke".to_owned(), none.clone(), 204),
        (Method::POST, "users/nobody/revoke".to_owned(), none.clone(), 404),
        (Method::POST, "ping".to_owned(), none.clone(), 204),
        (Method::DELETE, one.clone(), none.clone(), 204),
        (Method::DELETE, one, none.clone(), 404),
        (Method::POST, "installations".to_owned(), json!({"acount": "newcomer"}), 400),
    ] {
        let reply = api(&lab, method, &path, body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(status < 400 || !reply.message().is_empty());
    }
    lab.github.drain().await;
    let received = receiver.take();
    let first = received[0].json();
    assert_eq!(
        (&first["sender"]["login"], &first["requester"]["login"]),
        (&json!("newcomer"), &json!("reader"))
    );
    assert_eq!(
        received.iter().map(super::receiver::Received::name).collect::<Vec<_>>(),
        [
            "installation.created",
            "installation.suspend",
            "installation.unsuspend",
            "installation_repositories.added",
            "installation_repositories.removed",
            "installation_repositories.added",
            "installation.new_permissions_accepted",
            "installation_target.renamed",
            "github_app_authorization.revoked",
            "ping.",
            "installation.deleted",
        ]
    );
}

#[tokio::test]
async fn faults_and_the_log_are_in_the_api_too() {
    let (lab, receiver) = connected().await;
    let faults = json!({"drop": false, "fail": 1, "repeat": 0, "delay_ms": 0, "reorder": null, "hold": true});
    assert_eq!(api(&lab, Method::PUT, "deliveries/faults", faults.clone()).await.status, 204);
    assert_eq!(api(&lab, Method::GET, "deliveries/faults", Value::Null).await.json(), faults);
    assert_eq!(api(&lab, Method::PUT, "deliveries/faults", json!({"drops": 1})).await.status, 400);
    api(&lab, Method::POST, "ping", Value::Null).await;
    let log = async || api(&lab, Method::GET, "deliveries", Value::Null).await.json();
    assert_eq!(log().await, json!({"waiting": 1, "deliveries": []}));
    assert_eq!(api(&lab, Method::POST, "deliveries/now", Value::Null).await.status, 204);
    let failed = log().await["deliveries"][0].clone();
    assert_eq!((failed["status_code"].as_u64(), receiver.take().len()), (Some(502), 0));
    let again = format!("deliveries/{}/redeliver", failed["id"]);
    assert_eq!(api(&lab, Method::POST, &again, Value::Null).await.status, 204);
    assert_eq!(api(&lab, Method::POST, "deliveries/1/redeliver", Value::Null).await.status, 404);
    api(&lab, Method::POST, "deliveries/now", Value::Null).await;
    assert_eq!(receiver.take()[0].header("x-github-delivery"), failed["guid"]);
}

#[tokio::test]
async fn the_page_does_the_same_with_forms_only() {
    let (lab, receiver) = connected().await;
    let id = lab.installation_of("octo-org").to_string();
    let forms: [&[(&str, &str)]; 9] = [
        &[("what", "install"), ("account", "newcomer")],
        &[("what", "suspend"), ("installation", &id)],
        &[("what", "unsuspend"), ("installation", &id)],
        &[("what", "add"), ("installation", &id), ("name", "from-the-page")],
        &[("what", "remove"), ("installation", &id), ("name", "from-the-page")],
        &[("what", "rename"), ("account", "octo-org"), ("login", "octo-<b>")],
        &[("what", "rename"), ("account", "octo-org"), ("login", "octo-page")],
        &[("what", "revoke"), ("account", "octocat")],
        &[("what", "uninstall"), ("installation", &id)],
    ];
    for form in forms {
        let reply = submit(&lab, form, &[]).await;
        let status = if form.contains(&("login", "octo-<b>")) { 422 } else { 302 };
        assert_eq!(reply.status, status, "{form:?}: {}", reply.body);
    }
    lab.github.drain().await;
    assert_eq!(receiver.names().len(), forms.len() - 1);
    let faults = [("what", "faults"), ("drop", "all"), ("repeat", "2"), ("reorder", "7"), ("hold", "1")];
    assert_eq!(submit(&lab, &faults, &[]).await.header("location"), "/sandbox");
    assert_eq!(submit(&lab, &[("what", "faults"), ("drop", "some")], &[]).await.status, 400);

    let page = lab.send(Method::GET, format!("{}/sandbox", lab.github.web_url()), &[], String::new()).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self';"), "{policy}");
    assert!(!page.body.contains("<script") && !page.body.contains("style="));
    assert_eq!(page.header("referrer-policy"), "same-origin");
    for shown in
        ["newcomer", "octo-page", "installation_target.renamed", "value=\"all\"", " checked", "Waiting: 0"]
    {
        assert!(page.body.contains(shown), "{shown}");
    }
}

#[tokio::test]
async fn pages_from_elsewhere_can_do_nothing() {
    let lab = Lab::new().await;
    let ping = [("what", "ping")];
    let own = lab.github.web_url();
    let other_port = "http://localhost:1".to_owned();
    for (headers, status) in [
        (vec![("origin", own.as_str())], 302),
        (vec![("sec-fetch-site", "same-origin")], 302),
        (vec![], 302),
        (vec![("origin", "null")], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", other_port.as_str())], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("host", "evil.example"), ("origin", "http://evil.example")], 403),
    ] {
        assert_eq!(submit(&lab, &ping, &headers).await.status, status, "{headers:?}");
    }
    for path in ["/sandbox", "/sandbox/api/installations"] {
        let url = format!("{own}{path}");
        let rebound = lab.send(Method::GET, url.clone(), &[("host", "evil.example")], String::new()).await;
        assert_eq!(rebound.status, 403);
        assert_eq!(lab.send(Method::GET, url, &[], String::new()).await.status, 200);
    }
    let url = format!("{own}/sandbox/api/ping");
    let reply = lab.send(Method::POST, url, &[("origin", "https://evil.example")], String::new()).await;
    assert_eq!(reply.status, 403);
}
