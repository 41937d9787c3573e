//! The published examples of GitHub, byte by byte, and deliveries that are not what they should be.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// The App of most examples.
const APP: u64 = 29310;

fn headers(event: &str, target: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-github-event", event.to_owned()),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
        ("x-github-hook-installation-target-id", target.to_string()),
        ("content-type", "application/json".to_owned()),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
    }
    headers
}

fn read_as(event: &str, app: u64, body: &str) -> Change {
    parse(&headers(event, app), body.as_bytes(), app).expect("GitHub's own example is read").change
}

fn installation(app: u64, body: &str) -> (InstallationAction, InstallationState, Vec<NamedRepository>) {
    match read_as("installation", app, body) {
        Change::Installation { action, installation, repositories, sender: Some(_) } => {
            (action, *installation, repositories.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../../fixtures/webhooks/", $name, ".json"))
    };
}

#[test]
fn created_has_dates_as_integers_and_lists_the_repositories() {
    let (action, installation, repositories) = installation(APP, example!("installation.created.1"));
    assert_eq!(action, InstallationAction::Created);
    assert_eq!((installation.id, installation.updated_at), (957_387, Some(1_557_933_591)));
    assert_eq!(installation.account.unwrap().login.as_deref(), Some("Codertocat"));
    assert_eq!(installation.repository_selection.as_deref(), Some("selected"));
    assert_eq!(repositories[0].full_name, "Codertocat/Hello-World");
}

#[test]
fn suspend_and_unsuspend_have_dates_as_text_with_an_offset() {
    let (action, suspended, _) = installation(APP, example!("installation.suspend.5"));
    assert_eq!(action, InstallationAction::Suspend);
    // 2021-04-28T22:32:50.000-04:00
    assert_eq!(suspended.updated_at, Some(1_619_663_570));
    assert!(suspended.suspended_at.is_some());
    let (action, resumed, _) = installation(APP, example!("installation.unsuspend.6"));
    assert_eq!((action, resumed.suspended_at), (InstallationAction::Unsuspend, None));
}

#[test]
fn every_published_example_of_our_events_is_read() {
    for (app, body, wanted) in [
        (APP, example!("installation.created.2"), InstallationAction::Created),
        (5725, example!("installation.deleted.0"), InstallationAction::Deleted),
        (APP, example!("installation.deleted.3"), InstallationAction::Deleted),
        (
            APP,
            example!("installation.new_permissions_accepted.4"),
            InstallationAction::NewPermissionsAccepted,
        ),
    ] {
        let own = serde_json::from_str::<serde_json::Value>(body).unwrap()["installation"]["app_id"].as_u64();
        assert_eq!(installation(own.unwrap_or(app), body).0, wanted);
    }
}

#[test]
fn repositories_are_added_and_removed() {
    for (body, added, removed) in [
        (example!("installation_repositories.added.0"), 1, 0),
        (example!("installation_repositories.added.1"), 1, 0),
        (example!("installation_repositories.removed.2"), 0, 1),
    ] {
        let app = serde_json::from_str::<serde_json::Value>(body).unwrap()["installation"]["app_id"].as_u64();
        let Change::Repositories { added: in_event, removed: out_of_event, installation } =
            read_as("installation_repositories", app.unwrap(), body)
        else {
            panic!("another change");
        };
        assert_eq!((in_event.len(), out_of_event.len()), (added, removed));
        assert!(installation.updated_at.is_some());
    }
}

#[test]
fn a_revoked_authorization_names_the_user_and_a_ping_nothing() {
    for body in
        [example!("github_app_authorization.revoked.0"), example!("github_app_authorization.revoked.1")]
    {
        assert!(matches!(
            read_as("github_app_authorization", APP, body),
            Change::AuthorizationRevoked { account_id } if account_id > 0
        ));
    }
    assert_eq!(read_as("ping", APP, example!("ping.ping.0")), Change::Ping);
}

#[test]
fn a_renamed_account_is_told_by_its_installation() {
    let body = r#"{"action":"renamed","account":{"id":1,"login":"new"},"changes":{"login":{"from":"old"}},
                   "target_type":"User","installation":{"id":7,"node_id":"x"}}"#;
    assert_eq!(read_as("installation_target", APP, body), Change::Renamed { installation_id: 7 });
}

#[test]
fn another_apps_events_are_told_by_the_target_and_by_the_installation() {
    let body = example!("installation.created.1");
    let delivery = parse(&headers("installation", 1), body.as_bytes(), APP).unwrap();
    assert_eq!(delivery.change, Change::OtherApp);
    assert_eq!(read_as("installation", 1, body), Change::OtherApp);
    assert_eq!(
        read_as("installation_repositories", 1, example!("installation_repositories.added.0")),
        Change::OtherApp
    );
}

#[test]
fn unknown_events_and_actions_change_nothing() {
    for (event, body) in [
        ("installation", r#"{"action":"transferred","installation":{"id":1}}"#),
        ("installation_repositories", r#"{"action":"counted"}"#),
        ("push", "{}"),
    ] {
        assert_eq!(read_as(event, APP, body), Change::Unknown, "{event}");
    }
}

#[test]
fn what_is_wrong_with_a_delivery_is_named() {
    let body = example!("installation.created.1").as_bytes();
    for (name, header) in [
        ("X-GitHub-Event", "x-github-event"),
        ("X-GitHub-Delivery", "x-github-delivery"),
        ("X-GitHub-Hook-Installation-Target-ID", "x-github-hook-installation-target-id"),
    ] {
        let mut missing = headers("installation", APP);
        missing.remove(header);
        assert_eq!(parse(&missing, body, APP), Err(DeliveryProblem::Header(name)));
        let mut odd = headers("installation", APP);
        odd.insert(header, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(parse(&odd, body, APP), Err(DeliveryProblem::Header(name)));
    }
    let mut form = headers("installation", APP);
    form.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    assert_eq!(parse(&form, body, APP), Err(DeliveryProblem::ContentType));
    for broken in [&body[..40], b"", b"[]", b"null", b"\xff", br#"{"action":"created"}"#] {
        let problem = parse(&headers("installation", APP), broken, APP).unwrap_err();
        assert!(matches!(problem, DeliveryProblem::Body { .. }), "{problem}");
        assert!(!problem.to_string().contains("Codertocat"), "no part of the body");
    }
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200), event in "[a-z_]{0,30}") {
        let _ = parse(&headers(&event, APP), &body, APP);
    }
}
