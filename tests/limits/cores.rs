//! Narrow masks and refused calls: the pool uses the cores it may use, and reports what it got.

use std::io;
use std::mem;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use corepool::{BuildError, Pinning, PoolEvent, WorkerPool};

use crate::child;

fn set_of(cores: &[usize]) -> libc::cpu_set_t {
    // SAFETY: a set of cores is plain bits, and all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &core in cores {
        // SAFETY: the cores are those of this machine, so they are far below the size of a set.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    set
}

/// Confines the calling thread.
pub(crate) fn confine(cores: &[usize]) -> io::Result<()> {
    confine_thread(0, cores)
}

/// Confines a thread, given by its id.
pub(crate) fn confine_thread(thread: libc::pid_t, cores: &[usize]) -> io::Result<()> {
    let set = set_of(cores);
    let size = mem::size_of_val(&set);
    // SAFETY: `set` is a local variable of the given size.
    let failed = unsafe { libc::sched_setaffinity(thread, size, &raw const set) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cores that the calling thread may run on.
pub(crate) fn mask() -> Vec<usize> {
    let mut set = set_of(&[]);
    let size = mem::size_of_val(&set);
    // SAFETY: `set` is a local variable of the given size.
    let failed = unsafe { libc::sched_getaffinity(0, size, &raw mut set) };
    assert_eq!(failed, 0);
    let limit = usize::try_from(libc::CPU_SETSIZE).unwrap();
    // SAFETY: the numbers are below the size of a set.
    (0..limit).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
}

/// Starts the child on one core, as `taskset` would.
pub(crate) fn confined(command: &mut Command, core: usize) {
    let set = move || confine(&[core]);
    // SAFETY: between fork and exec the closure makes one system call, and allocates nothing.
    unsafe { command.pre_exec(set) };
}

#[test]
fn a_process_confined_to_one_core_gets_one_worker_there() {
    if child::is_child() {
        let only = mask();
        assert_eq!(only.len(), 1);
        let pool = WorkerPool::new().unwrap();
        let cores: Vec<_> = pool.workers().into_iter().map(|worker| worker.core).collect();
        assert_eq!(cores, [Some(only[0])]);
        assert_eq!(pool.spawn(mask).join().unwrap(), only);
        let more = WorkerPool::with_workers(3).unwrap();
        assert!(more.workers().iter().all(|worker| worker.core == Some(only[0])));
        let foreign = Pinning::Cores(vec![1 - only[0].min(1)]);
        match WorkerPool::builder().pinning(foreign).build() {
            Err(BuildError::CoreNotAllowed { allowed, .. }) => assert_eq!(allowed, only),
            other => panic!("{other:?}"),
        }
        return;
    }
    for core in mask() {
        child::run_again(|command| confined(command, core)).expect_success();
    }
}

/// The cores of a pool's workers; `None` if they are not pinned because of a quota.
fn cores(pool: &WorkerPool) -> Option<Vec<usize>> {
    pool.workers().into_iter().map(|worker| worker.core).collect()
}

#[test]
fn a_pool_made_on_a_pinned_thread_sees_the_processs_cores() {
    if child::is_child() {
        let all = mask();
        let expected = WorkerPool::new().unwrap().workers().len();
        for &core in &all {
            let made = thread::spawn(move || {
                confine(&[core]).unwrap();
                WorkerPool::new().unwrap()
            });
            let pool = made.join().unwrap();
            assert_eq!(pool.workers().len(), expected);
            if let Some(mut cores) = cores(&pool) {
                cores.sort_unstable();
                assert_eq!(cores, all);
            }
        }
        // The same on a worker, which the pool has pinned.
        let outer = WorkerPool::new().unwrap();
        let inner = outer.spawn(|| WorkerPool::new().unwrap()).join().unwrap();
        assert_eq!(inner.workers().len(), expected);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn pools_spread_before_they_share_a_core() {
    if child::is_child() {
        let all = mask();
        let single = || WorkerPool::with_workers(1).unwrap();
        let pools: Vec<_> = all.iter().map(|_| single()).collect();
        let Some(mut taken) = pools.iter().map(cores).collect::<Option<Vec<_>>>() else { return };
        taken.sort_unstable();
        assert!(taken.concat().into_iter().eq(all.iter().copied()), "each its own: {taken:?}");
        // One core is given back, so the next pool takes that core.
        let mut pools = pools;
        let gone = pools.pop().unwrap();
        let free = cores(&gone);
        drop(gone);
        assert_eq!(cores(&single()), free);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// From now on the calling thread, and threads that it starts, are refused these system calls.
pub(crate) fn refuse(calls: &[libc::c_long]) {
    answer(calls, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
}

/// From now on the process ends if the calling thread, or a thread that it starts, makes this
/// system call.
pub(crate) fn forbid(call: libc::c_long) {
    answer(&[call], libc::SECCOMP_RET_KILL_PROCESS);
}

fn answer(calls: &[libc::c_long], answer: u32) {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const SKIP_UNLESS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    // The number of the call is the first word that the filter sees.
    let mut steps = vec![step(LOAD_NUMBER, 0, 0)];
    for &call in calls {
        steps.push(step(SKIP_UNLESS, 1, u32::try_from(call).unwrap()));
        steps.push(step(ANSWER, 0, answer));
    }
    steps.push(step(ANSWER, 0, libc::SECCOMP_RET_ALLOW));
    let filter =
        libc::sock_fprog { len: u16::try_from(steps.len()).unwrap(), filter: steps.as_mut_ptr() };
    // SAFETY: this `prctl` takes only numbers.
    let failed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(failed, 0);
    // SAFETY: the program and its steps are valid for the call, and the kernel copies them.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0)
    };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
}

#[test]
fn where_pinning_is_refused_the_pool_works_and_says_so() {
    if child::is_child() {
        let all = mask();
        refuse(&[libc::SYS_sched_setaffinity]);
        assert!(confine(&all).is_err(), "the filter works");
        let named = Pinning::Cores(vec![all[0]]);
        let pool = WorkerPool::builder().workers(2).pinning(named).build().unwrap();
        assert!(pool.workers().iter().all(|worker| worker.core.is_none()));
        assert_eq!(pool.spawn(mask).join().unwrap(), all);
        let events = pool.events();
        drop(pool);
        let refusals: Vec<_> = events
            .filter_map(|event| match event {
                PoolEvent::WorkerUnpinned { worker, core, why } => Some((worker, core, why)),
                _ => None,
            })
            .collect();
        assert_eq!(refusals.len(), 2, "{refusals:?}");
        for (_, core, why) in refusals {
            assert_eq!(core, all[0]);
            assert!(why.contains("not permitted"), "it says what the kernel said: {why}");
        }
        assert_eq!(WorkerPool::new().unwrap().spawn(|| 1).join().unwrap(), 1);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn where_masks_are_unreadable_the_pool_works_unpinned() {
    if child::is_child() {
        refuse(&[libc::SYS_sched_setaffinity, libc::SYS_sched_getaffinity]);
        let pool = WorkerPool::new().unwrap();
        assert!(!pool.workers().is_empty());
        assert!(pool.workers().iter().all(|worker| worker.core.is_none()));
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        let named = WorkerPool::builder().workers(1).pinning(Pinning::Cores(vec![0])).build();
        assert_eq!(named.unwrap().spawn(|| 2).join().unwrap(), 2);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn where_a_threads_cpu_time_is_hidden_the_rest_is_told() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(1).unwrap();
        pool.spawn(|| 1).join().unwrap();
        // The clocks of other threads cannot be read any more; the current time needs no system
        // call.
        refuse(&[libc::SYS_clock_gettime]);
        let worker = pool.workers().remove(0);
        assert_eq!((worker.busy_time, worker.tasks_run), (None, 1));
        assert!(pool.metrics().to_string().contains('?'));
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// The cores that the pools of the surrounding processes use, passed on to the processes that they
/// start.
const TAKEN: &str = "COREPOOL_TEST_TAKEN";

/// Case 70.
#[test]
fn pools_of_several_processes_spread_as_well() {
    if !child::is_child() {
        // Another program's threads may be pinned here meanwhile, and occupy the other cores.
        let spread = || child::run_again(|_| {}).status.is_some_and(|status| status.success());
        assert!((0..10).any(|_| spread()), "three processes sit on one core");
        return;
    }
    let pool = WorkerPool::with_workers(1).unwrap();
    let Some(core) = pool.workers()[0].core else { return };
    let taken = std::env::var(TAKEN).unwrap_or_default();
    let taken = format!("{taken} {core}");
    let cores: Vec<_> = taken.split_whitespace().collect();
    if cores.len() < 3 {
        let tell = |command: &mut Command| {
            command.env(TAKEN, &taken);
        };
        return child::run_again(tell).expect_success();
    }
    let is_spread = mask().len() == 1 || cores.iter().any(|core| *core != cores[0]);
    assert!(is_spread, "{taken}");
}
