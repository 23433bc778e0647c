//! Runs one row on a given number of cores, and prints the result as a line of JSON.
//!
//!     workloads ROW CORES [--pool corepool|rayon] [--rounds N] [--hot N] [--profile N]
//!         [--set PRICE=NANOSECONDS]..
//!     workloads --rows
//!
//! `--profile` prints to stderr how the first thread, and the N others that slept least, spent
//! their time. `--hot` prints to stderr which cache lines threads waited for longest, and where in
//! the code. It also prints how many cores were at work in each twentieth of the last round.

mod ours;
#[cfg(feature = "rival")]
mod rival;
mod rows;
mod stage;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use rows::{ROWS, Row};
use stage::{Machine, Seen};

/// The parsed command line.
struct Asked {
    row: &'static Row,
    cores: usize,
    pool: String,
    rounds: usize,
    hot: usize,
    profile: Option<usize>,
    machine: Machine,
}

/// Warm-up rounds. After them stacks, estimates and allocations are warm.
const FIRST_ROUNDS: usize = 1;
/// Long enough for all threads to fall asleep between two rounds.
const PAUSE: u64 = 500_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--rows"] {
        for row in ROWS {
            println!("{}\t{}\t{}", row.name, u8::from(row.rival.is_some()), row.says);
        }
        return ExitCode::SUCCESS;
    }
    match asked(&arguments) {
        Ok(asked) => {
            run(asked);
            // Anything that still runs belongs to a machine that is gone.
            std::process::exit(0);
        }
        Err(why) => {
            eprintln!("workloads: {why}");
            ExitCode::FAILURE
        }
    }
}

fn asked(arguments: &[String]) -> Result<Asked, String> {
    let [name, cores, options @ ..] = arguments else {
        return Err("say which row, and on how many cores".to_owned());
    };
    let row = ROWS.iter().find(|row| row.name == name);
    let mut asked = Asked {
        row: row.ok_or_else(|| format!("there is no row {name}"))?,
        cores: number(cores)? as usize,
        pool: "corepool".to_owned(),
        rounds: 3,
        hot: 0,
        profile: None,
        machine: Machine::default(),
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--pool" => asked.pool.clone_from(value),
            "--rounds" => asked.rounds = number(value)?.max(1) as usize,
            "--hot" => asked.hot = number(value)? as usize,
            "--profile" => asked.profile = Some(number(value)? as usize),
            "--set" => {
                let (name, price) = value.split_once('=').ok_or("PRICE=NANOSECONDS")?;
                asked.machine.set(name, number(price)?)?;
            }
            _ => return Err(format!("there is no option {option}")),
        }
    }
    Ok(asked)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn run(asked: Asked) {
    let times: Rc<RefCell<Vec<u64>>> = Rc::default();
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let (inner_times, inner_seen) = (Rc::clone(&times), Rc::clone(&seen));
    let Asked { row, cores, pool, rounds, hot, profile, machine } = asked;
    let name = pool.clone();
    let began = std::time::Instant::now();
    stage::run(machine, cores, move || {
        let mut round = contestant(row, cores, &name);
        for _ in 0..FIRST_ROUNDS {
            round();
            stage::sleep(PAUSE);
        }
        let before = Seen::now();
        stage::forget_spots();
        let mut last = (0, 0);
        for _ in 0..rounds {
            stage::forget_works();
            let start = stage::nanos();
            round();
            let end = stage::nanos();
            inner_times.borrow_mut().push(end - start);
            last = (start, end);
            stage::sleep(PAUSE);
        }
        *inner_seen.borrow_mut() = Seen::now().since(&before).by(rounds as u64);
        stage::print_spots(hot);
        stage::print_profiles(profile);
        stage::print_works(hot, last);
    });
    let mut times = times.take();
    times.sort_unstable();
    let median = times[times.len() / 2];
    let work = (row.work)(cores);
    println!(
        "{{\"pool\":\"{pool}\",\"row\":\"{}\",\"cores\":{cores},\"micros\":{:.1},\
         \"work_micros\":{:.1},\"speed_up\":{:.2}{},\"host_seconds\":{:.1}}}",
        row.name,
        median as f64 / 1e3,
        work as f64 / 1e3,
        work as f64 / median as f64,
        seen.take().as_json(),
        began.elapsed().as_secs_f64(),
    );
}

/// One round of the row, on the pool with that name.
fn contestant(row: &'static Row, cores: usize, name: &str) -> Box<dyn FnMut()> {
    if name == "corepool" {
        let pool = ours::pool(cores);
        return Box::new(move || (row.ours)(pool));
    }
    #[cfg(feature = "rival")]
    if let (Some(round), "rayon") = (row.rival, name) {
        let pool = rival::pool(cores);
        return Box::new(move || round(pool));
    }
    eprintln!("workloads: {} has no {name}; rayon needs the feature `rival`", row.name);
    std::process::exit(1);
}
