//! The do-it-yourself pool: two threads on one crossbeam channel of boxed closures.

#![forbid(unsafe_code)]

use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;
use oneshot::Receiver;

use crate::support::{WORKERS, work::burst};

pub(crate) use super::rayon_oneshot::join;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn send(&self, job: Job) {
        self.jobs().send(job).expect("the workers listen");
    }

    fn jobs(&self) -> &Sender<Job> {
        self.jobs.as_ref().expect("only drop takes the sender")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            thread.join().expect("no task of a bench panics");
        }
    }
}

pub(crate) fn start() -> Pool {
    let (jobs, queue) = crossbeam_channel::unbounded::<Job>();
    let work = || {
        let queue = queue.clone();
        thread::spawn(move || queue.into_iter().for_each(|job| job()))
    };
    Pool { jobs: Some(jobs), threads: (0..WORKERS).map(|_| work()).collect() }
}

pub(crate) fn spawn<T: Send + 'static>(
    pool: &Pool,
    f: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    send(pool.jobs(), f)
}

pub(crate) fn inside(pool: &Pool, tasks: u64) -> u64 {
    let here = pool.jobs().clone();
    join(spawn(pool, move || burst(tasks, |value| send(&here, move || value), join)))
}

fn send<T: Send + 'static>(
    jobs: &Sender<Job>,
    f: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    jobs.send(Box::new(move || drop(sender.send(f())))).expect("the workers listen");
    receiver
}
