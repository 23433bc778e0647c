//! One thread serves all deadlines of the process, and no user code delays it.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use std::{future::Future, pin::pin};

use corepool::{CancelToken, PoolEvent, TaskError, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

const SOON: Duration = Duration::from_millis(5);

/// Its drop lasts until the sender is gone.
struct Stuck(mpsc::Receiver<()>);

impl Drop for Stuck {
    fn drop(&mut self) {
        let _gone = self.0.recv();
    }
}

#[test]
fn a_late_task_that_has_the_last_of_a_pool_holds_up_no_deadline() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let busy = occupy(&pool, 1);
        let own = Arc::clone(&pool);
        let late = pool.task().start_within(SOON).spawn(move || drop(own));
        drop(pool);
        // Its drop only closes the pool, which is still busy.
        assert!(matches!(late.join(), Err(TaskError::Expired)));
        CancelToken::with_timeout(SOON).wait();
        busy.release();
    });
}

#[test]
fn a_late_tasks_closure_whose_drop_waits_holds_up_no_deadline_and_no_other_closure_of_its_token() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let token = CancelToken::with_timeout(10 * SOON);
        let (gates, stuck): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                let (gate, held) = mpsc::channel();
                let held = Stuck(held);
                (gate, pool.task().cancel_token(&token).spawn(move || drop(held)))
            })
            .unzip();
        let behind = pool.task().cancel_token(&token).spawn(|| ());
        assert!(matches!(behind.join(), Err(TaskError::Cancelled)));
        CancelToken::with_timeout(SOON).wait();
        assert!(stuck.iter().all(|stuck| !stuck.is_finished()));
        drop(gates);
        for stuck in stuck {
            assert!(matches!(stuck.join(), Err(TaskError::Cancelled)));
        }
        busy.release();
    });
}

/// Blocks the thread that wakes it until the sender is gone.
struct StuckWaker(Mutex<mpsc::Receiver<()>>);

impl Wake for StuckWaker {
    fn wake(self: Arc<Self>) {
        let _gone = self.0.lock().unwrap().recv();
    }
}

#[test]
fn a_waker_that_waits_holds_up_no_deadline() {
    within(PATIENCE, || {
        let (gate, held) = mpsc::channel();
        let token = CancelToken::with_timeout(SOON);
        let mut ended = pin!(token.cancelled());
        let waker = Waker::from(Arc::new(StuckWaker(Mutex::new(held))));
        let _pending = ended.as_mut().poll(&mut Context::from_waker(&waker));
        let begun = Instant::now();
        for _ in 0..10 {
            CancelToken::with_timeout(SOON).wait();
        }
        assert!(begun.elapsed() >= 10 * SOON);
        drop(gate);
    });
}

/// The watchdog asks for the thread's name, on whatever thread it uses.
#[test]
fn a_spare_worker_whose_name_waits_holds_up_no_deadline() {
    within(PATIENCE, || {
        let (gate, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let (asked, is_asked) = mpsc::channel();
        let pool = WorkerPool::builder()
            .workers(1)
            .spare_workers(1)
            .watchdog(SOON)
            .when_stuck(corepool::builder::WhenStuck::Replace)
            .thread_name(move |id| {
                if id.index() > 0 {
                    asked.send(()).unwrap();
                    let _gone = held.lock().unwrap().recv();
                }
                format!("named-{id}")
            })
            .build()
            .unwrap();
        let mut events = pool.events();
        let busy = occupy(&pool, 1);
        // On a thread of its own: if the first task counts as stuck already, `spawn` asks for the
        // name, and waits with it.
        let behind = thread::scope(|scope| {
            let spawns = scope.spawn(|| pool.spawn(|| 1));
            is_asked.recv().unwrap();
            CancelToken::with_timeout(SOON).wait();
            drop(gate);
            spawns.join().unwrap()
        });
        assert_eq!(behind.join().unwrap(), 1);
        assert!(events.by_ref().any(|event| matches!(event, PoolEvent::TaskStuck { .. })));
        busy.release();
    });
}
