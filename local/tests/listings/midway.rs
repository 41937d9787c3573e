//! Between any two calls to the host inside one listing: what changes while somebody lists is shown as it was or as
//! it is, what does not change is shown, and the next listing is right again.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use crate::change::{Change, Which, change, exchanged, moved, one_comes_or_goes};
use crate::looking::{Listing, Looked, Looker, shown};
use crate::scene::{ALPHA, Plan};
use crate::sight::{Sight, ids};
use crate::tally::{Met, Tally};

/// A listing while which something happens.
#[derive(Clone, Debug)]
pub(crate) enum Round {
    /// By somebody whose listing is remembered. Something may have happened since, so that there is a second look
    /// anyway; then, between two calls, all of this at once.
    Remembered { before: Option<Change>, at_once: Vec<Change>, at: u8, listing: Listing },
    /// With nothing remembered, and one repository that comes or goes. (When one goes and another comes while
    /// somebody lists for the first time, a third may slip from one page to the other unseen, as with all paging by
    /// number. The service takes that for the price of a first answer without a second look.)
    First { change: Change, at: u8 },
}

fn remembered() -> impl Strategy<Value = Round> {
    let before = prop_oneof![2 => Just(None), 1 => change().prop_map(Some)];
    let moved = (moved(), proptest::option::of(change()));
    let at_once = prop_oneof![
        2 => proptest::collection::vec(change(), 1..4),
        // The pages of today and those of yesterday count the same.
        2 => exchanged(),
        1 => moved.prop_map(|(moved, other)| std::iter::once(moved).chain(other).collect()),
    ];
    let listing = prop_oneof![2 => Just(Listing::Repositories), 1 => Just(Listing::Installations)];
    (before, at_once, any::<u8>(), listing).prop_map(|(before, at_once, at, listing)| Round::Remembered {
        before,
        at_once,
        at,
        listing,
    })
}

pub(crate) fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let first = (one_comes_or_goes(), any::<u8>()).prop_map(|(change, at)| Round::First { change, at });
    proptest::collection::vec(prop_oneof![4 => remembered(), 1 => first], 1..10)
}

/// One of each kind, which has an effect where the big account is installed still.
pub(crate) fn always() -> [Round; 2] {
    use Change::{Create, Delete, Select};
    let at_once = vec![Delete(ALPHA, 0), Create(ALPHA), Select(ALPHA, Which::MAX)];
    let (before, at, listing) = (None, 80, Listing::Repositories);
    [Round::First { change: Create(ALPHA), at }, Round::Remembered { before, at_once, at, listing }]
}

/// All of this once before each call of two looks that ask for so many pages.
pub(crate) fn everywhere(pages: usize, at_once: &[Change]) -> Vec<Round> {
    let (before, listing) = (None, Listing::Repositories);
    let at = |call: usize| Which::try_from((256 * call).div_ceil(2 * pages)).expect("a share");
    let round =
        |call| Round::Remembered { before: before.clone(), at_once: at_once.to_vec(), at: at(call), listing };
    (0..2 * pages).map(round).collect()
}

/// What a user saw before and after what happened midway.
type Sights = Arc<Mutex<Option<(Sight, Sight)>>>;

pub(crate) async fn play(plan: &Plan, rounds: &[Round], tally: &Tally) {
    let mut looker = Looker::start(plan, tally).await;
    looker.look_exactly(Listing::Repositories).await;
    for round in rounds {
        looker.wait(10);
        looker.round(round).await;
    }
    looker.running.stack.stop().await;
}

impl Looker<'_> {
    pub(crate) async fn round(&mut self, round: &Round) {
        match round {
            Round::Remembered { before, at_once, at, listing } => {
                if let Some(before) = before {
                    let scene = self.scene.clone();
                    self.world(|world| before.happen(world, &scene));
                }
                // The first look, and a second one.
                self.look_while(*listing, at_once.clone(), *at, 2).await;
            }
            Round::First { change, at } => {
                // A day passes.
                self.wait(25 * 3_600);
                self.token_changes();
                self.tally.met(Met::MidwayFirst, 1);
                self.look_while(Listing::Repositories, vec![change.clone()], *at, 1).await;
            }
        }
    }

    async fn look_while(&mut self, listing: Listing, changes: Vec<Change>, at: u8, looks: usize) {
        let sight = self.sight();
        let pages = if listing == Listing::Installations { sight.list_pages() } else { sight.pages() };
        let call = 1 + usize::from(at) * looks * pages / 256;
        let sights = self.arm(call, changes);
        let looked = self.look(listing).await;
        let waiting = self.running.github().forget_before_calls();
        let seen = sights.lock().expect("no panic").take();
        assert_eq!(seen.is_none(), waiting == 1);
        match seen {
            None => self.assert_exact(listing, &looked.answer),
            Some((before, after)) => self.assert_between(listing, &looked, &before, &after),
        }
        self.look_exactly(listing).await;
    }

    /// All of this happens before that call is answered.
    fn arm(&self, call: usize, changes: Vec<Change>) -> Sights {
        let sights = Sights::default();
        let (seen, scene) = (sights.clone(), self.scene.clone());
        self.running.github().before_call(call, move |world| {
            let before = Sight::of(world, scene.member);
            for change in &changes {
                change.happen(world, &scene);
            }
            let after = Sight::of(world, scene.member);
            *seen.lock().expect("no panic") = Some((before, after));
        });
        sights
    }

    fn assert_between(&self, listing: Listing, looked: &Looked, before: &Sight, after: &Sight) {
        let answer = &looked.answer;
        assert_eq!(answer.status, http::StatusCode::OK, "{answer:?}");
        assert_eq!(answer.header("x-partial-result"), None, "nothing has failed");
        self.tally.met(Met::Midway, usize::from(before != after));
        let pages = before.pages().max(after.pages());
        self.tally.met(Met::MidwaySecondLook, usize::from(looked.calls.len() > pages));
        if listing == Listing::Installations {
            let shown = ids(&answer.json());
            assert!(shown.is_sorted_by(|a, b| a < b), "out of order, or one twice: {shown:?}");
            for id in &shown {
                assert!(
                    before.installations.contains(id) || after.installations.contains(id),
                    "{id} is none"
                );
            }
            for id in before.installations.iter().filter(|id| after.installations.contains(id)) {
                assert!(shown.contains(id), "installation {id} was there all the time, and is not shown");
            }
            return;
        }
        let shown = shown(answer);
        for (id, row) in &shown {
            let was_or_is = [before, after].map(|sight| sight.row(id));
            assert!(was_or_is.contains(&Some(row)), "{id} was never so: {row:?}");
        }
        for id in before.repositories.keys().filter(|id| after.repositories.contains_key(*id)) {
            assert!(shown.contains_key(id), "{id} was there all the time, and is not shown");
        }
    }
}
