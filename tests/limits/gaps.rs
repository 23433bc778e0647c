//! Machines that are hard to come by: masks with gaps, masks that shrink, kernels that grant
//! something other than was requested. This binary defines the C library's functions that read and
//! set masks, and simulates such a machine for the child that needs one.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use corepool::{BuildError, Pinning, PoolEvent, TaskContext, WorkerPool};

use crate::child;
use crate::support::until;

const WORDS: usize = 1_024 / 64;

type Mask = [u64; WORDS];

/// What the simulated machine is like.
#[derive(Debug, Clone, Copy)]
struct Machine {
    cores: Mask,
    /// Granted in addition to any request, like a kernel that must not split cores that belong
    /// together.
    given_along: Mask,
}

static MACHINE: Mutex<Option<Machine>> = Mutex::new(None);

thread_local! {
    /// The mask that the thread has requested; a new thread may run anywhere.
    static WANTED: Cell<Option<Mask>> = const { Cell::new(None) };
}

fn machine() -> Option<Machine> {
    *MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_cores(cores: &[usize]) -> Mask {
    let mut mask = [0; WORDS];
    cores.iter().for_each(|core| mask[core / 64] |= 1 << (core % 64));
    mask
}

fn both(one: Mask, other: Mask) -> Mask {
    std::array::from_fn(|at| one[at] & other[at])
}

/// Continues on a machine with these cores.
fn be_on(cores: &[usize], given_along: &[usize]) {
    let machine = Machine { cores: of_cores(cores), given_along: of_cores(given_along) };
    *MACHINE.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine);
}

/// The cores that the machine grants for this request. A request for cores that are all gone gets
/// every core, as after a change of a cpuset.
fn given(machine: Machine, wanted: Mask) -> Mask {
    let given = both(machine.cores, wanted);
    if given == [0; WORDS] {
        return machine.cores;
    }
    std::array::from_fn(|at| given[at] | machine.given_along[at])
}

/// Like the C library's function, or for the simulated machine.
///
/// # Safety
/// `set` must be writable for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(
    of: libc::pid_t,
    size: libc::size_t,
    set: *mut u8,
) -> libc::c_int {
    let written = if let Some(machine) = machine() {
        // A request for the process uses its id; one for the calling thread uses 0.
        let wanted = if of == 0 { WANTED.get() } else { None };
        let mask = wanted.map_or(machine.cores, |wanted| given(machine, wanted));
        let bytes = mask.map(u64::to_ne_bytes);
        let count = size.min(size_of::<Mask>());
        // SAFETY: the caller promises that `set` is writable for `size` bytes; `count` is at most
        // the length of both.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), set, count) };
        count
    } else {
        // SAFETY: the caller promises that `set` is writable for `size` bytes.
        let written = unsafe { libc::syscall(libc::SYS_sched_getaffinity, of, size, set) };
        let Ok(count) = usize::try_from(written) else { return -1 };
        count
    };
    // SAFETY: `written` is at most `size`, so the result lies within the caller's buffer.
    let rest = unsafe { set.add(written) };
    // SAFETY: the caller promises that `set` is writable for `size` bytes; this is the part behind
    // `written`.
    unsafe { rest.write_bytes(0, size - written) };
    0
}

/// Like the C library's function, or for the simulated machine.
///
/// # Safety
/// `set` must be readable for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_setaffinity(
    of: libc::pid_t,
    size: libc::size_t,
    set: *const u8,
) -> libc::c_int {
    let Some(machine) = machine() else {
        // SAFETY: the caller promises that `set` is readable for `size` bytes.
        let failed = unsafe { libc::syscall(libc::SYS_sched_setaffinity, of, size, set) };
        return if failed == 0 { 0 } else { -1 };
    };
    let mut wanted: Mask = [0; WORDS];
    // SAFETY: the caller promises that `set` is readable for `size` bytes, and the mask is at least
    // as long as what is copied.
    unsafe {
        std::ptr::copy_nonoverlapping(set, wanted.as_mut_ptr().cast(), size.min(size_of::<Mask>()));
    }
    if both(machine.cores, wanted) == [0; WORDS] {
        // SAFETY: `__errno_location` has no preconditions.
        let error = unsafe { libc::__errno_location() };
        // SAFETY: the pointer is to the calling thread's own `errno`.
        unsafe { *error = libc::EINVAL };
        return -1;
    }
    WANTED.set(Some(wanted));
    0
}

/// The cores of the workers in ascending order, without unpinned workers.
fn cores(pool: &WorkerPool) -> Vec<usize> {
    let mut cores: Vec<_> = pool.workers().iter().filter_map(|worker| worker.core).collect();
    cores.sort_unstable();
    cores
}

/// Case 70.
#[test]
fn on_a_mask_with_gaps_each_worker_has_one_of_its_cores() {
    if child::is_child() {
        be_on(&[1, 5, 900], &[]);
        let all = WorkerPool::new().unwrap();
        assert_eq!(cores(&all), [1, 5, 900]);
        // Later pools spread over the cores that are there.
        let two = WorkerPool::with_workers(2).unwrap();
        let one = WorkerPool::with_workers(1).unwrap();
        assert_eq!((cores(&two), cores(&one)), (vec![1, 5], vec![900]));
        let many = WorkerPool::with_workers(7).unwrap();
        assert_eq!(cores(&many), [1, 1, 1, 5, 5, 900, 900]);
        // A core whose siblings are unknown counts as a physical core.
        let physical = WorkerPool::builder().workers_per_physical_core().build().unwrap();
        assert!(cores(&physical).contains(&900));
        match WorkerPool::builder().pinning(Pinning::Cores(vec![5, 2])).build() {
            Err(BuildError::CoreNotAllowed { core: 2, allowed }) => {
                assert_eq!(allowed, [1, 5, 900]);
            }
            other => panic!("{other:?}"),
        }
        let named = WorkerPool::builder().workers(3).pinning(Pinning::Cores(vec![900, 5]));
        assert_eq!(cores(&named.build().unwrap()), [5, 900, 900]);
        // A worker runs on one core, but still sees the cores of the process.
        let inner = all.spawn(|| cores(&WorkerPool::new().unwrap())).join().unwrap();
        assert_eq!(inner, [1, 5, 900]);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 70.
#[test]
fn on_a_mask_that_shrinks_new_threads_say_what_they_were_given() {
    if child::is_child() {
        be_on(&[1, 5, 900], &[]);
        let pool = WorkerPool::new().unwrap();
        let events = pool.events();
        be_on(&[5], &[]);
        assert_eq!(cores(&WorkerPool::new().unwrap()), [5]);
        for worker in 0..3 {
            let ends = |cx: &TaskContext| -> () { cx.end_worker() };
            assert!(pool.task().on_worker(worker).spawn_with(ends).join().is_err());
            pool.task().on_worker(worker).spawn(|| ()).join().unwrap();
        }
        // On a busy machine a worker that got no turn is let loose, and has no core meanwhile.
        until(|| {
            assert!(pool.broadcast(|_| ()).all(|result| result.is_ok()));
            cores(&pool) == [5, 5, 5]
        });
        let mut moved: Vec<_> = events
            .receiver()
            .try_iter()
            .filter_map(|event| match event {
                PoolEvent::WorkerMoved { from, to: 5, .. } => Some(from),
                _ => None,
            })
            .collect();
        // None of these is a core of the real machine, so a worker that goes to sleep finds that it
        // is on another core, and reports that again.
        moved.sort_unstable();
        moved.dedup();
        assert_eq!(moved, [1, 900]);
        let tasks: Vec<_> = (0..100_u64).map(|n| pool.spawn(move || n)).collect();
        assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>(), 4_950);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 70.
#[test]
fn where_more_is_given_than_was_asked_for_nobody_is_called_pinned() {
    if child::is_child() {
        be_on(&[0, 1, 2, 3], &[2, 3]);
        let pool = WorkerPool::with_workers(4).unwrap();
        let mut events = pool.events();
        assert_eq!(cores(&pool), [0; 0]);
        drop(pool);
        let told = events.by_ref().any(|event| {
            matches!(event, PoolEvent::WorkerUnpinned { core: 0, why, .. } if why.contains("gave [0, 2, 3]"))
        });
        assert!(told);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 70. No thread can run on zero cores: something has filtered the answer, so it counts as no
/// answer.
#[test]
fn an_empty_mask_is_no_answer() {
    if child::is_child() {
        be_on(&[], &[]);
        let pool = WorkerPool::new().unwrap();
        assert!(!pool.workers().is_empty());
        assert_eq!(cores(&pool), [0; 0]);
        assert_eq!(pool.map(0..100, |n| n).len(), 100);
        let named = WorkerPool::builder().workers(1).pinning(Pinning::Cores(vec![0])).build();
        assert_eq!(named.unwrap().spawn(|| 2).join().unwrap(), 2);
        return;
    }
    child::run_again(|_| {}).expect_success();
}
