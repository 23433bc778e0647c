//! Models of lending: a lent core is used and given back, and no task is left waiting meanwhile.
//!
//! A task is the number of the lender that waits for it. So a task that no worker runs shows as a
//! deadlock, which loom reports. All models also held with three preemptions (2026-11-21, the last
//! one 2026-11-27). The longest ones normally run with two.
#![forbid(unsafe_code)]

mod pool;

use std::sync::Arc;

use loom::thread;

use crate::base::sync::{explore, explore_shallow};
use crate::parts::queue::models::Item;
use pool::{Pool, Post};

#[test]
fn a_task_pushed_while_a_core_is_lent_is_run_there() {
    explore(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        let submitter = pool.beside(|pool| pool.submit(0));
        pool.lend_until_run(0);
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

#[test]
fn a_task_of_the_lenders_own_is_run_there() {
    explore(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        let submitter = pool.beside(|pool| pool.submit_for(0, 0));
        pool.lend_until_run(0);
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// A lender that resumes at once and lends again may find the spare worker of the first lending
/// still on its way.
#[test]
fn a_core_that_is_lent_again_at_once_is_used() {
    explore(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        let submitter = pool.beside(|pool| pool.submit(0));
        pool.lend_core(0);
        pool.take_core_back(0);
        pool.lend_until_run(0);
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// The second task arrives when the spare worker is relieved or about to be. Either the spare
/// worker or the lender runs it.
#[test]
fn a_task_that_comes_while_the_core_is_given_back_is_run() {
    explore_shallow(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        pool.lend_core(0);
        pool.submit(0);
        pool.waits[0].park();
        let submitter = pool.beside(|pool| pool.submit(0));
        pool.take_core_back(0);
        // The lender waits no more. It is a worker again, so it may be woken for the task, or the
        // spare worker has it.
        let watcher = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                pool.waits[0].park();
                pool.close();
            }
        });
        if pool.next(Post { slot: 0, home: 0 }).is_some() {
            pool.waits[0].unpark();
        }
        watcher.join().unwrap();
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// When the spare worker is done with one lender it is offered to the other.
#[test]
fn two_lenders_share_one_spare_worker() {
    explore_shallow(|| {
        let pool = Pool::new(2, 1);
        let spare = pool.start_spare(2);
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                pool.slots[1].own.push(Item::new(1));
                pool.lend_until_run(1);
            }
        });
        pool.slots[0].own.push(Item::new(0));
        pool.lend_until_run(0);
        other.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// The spare worker has nothing left to do for the first lender when a task arrives that is meant
/// for the second one, which may be about to lend.
#[test]
fn a_spare_worker_that_sleeps_for_one_lender_is_sent_to_another() {
    explore_shallow(|| {
        let pool = Pool::new(2, 1);
        let spare = pool.start_spare(2);
        pool.lend_core(0);
        pool.submit(0);
        pool.waits[0].park();
        // The spare worker may be asleep by now, or about to be.
        let other = pool.beside(|pool| pool.lend_until_run(1));
        pool.submit_for(1, 1);
        other.join().unwrap();
        pool.take_core_back(0);
        pool.end(vec![spare]);
    });
}
