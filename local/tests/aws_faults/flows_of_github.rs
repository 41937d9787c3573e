//! Flows in GitHub's own form, and what GitHub tells us by webhooks.

use std::time::Duration;

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{InstallationId, Selection, SignedDelivery, Target, World};

use crate::bench::Bench;
use crate::flows::Again::Same;
use crate::flows::{Family, Flow, Step, get, octocat, request};
use crate::flows_of_callers::flow;

const LIST: &str = "/user/installations";

fn delivered(delivery: &SignedDelivery) -> Step {
    let mut request = request(Method::POST, "/webhooks/github");
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    request.body = delivery.body.clone();
    request.step()
}

/// octocat and reader have rows for octo-org; a minute later this happens to it.
async fn told(bench: &Bench, change: fn(&mut World, InstallationId)) -> Step {
    let running = &bench.running;
    for login in ["octocat", "reader"] {
        let user = running.sign_in(login).await;
        assert_eq!(running.get(LIST).api_key(&user).send().await.status, StatusCode::OK);
    }
    running.clock.advance(Duration::from_secs(60));
    drop(running.github().take_undelivered());
    running.github().world(|world| change(world, installation_of(world, "octo-org")));
    delivered(&running.github().take_undelivered().pop().expect("a webhook"))
}

fn installation_of(world: &World, login: &str) -> InstallationId {
    let organization = world.organization(login).expect("an organisation").id;
    world.installation_on(Target::Account(organization)).expect("an installation").id
}

async fn own_installation(bench: &Bench) -> DemoUser {
    let user = octocat(&bench.running).await;
    assert_eq!(bench.running.get(LIST).api_key(&user).send().await.status, StatusCode::OK);
    user
}

pub(crate) fn flows() -> Vec<Flow> {
    vec![
        flow!("GitHub's list", "github-installations", Github, Same(&["200"]), false, |bench| async move {
            let user = octocat(&bench.running).await;
            get(LIST).key(&user).step()
        }),
        flow!(
            "GitHub's list again",
            "github-installations",
            Github,
            Same(&["200"]),
            false,
            |bench| async move {
                let user = own_installation(bench).await;
                get(LIST).key(&user).step()
            }
        ),
        flow!("an own installation", "github-user-installation", Github, Same(&["200"]), false, |bench| {
            async move {
                let user = octocat(&bench.running).await;
                get("/users/octocat/installation").key(&user).step()
            }
        }),
        flow!("webhook: created", "github-webhook", Webhook, Same(&["200"]), true, |bench| async move {
            let running = &bench.running;
            running.sign_in("newcomer").await;
            drop(running.github().take_undelivered());
            running.github().world(|world| {
                let newcomer = world.user("newcomer").unwrap().id;
                world.install(Target::Account(newcomer), Selection::All);
            });
            delivered(&running.github().take_undelivered().pop().expect("a webhook"))
        }),
        flow!("webhook: deleted", "github-webhook", Webhook, Same(&["200"]), true, |bench| told(
            bench,
            |world, id| world.uninstall(id)
        )),
        flow!("webhook: suspended", "github-webhook", Webhook, Same(&["200"]), true, |bench| told(
            bench,
            |world, id| world.suspend_by_owner(id)
        )),
        flow!("webhook: repositories", "github-webhook", Webhook, Same(&["200"]), true, |bench| told(
            bench,
            |world, id| world.select_repositories(id, Selection::All)
        )),
        flow!("webhook: renamed", "github-webhook", Webhook, Same(&["200"]), true, |bench| told(
            bench,
            |world, _| {
                let octo = world.organization("octo-org").unwrap().id;
                world.rename(octo, "octo-inc");
            }
        )),
        flow!("webhook: revoked", "github-webhook", Webhook, Same(&["200"]), true, |bench| async move {
            own_installation(bench).await;
            bench.running.clock.advance(Duration::from_secs(60));
            drop(bench.running.github().take_undelivered());
            bench.running.github().revoke_grant("octocat");
            delivered(&bench.running.github().take_undelivered().pop().expect("a webhook"))
        }),
    ]
}
