//! The first result is the one that settled first, even if no thread looked at that time.

use corepool::{TaskHandle, WorkerPool, promise};

use crate::support::{Gate, PATIENCE, within};

/// Tasks on one worker each. They end and settle in the order in which they are let go.
pub(crate) struct Held {
    pool: WorkerPool,
    gates: Vec<Gate>,
}

impl Held {
    pub(crate) fn new<T: Send + 'static>(
        ends: Vec<impl FnOnce() -> T + Send + 'static>,
    ) -> (Self, Vec<TaskHandle<T>>) {
        let pool = WorkerPool::with_workers(ends.len()).unwrap();
        let (gates, tasks) = ends
            .into_iter()
            .enumerate()
            .map(|(worker, end)| {
                let gate = Gate::default();
                let held = gate.clone();
                let task = pool.task().on_worker(worker).spawn(move || {
                    held.wait();
                    end()
                });
                (gate, task)
            })
            .unzip();
        (Self { pool, gates }, tasks)
    }

    /// Returns when the task is settled and its watchers were notified, because its worker has
    /// moved on by then.
    pub(crate) fn let_go(&self, number: usize) {
        self.gates[number].open();
        self.pool.task().on_worker(number).spawn(|| ()).join().unwrap();
    }
}

fn numbers(many: usize) -> Vec<impl FnOnce() -> usize + Send + 'static> {
    (0..many).map(|number| move || number).collect()
}

const ORDERS: [[usize; 3]; 3] = [[2, 0, 1], [1, 2, 0], [0, 1, 2]];

#[test]
fn a_race_is_won_by_the_first_that_settles_though_nobody_looks() {
    within(PATIENCE, || {
        for order in ORDERS {
            let (held, tasks) = Held::new(numbers(3));
            let race = promise::race(tasks);
            order.iter().for_each(|&number| held.let_go(number));
            assert_eq!(race.join().unwrap(), order[0]);
            let (held, tasks) = Held::new(numbers(3));
            let race = promise::race(tasks);
            order.iter().for_each(|&number| held.let_go(number));
            assert_eq!(pollster::block_on(race).unwrap(), order[0]);
            let (held, tasks) = Held::new(numbers(3));
            let race = promise::race(tasks);
            order.iter().for_each(|&number| held.let_go(number));
            assert_eq!(held.pool.spawn(|| race.join()).join().unwrap().unwrap(), order[0]);
        }
    });
}

#[test]
fn any_gives_the_first_value_and_all_the_first_failure() {
    within(PATIENCE, || {
        for order in ORDERS {
            let fails = |number: usize| {
                move || -> usize {
                    if number == 1 {
                        std::panic::resume_unwind(Box::new("planned"));
                    }
                    number
                }
            };
            let (held, tasks) = Held::new((0..3).map(fails).collect());
            let any = promise::any(tasks);
            order.iter().for_each(|&number| held.let_go(number));
            let first = order.into_iter().find(|number| *number != 1).unwrap();
            assert_eq!(any.join().unwrap(), first);

            let fails = |number: usize| {
                move || -> usize { std::panic::resume_unwind(Box::new(number.to_string())) }
            };
            let (held, tasks) = Held::new((0..3).map(fails).collect());
            let all = promise::all(tasks);
            order.iter().for_each(|&number| held.let_go(number));
            assert!(all.join().unwrap_err().to_string().contains(&order[0].to_string()));
        }
    });
}

#[test]
fn what_had_settled_before_comes_first_in_the_order_of_the_handles() {
    within(PATIENCE, || {
        let (held, tasks) = Held::new(numbers(3));
        held.let_go(2);
        held.let_go(1);
        let race = promise::race(tasks);
        held.let_go(0);
        assert_eq!(race.join().unwrap(), 1);
    });
}

#[test]
fn a_handle_that_was_spent_is_refused_at_once() {
    let pool = WorkerPool::with_workers(1).unwrap();
    let mut spent = pool.spawn(|| 1);
    pollster::block_on(&mut spent).unwrap();
    let refused = std::panic::catch_unwind(|| promise::race([spent]));
    assert!(refused.is_err());
}
