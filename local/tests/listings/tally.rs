//! What was met while the properties were tried, so that none of them holds for want of a case.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Something that has to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Met {
    /// A listing that was compared with the world, item by item.
    Exact,
    /// One of them with more than a page of repositories.
    SeveralPages,
    /// One of them with more than a page of installations.
    SeveralListPages,
    /// A call that GitHub answered with 304.
    NotModified,
    /// A listing that asked GitHub about something twice.
    SecondLook,
    /// A listing that asked for nothing but what had not changed.
    Quiet,
    /// A listing of which something failed, and which said what.
    Partial,
    /// A listing that failed.
    Failed,
    /// A listing that failed to be remembered, or to be recalled.
    Forgotten,
    /// A listing with another token than the one before it.
    OtherToken,
    /// A listing while which something changed that the user sees.
    Midway,
    /// One of them that needed a second look.
    MidwaySecondLook,
    /// One of them with nothing remembered.
    MidwayFirst,
}

#[derive(Debug, Default)]
pub(crate) struct Tally(RefCell<BTreeMap<Met, usize>>);

impl Tally {
    pub(crate) fn met(&self, met: Met, times: usize) {
        *self.0.borrow_mut().entry(met).or_default() += times;
    }

    pub(crate) fn assert_met(&self, all: &[Met]) {
        let counted = self.0.borrow();
        println!("{counted:?}");
        for met in all {
            assert!(counted.get(met).is_some_and(|times| *times > 0), "never met: {met:?} in {counted:?}");
        }
    }
}
