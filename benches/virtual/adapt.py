#!/usr/bin/env python3
"""Makes copies of rayon-core and of what it stands on that run on virtual cores.

    benches/virtual/adapt.py FOLDER

The sources are those that cargo has fetched for the benches. What they take from the standard library, as far as
threads share it, is taken from `machine` instead; nothing else is changed. Prints the options for cargo that put
the copies in the place of the originals.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# A crate, and which words in which of its files (all, for "") become which others.
CHANGES = {
    "rayon-core": [
        ("", r"\bstd::sync::atomic\b", "machine::atomic"),
        ("lib.rs", r"^(\s*)use std::sync;", r"\1use machine::standard as sync;"),
        ("lib.rs", r"^use std::thread;", "use machine::thread;"),
        ("registry.rs", r"^use std::thread;", "use machine::thread;"),
        ("sleep/mod.rs", r"^use std::thread;", "use machine::thread;"),
        ("registry.rs", r"\bthread_local!", "machine::thread_local!"),
    ],
    "crossbeam-deque": [
        ("deque.rs", r"\b(std|core)::sync::atomic\b", "machine::atomic"),
    ],
    "crossbeam-epoch": [
        ("lib.rs", r"^(\s*)pub\(crate\) use core::sync::atomic;", r"\1pub(crate) use machine::atomic;"),
        ("lib.rs", r"^(\s*)pub\(crate\) use std::thread_local;", r"\1pub(crate) use machine::thread_local;"),
        ("atomic.rs", r"\bself\.data\.load_consume\(\)", "self.data.load(Ordering::Acquire)"),
        ("default.rs", r"^(\s*)std::thread_local!", r"\1machine::thread_local!"),
    ],
    "crossbeam-utils": [
        ("backoff.rs", r"::std::thread::yield_now", "::machine::thread::yield_now"),
        ("backoff.rs", r"\bhint::spin_loop\(\)", "::machine::thread::spin_loop()"),
    ],
}


def sources():
    """The folder of each crate that has to be adapted."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for package in json.loads(told)["packages"]:
        if package["name"] in CHANGES:
            yield package["name"], Path(package["manifest_path"]).parent


def adapt(name, source, copy):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".cargo*", "tests", "benches", "examples"))
    for file, pattern, word in CHANGES[name]:
        files = [copy / "src" / file] if file else (copy / "src").rglob("*.rs")
        for path in files:
            before = path.read_text(encoding="utf-8")
            path.write_text(re.sub(pattern, word, before, flags=re.MULTILINE), encoding="utf-8")
    with open(copy / "Cargo.toml", "a", encoding="utf-8") as manifest:
        manifest.write(f'\n[dependencies.machine]\npath = "{HERE / "machine"}"\n')


def main(folder):
    options = []
    for name, source in sources():
        copy = Path(folder).resolve() / name
        adapt(name, source, copy)
        options += ["--config", f'patch.crates-io.{name}.path="{copy}"']
    print("\n".join(options))


main(*sys.argv[1:])
