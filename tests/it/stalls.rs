//! What of the user's takes its time, or waits for ever, holds up nobody but those who wait for it;
//! and no chain of tasks is too long.

mod deadlines;
mod deep;
mod full_pool;
