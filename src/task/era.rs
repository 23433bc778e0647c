//! Which tasks of a pool were asked to stop all at once.
//!
//! Nobody can reach a plain task that runs but the thread that runs it. So it is the task that
//! asks: it bears the era in which it was spawned, in the free bits of its state word, and a pool
//! that wants all its tasks to stop ends the era. Eras are the process's, so that a task compares
//! with one number; only after a change it asks whether its own pool made that. What was spawned
//! before the end of an era, as the spawner and the pool agree on "before", bears the old one,
//! wherever it stands meanwhile; what is spawned after it bears the new one.
//!
//! # Why nobody is missed
//!
//! 1. A task bears an era that had not ended, for its pool, when it was spawned. If the spawn
//!    happens before [`end`], the new era is a later one, whatever other pools do meanwhile.
//! 2. A task changes what it bears in one place only: where it asks, and hears that nothing was
//!    meant for it. It takes the era that was the present one under the same lock. So all ends up
//!    to there were other pools', or this pool's that the task was spawned after; an end of its own
//!    pool that is not told yet is seen as pending, and then it changes nothing.
//! 3. So when [`stop`] notes the era, each task that was spawned before the end bears an older one,
//!    and hears of it at its first look after that. What a pool has ended later is not overwritten
//!    by what it has ended before, for that says less.
//! 4. A task that is spawned after the end bears this era or a later one, which is not before it.
//!
//! The word is written under the lock and read without it. Who reads it late sees an old era: then
//! the task looks as it would have a moment before, or a spawn is as one that came before the end.
//! The return of [`stop`] happens before whatever follows it, so who spawns or looks after that
//! reads the new one.
//!
//! An age of more than 131,071 eras looks younger than it is. Then a task that waited for so long
//! without a look may not be told; never is one told that is not meant.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use std::sync::OnceLock;

use crate::cancel::CancelReason;
use crate::id::PoolId;
use crate::sync::Ordering;
#[cfg(not(corepool_loom))]
use crate::sync::plain::{AtomicU32, RwLock};
#[cfg(corepool_loom)]
use crate::sync::{AtomicU32, RwLock};

/// Where the era stands in the state word.
pub(super) const SHIFT: u32 = 15;
/// So many bits are left for it there; no task is older than as many eras.
const MASK: u64 = (1 << (u32::BITS - SHIFT)) - 1;

/// The eras of the process.
#[cfg(not(corepool_loom))]
static PROCESS: Eras = Eras { now: AtomicU32::new(0), ended: OnceLock::new() };

/// The present era, and who has ended which.
#[derive(Debug)]
struct Eras {
    /// The present one, in its place in the state word.
    now: AtomicU32,
    ended: OnceLock<RwLock<Ended>>,
}

#[derive(Debug, Default)]
struct Ended {
    /// How many eras have ended.
    eras: u64,
    /// The last era that each pool has ended, and why. Only pools that are still there.
    by: Vec<(PoolId, u64, CancelReason)>,
    /// Pools that have ended an era, and will ask their tasks to stop.
    pending: Vec<(PoolId, u64)>,
}

impl Ended {
    fn is_before(&self, born: u32, era: u64) -> bool {
        let age = self.eras.wrapping_sub(u64::from(born >> SHIFT)) & MASK;
        self.eras - era < age + u64::from(mutant!("era_told_too_soon"))
    }
}

impl Eras {
    fn ended(&self) -> &RwLock<Ended> {
        self.ended.get_or_init(RwLock::default)
    }

    #[inline]
    fn now(&self) -> u32 {
        // ORDERING: what ends an era happens before a spawn or after it, or neither; and either is
        // as good then.
        self.now.load(Ordering::Relaxed)
    }

    fn end(&self, pool: PoolId) -> u64 {
        let mut ended = self.ended().write();
        ended.eras += 1;
        let era = ended.eras;
        if !mutant!("era_unannounced") {
            ended.pending.push((pool, era));
        }
        // ORDERING: as in `now`; who sees it asks again under the lock.
        self.now.store((era as u32) << SHIFT, Ordering::Relaxed);
        era
    }

    fn stop(&self, pool: PoolId, era: u64, reason: CancelReason) {
        let mut ended = self.ended().write();
        ended.pending.retain(|pending| *pending != (pool, era));
        let before = ended.by.iter().position(|by| by.0 == pool);
        match before.map(|place| &mut ended.by[place]) {
            Some(by) if by.1 > era && !mutant!("era_older_wins") => {}
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
            (by.0 == pool || mutant!("era_for_all")) && ended.is_before(born, by.1)
        };
        let by = ended.by.iter().find(is_meant);
        let is_about_to_ask = ended.pending.iter().any(|pending| pending.0 == pool);
        let today = if is_about_to_ask { born } else { (ended.eras as u32) << SHIFT };
        let answer = by.map(|by| by.2.clone()).ok_or(today);
        drop(ended);
        if mutant!("era_renewed_late") { answer.map_err(|_| self.now()) } else { answer }
    }
}

/// The bits that a task spawned now bears.
#[inline]
#[cfg(not(corepool_loom))]
pub(super) fn now() -> u32 {
    PROCESS.now()
}

/// In the models of tasks no era ends, and no step is spent on it.
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

/// Ends the era, and gives the number of the next one. Nobody is asked to stop before [`stop`],
/// which has to follow.
pub(crate) fn end(pool: PoolId) -> u64 {
    process().end(pool)
}

/// Asks all tasks of the pool that were spawned before this era to stop.
pub(crate) fn stop(pool: PoolId, era: u64, reason: CancelReason) {
    process().stop(pool, era, reason);
}

/// Whether a task that bears these bits was spawned before this era.
pub(super) fn is_before(born: u32, era: u64) -> bool {
    process().is_before(born, era)
}

/// The pool is gone.
pub(crate) fn forget(pool: PoolId) {
    // A pool that has ended an era reads its own write.
    if now() != 0 {
        process().forget(pool);
    }
}

/// Why a task that bears these bits was asked to stop with all others of its pool.
///
/// # Errors
/// If it was not: the bits that say as much, and are of today. But while its pool is about to ask,
/// the task keeps those it has, for they say that it is meant.
#[cold]
pub(super) fn reason(pool: PoolId, born: u32) -> Result<CancelReason, u32> {
    process().reason(pool, born)
}

#[cfg(all(test, not(corepool_loom)))]
mod tests {
    use super::{end, forget, now, reason, stop};
    use crate::cancel::CancelReason;
    use crate::id::PoolId;

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
