//! The virtual machine.

use std::fmt::Write;
use std::time::Duration;

use machine::{Costs, Totals, thread};
pub use machine::{clock::nanos, forget_spots, forget_works, work};
pub use virtual_pool as corepool;

#[global_allocator]
static HEAPS: machine::Heaps = machine::Heaps;

/// The costs of the machine.
#[derive(Default)]
pub struct Machine(Costs);

impl Machine {
    pub fn set(&mut self, name: &str, price: u64) -> Result<(), String> {
        self.0.set(name, price).then_some(()).ok_or_else(|| format!("nothing has a price {name}"))
    }
}

pub fn run(machine: Machine, cores: usize, program: impl FnOnce() + 'static) {
    machine::run(machine.0, cores, program);
}

pub fn sleep(nanos: u64) {
    thread::sleep(Duration::from_nanos(nanos));
}

pub fn start(program: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(program)
}

/// Pins a rival's thread to the core with its number. Our pool does that by itself.
#[cfg(feature = "rival")]
pub fn pin(thread: usize) {
    thread::set_mask(&[thread]);
}

/// Waits until this many threads have arrived.
#[cfg(feature = "rival")]
pub struct Countdown {
    left: machine::atomic::AtomicUsize,
    waiter: thread::Thread,
}

#[cfg(feature = "rival")]
impl Countdown {
    pub fn new(count: usize) -> Self {
        let left = machine::atomic::AtomicUsize::new(count);
        Self { left, waiter: thread::current() }
    }

    pub fn arrive(&self) {
        if self.left.fetch_sub(1, machine::atomic::Ordering::AcqRel) == 1 {
            self.waiter.unpark();
        }
    }

    pub fn wait(&self) {
        while self.left.load(machine::atomic::Ordering::Acquire) > 0 {
            thread::park();
        }
    }
}

/// What happened in a round, apart from the time.
#[derive(Default, Clone, Copy)]
pub struct Seen(Totals, u64);

impl Seen {
    pub fn now() -> Self {
        Self(machine::totals(), 1)
    }

    pub fn since(self, before: &Self) -> Self {
        Self(self.0.since(&before.0), 1)
    }

    pub fn by(self, rounds: u64) -> Self {
        Self(self.0, rounds)
    }

    pub fn as_json(self) -> String {
        let Self(sums, rounds) = self;
        let named = [
            ("accesses", sums.accesses),
            ("locked", sums.locked),
            ("failed", sums.failed),
            ("transfers", sums.transfers),
            ("stalled_micros", sums.stalled / 1000),
            ("held_micros", sums.held / 1000),
            ("pauses", sums.pauses),
            ("sleeps", sums.sleeps),
            ("wakes", sums.wakes),
            ("lock_waits", sums.lock_waits),
            ("lock_sleeps", sums.lock_sleeps),
            ("barriers", sums.barriers),
            ("switches", sums.switches),
        ];
        named.iter().fold(String::new(), |mut text, (name, sum)| {
            let _ = write!(text, ",\"{name}\":{}", sum / rounds.max(1));
            text
        })
    }
}

/// Prints the cache lines that threads waited for longest, with the places in the code.
pub fn print_spots(most: usize) {
    for spot in machine::spots().into_iter().take(most) {
        eprintln!(
            "{:>10.1} us stalled, {:>8} transfers, line {:#x}",
            spot.stalled as f64 / 1e3,
            spot.transfers,
            spot.line,
        );
        for (place, stalled, transfers) in spot.places.iter().take(4) {
            let micros = *stalled as f64 / 1e3;
            eprintln!("{micros:>14.1} us {transfers:>8}  {}:{}", place.file(), place.line());
        }
    }
}

/// Prints how the first thread, and this many others that slept least, spent their time.
pub fn print_profiles(others: Option<usize>) {
    let Some(others) = others else { return };
    let mut threads = machine::profiles();
    threads[1..].sort_by_key(|thread| std::cmp::Reverse(thread.all - thread.asleep));
    for thread in threads.into_iter().take(1 + others) {
        let waited: u64 = thread.places.iter().map(|place| place.1).sum();
        let [all, work, asleep, waited] =
            [thread.all, thread.work, thread.asleep, waited].map(|nanos| nanos as f64 / 1e3);
        let rest = all - work - asleep - waited;
        eprintln!(
            "{}: {all:.1} us, of which {work:.1} work, {asleep:.1} asleep, {waited:.1} waiting for lines or stores, \
             {rest:.1} the rest",
            thread.name,
        );
        for (place, time, count) in thread.places.iter().take(8) {
            let micros = *time as f64 / 1e3;
            eprintln!("{micros:>14.1} us {count:>8}  {}:{}", place.file(), place.line());
        }
    }
}

/// Prints how many cores were at work in each twentieth of this time.
pub fn print_works(most: usize, (from, to): (u64, u64)) {
    if most > 0 {
        // The pause of the last round has followed, so no thread works any more.
        let cores = machine::cores_at_work(from, to, 20);
        let cores: Vec<String> = cores.iter().map(|cores| format!("{cores:.0}")).collect();
        eprintln!("cores at work: {}", cores.join(" "));
    }
}
