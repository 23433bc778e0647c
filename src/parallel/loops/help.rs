//! When a loop calls a sleeping worker, and when it checks why that worker does not come.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::pace::Pace;
use crate::sched::hub::{Hub, Looker};

/// A loop calls a sleeping worker if more than this many times the work that is worth a theft is
/// left.
const CALL: usize = 4;
/// A called worker should have arrived after this much measured work.
const LATE: Duration = Duration::from_micros(150);

/// What a loop has done so far to get help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Help {
    #[default]
    Unasked,
    /// A worker was called after the loop had been measured for this long.
    Called(Duration),
    /// The loop has made sure that the called worker gets a core.
    LookedAfter,
}

impl Help {
    /// Returns `true` if the loop should ask for help now, with `left` items left.
    #[inline]
    pub(super) fn is_due(self, pace: &Pace, left: usize) -> bool {
        match self {
            Self::Unasked => pace.is_known() && left > CALL * pace.least(),
            Self::Called(at) => pace.known_for() > at + LATE && left > CALL * pace.least(),
            Self::LookedAfter => false,
        }
    }

    #[cold]
    pub(super) fn ask(&mut self, hub: &Hub, pace: &Pace) {
        *self = match self {
            Self::Unasked => {
                hub.call_for_help();
                Self::Called(pace.known_for())
            }
            Self::Called(_) | Self::LookedAfter => {
                hub.look_after_late(Looker::Computes);
                Self::LookedAfter
            }
        };
    }
}
