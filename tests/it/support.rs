//! What many tests need: a watchdog, a gate that holds tasks back, and values that count their
//! drops.

use std::panic;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use corepool::{Metrics, TaskHandle, WorkerPool, blocking};

/// How long a test may hang before it counts as failed. A machine with other load may delay a
/// thread a thousand times in one test, so this is long; a test that passes does not wait for it.
/// It is longer still under the noise of `ci/chaos.sh`, and under ThreadSanitizer, which makes
/// everything ten times slower.
pub(crate) const PATIENCE: Duration = Duration::from_secs(if cfg!(corepool_tsan) {
    400
} else if cfg!(corepool_chaos) {
    120
} else {
    60
});

/// How many tasks and how many closures of fork-join calls the random programs of this process had.
pub(crate) static TASKS: AtomicU64 = AtomicU64::new(0);
pub(crate) static CLOSURES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn tally(tasks: u64, closures: u64) {
    TASKS.fetch_add(tasks, Ordering::Relaxed);
    CLOSURES.fetch_add(closures, Ordering::Relaxed);
}

/// How many tasks of a pool have ended, in whatever way.
pub(crate) fn ended(metrics: &Metrics) -> u64 {
    let ran = metrics.completed + metrics.panicked + metrics.lost;
    ran + metrics.cancelled + metrics.expired + metrics.rejected
}

/// Runs a test's body on a thread of its own and fails if it does not end within this time.
///
/// The thread of a body that hangs is left behind, because it cannot be ended from outside.
#[track_caller]
pub(crate) fn within<R: Send + 'static>(
    time: Duration,
    body: impl FnOnce() -> R + Send + 'static,
) -> R {
    within_boxed(time, Box::new(body))
}

/// Not generic over the body, so that starting a thread is not compiled for each of a thousand
/// tests.
#[track_caller]
fn within_boxed<R: Send + 'static>(time: Duration, body: Box<dyn FnOnce() -> R + Send>) -> R {
    let (alive, ended) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let body = thread::Builder::new().name(name).spawn(move || {
        // Dropped both on return and on panic.
        let _alive = alive;
        body()
    });
    let body = body.expect("the system gives a thread to a test");
    if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs: no end after {time:?}");
    }
    body.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Closed at first. Waiting threads go on when it is opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    pub(crate) fn wait(&self) {
        let (open, changed) = &*self.inner;
        let open = open.lock().unwrap();
        drop(changed.wait_while(open, |open| !*open).unwrap());
    }

    pub(crate) fn open(&self) {
        let (open, changed) = &*self.inner;
        *open.lock().unwrap() = true;
        changed.notify_all();
    }
}

/// Workers that each run a task until they are released. Dropping this releases them.
#[derive(Debug)]
pub(crate) struct Busy {
    gate: Gate,
    tasks: Vec<TaskHandle<()>>,
}

impl Busy {
    pub(crate) fn release(mut self) {
        self.gate.open();
        for task in self.tasks.drain(..) {
            task.join().expect("the task only waited for its gate");
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.gate.open();
    }
}

/// Keeps this many workers of the pool busy; returns when all of them are.
pub(crate) fn occupy(pool: &WorkerPool, workers: usize) -> Busy {
    let mut busy = Busy { gate: Gate::default(), tasks: Vec::new() };
    // Spawned one after another, so that no worker takes two of the tasks.
    for _ in 0..workers {
        let (starting, started) = mpsc::channel();
        let gate = busy.gate.clone();
        busy.tasks.push(pool.spawn(move || {
            starting.send(()).expect("the test waits for this");
            gate.wait();
        }));
        started.recv().expect("a worker takes the task");
    }
    busy
}

/// A worker that has lent its core until the sender is dropped.
pub(crate) fn lender(pool: &WorkerPool, worker: usize) -> (TaskHandle<()>, mpsc::Sender<()>) {
    let (go, waits) = mpsc::channel::<()>();
    let (lends, is_lending) = mpsc::channel();
    let task = pool.task().on_worker(worker).spawn(move || {
        blocking(|| {
            lends.send(()).unwrap();
            assert!(waits.recv().is_err(), "the sender is dropped");
        });
    });
    is_lending.recv().unwrap();
    (task, go)
}

/// Checks repeatedly until the condition holds. The test's watchdog ends a wait that never
/// succeeds.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

/// Counts drops.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn token(&self) -> Dropping {
        Dropping(self.clone())
    }

    /// A token that counts its drop and then panics.
    pub(crate) fn bomb(&self) -> Bomb {
        Bomb(self.token())
    }
}

/// Counts its drop.
#[derive(Debug)]
pub(crate) struct Dropping(Drops);

impl Drop for Dropping {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts its drop, and panics in it.
#[derive(Debug)]
pub(crate) struct Bomb(#[expect(dead_code, reason = "only its drop is of interest")] Dropping);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb was dropped");
    }
}

/// The calling thread's number, as the kernel knows it.
#[cfg(target_os = "linux")]
pub(crate) fn thread_number() -> libc::pid_t {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::gettid() }
}

/// Waits until a thread of this process sleeps in the kernel.
#[cfg(target_os = "linux")]
pub(crate) fn until_asleep(thread: libc::pid_t) {
    until(|| {
        let facts = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
        // The state follows the name, which ends with the last parenthesis.
        facts.is_ok_and(|facts| {
            facts.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
        }) && has_left_its_core(thread)
    });
}

/// Whether a thread that reports that it sleeps really does. It reports that before it leaves its
/// core, and may be interrupted in between. The kernel shows the system call in which the thread
/// sleeps, and waits until it sleeps before it shows it.
#[cfg(target_os = "linux")]
fn has_left_its_core(thread: libc::pid_t) -> bool {
    // A pause does not count either, because chaos makes threads pause anywhere.
    let pauses = [libc::SYS_clock_nanosleep, libc::SYS_nanosleep].map(|call| call.to_string());
    std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).map_or(true, |call| {
        let number = call.split_whitespace().next().unwrap_or_default();
        number != "running" && !pauses.iter().any(|pause| pause == number)
    })
}

/// How many threads of this process have names that begin with `beginning`.
#[cfg(target_os = "linux")]
pub(crate) fn threads_named(beginning: &str) -> usize {
    let tasks =
        std::fs::read_dir("/proc/self/task").expect("the kernel shows a process its threads");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    let names = tasks.filter_map(|task| name(task.ok()?));
    names.filter(|name| name.starts_with(beginning)).count()
}
