//! The clients: one that measures the latency of `/health`, and many that keep the computing routes
//! busy.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime;
use tokio::task::JoinSet;

/// Connections that keep the computing routes busy. They are enough for each core to always have
/// some work waiting.
const CONNECTIONS: usize = 8;
/// The pause between an answer and the next health request. Without a pause the requests themselves
/// would be the load.
const PAUSE: Duration = Duration::from_millis(2);

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// Requests `/health` for this long. Returns the latencies.
pub(crate) fn ask_health(address: SocketAddr, time: Duration) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a socket can be told so");
    let mut buffer = [0; 512];
    let mut latencies = Vec::new();
    let start = Instant::now();
    // At least once, however slow the server is.
    while latencies.is_empty() || start.elapsed() < time {
        thread::sleep(PAUSE);
        let asked = Instant::now();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: bench\r\n\r\n").expect("the server reads");
        // An answer this short arrives in one piece.
        let length = stream.read(&mut buffer).expect("the server answers");
        latencies.push(asked.elapsed());
        let answer = &buffer[..length];
        assert!(answer.starts_with(OK) && answer.ends_with(b"\r\n\r\nok\n"), "{answer:?}");
    }
    latencies
}

/// One request of the load, and the end of its answer if that is known.
struct Question {
    bytes: Vec<u8>,
    end: &'static [u8],
}

/// Each connection sends these in turn. Each is some milliseconds of work.
fn questions() -> Vec<Question> {
    let text: String =
        (0..5_000).map(|n| format!("{n}: a line of a log, {}\n", n * 7_919)).collect();
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let questions = [
        ("GET /fib/27 HTTP/1.1\r\nhost: bench\r\n\r\n".to_owned(), &b"\r\n196418\n"[..]),
        (post("/compress", &text[..60_000]), b""),
        (post("/hash", "hello"), b"e03f419b1d7\n"),
    ];
    questions.map(|(text, end)| Question { bytes: text.into_bytes(), end }).into()
}

/// Clients on a separate thread that keep the computing routes busy until they are dropped.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Starts the clients. When this returns, every connection has had each kind of answer.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let (warm, is_warm) = mpsc::channel();
        let thread = thread::Builder::new().name("load".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("the system has a runtime").block_on(async {
                    let questions = Arc::new(questions());
                    let mut all = JoinSet::new();
                    for n in 0..CONNECTIONS {
                        let (questions, shared) = (Arc::clone(&questions), Arc::clone(&shared));
                        all.spawn(keep_busy(address, n, questions, shared, warm.clone()));
                    }
                    all.join_all().await;
                });
            }
        });
        for _ in 0..CONNECTIONS {
            is_warm.recv().expect("every answer is right");
        }
        Self { shared, thread: Some(thread.expect("the system has threads")) }
    }

    /// The number of answers so far.
    pub(crate) fn answers(&self) -> u64 {
        // ORDERING: a count, read on its own.
        self.shared.answers.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking(), "it panicked");
    }
}

async fn keep_busy(
    address: SocketAddr,
    first: usize,
    questions: Arc<Vec<Question>>,
    shared: Arc<Shared>,
    warm: mpsc::Sender<()>,
) {
    let stream = tokio::net::TcpStream::connect(address).await;
    let mut stream = stream.expect("the server listens");
    stream.set_nodelay(true).expect("a socket can be told so");
    let mut buffer = vec![0; 1 << 16];
    for turn in 0_usize.. {
        if turn == questions.len() {
            let _nobody_waits = warm.send(());
        }
        if turn >= questions.len() && shared.stop.load(Ordering::SeqCst) {
            return;
        }
        // Each connection begins with a different request, so that all kinds are under way at any
        // time.
        let question = &questions[(first + turn) % questions.len()];
        stream.write_all(&question.bytes).await.expect("the server reads");
        let answer = read_answer(&mut stream, &mut buffer).await;
        assert!(answer.starts_with(OK) && answer.ends_with(question.end), "a wrong answer");
        // ORDERING: a count, read on its own.
        shared.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads until the answer is as long as its head says.
async fn read_answer<'a>(stream: &mut tokio::net::TcpStream, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut filled = 0;
    loop {
        let length = stream.read(&mut buffer[filled..]).await.expect("the server answers");
        assert!(length > 0, "the server closed the connection");
        filled += length;
        if whole_length(&buffer[..filled]) == Some(filled) {
            return &buffer[..filled];
        }
    }
}

fn whole_length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = str::from_utf8(&answer[..head]).expect("a head is text");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + 4 + length.parse::<usize>().expect("a length is a number"))
}
