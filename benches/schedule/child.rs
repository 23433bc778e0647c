//! Measures one cell of the table in a child process, so that a pool that hangs can be killed from
//! outside.
//!
//! A child measures its contestants in turn, A B, then B A, and prints a line for each sample at
//! once.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{env, thread};

use super::nodes::{self, Node};
use super::pools::{Ours, Pool, Rayon};
use super::rows::{ROWS, Row};
use super::support::interleave::{quantile, sorted};
use super::support::options::Options;
use super::support::usage::{self, Machine};
use super::support::{WORKERS, rival};

/// The unbalanced tree.
pub(crate) const NODES: &str = "nodes";
/// More workers than cores.
pub(crate) const CROWD: &str = "crowd";
/// The numbers of workers in the crowds. The others are compared with the first.
pub(crate) const CROWDS: [usize; 4] = [2, 8, 32, 64];

/// All contestants of a cell.
pub(crate) const ALL: &str = "all";
/// The name of the line with the part of the machine that other processes used.
const STRANGERS: &str = "strangers";

/// A child that prints nothing for this long hangs. A sample takes less than half of it, even on a
/// busy machine.
const SILENCE: Duration = Duration::from_secs(10);
/// The pause between two samples, because rayon's threads look for work for a while before they
/// sleep.
const PAUSE: Duration = Duration::from_millis(5);
/// A crowd's sample is the median of this many runs, which take a few milliseconds each.
const RUNS: usize = 5;

/// What a child printed, and how it ended.
pub(crate) struct Samples {
    values: Vec<(String, f64)>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// It was killed because it printed nothing for too long.
    Hung,
    /// It ended early by itself, for instance with a panic.
    Failed,
}

impl Samples {
    /// Lets a child of this process measure a cell.
    pub(crate) fn of(row: &str, workers: usize, whose: &str, options: &Options) -> Self {
        let mut child = start(row, workers, whose, options);
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let (pass, passed) = mpsc::channel();
        let reader = thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| pass.send(line).ok());
        });
        let mut values = Vec::new();
        let end = loop {
            match passed.recv_timeout(SILENCE) {
                Ok(line) => values.extend(understood(&line)),
                Err(RecvTimeoutError::Disconnected) => break ended(&mut child),
                Err(RecvTimeoutError::Timeout) => break killed(&mut child),
            }
        };
        // The child has ended, so its output ends too.
        reader.join().expect("the reader only passes lines on");
        Self { values, end }
    }

    /// One contestant's samples, in the order of the rounds.
    pub(crate) fn rounds(&self, whose: &str) -> Vec<f64> {
        let its = |(name, _): &&(String, f64)| name == whose;
        self.values.iter().filter(its).map(|(_, value)| *value).collect()
    }

    pub(crate) fn median(&self, whose: &str) -> Option<f64> {
        quantile(&sorted(self.rounds(whose)), 0.5)
    }

    /// The median over the rounds of the ratio of one contestant to another.
    pub(crate) fn between(&self, whose: &str, other: &str) -> Option<f64> {
        let (its, others) = (self.rounds(whose), self.rounds(other));
        quantile(&sorted(its.iter().zip(&others).map(|(a, b)| a / b)), 0.5)
    }

    /// The part of the machine that other processes used meanwhile.
    pub(crate) fn strangers(&self) -> Option<f64> {
        self.rounds(STRANGERS).last().copied()
    }

    /// Adds what another child measured for contestants that are missing here.
    pub(crate) fn add(&mut self, other: Self) {
        let known: Vec<String> = self.values.iter().map(|(name, _)| name.clone()).collect();
        self.values.extend(other.values.into_iter().filter(|(name, _)| !known.contains(name)));
    }
}

fn start(row: &str, workers: usize, whose: &str, options: &Options) -> Child {
    let this = env::current_exe().expect("a bench knows where it lies");
    let mut command = Command::new(this);
    command.args(["--bench", "--cell", row, &workers.to_string(), whose]);
    command.args(["--rounds", &options.rounds(super::ROUNDS).to_string()]);
    command.args(options.test.then_some("--test"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().expect("the bench can be started once more")
}

fn understood(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

fn ended(child: &mut Child) -> End {
    let status = child.wait().expect("a child can be waited for");
    if status.success() { End::Whole } else { End::Failed }
}

fn killed(child: &mut Child) -> End {
    child.kill().expect("a child of ours can be ended");
    child.wait().expect("a child can be waited for");
    End::Hung
}

/// One contestant of a cell.
struct Contestant<'a> {
    name: String,
    /// Returns milliseconds, or nanoseconds per node.
    ask: Box<dyn Fn() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    fn new(name: impl Into<String>, ask: impl Fn() -> f64 + 'a) -> Self {
        Self { name: name.into(), ask: Box::new(ask) }
    }
}

/// What a child does: measures the cell and prints its samples.
pub(crate) fn measure(row: &str, workers: usize, whose: &str, options: &Options) {
    let is_wanted = |name: &str| whose == ALL || name.starts_with(whose);
    match row {
        NODES => in_turn(tree_contestants(options), is_wanted, options),
        CROWD => in_turn(crowd_contestants(options), is_wanted, options),
        _ => {
            let row = ROWS.iter().find(|known| known.name == row).expect("a row of the table");
            let ours = is_wanted("ours").then(|| Ours::start(workers));
            let rayon = is_wanted("rayon").then(|| Rayon::start(workers));
            let contestants = sleeping(row, workers, options, ours.as_ref(), rayon.as_ref());
            in_turn(contestants, is_wanted, options);
        }
    }
}

fn in_turn(contestants: Vec<Contestant<'_>>, is_wanted: impl Fn(&str) -> bool, options: &Options) {
    let machine = Machine::now();
    let mut turns: Vec<_> = contestants.iter().filter(|its| is_wanted(&its.name)).collect();
    for _ in 0..options.rounds(super::ROUNDS) {
        for contestant in &turns {
            thread::sleep(PAUSE);
            print(&contestant.name, (contestant.ask)());
        }
        turns.reverse();
    }
    if let Some(part) = machine.and_then(Machine::strangers) {
        print(STRANGERS, part);
    }
}

fn print(name: &str, value: f64) {
    println!("{name} {value}");
    io::stdout().flush().expect("the parent reads");
}

fn sleeping<'a>(
    row: &'a Row,
    workers: usize,
    options: &Options,
    ours: Option<&'a Ours>,
    rayon: Option<&'a Rayon>,
) -> Vec<Contestant<'a>> {
    let test = options.test;
    let ours =
        ours.map(|pool| Contestant::new("ours", move || millis(row.ask_ours(pool, workers, test))));
    let rayon = rayon
        .map(|pool| Contestant::new("rayon", move || millis(row.ask_rayon(pool, workers, test))));
    ours.into_iter().chain(rayon).collect()
}

fn tree_contestants(options: &Options) -> Vec<Contestant<'static>> {
    let root = Node::root(options.size(10_000, 4_000_000));
    let nodes = options.size(10_000, 4_000_000);
    vec![
        Contestant::new("plain", move || a_node(nodes, || nodes::plain(root))),
        by_tree::<Ours>("ours/scope", nodes, root, nodes::our_scopes),
        by_tree::<Rayon>("rayon/scope", nodes, root, nodes::rayon_scopes),
        by_tree::<Ours>("ours/loop", nodes, root, nodes::our_loops),
        by_tree::<Rayon>("rayon/loop", nodes, root, nodes::rayon_loops),
        by_tree::<Ours>("ours/joins", nodes, root, nodes::our_joins),
        by_tree::<Rayon>("rayon/joins", nodes, root, nodes::rayon_joins),
    ]
}

fn by_tree<P: Pool>(
    name: &str,
    nodes: u64,
    root: Node,
    count: fn(Node) -> u64,
) -> Contestant<'static> {
    Contestant::new(name, move || {
        let start = || P::start(WORKERS);
        rival::alone(start, |pool| a_node(nodes, || pool.on_worker(|| count(root))))
    })
}

/// The processor time of the whole process in nanoseconds per node. It includes the searching of
/// idle workers.
fn a_node(nodes: u64, count: impl FnOnce() -> u64) -> f64 {
    let before = usage::process();
    assert_eq!(count(), nodes, "each node is counted once");
    (usage::process() - before).cpu * 1e3 / nodes as f64
}

fn crowd_contestants(options: &Options) -> Vec<Contestant<'static>> {
    let n = options.size(15, 27);
    let mut all = Vec::new();
    for workers in CROWDS {
        all.push(by_crowd::<Ours>(crowd_name("ours", workers), workers, n));
        all.push(by_crowd::<Rayon>(crowd_name("rayon", workers), workers, n));
    }
    all
}

/// The name of a crowd in the child's output.
pub(crate) fn crowd_name(whose: &str, workers: usize) -> String {
    format!("{whose}/{workers}")
}

fn by_crowd<P: Pool>(name: String, workers: usize, n: u64) -> Contestant<'static> {
    Contestant::new(name, move || {
        let once = |pool: &P| {
            let start = Instant::now();
            let result = pool.on_worker(|| P::fib(black_box(n)));
            let took = start.elapsed();
            assert_eq!(result, fibonacci(n), "fib({n})");
            millis(took)
        };
        let runs = |pool: &P| sorted((0..RUNS).map(|_| once(pool)));
        rival::alone(|| P::start(workers), |pool| quantile(&runs(pool), 0.5).unwrap_or(f64::NAN))
    })
}

fn fibonacci(n: u64) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
