//! What the functions do with the table and the secrets, each as broadly as it can: the flows whose record is
//! compared with the policies. That they work rightly is the other modules' business.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use local::aws::access::Use;
use local::data_folder::DemoUser;
use local::demo_user::{OTHER_LOGINS, link};
use local::sandbox_github::{
    DeliveryFaults, Fault, FaultKind, HowMany, InstallationId, Selection, SignedDelivery, Target,
};
use serde_json::json;
use shared::provider::ProviderType;
use shared::service::Needs;
use shared::store::{Identity, Proof};

use crate::github_lab::{LIST, app_jwt, claims};
use crate::harness::{Browser, Running, Setup};
use crate::openhands::INSTALLATIONS;
use crate::reconcile_lab::{small_world, start_in};
use crate::webhooks::{body_of, message};
use crate::webhooks_size::crowd;

const OWN: &str = "/users/octocat/installation";
const EIGHT_HOURS: u64 = 8 * 3600 + 1;
/// So long that the next use of a key or a session is noted.
const PAUSE: u64 = 11 * 60;

/// All of them.
pub(crate) async fn all() -> BTreeSet<Use> {
    let mut used = callers().await;
    used.extend(renewals().await);
    used.extend(brokered_renewals().await);
    used.extend(enterprise_sso().await);
    used.extend(webhooks().await);
    used.extend(contradictions(true).await);
    used.extend(contradictions(false).await);
    used.extend(reconciliation().await);
    used
}

async fn service() -> Running {
    Setup { other_hosts: true, ..Setup::default() }.start().await
}

fn down() -> FaultKind {
    FaultKind::Status(StatusCode::INTERNAL_SERVER_ERROR)
}

/// octocat with an account at every host.
async fn linked(running: &Running) -> DemoUser {
    let mut user = running.sign_in("octocat").await;
    for (provider, login) in OTHER_LOGINS {
        user = link(&running.stack, &user, provider, login).await.expect("the host's account is linked");
    }
    user
}

/// The routes that read with the user's tokens.
fn listings(user: &DemoUser) -> Vec<String> {
    let own = format!("/api/users/{}/installations", user.user_id);
    [INSTALLATIONS, "/api/user/repositories", LIST, OWN, &format!("{own}/1/imports")]
        .map(str::to_owned)
        .into()
}

async fn ask(running: &Running, user: &DemoUser, path: &str) {
    running.get(path).api_key(user).send().await;
}

/// Every route by every kind of caller; keys, rows and tokens that come and go.
async fn callers() -> BTreeSet<Use> {
    let running = service().await;
    for (name, function) in &running.stack.functions {
        // It has nothing to warm up, and may not.
        let table = name != "web";
        function.warm_up(Needs { table, ..Needs::default() }).await;
    }
    let user = linked(&running).await;
    let own = format!("/api/users/{}/installations", user.user_id);
    let mut paths = listings(&user);
    paths.extend([own.clone(), "/api/keys".to_owned(), "/auth/session".to_owned()]);
    for path in &paths {
        running.wait(PAUSE);
        ask(&running, &user, path).await;
        running.get(path).session(&user).send().await;
    }
    let jwt = app_jwt(&claims(&running.clock));
    for status in [None, Some(down()), Some(FaultKind::Status(StatusCode::NOT_FOUND))] {
        running.github().clear_faults();
        if let Some(kind) = status {
            running.github().fail(Fault::under("/", kind));
        }
        running.get(OWN).bearer(&jwt).send().await;
        ask(&running, &user, LIST).await;
        ask(&running, &user, OWN).await;
    }
    running.github().clear_faults();

    let made = running.post("/api/keys").api_key(&user).json(&json!({"name": "one"})).send().await;
    let path = format!("/api/keys/{}", made.json()["id"].as_str().expect("a key"));
    running.delete(&path).api_key(&user).send().await;
    let row = running.shown_rows(&user).await[0]["id"].clone();
    running.delete(&format!("{own}/{row}")).api_key(&user).send().await;
    // GitHub shows it still: it comes back.
    ask(&running, &user, LIST).await;
    for by_route in [true, false] {
        let (id, installation) = (crate::behind::user(&user.user_id), running.installation("octocat"));
        let table = &running.stack.service.table;
        table.set_proof(&id, installation.0, Proof::Member, running.clock.unix()).await.expect("a row");
        if by_route {
            ask(&running, &user, LIST).await;
        } else {
            running.browser().sign_in("octocat").await;
        }
    }

    let browser = running.browser();
    browser.sign_in("newcomer").await;
    let account = Target::Account(running.account("newcomer"));
    let id = running.github().world(|world| world.install(account, Selection::All)).0;
    browser.get(&format!("/auth/github/setup?installation_id={id}&setup_action=install")).await;
    browser.get(&format!("/auth/github/setup?installation_id={id}&setup_action=update")).await;

    running.post("/api/unset-provider-tokens").api_key(&user).send().await;
    let hosts = running.stack.other_hosts.as_ref().expect("there are other hosts");
    let token = |provider, login| hosts.personal_token(provider, login).expect("a token");
    let added = json!({"provider_tokens": {
        "github": {"token": running.github().mint_user_token("octocat").access_token},
        "gitlab": {"token": token("gitlab", "gitlab-cat")},
    }});
    running.post("/api/add-git-providers").api_key(&user).json(&added).send().await;
    let stranger = running.sign_in("reader").await;
    let added = json!({"provider_tokens": {"bitbucket": {"token": token("bitbucket", "bitbucket-cat")}}});
    running.post("/api/add-git-providers").api_key(&stranger).json(&added).send().await;
    browser.post("/auth/logout", None).await;
    running.stack.access.used()
}

/// Tokens that have expired, and tokens that a host does not take any more.
async fn renewals() -> BTreeSet<Use> {
    let running = service().await;
    let user = linked(&running).await;
    ask(&running, &user, LIST).await;
    let account = running.account("octocat");
    for path in listings(&user) {
        running.wait(EIGHT_HOURS);
        if path == OWN {
            // Who octocat is now, only the user's own token tells.
            running.github().world(|world| world.rename(account, "tentacle"));
            ask(&running, &user, "/users/tentacle/installation").await;
            running.github().world(|world| world.rename(account, "octocat"));
        }
        ask(&running, &user, &path).await;
    }
    for path in listings(&user) {
        running.wait(60);
        let hosts = running.stack.other_hosts.as_ref().expect("there are other hosts");
        running.github().revoke_grant("octocat");
        hosts.gitlab.revoke_grant("gitlab-cat");
        if path == OWN {
            running.github().world(|world| world.rename(account, "tentacle"));
            ask(&running, &user, "/users/tentacle/installation").await;
            running.github().world(|world| world.rename(account, "octocat"));
        }
        ask(&running, &user, &path).await;
        running.browser().sign_in("octocat").await;
    }
    running.stack.access.used()
}

/// The same for who signs in at the enterprise SSO only: the broker is asked, with a token of its own.
async fn brokered_renewals() -> BTreeSet<Use> {
    let running = service().await;
    let user = running.browser().sso_user("sso-cat").await;
    ask(&running, &user, LIST).await;
    let account = running.account("octocat");
    for path in listings(&user) {
        running.wait(1_500);
        running.openid().forget_all_brokered("github");
        running.github().revoke_grant("octocat");
        if path == OWN {
            running.github().world(|world| world.rename(account, "tentacle"));
            ask(&running, &user, "/users/tentacle/installation").await;
            running.github().world(|world| world.rename(account, "octocat"));
        }
        ask(&running, &user, &path).await;
    }
    running.stack.access.used()
}

/// Sessions that end here, at the issuer, and for a whole subject.
async fn enterprise_sso() -> BTreeSet<Use> {
    let running = service().await;
    let browsers: [Browser<'_>; 3] = std::array::from_fn(|_| running.browser());
    for browser in &browsers {
        browser.sso_sign_in("sso-cat").await;
    }
    running.wait(PAUSE);
    browsers[0].session().await;
    browsers[0].post("/auth/logout", None).await;
    running.openid().backchannel_logout("sso-cat").await.expect("it is sent");
    let token =
        running.openid().logout_token("sso-cat", |_, claims| drop(claims.remove("sid"))).expect("a token");
    crate::sso_logout::send(&running, &token).await;

    // The operator has replaced the issuer.
    let browser = running.browser();
    let (id, provider) = (browser.sso_user("sso-plain").await.user_id, ProviderType::EnterpriseSso);
    let table = &running.stack.service.table;
    let known = table.identity(&crate::behind::user(&id), provider).await.expect("an answer");
    let known = known.expect("an identity");
    let former = Identity { subject: "https://old.example.com 1".to_owned(), ..known.clone() };
    table.replace_identity(&known, &former).await.expect("it is written");
    browser.sso_sign_in("sso-plain").await;
    running.stack.access.used()
}

/// Everything that GitHub tells, about installations with few and with many users.
async fn webhooks() -> BTreeSet<Use> {
    let setup = Setup { webhooks: true, other_hosts: true, ..Setup::default() };
    let running = setup.start().await;
    let octocat = running.sign_in("octocat").await;
    // With a session that came from the issuer, which a revocation at GitHub ends too.
    link(&running.stack, &octocat, "enterprise_sso", "sso-cat").await.expect("it is linked");
    running.sign_in("newcomer").await;
    let organization = running.account("octo-org");
    let id = running.installation("octo-org");
    let newcomer = running.account("newcomer");
    let own = running.github().world(|world| world.install(Target::Account(newcomer), Selection::All));
    running.github().drain().await;
    crowd(&running, id).await;
    running.github().world(|world| {
        world.suspend_by_owner(id);
        world.unsuspend(id);
        world.rename(organization, "octo-inc");
        world.accept_permissions(id);
        world.select_repositories(own, Selection::Selected(Default::default()));
        world.select_repositories(own, Selection::All);
    });
    running.github().drain().await;
    running.github().world(|world| {
        world.uninstall(own);
        world.uninstall(id);
    });
    running.github().drain().await;
    running.github().revoke_grant("octocat");
    running.github().drain().await;
    running.stack.access.used()
}

/// A suspension of the very second in which the installation changed last at GitHub, where it is not suspended.
async fn contradiction(running: &Running, id: InstallationId) {
    running.wait(60);
    running.github().world(|world| {
        world.suspend_by_owner(id);
        world.unsuspend(id);
    });
    let waiting: Vec<SignedDelivery> = running.github().take_undelivered();
    let (mut suspend, unsuspend) = (body_of(&waiting[0]), body_of(&waiting[1]));
    let at = unsuspend["installation"]["updated_at"].clone();
    suspend["installation"]["updated_at"] = at.clone();
    suspend["installation"]["suspended_at"] = at;
    running.deliver(&message("installation", suspend.to_string())).await;
}

/// What the listing shows contradicts what is known: GitHub is asked, and does not answer, or answers, or knows
/// nothing of it. By the route itself, or by a sign-in.
async fn contradictions(by_route: bool) -> BTreeSet<Use> {
    let running = service().await;
    let user = running.sign_in("octocat").await;
    let id = running.installation("octo-org");
    let look = async || {
        if by_route {
            ask(&running, &user, LIST).await;
        } else {
            running.browser().sign_in("octocat").await;
        }
    };
    let path = format!("/app/installations/{}", id.0);
    contradiction(&running, id).await;
    running.break_github(&path, down());
    look().await;
    running.github().clear_faults();
    look().await;
    contradiction(&running, id).await;
    running.break_github(&path, FaultKind::Status(StatusCode::NOT_FOUND));
    look().await;
    // The webhook itself finds GitHub down, and later the next one does not.
    let other = running.installation("octocat");
    contradiction(&running, other).await;
    running.github().clear_faults();
    running.github().fail(Fault::under("/app", down()));
    let unsuspend = {
        running.github().world(|world| {
            world.suspend_by_owner(other);
            world.unsuspend(other);
        });
        running.github().take_undelivered()
    };
    for delivery in unsuspend.iter().rev() {
        let mut body = body_of(delivery);
        body["installation"]["updated_at"] = json!(running.clock.unix());
        running.deliver(&message("installation", body.to_string())).await;
    }
    running.github().clear_faults();
    running.wait(60);
    running.github().world(|world| world.accept_permissions(other));
    for delivery in running.github().take_undelivered() {
        running.deliver(&delivery).await;
    }
    running.stack.access.used()
}

/// Runs that find nothing, drift, failed deliveries, and what could not be decided before.
async fn reconciliation() -> BTreeSet<Use> {
    let running = start_in(small_world()).await;
    running.sign_in("ann").await;
    running.sign_in("ben").await;
    reconcile(&running, true).await;
    running.wait(3_600);
    let (ben, globex) = (running.account("ben"), running.installation("globex"));
    let (acme, organization) = (running.installation("acme"), running.account("acme"));
    crowd_of(&running, acme).await;
    running
        .unnoticed(|world| {
            world.install(Target::Account(ben), Selection::All);
            world.uninstall(globex);
            world.rename(organization, "acme-inc");
        })
        .await;
    reconcile(&running, false).await;
    reconcile(&running, true).await;
    running.wait(900);
    running.failing(|world| world.rename(organization, "acme-corp")).await;
    let faults = DeliveryFaults { fail: HowMany::Always(true), ..DeliveryFaults::default() };
    running.github().deliveries(faults);
    reconcile(&running, false).await;
    running.github().drain().await;
    running.github().deliveries(DeliveryFaults::default());
    running.unnoticed(|world| world.uninstall(acme)).await;
    running.wait(900);
    reconcile(&running, false).await;
    reconcile(&running, true).await;

    // GitHub could not be asked when the webhooks came.
    let setup = Setup { other_hosts: false, ..Setup::default() };
    let unsure = setup.start().await;
    unsure.sign_in("octocat").await;
    let id = unsure.installation("octo-org");
    contradiction(&unsure, id).await;
    unsure.github().fail(Fault::under("/app", down()));
    ask(&unsure, &unsure.sign_in("octocat").await, LIST).await;
    unsure.github().clear_faults();
    reconcile(&unsure, false).await;
    // Nor when a run finds a rename.
    let organization = unsure.account("octo-org");
    unsure.unnoticed(|world| world.rename(organization, "octo-inc")).await;
    unsure.break_github(&format!("/app/installations/{}", id.0), down());
    reconcile(&unsure, true).await;
    unsure.github().clear_faults();
    let mut used = running.stack.access.used();
    used.extend(unsure.stack.access.used());
    used
}

async fn reconcile(running: &Running, full: bool) {
    // On a busy machine a call may take longer than a function waits for it.
    for _ in 0..3 {
        if running.try_run(full).await.is_ok() {
            return;
        }
        running.wait(301);
    }
    panic!("no run without a failure");
}

async fn crowd_of(running: &Running, id: InstallationId) {
    crowd(running, id).await;
    // So that no two changes are of the same second.
    running.clock.advance(Duration::from_secs(1));
}
