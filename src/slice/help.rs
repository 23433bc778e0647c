//! When a loop calls a sleeping worker, and when it looks what keeps that one.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::pace::Pace;
use crate::hub::{Hub, Looker};

/// For so many times as much as is worth a thief's way a sleeping worker is called.
const CALL: usize = 4;
/// Whoever was called ought to be there after this time of measured work.
const LATE: Duration = Duration::from_micros(150);

/// What a loop has done to be helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Help {
    #[default]
    Unasked,
    /// A worker was called when the loop had been measured for so long.
    Called(Duration),
    /// It was seen to that whoever was called gets a core.
    LookedAfter,
}

impl Help {
    /// Whether there is something to be done about it, where so many items are left.
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
