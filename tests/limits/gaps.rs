//! Machines that nobody has at hand: masks with gaps, masks that shrink, kernels that give
//! something else. The functions of the C library that tell and set masks are ours in this binary,
//! and make such a machine up for the child that wants one.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use corepool::{BuildError, Pinning, PoolEvent, TaskContext, WorkerPool};

use crate::child;
use crate::support::until;

const WORDS: usize = 1_024 / 64;

type Mask = [u64; WORDS];

/// What the made-up machine is like.
#[derive(Debug, Clone, Copy)]
struct Machine {
    cores: Mask,
    /// Given along with whatever is asked for, as a kernel does that must not split what belongs
    /// together.
    given_along: Mask,
}

static MACHINE: Mutex<Option<Machine>> = Mutex::new(None);

thread_local! {
    /// What the thread has asked for; a new thread may run anywhere.
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

/// Goes on on a machine of these cores.
fn be_on(cores: &[usize], given_along: &[usize]) {
    let machine = Machine { cores: of_cores(cores), given_along: of_cores(given_along) };
    *MACHINE.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine);
}

/// What the machine gives to who wants this: all it has to who wants only what is not there any
/// more, as after a change of a set of cores.
fn given(machine: Machine, wanted: Mask) -> Mask {
    let given = both(machine.cores, wanted);
    if given == [0; WORDS] {
        return machine.cores;
    }
    std::array::from_fn(|at| given[at] | machine.given_along[at])
}

/// As the C library's, or of the made-up machine.
///
/// # Safety
/// `set` is writable for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(
    of: libc::pid_t,
    size: libc::size_t,
    set: *mut u8,
) -> libc::c_int {
    let written = if let Some(machine) = machine() {
        // Asked about the process by its number, and about the calling thread by none.
        let wanted = if of == 0 { WANTED.get() } else { None };
        let mask = wanted.map_or(machine.cores, |wanted| given(machine, wanted));
        let bytes = mask.map(u64::to_ne_bytes);
        let count = size.min(size_of::<Mask>());
        // SAFETY: the caller's promise; both are at least that long.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), set, count) };
        count
    } else {
        // SAFETY: the caller's promise.
        let written = unsafe { libc::syscall(libc::SYS_sched_getaffinity, of, size, set) };
        let Ok(count) = usize::try_from(written) else { return -1 };
        count
    };
    // SAFETY: what was written is part of what the caller has.
    let rest = unsafe { set.add(written) };
    // SAFETY: the caller's promise, for what is behind that.
    unsafe { rest.write_bytes(0, size - written) };
    0
}

/// As the C library's, or of the made-up machine.
///
/// # Safety
/// `set` is readable for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_setaffinity(
    of: libc::pid_t,
    size: libc::size_t,
    set: *const u8,
) -> libc::c_int {
    let Some(machine) = machine() else {
        // SAFETY: the caller's promise.
        let failed = unsafe { libc::syscall(libc::SYS_sched_setaffinity, of, size, set) };
        return if failed == 0 { 0 } else { -1 };
    };
    let mut wanted: Mask = [0; WORDS];
    // SAFETY: the caller's promise, and the mask is at least that long.
    unsafe {
        std::ptr::copy_nonoverlapping(set, wanted.as_mut_ptr().cast(), size.min(size_of::<Mask>()));
    }
    if both(machine.cores, wanted) == [0; WORDS] {
        // SAFETY: it is the calling thread's own.
        let error = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { *error = libc::EINVAL };
        return -1;
    }
    WANTED.set(Some(wanted));
    0
}

/// The cores of the workers in ascending order, without those that are not pinned.
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
        // Those that come later spread over what there is.
        let two = WorkerPool::with_workers(2).unwrap();
        let one = WorkerPool::with_workers(1).unwrap();
        assert_eq!((cores(&two), cores(&one)), (vec![1, 5], vec![900]));
        let many = WorkerPool::with_workers(7).unwrap();
        assert_eq!(cores(&many), [1, 1, 1, 5, 5, 900, 900]);
        // A core whose relatives are not known stands for itself.
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
        // On a worker, which has one core, the process's are seen all the same.
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
        // On a busy machine one that got no core is let loose, and has none meanwhile.
        until(|| {
            assert!(pool.broadcast(|_| ()).all(|result| result.is_ok()));
            cores(&pool) == [5, 5, 5]
        });
        let mut moved: Vec<_> = events
            .try_iter()
            .filter_map(|event| match event {
                PoolEvent::WorkerMoved { from, to: 5, .. } => Some(from),
                _ => None,
            })
            .collect();
        // A core of the real machine is none of these, so a worker that rests finds itself
        // elsewhere, and says so again.
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
        let events = pool.events();
        assert_eq!(cores(&pool), [0; 0]);
        drop(pool);
        let told = events.iter().any(|event| {
            matches!(event, PoolEvent::WorkerUnpinned { core: 0, why, .. } if why.contains("gave [0, 2, 3]"))
        });
        assert!(told);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 70. No thread can run on no core: somebody filters the answer, and it counts as none.
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
