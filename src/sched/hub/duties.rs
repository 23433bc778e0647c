//! What each spare worker of a pool does, and which workers lend a core.
#![forbid(unsafe_code)]

/// A spare worker: its number among the spare workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spare(pub(super) usize);

#[derive(Debug)]
pub(super) struct SpareState {
    /// What each spare worker does. Their slots are behind those of the workers.
    pub(super) duties: Vec<Duty>,
    /// Whether it was given a searching count that it has not taken yet.
    pub(super) counted: Vec<bool>,
    /// For each worker, how many requests to lend its core are in effect.
    pub(super) lends: Vec<u32>,
    /// How often a spare worker was hired. Used by threads that drain: see `quiet.rs`.
    pub(super) hires: u64,
}

/// What a spare worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// It has no thread.
    Off,
    /// Its thread sleeps, and is on no list.
    Resting,
    /// It works on the core of this worker.
    For(usize),
    /// It worked for this worker, and must rest as soon as its current task has run.
    Relieved(usize),
    /// Its thread is about to end. Until then its place is not free.
    Leaving,
}

impl SpareState {
    pub(super) fn new(workers: usize, spares: usize) -> Self {
        Self {
            duties: vec![Duty::Off; spares],
            counted: vec![false; spares],
            lends: vec![0; workers + spares],
            hires: 0,
        }
    }

    /// All spare workers, and what each does.
    pub(super) fn all(&self) -> impl Iterator<Item = (Spare, Duty)> {
        self.duties.iter().enumerate().map(|(number, duty)| (Spare(number), *duty))
    }

    pub(super) fn find(&self, is_it: impl Fn(Spare, Duty) -> bool) -> Option<Spare> {
        self.all().find(|(spare, duty)| is_it(*spare, *duty)).map(|(spare, _)| spare)
    }

    /// The first spare worker that does this.
    pub(super) fn first(&self, wanted: Duty) -> Option<Spare> {
        self.find(|_, duty| duty == wanted)
    }

    /// The spare worker that works on the core of this worker.
    pub(super) fn deputy_of(&self, lender: usize) -> Option<Spare> {
        self.first(Duty::For(lender))
    }
}
