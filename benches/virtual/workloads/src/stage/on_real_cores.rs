//! The machine's own cores: work is a loop that takes the given time.

use std::hint::black_box;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

pub use real_pool as corepool;

/// No cost can be set here.
#[derive(Default)]
pub struct Machine;

impl Machine {
    pub fn set(&mut self, name: &str, _price: u64) -> Result<(), String> {
        Err(format!("{name}: a real machine has its own prices"))
    }
}

pub fn run(_machine: Machine, cores: usize, program: impl FnOnce() + 'static) {
    let there = thread::available_parallelism().map_or(1, usize::from);
    if there < cores {
        eprintln!("workloads: {cores} workers on {there} cores");
    }
    turns_a_micro();
    program();
}

/// How many turns of the loop a microsecond has, from the fastest of some attempts.
fn turns_a_micro() -> u64 {
    static TURNS: OnceLock<u64> = OnceLock::new();
    const TURNS_TRIED: u64 = 1_000_000;
    *TURNS.get_or_init(|| {
        let tries = (0..9).map(|_| {
            let start = Instant::now();
            spend(TURNS_TRIED);
            start.elapsed()
        });
        let quickest = tries.min().unwrap_or_default();
        (TURNS_TRIED * 1_000 / u64::try_from(quickest.as_nanos()).unwrap_or(1).max(1)).max(1)
    })
}

fn spend(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

pub fn work(nanos: u64) {
    spend(nanos * turns_a_micro() / 1_000);
}

pub fn nanos() -> u64 {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGINNING.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub fn sleep(nanos: u64) {
    thread::sleep(Duration::from_nanos(nanos));
}

pub fn start(program: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(program)
}

/// Pins no thread, because the number of cores is not known here.
#[cfg(feature = "rival")]
pub fn pin(_thread: usize) {}

/// Waits until this many threads have arrived.
#[cfg(feature = "rival")]
pub struct Countdown {
    left: std::sync::atomic::AtomicUsize,
    waiter: thread::Thread,
}

#[cfg(feature = "rival")]
impl Countdown {
    pub fn new(count: usize) -> Self {
        let left = std::sync::atomic::AtomicUsize::new(count);
        Self { left, waiter: thread::current() }
    }

    pub fn arrive(&self) {
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
            self.waiter.unpark();
        }
    }

    pub fn wait(&self) {
        while self.left.load(std::sync::atomic::Ordering::Acquire) > 0 {
            thread::park();
        }
    }
}

/// Only the time is observed.
#[derive(Default, Clone, Copy)]
pub struct Seen;

impl Seen {
    pub fn now() -> Self {
        Self
    }

    pub fn since(self, _before: &Self) -> Self {
        self
    }

    pub fn by(self, _rounds: u64) -> Self {
        self
    }

    pub fn as_json(self) -> String {
        String::new()
    }
}

pub fn forget_spots() {}

pub fn print_spots(most: usize) {
    if most > 0 {
        eprintln!("workloads: a real machine does not say which lines are waited for");
    }
}

pub fn forget_works() {}

pub fn print_works(_most: usize, _times: (u64, u64)) {}

pub fn print_profiles(_others: Option<usize>) {}
