//! Runs schedule tests: many random schedules of one program, or a replay of one of them.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// The number of schedules of each kind, unless `COREPOOL_SCHEDULES` overrides it.
const SCHEDULES: usize = 200;
/// The number of preemptions at the right places that some of the bugs known to be possible here
/// need.
const DEPTH: usize = 4;
const STACK: usize = 256 << 10;
/// The longest programs need some tens of thousands.
const STEPS: usize = 1_000_000;

/// Only one schedule runs at a time in this process, because the contents of statics, such as the
/// timer, belong to one schedule.
static IN_TURN: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

std::thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a program through random schedules of two kinds. In the first kind, each step chooses the
/// next thread at random. In the second (PCT), threads have priorities that change at a few places,
/// which finds bugs that need few preemptions in long programs. All schedule tests start here.
///
/// `COREPOOL_REPLAY` names a file that a failure has left. If it is set, only that schedule is run.
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

/// The pool catches panics of user code and would also catch those of a test's own assertions. So
/// each panic is recorded where it begins. A program's own panics are raised with `resume_unwind`,
/// which is not recorded.
fn check(program: &impl Fn()) {
    crate::base::clock::restart();
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
