//! The two contestants that are separate programs: ours and pigz.
#![forbid(unsafe_code)]

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// `programs/compress`. Building a bench does not build it.
pub(crate) fn ours() -> Command {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let bench = env::current_exe().expect("a path to this bench");
        let target = bench.ancestors().nth(2).expect("it lies in a directory of the target's");
        let profile = if target.ends_with("release") { &["--release"][..] } else { &[] };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "compress"])
            .args(profile)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", target.parent().expect("a target directory"))
            .status();
        let program = target.join("compress");
        assert!(program.exists(), "no program compress: {built:?}");
        program
    });
    Command::new(&*BUILT)
}

/// `None` if pigz is not installed.
pub(crate) fn pigz() -> Option<Command> {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let found = Command::new("pigz").arg("--version").output().is_ok();
        if !found {
            println!("SKIPPED: there is no pigz here");
        }
        found
    });
    FOUND.then(|| Command::new("pigz"))
}

/// Runs the command to its end, and returns its output.
pub(crate) fn output(mut command: Command) -> Vec<u8> {
    let output = command.stderr(Stdio::inherit()).output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

/// Runs the command to its end, only for the time that it takes.
pub(crate) fn run(mut command: Command) {
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
}
