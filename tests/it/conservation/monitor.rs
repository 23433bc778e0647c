//! The monitor: it samples a pool and measures how long a worker sleeps through all samples while
//! work waits.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::WorkerPool;
use corepool::metrics::WorkerState;

/// How long work may wait while a worker sleeps.
const BOUND: Duration = Duration::from_millis(50);
/// On a machine that is slow to wake threads, work may wait this many times the slowest wake-up.
const WAKES: u32 = 20;
/// A single late sample proves nothing: a worker must be asleep in this many samples in a row.
const LEAST_SAMPLES: u32 = 20;
const PERIOD: Duration = Duration::from_micros(500);

/// Which workers may take the waiting work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Every worker may.
    Anybodys,
    /// Only one may, and a sample does not show which. So all workers must be asleep to count.
    Somebodys,
}

/// What the monitor found.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) samples: u32,
    pub(super) longest: Duration,
    pub(super) slowest_wake: Duration,
    pub(super) complaint: Option<String>,
}

/// One sample of the pool.
#[derive(Debug)]
struct Sample {
    at: Instant,
    /// How long it took to wake the control thread before this sample.
    wake: Duration,
    waiting: usize,
    workers: Vec<Worker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Worker {
    sleeps: bool,
    /// A worker whose counters are unchanged has slept the whole time.
    parks: u64,
    tasks_run: u64,
}

/// A worker that sleeps while work waits: since when, and through how many samples.
#[derive(Debug, Clone, Copy)]
struct Streak {
    since: Instant,
    samples: u32,
    slowest_wake: Duration,
    worker: Worker,
}

/// Takes samples until the body has ended.
pub(super) fn watch(pool: &WorkerPool, whose: Whose, body: impl FnOnce() + Send) -> Watched {
    thread::scope(|threads| {
        let (call, calls) = mpsc::channel::<mpsc::Sender<()>>();
        threads.spawn(move || calls.iter().for_each(|answer| answer.send(()).unwrap_or(())));
        let body = threads.spawn(body);
        let mut watched = Watched::default();
        let mut streaks = Vec::new();
        while !body.is_finished() && watched.complaint.is_none() {
            look(&mut watched, &mut streaks, &sample(pool, &call), whose);
            thread::sleep(PERIOD);
        }
        drop(call);
        if watched.complaint.is_some() {
            // The workers that sleep would keep the body from ending. Closing the pool wakes them
            // all.
            pool.close();
        }
        watched
    })
}

fn sample(pool: &WorkerPool, control: &mpsc::Sender<mpsc::Sender<()>>) -> Sample {
    let start = Instant::now();
    let (answer, answered) = mpsc::channel();
    control.send(answer).expect("the control thread listens");
    answered.recv().expect("it answers");
    let wake = start.elapsed();
    let metrics = pool.metrics();
    let states = pool.workers();
    let worker =
        |(state, counts): (&corepool::WorkerInfo, &corepool::metrics::WorkerMetrics)| Worker {
            sleeps: state.state == WorkerState::Parked,
            parks: counts.parks,
            tasks_run: counts.tasks_run,
        };
    let workers = states.iter().zip(&metrics.workers).map(worker).collect();
    Sample { at: Instant::now(), wake, waiting: metrics.queue_depth, workers }
}

fn look(watched: &mut Watched, streaks: &mut Vec<Option<Streak>>, sample: &Sample, whose: Whose) {
    watched.samples += 1;
    watched.slowest_wake = watched.slowest_wake.max(sample.wake);
    streaks.resize(sample.workers.len(), None);
    let counts = |worker: &Worker| {
        sample.waiting > 0
            && match whose {
                Whose::Anybodys => worker.sleeps,
                Whose::Somebodys => sample.workers.iter().all(|worker| worker.sleeps),
            }
    };
    let mut stuck = 0;
    for (streak, worker) in streaks.iter_mut().zip(&sample.workers) {
        *streak = counts(worker).then(|| Streak::go_on(*streak, *worker, sample));
        if let Some(streak) = streak {
            watched.longest = watched.longest.max(sample.at - streak.since);
            stuck += usize::from(streak.is_too_long(sample.at));
        }
    }
    let needed = if whose == Whose::Anybodys { 1 } else { sample.workers.len() };
    if stuck >= needed {
        watched.complaint = Some(format!("asleep beside work: {sample:?} {streaks:?}"));
    }
}

impl Streak {
    fn go_on(before: Option<Self>, worker: Worker, sample: &Sample) -> Self {
        match before.filter(|before| before.worker == worker) {
            Some(before) => Self {
                samples: before.samples + 1,
                slowest_wake: before.slowest_wake.max(sample.wake),
                ..before
            },
            None => Self { since: sample.at, samples: 1, slowest_wake: sample.wake, worker },
        }
    }

    fn is_too_long(&self, now: Instant) -> bool {
        self.samples >= LEAST_SAMPLES && now - self.since > BOUND.max(self.slowest_wake * WAKES)
    }
}

/// The monitor's complaint about a pool of two workers whose state each millisecond is what `at`
/// returns.
fn verdict(whose: Whose, at: impl Fn(u32) -> (usize, [Worker; 2])) -> Option<String> {
    let (start, mut streaks, mut watched) = (Instant::now(), Vec::new(), Watched::default());
    for millisecond in 0..200 {
        let (waiting, workers) = at(millisecond);
        let time = start + Duration::from_millis(millisecond.into());
        let wake = Duration::from_micros(20);
        let sample = Sample { at: time, wake, waiting, workers: workers.to_vec() };
        look(&mut watched, &mut streaks, &sample, whose);
    }
    watched.complaint
}

const ASLEEP: Worker = Worker { sleeps: true, parks: 1, tasks_run: 1 };
const AT_WORK: Worker = Worker { sleeps: false, parks: 1, tasks_run: 1 };

#[test]
fn the_monitor_complains_of_a_worker_that_sleeps_beside_work() {
    assert!(verdict(Whose::Anybodys, |_| (1, [ASLEEP, AT_WORK])).is_some());
    assert!(verdict(Whose::Somebodys, |_| (1, [ASLEEP, ASLEEP])).is_some());
}

#[test]
fn the_monitor_is_content_where_nothing_waits_or_nobody_sleeps_on() {
    assert_eq!(verdict(Whose::Anybodys, |_| (0, [ASLEEP, ASLEEP])), None);
    assert_eq!(verdict(Whose::Anybodys, |_| (9, [AT_WORK, AT_WORK])), None);
    assert_eq!(verdict(Whose::Somebodys, |_| (9, [ASLEEP, AT_WORK])), None);
    assert_eq!(verdict(Whose::Anybodys, |time| ((time % 40).min(1) as usize, [ASLEEP; 2])), None);
    let woken = |time: u32| Worker { parks: (time / 40).into(), ..ASLEEP };
    assert_eq!(verdict(Whose::Anybodys, |time| (1, [woken(time), AT_WORK])), None);
}
