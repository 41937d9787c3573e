//! A user who lists, and what has to hold of every listing: that it is the world, item by item, and that a
//! condition is sent only for what the same token has fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{Method, StatusCode};
use local::data_folder::DemoUser;
use local::sandbox_github::{Call, InstallationId, World};

use crate::harness::{Answer, Running, Setup};
use crate::scene::{LOGIN, Plan, Scene};
use crate::sight::{Row, Sight, ids, rows};
use crate::tally::{Met, Tally};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// The repositories of all that is linked, which is GitHub.
    Repositories,
    /// The repositories of GitHub, by its name.
    OfGithub,
    Installations,
}

impl Listing {
    const fn path(self) -> &'static str {
        match self {
            Self::Repositories => "/api/user/repositories",
            Self::OfGithub => "/api/user/repositories?selected_provider=github",
            Self::Installations => "/api/user/installations?provider=github",
        }
    }
}

/// What the table is asked without being changed.
const READS: [&str; 4] = ["GetItem", "BatchGetItem", "Query", "TransactGetItems"];
/// A call that nobody waits for any more is written down a moment later.
const MOMENT: Duration = Duration::from_millis(5);

pub(crate) struct Looker<'a> {
    pub(crate) running: Running,
    pub(crate) user: DemoUser,
    pub(crate) scene: Scene,
    pub(crate) tally: &'a Tally,
    /// The pages that the user's token has fetched; nothing is known of it when the token changed while a listing
    /// was under way.
    fetched: Option<BTreeSet<(String, String)>>,
}

/// An answer, and what GitHub was asked for it.
pub(crate) struct Looked {
    pub(crate) answer: Answer,
    pub(crate) calls: Vec<Call>,
}

impl<'a> Looker<'a> {
    pub(crate) async fn start(plan: &Plan, tally: &'a Tally) -> Self {
        let (world, scene) = plan.world();
        let setup = Setup { world, ..Setup::default() };
        let running = setup.setting("UPSTREAM_CONCURRENCY", &plan.at_once.to_string()).start().await;
        let user = running.sign_in(LOGIN).await;
        let looker = Self { running, user, scene, tally, fetched: Some(BTreeSet::new()) };
        looker.wait(10);
        looker
    }

    /// So many seconds pass. A token is no fresh one after five.
    pub(crate) fn wait(&self, seconds: u64) {
        self.running.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        self.running.github().world(f)
    }

    pub(crate) fn sight(&self) -> Sight {
        self.world(|world| Sight::of(world, self.scene.member))
    }

    /// The next listing comes with another token.
    pub(crate) fn token_changes(&mut self) {
        self.tally.met(Met::OtherToken, 1);
        self.fetched = Some(BTreeSet::new());
    }

    /// The token may change during the next listing.
    pub(crate) fn token_may_change(&mut self) {
        self.fetched = None;
    }

    /// The user's name of now.
    pub(crate) fn login(&self) -> String {
        self.world(|world| world.login(self.scene.member).expect("the user is there").to_owned())
    }

    pub(crate) async fn sign_in_anew(&mut self) {
        self.user = self.running.sign_in(&self.login()).await;
        self.wait(10);
        self.token_changes();
    }

    async fn ask(&self, listing: Listing) -> Answer {
        self.running.get(listing.path()).api_key(&self.user).send().await
    }

    pub(crate) async fn look(&mut self, listing: Listing) -> Looked {
        self.running.github().clear_calls();
        let answer = self.ask(listing).await;
        let calls = self.note_calls();
        Looked { answer, calls }
    }

    fn note_calls(&mut self) -> Vec<Call> {
        let calls = self.running.github().calls();
        if let Some(fetched) = &mut self.fetched {
            for call in &calls {
                let page = (call.path.clone(), call.query.clone());
                // Of the list, which is remembered whole, the ETag that a new token would get is computed.
                let computed = call.path == "/user/installations";
                assert!(
                    !call.conditional || computed || fetched.contains(&page),
                    "a condition of another token was sent for {page:?}"
                );
                if call.status == Some(StatusCode::OK) {
                    fetched.insert(page);
                }
            }
        }
        let known = calls.iter().filter(|call| call.status == Some(StatusCode::NOT_MODIFIED)).count();
        self.tally.met(Met::NotModified, known);
        calls
    }

    /// Two listings at once; neither takes anything from the other.
    pub(crate) async fn look_together(&mut self, one: Listing, other: Listing) {
        self.running.github().clear_calls();
        let (first, second) = futures::join!(self.ask(one), self.ask(other));
        self.note_calls();
        self.assert_exact(one, &first);
        self.assert_exact(other, &second);
    }

    /// A listing is exactly what the world says that the user sees.
    pub(crate) async fn look_exactly(&mut self, listing: Listing) -> Answer {
        let looked = self.look(listing).await;
        self.assert_exact(listing, &looked.answer);
        self.tally.met(Met::SecondLook, usize::from(asked_twice(&looked.calls)));
        looked.answer
    }

    pub(crate) fn assert_exact(&self, listing: Listing, answer: &Answer) {
        let sight = self.sight();
        assert_eq!(answer.status, StatusCode::OK, "{listing:?}: {answer:?}");
        assert_eq!(answer.header("x-partial-result"), None, "{listing:?}");
        if listing == Listing::Installations {
            assert_eq!(ids(&answer.json()), sight.installations);
        } else {
            let shown = shown(answer);
            let missing: Vec<_> = sight.repositories.keys().filter(|id| !shown.contains_key(*id)).collect();
            let surplus: Vec<_> = shown.keys().filter(|id| sight.row(id).is_none()).collect();
            assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:?}, surplus: {surplus:?}");
            for (id, row) in &shown {
                assert_eq!(Some(row), sight.row(id), "{id} is stale");
            }
        }
        self.tally.met(Met::Exact, 1);
        self.tally.met(Met::SeveralPages, usize::from(sight.has_several_pages()));
        self.tally.met(Met::SeveralListPages, usize::from(sight.list_pages() > 1));
    }

    /// The same listing again, with nothing changed since: everything is asked for once, on condition, and answered
    /// with 304; that costs nothing of the rate limit, and the table is not written.
    pub(crate) async fn look_twice(&mut self, listing: Listing) {
        let first = self.look_exactly(listing).await;
        tokio::time::sleep(MOMENT).await;
        let used = self.used().await;
        let table = self.running.stack.dynamodb.hook().all_calls();
        let again = self.look(listing).await;
        assert_eq!((again.answer.status, &again.answer.body), (first.status, &first.body));
        let sight = self.sight();
        let pages = if listing == Listing::Installations { sight.list_pages() } else { sight.pages() };
        let statuses: Vec<_> =
            again.calls.iter().map(|call| call.status.map_or(0, |status| status.as_u16())).collect();
        assert_eq!(statuses, vec![304; pages], "{listing:?} asks for each page once: {:?}", again.calls);
        // Asking for the figure is a call too.
        assert_eq!(self.used().await, used + 1, "what is as it was costs nothing");
        let mut written = self.running.stack.dynamodb.hook().all_calls();
        written.retain(|operation, times| {
            !READS.contains(&operation.as_str()) && table.get(operation) != Some(times)
        });
        assert!(written.is_empty(), "{listing:?} writes what it has read: {written:?}");
        self.tally.met(Met::Quiet, 1);
    }

    /// How much of the user's rate limit is used.
    async fn used(&self) -> u64 {
        let token = self.running.github().mint_user_token(&self.login()).access_token;
        let url = format!("{}/user", self.running.github().api_url());
        let request = self.running.request_at(Method::GET, &url).bearer(&token);
        let answer = request.header("user-agent", "tests").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.header("x-ratelimit-used").and_then(|used| used.parse().ok()).expect("a number")
    }
}

/// The repositories of an answer: each once, and as many as it says.
pub(crate) fn shown(answer: &Answer) -> BTreeMap<String, Row> {
    let rows = rows(&answer.json());
    let count = rows.len();
    let shown: BTreeMap<String, Row> = rows.into_iter().collect();
    assert_eq!(shown.len(), count, "a repository twice");
    assert_eq!(answer.header("x-total-count"), Some(count.to_string().as_str()));
    shown
}

/// The installations that an answer names as missing.
pub(crate) fn named_missing(answer: &Answer) -> BTreeSet<InstallationId> {
    let named = answer.header("x-partial-result").unwrap_or_default();
    let entries = named.split(", ").filter(|entry| !entry.is_empty());
    let id = |entry: &str| {
        let (installation, _) = entry.strip_prefix("github/")?.split_once('=')?;
        installation.parse().ok().map(InstallationId)
    };
    entries.map(|entry| id(entry).unwrap_or_else(|| panic!("not an installation: {entry}"))).collect()
}

fn asked_twice(calls: &[Call]) -> bool {
    let pages: BTreeSet<_> = calls.iter().map(|call| (&call.path, &call.query)).collect();
    pages.len() < calls.len()
}
