//! A delivery whose process or table fails in the middle: GitHub is told so, and the same delivery again ends
//! where an undisturbed one ends. From every call on the table fails, before the call is made and after.

use std::collections::BTreeMap;
use std::pin::Pin;

use http::StatusCode;
use local::aws::hook::Fault;
use local::data_folder::DemoUser;
use local::sandbox_github::{Selection, SignedDelivery, Target};
use serde_json::Value;

use crate::github_lab::{ATTEMPTS, LIST, unavailable};
use crate::harness::{Running, start};

/// Signs people in, lets something happen, and gives its delivery.
type Scene = for<'a> fn(&'a Running) -> Pin<Box<dyn Future<Output = (Vec<DemoUser>, SignedDelivery)> + 'a>>;

/// More tries than any of these deliveries makes: some calls are made at the same time.
const FOR_GOOD: usize = 10 * ATTEMPTS;

/// What goes wrong from a call on.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It fails, whatever the SDK tries.
    Fails,
    /// It is made, and the first answer is lost.
    AnswerLost,
    /// It is made, and every answer is lost.
    AnswersLost,
}

impl Trouble {
    fn faults(self) -> (usize, Fault) {
        match self {
            Self::Fails => (FOR_GOOD, unavailable()),
            Self::AnswerLost => (1, Fault::lost_answer()),
            Self::AnswersLost => (FOR_GOOD, Fault::lost_answer()),
        }
    }
}

struct Undisturbed {
    picture: BTreeMap<String, Value>,
    calls: BTreeMap<String, usize>,
}

async fn undisturbed(what: &str, scene: Scene) -> Undisturbed {
    let running = start().await;
    let (users, delivery) = scene(&running).await;
    let before = running.picture(&users.iter().collect::<Vec<_>>()).await;
    let hook = running.stack.dynamodb.hook();
    hook.reset();
    assert_eq!(running.dealt(&delivery).await, "applied", "{what}");
    let calls = hook.all_calls();
    println!("{what}: {} calls {calls:?}", calls.values().sum::<usize>());
    let picture = running.picture(&users.iter().collect::<Vec<_>>()).await;
    assert_ne!(picture, before, "{what} changes something");
    Undisturbed { picture, calls }
}

/// Every call of the delivery fails in each way; the same delivery again makes it whole.
async fn every_call_fails_once(what: &str, scene: Scene) {
    let Undisturbed { picture, calls } = undisturbed(what, scene).await;
    for (operation, count) in calls {
        for passing in 0..count {
            for trouble in [Trouble::Fails, Trouble::AnswerLost, Trouble::AnswersLost] {
                let context = format!("{what}: {operation} {passing} {trouble:?}");
                let running = start().await;
                let (users, delivery) = scene(&running).await;
                let hook = running.stack.dynamodb.hook();
                hook.reset();
                hook.fail_next(&operation, passing, &Fault::default());
                let (times, fault) = trouble.faults();
                hook.fail_next(&operation, times, &fault);
                let answer = running.deliver(&delivery).await;
                if let Trouble::AnswerLost = trouble {
                    assert_eq!(answer.status, StatusCode::OK, "{context}: {answer:?}");
                } else {
                    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{context}: {answer:?}");
                    assert!(answer.header("retry-after").is_some(), "{context}: {answer:?}");
                }
                hook.reset();
                assert_eq!(running.deliver(&delivery).await.status, StatusCode::OK, "{context}");
                let users: Vec<_> = users.iter().collect();
                assert_eq!(running.picture(&users).await, picture, "{context}");
                assert_eq!(running.dealt(&delivery).await, "repeated", "{context}");
                assert_eq!(running.picture(&users).await, picture, "{context}");
            }
        }
    }
}

/// octocat and reader, who share octo-org; what happens to it a minute later.
async fn in_octo_org(
    running: &Running,
    change: impl FnOnce(&mut local::sandbox_github::World, &Scenery),
) -> (Vec<DemoUser>, SignedDelivery) {
    let users = vec![running.sign_in("octocat").await, running.sign_in("reader").await];
    for user in &users {
        assert_eq!(running.get(LIST).api_key(user).send().await.status, StatusCode::OK);
    }
    let scenery = Scenery { id: running.installation("octo-org"), organization: running.account("octo-org") };
    running.wait(60);
    running.github().world(|world| change(world, &scenery));
    let mut waiting = running.github().take_undelivered();
    (users, waiting.pop().expect("something happened"))
}

struct Scenery {
    id: local::sandbox_github::InstallationId,
    organization: local::sandbox_github::AccountId,
}

macro_rules! crashes {
    ($($name:ident: $scene:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                every_call_fails_once(stringify!($name), $scene).await;
            }
        )*
    };
}

crashes! {
    created_on_the_own_account: |running| Box::pin(async move {
        let users = vec![running.sign_in("newcomer").await];
        let account = running.account("newcomer");
        running.github().world(|world| world.install(Target::Account(account), Selection::All));
        (users, running.taken())
    });
    created_by_a_member: |running| Box::pin(async move {
        let users = vec![running.sign_in("newcomer").await];
        let (organization, sender) = (running.account("new-org"), running.account("newcomer"));
        running.github().world(|world| {
            world.acting_as(sender).install(Target::Account(organization), Selection::All)
        });
        (users, running.taken())
    });
    suspended: |running| Box::pin(in_octo_org(running, |world, octo| world.suspend_by_owner(octo.id)));
    unsuspended: |running| Box::pin(async move {
        let (users, suspended) =
            in_octo_org(running, |world, octo| world.suspend_by_owner(octo.id)).await;
        running.dealt(&suspended).await;
        let id = running.installation("octo-org");
        running.wait(60);
        running.github().world(|world| world.unsuspend(id));
        (users, running.taken())
    });
    uninstalled: |running| Box::pin(in_octo_org(running, |world, octo| world.uninstall(octo.id)));
    uninstalled_with_repositories: |running| Box::pin(async move {
        let (users, added) = in_octo_org(running, |world, octo| {
            world.select_repositories(octo.id, Selection::All);
        }).await;
        running.dealt(&added).await;
        let id = running.installation("octo-org");
        running.wait(60);
        running.github().world(|world| world.uninstall(id));
        (users, running.taken())
    });
    permissions_accepted: |running| Box::pin(in_octo_org(running, |world, octo| {
        world.app.permissions.insert("issues".to_owned(), "write".to_owned());
        world.accept_permissions(octo.id);
    }));
    repositories_chosen: |running| Box::pin(in_octo_org(running, |world, octo| {
        world.select_repositories(octo.id, Selection::All);
    }));
    repository_removed: |running| Box::pin(async move {
        let (users, added) = in_octo_org(running, |world, octo| {
            world.select_repositories(octo.id, Selection::All);
        }).await;
        running.dealt(&added).await;
        let id = running.installation("octo-org");
        running.wait(60);
        running.github().world(|world| {
            let api = world.repositories.values().find(|one| one.name == "api").unwrap().id;
            world.remove_repository_from_installation(id, api);
        });
        (users, running.github().take_undelivered().pop().unwrap())
    });
    renamed: |running| Box::pin(in_octo_org(running, |world, octo| {
        world.rename(octo.organization, "octo-inc");
    }));
    authorization_revoked: |running| Box::pin(async move {
        let users = vec![running.sign_in("octocat").await];
        for path in [LIST, "/users/octocat/installation"] {
            assert_eq!(running.get(path).api_key(&users[0]).send().await.status, StatusCode::OK);
        }
        running.wait(60);
        running.github().revoke_grant("octocat");
        (users, running.taken())
    });
}
