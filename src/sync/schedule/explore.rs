//! The way to run a schedule test: many random schedules of the same program, or one of them again.

use std::cell::Cell;
use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// So many schedules of each kind, unless `COREPOOL_SCHEDULES` says otherwise.
const SCHEDULES: usize = 200;
/// Some of the bugs that are known to be possible here need so many preemptions at the right
/// places.
const DEPTH: usize = 4;
const STACK: usize = 256 << 10;
/// The longest programs need some tens of thousands.
const STEPS: usize = 1_000_000;

/// One schedule at a time in this process: what stands in statics, such as the timer, belongs to
/// one of them.
static IN_TURN: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

std::thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a program through random schedules of two kinds: who goes on is drawn at each step, or by
/// priorities that change at a few places (PCT), which finds bugs that need few preemptions in long
/// programs. All schedule tests start here.
///
/// `COREPOOL_REPLAY` names a file that a failure has left: then this is the one schedule that is
/// run.
pub(crate) fn explore(program: impl Fn() + Send + Sync + 'static) {
    let _turn = IN_TURN.lock();
    note_panics();
    let program = Arc::new(program);
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let program = Arc::clone(&program);
        Runner::new(scheduler, config()).run(move || check(&*program));
    };
    if let Some(file) = env::var_os("COREPOOL_REPLAY") {
        let scheduler = ReplayScheduler::new_from_file(PathBuf::from(file));
        run(Box::new(scheduler.expect("the file holds a schedule")));
        return;
    }
    let schedules = schedules();
    run(Box::new(RandomScheduler::new(schedules)));
    run(Box::new(PctScheduler::new(DEPTH, schedules)));
}

fn schedules() -> usize {
    env::var("COREPOOL_SCHEDULES").map_or(SCHEDULES, |number| number.parse().expect("a number"))
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.silence_warnings = true;
    if let Some(folder) = env::var_os("COREPOOL_SCHEDULES_FAILED") {
        config.failure_persistence = FailurePersistence::File(Some(PathBuf::from(folder)));
    }
    config
}

/// The pool catches panics of its users' code, and would catch those of a test's own assertions
/// too: so each is noted where it begins. A program's own panics are thrown by `resume_unwind`,
/// which is not noted.
fn check(program: &impl Fn()) {
    crate::clock::restart();
    program();
    assert!(!PANICKED.get(), "a panic inside the program was caught; see above");
}

fn note_panics() {
    static HOOK: Once = Once::new();
    PANICKED.set(false);
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.set(true);
            report(panic);
        }));
    });
}
