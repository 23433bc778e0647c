//! The pools of this process by id, so that a handle can find its task's pool without owning it.
//!
//! A handle that kept its pool alive would cost two contended reference counts per task, and a
//! queued task would keep alive a pool that should shut down. Cancelling is rare enough for a
//! look-up.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use super::Hub;
use crate::base::id::PoolId;
use crate::base::sync::plain::RwLock;
use crate::task::era;

type Pools = RwLock<HashMap<PoolId, Weak<Hub>>>;

fn pools() -> &'static Pools {
    static POOLS: OnceLock<Pools> = OnceLock::new();
    POOLS.get_or_init(Pools::default)
}

/// An id that no pool has now. Two pools made at the same moment cannot get the same id, because
/// ids repeat only after millions.
pub(super) fn free_id() -> PoolId {
    loop {
        let id = PoolId::next();
        if !pools().read().contains_key(&id) {
            return id;
        }
    }
}

pub(super) fn add(hub: &Arc<Hub>) {
    pools().write().insert(hub.id, Arc::downgrade(hub));
}

/// The pool with this id, if it still exists.
pub(crate) fn find(id: PoolId) -> Option<Arc<Hub>> {
    pools().read().get(&id).and_then(Weak::upgrade)
}

impl Drop for Hub {
    fn drop(&mut self) {
        let mut pools = pools().write();
        pools.remove(&self.id);
        era::forget(self.id);
        if pools.capacity() > 4 * pools.len().max(16) {
            pools.shrink_to_fit();
        }
    }
}
