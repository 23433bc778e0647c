//! User code that is slow or waits forever delays only the threads that wait for it, and no chain
//! of tasks is too long.

mod deadlines;
mod deep;
mod full_pool;
