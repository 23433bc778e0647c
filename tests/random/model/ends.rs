//! How a task can end, and sets of such ends: what the model allows.

use corepool::TaskError;

/// What comes out of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Value,
    Panicked,
    Cancelled,
    Expired,
    Rejected,
}

impl How {
    pub(crate) const ALL: [Self; 5] =
        [Self::Value, Self::Panicked, Self::Cancelled, Self::Expired, Self::Rejected];

    pub(crate) fn of(error: &TaskError) -> Self {
        match error {
            TaskError::Panicked(_) => Self::Panicked,
            TaskError::Cancelled => Self::Cancelled,
            TaskError::Expired => Self::Expired,
            TaskError::Rejected(_) => Self::Rejected,
            other => panic!("no task of a program ends like this: {other}"),
        }
    }
}

/// How one task ended: its result, and whether its own closure ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) how: How,
    pub(crate) ran: bool,
}

/// A set of possible ends.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ends(u16);

impl Ends {
    pub(crate) fn add(&mut self, end: End) {
        self.0 |= Self::bit(end);
    }

    pub(crate) fn has(self, end: End) -> bool {
        self.0 & Self::bit(end) != 0
    }

    pub(crate) fn has_how(self, how: How) -> bool {
        self.has(End { how, ran: true }) || self.has(End { how, ran: false })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The ends that satisfy `fits`.
    pub(crate) fn filter(self, fits: impl Fn(End) -> bool) -> Self {
        let mut ends = Self::default();
        self.iter().filter(|end| fits(*end)).for_each(|end| ends.add(end));
        ends
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = End> {
        let ends = How::ALL.into_iter().flat_map(|how| [true, false].map(|ran| End { how, ran }));
        ends.filter(move |end| self.has(*end))
    }

    /// The only result, if there is only one.
    pub(crate) fn only_how(self) -> Option<How> {
        let mut hows = How::ALL.into_iter().filter(|how| self.has_how(*how));
        hows.next().filter(|_| hows.next().is_none())
    }

    fn bit(end: End) -> u16 {
        1 << (end.how as u16 * 2 + u16::from(end.ran))
    }
}

impl std::fmt::Debug for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|end| (end.how, end.ran))).finish()
    }
}
