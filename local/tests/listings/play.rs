//! Between any two listings: whatever happens at GitHub, to the token and to what is remembered, the next listing is
//! what GitHub has then. While something fails, what is shown is right, and what is not shown is named.

use http::StatusCode;
use local::aws::hook::Fault as TableFault;
use local::sandbox_github::{Fault, FaultKind, InstallationId};
use proptest::prelude::*;
use shared::provider::ProviderType;
use shared::provider::remembered::Extent;
use shared::store::{TokenSlot, UserId};

use crate::change::{Change, change};
use crate::looking::{Listing, Looker, named_missing, shown};
use crate::scene::{ALPHA, Plan};
use crate::sight::{Sight, ids};
use crate::tally::{Met, Tally};

/// Seconds until a user's token has ended.
const TOKEN_LIFE: u64 = 8 * 3_600;
/// Seconds until a page is not remembered any more, and some.
const PAGES_LIFE: u64 = 25 * 3_600;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Happen(Change),
    Look(Listing),
    LookTwice(Listing),
    /// Two at once.
    LookTogether(Listing, Listing),
    /// A listing while GitHub fails, once or all the time.
    HostFails(Listing, Target, HostTrouble, bool),
    /// A listing while the table fails.
    TableFails(Listing, TableTrouble),
    TokenEnds,
    /// The user revokes what the App was granted; the listing after that fails, or there is none. Then the user signs
    /// in anew.
    Revoke(bool),
    DayPasses,
}

/// What fails at GitHub.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The list of installations.
    List,
    /// An installation's repositories: of that number among those that are there, and of that page or any.
    Repositories(u8, Option<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostTrouble {
    Status(u16),
    PrimaryLimit,
    SecondaryLimit,
    TooMany,
    CutJson,
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableTrouble {
    /// Nothing can be read that is looked for: an error that is not tried again.
    Query,
    /// Once: it is tried again.
    QueryOnce,
    Batch,
    BatchOnce,
    /// It is written, and nobody hears of it.
    BatchAnswer,
}

fn listing() -> impl Strategy<Value = Listing> {
    prop_oneof![3 => Just(Listing::Repositories), 2 => Just(Listing::OfGithub), 2 => Just(Listing::Installations)]
}

fn host_trouble() -> impl Strategy<Value = HostTrouble> {
    prop_oneof![
        proptest::sample::select(vec![500, 403, 404, 404, 401]).prop_map(HostTrouble::Status),
        Just(HostTrouble::PrimaryLimit),
        Just(HostTrouble::SecondaryLimit),
        Just(HostTrouble::TooMany),
        Just(HostTrouble::CutJson),
        Just(HostTrouble::Html),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let page = prop_oneof![2 => Just(None), 2 => (1_u8..3).prop_map(Some)];
    let repositories = (any::<u8>(), page).prop_map(|(number, page)| Target::Repositories(number, page));
    prop_oneof![1 => Just(Target::List), 4 => repositories]
}

fn table_trouble() -> impl Strategy<Value = TableTrouble> {
    use TableTrouble::{Batch, BatchAnswer, BatchOnce, Query, QueryOnce};
    proptest::sample::select(vec![Query, QueryOnce, Batch, BatchOnce, BatchAnswer])
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => change().prop_map(Action::Happen),
        7 => listing().prop_map(Action::Look),
        2 => listing().prop_map(Action::LookTwice),
        1 => (listing(), listing()).prop_map(|(one, other)| Action::LookTogether(one, other)),
        4 => (listing(), target(), host_trouble(), any::<bool>())
            .prop_map(|(listing, target, trouble, lasts)| Action::HostFails(listing, target, trouble, lasts)),
        2 => (listing(), table_trouble()).prop_map(|(listing, trouble)| Action::TableFails(listing, trouble)),
        1 => Just(Action::TokenEnds),
        1 => any::<bool>().prop_map(Action::Revoke),
        1 => Just(Action::DayPasses),
    ]
}

pub(crate) fn actions() -> impl Strategy<Value = Vec<Action>> {
    proptest::collection::vec(action(), 1..20)
}

/// These actions, and something of each kind behind them.
pub(crate) async fn play(plan: &Plan, actions: &[Action], tally: &Tally) {
    act_all(plan, &[actions, &always()].concat(), tally).await;
}

/// These actions.
pub(crate) async fn act_all(plan: &Plan, actions: &[Action], tally: &Tally) {
    let mut looker = Looker::start(plan, tally).await;
    for action in actions {
        looker.wait(10);
        looker.act(action).await;
    }
    looker.running.stack.stop().await;
}

/// Something fails, a last change, and everything twice.
fn always() -> [Action; 11] {
    let fails =
        |target, status| Action::HostFails(Listing::OfGithub, target, HostTrouble::Status(status), true);
    let last = Target::Repositories(u8::MAX, None);
    [
        Action::Look(Listing::Repositories),
        fails(last, 500),
        fails(last, 404),
        fails(last, 403),
        fails(Target::List, 500),
        Action::TableFails(Listing::OfGithub, TableTrouble::Query),
        Action::TokenEnds,
        Action::Look(Listing::Repositories),
        Action::Happen(Change::Create(ALPHA)),
        Action::LookTwice(Listing::Installations),
        Action::LookTwice(Listing::Repositories),
    ]
}

impl Looker<'_> {
    async fn act(&mut self, action: &Action) {
        match action {
            Action::Happen(change) => {
                let scene = self.scene.clone();
                self.world(|world| change.happen(world, &scene));
            }
            Action::Look(listing) => drop(self.look_exactly(*listing).await),
            Action::LookTwice(listing) => self.look_twice(*listing).await,
            Action::LookTogether(one, other) => self.look_together(*one, *other).await,
            Action::HostFails(listing, target, trouble, lasts) => {
                self.host_fails(*listing, *target, *trouble, *lasts).await;
                self.look_exactly(*listing).await;
            }
            Action::TableFails(listing, trouble) => {
                self.table_fails(*listing, *trouble).await;
                self.look_exactly(*listing).await;
            }
            Action::TokenEnds => {
                self.wait(TOKEN_LIFE);
                self.token_changes();
            }
            Action::DayPasses => {
                self.wait(PAGES_LIFE);
                self.token_changes();
            }
            Action::Revoke(looks) => self.revoke(*looks).await,
        }
    }

    async fn revoke(&mut self, looks: bool) {
        self.running.github().revoke_grant(&self.login());
        if looks {
            // The first call finds out; others may be on their way with what they know.
            self.token_may_change();
            let looked = self.look(Listing::Repositories).await;
            assert_eq!(looked.answer.status, StatusCode::UNAUTHORIZED, "{:?}", looked.answer);
            let user: UserId = serde_json::from_value(self.user.user_id.clone().into()).expect("an id");
            let slot = TokenSlot::own(ProviderType::Github);
            let left = self.running.stack.service.table.pages(&user, slot, Extent::Everything).await;
            assert!(left.expect("the table answers").is_empty(), "nothing is remembered without a token");
        }
        self.sign_in_anew().await;
    }

    async fn host_fails(&mut self, listing: Listing, target: Target, trouble: HostTrouble, lasts: bool) {
        let sight = self.sight();
        let failing = match target {
            Target::List => None,
            Target::Repositories(number, _) => {
                let all: Vec<InstallationId> = sight.reachable.keys().copied().collect();
                all.get(usize::from(number) * all.len() / 256).copied()
            }
        };
        let path = failing.map_or_else(
            || "/user/installations".to_owned(),
            |id| format!("/user/installations/{id}/repositories"),
        );
        let mut fault = Fault::get(&path, trouble.kind());
        if let Target::Repositories(_, Some(page)) = target {
            fault = fault.where_query(&format!("&page={page}"));
        }
        self.running.github().fail(if lasts { fault } else { fault.times(1) });
        let renews = trouble == HostTrouble::Status(401);
        if renews {
            self.token_may_change();
        }
        let answer = self.look(listing).await.answer;
        self.running.github().clear_faults();
        if answer.status != StatusCode::OK {
            let alone = failing.is_some() && sight.reachable.len() == 1;
            assert!(failing.is_none() || alone || renews, "one installation costs the others: {answer:?}");
            assert!((answer.status == StatusCode::UNAUTHORIZED) <= (renews && lasts), "{answer:?}");
            assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{answer:?}");
            self.tally.met(Met::Failed, 1);
            return;
        }
        let certain =
            lasts && trouble != HostTrouble::CutJson && !matches!(target, Target::Repositories(_, Some(_)));
        let concerned = listing != Listing::Installations || failing.is_none();
        assert!(!(certain && concerned && failing.is_none()), "a list that fails is no list: {answer:?}");
        if listing == Listing::Installations {
            self.assert_exact(listing, &answer);
            return;
        }
        self.assert_what_is_missing_is_named(&sight, failing, certain, &answer);
    }

    fn assert_what_is_missing_is_named(
        &self,
        sight: &Sight,
        failing: Option<InstallationId>,
        certain: bool,
        answer: &crate::harness::Answer,
    ) {
        let (shown, named) = (shown(answer), named_missing(answer));
        for (id, row) in &shown {
            assert_eq!(Some(row), sight.row(id), "{id} is stale");
        }
        for (id, (through, _)) in &sight.repositories {
            assert!(
                shown.contains_key(id) || named.contains(through),
                "{id} is missing, and nothing says so"
            );
        }
        assert!(named.iter().all(|named| Some(*named) == failing), "{named:?} did not fail");
        assert!(!certain || !named.is_empty(), "{failing:?} failed, and nothing says so");
        self.tally.met(Met::Partial, usize::from(!named.is_empty()));
    }

    async fn table_fails(&mut self, listing: Listing, trouble: TableTrouble) {
        let unavailable = TableFault::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError");
        let refused = TableFault::error(StatusCode::BAD_REQUEST, "ValidationException");
        let (operation, times, fault) = match trouble {
            TableTrouble::Query => ("Query", 100, refused),
            TableTrouble::QueryOnce => ("Query", 1, unavailable),
            TableTrouble::Batch => ("BatchWriteItem", 100, refused),
            TableTrouble::BatchOnce => ("BatchWriteItem", 1, unavailable),
            TableTrouble::BatchAnswer => ("BatchWriteItem", 1, TableFault::lost_answer()),
        };
        let hook = self.running.stack.dynamodb.hook();
        hook.fail_next(operation, times, &fault);
        let answer = self.look(listing).await.answer;
        self.running.stack.dynamodb.hook().reset();
        // Which hosts are linked is looked for too.
        if trouble == TableTrouble::Query && listing == Listing::Repositories {
            assert!(answer.status.is_server_error(), "{answer:?}");
            return;
        }
        self.assert_exact(listing, &answer);
        self.tally.met(Met::Forgotten, 1);
        if listing == Listing::Installations {
            assert_eq!(ids(&answer.json()).len(), self.sight().installations.len());
        }
    }
}

impl HostTrouble {
    fn kind(self) -> FaultKind {
        match self {
            Self::Status(status) => FaultKind::Status(StatusCode::from_u16(status).expect("a status")),
            Self::PrimaryLimit => FaultKind::PrimaryRateLimit { reset_in: 60 },
            Self::SecondaryLimit => FaultKind::SecondaryRateLimit { retry_after: 60 },
            Self::TooMany => FaultKind::TooManyRequests { retry_after: 60 },
            Self::CutJson => FaultKind::TruncatedJson,
            Self::Html => FaultKind::Html,
        }
    }
}
