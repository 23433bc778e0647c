//! Results come out in the order in which their tasks settled, even if no thread looked at that
//! time.

use corepool::TaskSet;

use crate::promise::order::Held;
use crate::support::{PATIENCE, within};

#[test]
fn results_come_out_as_their_tasks_settled_though_nobody_looked() {
    within(PATIENCE, || {
        for order in [[2, 0, 1, 3], [1, 3, 2, 0], [0, 1, 2, 3]] {
            for pushed in [false, true] {
                let (held, tasks) = Held::new((0..4).map(|number| move || number).collect());
                let mut set = TaskSet::new();
                if pushed {
                    for task in tasks {
                        set.push(task);
                    }
                } else {
                    set.extend(tasks);
                }
                order[..3].iter().for_each(|&number| held.let_go(number));
                let mut came: Vec<usize> =
                    std::iter::from_fn(|| set.try_next()).map(Result::unwrap).collect();
                assert_eq!(came, order[..3]);
                held.let_go(order[3]);
                came.extend(set.map(Result::unwrap));
                assert_eq!(came, order);
            }
        }
    });
}

#[test]
fn what_had_settled_before_its_push_counts_as_settled_then() {
    within(PATIENCE, || {
        let (held, mut tasks) = Held::new((0..3).map(|number| move || number).collect());
        let mut set = TaskSet::new();
        let (last, middle) = (tasks.pop().unwrap(), tasks.pop().unwrap());
        set.extend(tasks);
        held.let_go(1);
        held.let_go(0);
        set.push(middle);
        set.push(last);
        held.let_go(2);
        let came: Vec<usize> = set.map(Result::unwrap).collect();
        assert_eq!(came, [0, 1, 2]);
    });
}
