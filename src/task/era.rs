//! Which tasks of a pool were asked to stop all at once.
//!
//! No other thread can reach a plain task that runs, so the task must ask. It carries the era in
//! which it was spawned, in the free bits of its state word. A pool that wants all its tasks to
//! stop ends the era. Eras belong to the process, so a task compares with a single number. Only
//! after a change does it ask whether its own pool made that change. A task that was spawned before
//! the end of an era, in an order that the spawner and the pool agree on, carries the old era
//! wherever it stands. A task that was spawned after the end carries the new one.
//!
//! # Why every task that is meant is told, and no other task is
//!
//! A task is *told* when it sees that it should stop.
//!
//! 1. A task carries an era that had not ended, for its pool, when it was spawned. If the spawn
//!    happens before [`end`], the new era is a later one, whatever other pools do in the meantime.
//! 2. A task changes the era that it carries in one place only: where it asks and learns that no
//!    end was meant for it. It takes the era that is current under the same lock. All ends up to
//!    that point were made by other pools, or by its own pool before the task was spawned. An end
//!    by its own pool that has not been announced by [`stop`] yet is seen as pending, and then the
//!    task changes nothing.
//! 3. So when [`stop`] notes the era, each task that was spawned before the end carries an older
//!    one, and is told at its first check after that. A pool's later end is not overwritten by its
//!    earlier end, because the later one covers more tasks.
//! 4. A task that is spawned after the end carries this era or a later one, which is not before it.
//!
//! The word is written under the lock and read without it, so a thread may read an old era. A task
//! then behaves as if it had checked a moment before, and a spawn as if it had come before the end.
//! The return of [`stop`] happens before everything that follows it, so a spawn or check after that
//! reads the new era.
//!
//! An age of more than 131,071 eras looks younger than it is. A task that waited for that long
//! without a check may not be told. A task that is not meant is never told.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use std::sync::OnceLock;

use crate::base::id::PoolId;
use crate::base::sync::Ordering;
#[cfg(not(corepool_loom))]
use crate::base::sync::plain::{AtomicU32, RwLock};
#[cfg(corepool_loom)]
use crate::base::sync::{AtomicU32, RwLock};
use crate::cancel::CancelReason;

/// The position of the era in the state word.
pub(super) const SHIFT: u32 = 15;
/// The mask for the bits that are left for the era there. No task can show a greater age in eras.
const MASK: u64 = (1 << (u32::BITS - SHIFT)) - 1;

/// The eras of the process.
#[cfg(not(corepool_loom))]
static PROCESS: Eras = Eras { now: AtomicU32::new(0), ended: OnceLock::new() };

/// The current era, and the ends that the pools have made.
#[derive(Debug)]
struct Eras {
    /// The current era, at its position in the state word.
    now: AtomicU32,
    ended: OnceLock<RwLock<Ended>>,
}

#[derive(Debug, Default)]
struct Ended {
    /// How many eras have ended.
    eras: u64,
    /// The last era that each pool has ended, and why. Holds only pools that still exist.
    by: Vec<(PoolId, u64, CancelReason)>,
    /// Pools that have ended an era and are about to ask their tasks to stop.
    pending: Vec<(PoolId, u64)>,
}

impl Ended {
    fn announce(&mut self, pool: PoolId, era: u64) {
        mutant!("era_unannounced" => return);
        self.pending.push((pool, era));
    }

    fn is_before(&self, born: u32, era: u64) -> bool {
        let age = self.eras.wrapping_sub(u64::from(born >> SHIFT)) & MASK;
        mutant!("era_told_too_soon" => return self.eras - era <= age);
        self.eras - era < age
    }
}

/// Whether a pool's end covers all that this era's end would.
fn is_later(noted: u64, era: u64) -> bool {
    mutant!("era_older_wins" => return false);
    noted > era
}

impl Eras {
    fn ended(&self) -> &RwLock<Ended> {
        self.ended.get_or_init(RwLock::default)
    }

    #[inline]
    fn now(&self) -> u32 {
        // ORDERING: relaxed, because the end of an era happens before a spawn, after it, or
        // neither. If neither, both answers are correct.
        self.now.load(Ordering::Relaxed)
    }

    fn end(&self, pool: PoolId) -> u64 {
        let mut ended = self.ended().write();
        ended.eras += 1;
        let era = ended.eras;
        ended.announce(pool, era);
        // ORDERING: relaxed, as in `now`: a thread that sees the new era asks again under the lock.
        self.now.store((era as u32) << SHIFT, Ordering::Relaxed);
        era
    }

    fn stop(&self, pool: PoolId, era: u64, reason: CancelReason) {
        let mut ended = self.ended().write();
        ended.pending.retain(|pending| *pending != (pool, era));
        let before = ended.by.iter().position(|by| by.0 == pool);
        match before.map(|place| &mut ended.by[place]) {
            Some(by) if is_later(by.1, era) => {}
            Some(by) => *by = (pool, era, reason),
            None => ended.by.push((pool, era, reason)),
        }
    }

    fn is_before(&self, born: u32, era: u64) -> bool {
        self.ended().read().is_before(born, era)
    }

    fn forget(&self, pool: PoolId) {
        self.ended().write().by.retain(|other| other.0 != pool);
    }

    fn reason(&self, pool: PoolId, born: u32) -> Result<CancelReason, u32> {
        let ended = self.ended().read();
        let is_meant = |by: &&(PoolId, u64, CancelReason)| {
            mutant!("era_for_all" => return ended.is_before(born, by.1));
            by.0 == pool && ended.is_before(born, by.1)
        };
        let by = ended.by.iter().find(is_meant);
        let is_about_to_ask = ended.pending.iter().any(|pending| pending.0 == pool);
        let today = if is_about_to_ask { born } else { (ended.eras as u32) << SHIFT };
        let answer = by.map(|by| by.2.clone()).ok_or(today);
        drop(ended);
        mutant!("era_renewed_late" => return answer.map_err(|_| self.now()));
        answer
    }
}

/// The era bits for a task that is spawned now.
#[inline]
#[cfg(not(corepool_loom))]
pub(super) fn now() -> u32 {
    PROCESS.now()
}

/// No era ends in the models of tasks, so they spend no step on it.
#[cfg(corepool_loom)]
pub(super) fn now() -> u32 {
    0
}

#[cfg(not(corepool_loom))]
fn process() -> &'static Eras {
    &PROCESS
}

#[cfg(corepool_loom)]
fn process() -> &'static Eras {
    unreachable!("a model has eras of its own")
}

/// Ends the era and returns the number of the next one. No task is asked to stop before [`stop`],
/// which must follow.
pub(crate) fn end(pool: PoolId) -> u64 {
    process().end(pool)
}

/// Asks all tasks of the pool that were spawned before this era to stop.
pub(crate) fn stop(pool: PoolId, era: u64, reason: CancelReason) {
    process().stop(pool, era, reason);
}

/// Whether a task that carries these bits was spawned before this era.
pub(super) fn is_before(born: u32, era: u64) -> bool {
    process().is_before(born, era)
}

/// Removes the entry of a pool that is gone.
pub(crate) fn forget(pool: PoolId) {
    // A pool that has ended an era reads its own write.
    if now() != 0 {
        process().forget(pool);
    }
}

/// Why a task that carries these bits was asked to stop together with all others of its pool.
///
/// # Errors
/// If the task was not asked to stop, the bits that it should carry from now on, which are those of
/// the current era. While its pool is about to ask, the task keeps its old bits, because they say
/// that it is meant.
#[cold]
pub(super) fn reason(pool: PoolId, born: u32) -> Result<CancelReason, u32> {
    process().reason(pool, born)
}

#[cfg(all(test, not(corepool_loom)))]
mod tests {
    use super::{end, forget, now, reason, stop};
    use crate::base::id::PoolId;
    use crate::cancel::CancelReason;

    #[test]
    fn only_the_older_tasks_of_the_pool_that_ended_the_era_are_told() {
        let (pool, other) = (PoolId::next(), PoolId::next());
        let before = now();
        assert!(reason(pool, before).is_err());
        let era = end(pool);
        let between = now();
        assert_eq!(reason(pool, before), Err(before), "nobody was asked yet, but it will be");
        assert_ne!(reason(other, before), Err(before));
        stop(pool, era, CancelReason::Asked);
        assert_eq!(reason(pool, before), Ok(CancelReason::Asked));
        assert!(reason(pool, between).is_err());
        stop(pool, end(pool), CancelReason::PoolCancelled);
        let after = now();
        assert_eq!(reason(pool, before), Ok(CancelReason::PoolCancelled));
        assert!(reason(pool, after).is_err() && reason(other, before).is_err());
        stop(other, end(other), CancelReason::ShuttingDown);
        assert_eq!(reason(pool, before), Ok(CancelReason::PoolCancelled));
        assert!(reason(pool, after).is_err() && reason(pool, now()).is_err());
        assert_eq!(reason(other, after), Ok(CancelReason::ShuttingDown));
        forget(pool);
        assert!(reason(pool, before).is_err());
        forget(other);
    }
}
