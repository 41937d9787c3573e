//! A client secret is rotated while the service runs, and the host has ended the old one at once: no sign-in fails and
//! no renewal, although the processes have read the old one a moment ago.

use std::time::Duration;

use http::StatusCode;
use local::stack::{GITHUB_APP_SECRET, OAUTH_CLIENTS_SECRET, sandbox_app_secret};
use serde_json::Value;
use shared::provider::ProviderType;

use crate::harness::Running;
use crate::other_hosts::{get, hosts, linked, start};

/// A secret is read again after so long at the earliest.
const PAUSE: Duration = Duration::from_secs(11);
/// Longer than any access token lives.
const LATER: Duration = Duration::from_secs(8 * 3600 + 1);

/// A secret with other client secrets than the hosts have.
fn outdated(secret: &str) -> String {
    fn replace(value: &mut Value) {
        let Value::Object(fields) = value else { return };
        for (name, value) in fields {
            if name == "client_secret" {
                *value = "the-one-before".into();
            }
            replace(value);
        }
    }
    let mut secret: Value = serde_json::from_str(secret).unwrap();
    replace(&mut secret);
    secret.to_string()
}

/// Before the rotation: Secrets Manager holds what the hosts accept no more, and this function has read it.
async fn before(running: &Running, function: &str) {
    running.stack.secrets.set(GITHUB_APP_SECRET, &outdated(&sandbox_app_secret()));
    running.stack.secrets.set(OAUTH_CLIENTS_SECRET, &outdated(&hosts(running).clients_secret()));
    running.clock.advance(Duration::from_secs(301));
    let service = &running.stack.functions[function];
    for provider in ProviderType::ALL {
        assert!(service.offers_sign_in(provider).await.unwrap());
    }
}

/// The operator puts the hosts' secrets of now into Secrets Manager.
fn rotated(running: &Running) {
    running.clock.advance(PAUSE);
    running.stack.secrets.set(GITHUB_APP_SECRET, &sandbox_app_secret());
    running.stack.secrets.set(OAUTH_CLIENTS_SECRET, &hosts(running).clients_secret());
}

/// How often the hosts' token endpoints were called.
fn token_calls(running: &Running) -> usize {
    let hosts = hosts(running);
    let gitlab = hosts.gitlab.calls();
    let bitbucket = hosts.bitbucket.calls();
    running.token_calls()
        + gitlab.iter().filter(|call| call.path == "/oauth/token").count()
        + bitbucket.iter().filter(|call| call.path == "/site/oauth2/access_token").count()
}

fn forget_calls(running: &Running) {
    running.github().clear_calls();
    hosts(running).gitlab.clear_calls();
    hosts(running).bitbucket.clear_calls();
}

#[tokio::test]
async fn a_sign_in_that_comes_back_after_a_rotation_ends_well_at_every_host() {
    for (provider, login) in [
        ("github", "octocat"),
        ("gitlab", "gitlab-cat"),
        ("bitbucket", "bitbucket-cat"),
        ("enterprise_sso", "sso-cat"),
    ] {
        let running = start().await;
        before(&running, "sign-in").await;
        let browser = running.browser();
        let authorize = browser.start_sign_in(&format!("/auth/{provider}/login")).await;
        let (page, query) = authorize.split_once('?').expect("an authorize page takes a query");
        let back = match provider {
            "github" => browser.approve(&authorize, login),
            _ => browser.form(page, &format!("{query}&choice={login}")).await.location().to_owned(),
        };
        rotated(&running);
        let finished = browser.get(&back).await;
        assert_eq!(finished.status, StatusCode::SEE_OTHER, "{provider}: {finished:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_to_be_renewed_after_a_rotation_is_renewed() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    running.clock.advance(LATER);
    before(&running, "user-installations").await;
    rotated(&running);
    // Refused and tried again; at Bitbucket the client is known already, because its secret is GitLab's.
    for (provider, calls) in [("github", 2), ("gitlab", 2), ("bitbucket", 1)] {
        forget_calls(&running);
        let path = format!("/api/user/installations?provider={provider}");
        let answer = get(&running, &user, &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{provider}: {answer:?}");
        assert_eq!(token_calls(&running), calls, "{provider}");
    }
}

#[tokio::test]
async fn a_secret_that_is_wrong_in_secrets_manager_too_is_tried_once_and_costs_no_refresh_token() {
    let running = start().await;
    let user = linked(&running, "gitlab-cat", "bitbucket-cat").await;
    running.clock.advance(LATER);
    before(&running, "user-installations").await;
    running.clock.advance(PAUSE);
    for provider in ["github", "gitlab", "bitbucket"] {
        forget_calls(&running);
        let path = format!("/api/user/installations?provider={provider}");
        let answer = get(&running, &user, &path).await;
        assert!(answer.status.is_server_error(), "{provider}: {answer:?}");
        assert_eq!(token_calls(&running), 1, "{provider}");
    }
    rotated(&running);
    for provider in ["github", "gitlab", "bitbucket"] {
        let path = format!("/api/user/installations?provider={provider}");
        assert_eq!(get(&running, &user, &path).await.status, StatusCode::OK, "{provider}");
    }
}
