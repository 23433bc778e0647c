//! Tests in a process of their own: the test binary runs one of its tests again as a child.

use std::env;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const NAME: &str = "COREPOOL_TEST_CHILD";

/// Far longer than any child takes, even on a machine under load.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if it hung and had to be killed.
    pub(crate) status: Option<ExitStatus>,
    /// What it wrote to both streams.
    pub(crate) said: String,
}

impl Ended {
    /// Asserts that the child ended successfully.
    #[track_caller]
    pub(crate) fn expect_success(&self) {
        let status = self.status.unwrap_or_else(|| panic!("the child hangs: {}", self.said));
        assert!(status.success(), "{status}: {}", self.said);
        assert!(self.said.contains("1 passed"), "it ran something else: {}", self.said);
    }
}

/// Whether this process is the child, which then does what the test checks.
pub(crate) fn is_child() -> bool {
    env::var_os(NAME).is_some()
}

/// Runs the calling test again in a process of its own. `prepare` may change how it is started.
pub(crate) fn run_again(prepare: impl FnOnce(&mut Command)) -> Ended {
    let name = thread::current().name().expect("the harness names its threads").to_owned();
    let mut command = Command::new(env::current_exe().expect("a path to this binary"));
    command.args([&name, "--exact", "--nocapture", "--test-threads=2"]);
    command.env(NAME, "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    prepare(&mut command);
    wait_for(command.spawn().expect("a child process"))
}

fn wait_for(mut child: Child) -> Ended {
    let (done, ended) = mpsc::channel();
    let out = read_all(child.stdout.take().expect("piped"), done.clone());
    let err = read_all(child.stderr.take().expect("piped"), done);
    // The pipes close when the child is gone; its own children hold them open too if they hang.
    let mut closed = (0..2).map(|_| ended.recv_timeout(PATIENCE).is_ok());
    let in_time = closed.all(|closed| closed);
    if !in_time {
        child.kill().expect("the child is ours");
    }
    let status = child.wait().expect("the child is ours");
    let mut said = String::new();
    if in_time {
        for stream in [out, err] {
            said.push_str(&stream.join().expect("reading does not panic"));
        }
    }
    Ended { status: in_time.then_some(status), said }
}

fn read_all(
    mut stream: impl Read + Send + 'static,
    done: mpsc::Sender<()>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ended = stream.read_to_end(&mut bytes);
        let _told = done.send(());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
