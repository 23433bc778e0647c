//! The four ways to compute next to a runtime, and a server on a separate thread that uses one of
//! them.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;

use http_server::job::Job;
use http_server::pooled::{NICEST, PoolOptions, Pooled, give_way};
use http_server::runner::{Inline, Refusal, Runner, Running, SpawnBlocking, unbounded};
use http_server::serve;

/// The number of computing threads in each way that has its own threads.
const WORKERS: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    make: fn() -> Arc<dyn Runner>,
}

/// The ways that are measured by default.
pub(crate) const USUAL: [Way; 4] = [
    Way { name: "inline", make: || Arc::new(Inline) },
    Way { name: "spawn_blocking", make: || Arc::new(SpawnBlocking) },
    Way { name: "rayon", make: || Arc::new(Rayon::new(0)) },
    Way { name: "corepool", make: || pooled(NICEST) },
];

/// The same pools with their niceness exchanged. They show how much of the difference comes from
/// niceness, and how much from the pool.
pub(crate) const EXCHANGED: [Way; 2] = [
    Way { name: "rayon_nice", make: || Arc::new(Rayon::new(NICEST)) },
    Way { name: "corepool_rude", make: || pooled(0) },
];

fn pooled(niceness: i32) -> Arc<dyn Runner> {
    let options = PoolOptions { workers: Some(WORKERS), niceness, ..PoolOptions::default() };
    Arc::new(Pooled::new(&options).expect("the system has threads"))
}

/// The usual solution today: a closure on rayon's threads, and a channel for its result.
#[derive(Debug)]
struct Rayon {
    pool: ThreadPool,
}

impl Rayon {
    fn new(niceness: i32) -> Self {
        let builder = ThreadPoolBuilder::new().num_threads(WORKERS);
        let pool = builder.start_handler(move |_| give_way(niceness)).build();
        Self { pool: pool.expect("the system has threads") }
    }
}

impl Runner for Rayon {
    fn name(&self) -> String {
        "rayon".to_owned()
    }

    fn run(&self, job: Job) -> Running {
        let (tell, told) = oneshot::channel();
        self.pool.spawn(move || {
            let _nobody_waits = tell.send(unbounded(job));
        });
        Box::pin(async { told.await.unwrap_or_else(|gone| Err(Refusal::Broken(gone.to_string()))) })
    }
}

/// A server that serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn start(way: Way) -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("the system has a runtime").block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                let listener = listener.expect("there is a free port");
                tell.send(listener.local_addr()).expect("somebody waits for it");
                let stop = async { drop(stopped.await) };
                let mut connections = serve(listener, (way.make)(), stop).await;
                connections.ended().await;
            });
        });
        let address = told.recv().expect("the thread lives").expect("a socket has an address");
        Self { address, stop: Some(stop), thread: Some(thread.expect("the system has threads")) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking(), "it panicked");
    }
}
