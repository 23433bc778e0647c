#!/usr/bin/env python3
"""Runs test binaries again and again, beside other loads each time, and says which tests fail now and then.

    cargo test --no-run --message-format json | repeat.py ROUNDS LOG [NAME]...
"""

import collections
import itertools
import json
import os
import re
import subprocess
import sys

# Busy loops beside the tests, tests at once, and whether all share one core.
LOADS = [(0, 4, False), (0, 16, False), (2, 2, True), (3, 8, False), (5, 4, False)]
PATIENCE = 1800


def binaries():
    """Each test binary with the folder it runs in, the quick ones of the library first."""
    for line in sys.stdin:
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("executable") and message.get("profile", {}).get("test"):
            yield message["executable"], os.path.dirname(message["manifest_path"])


def run(binary, folder, load, names):
    """Gives the tests that failed, how many ran, and what they printed."""
    busy, at_once, one_core = load
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(busy)]
    command = ["taskset", "-c", "0"] if one_core else []
    command += [binary, f"--test-threads={at_once}", *names]
    try:
        ended = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        status, output = ended.returncode, ended.stdout
    except subprocess.TimeoutExpired as expired:
        status, output = "no end", (expired.stdout or b"").decode(errors="replace")
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    failed = re.findall(r"^test (\S+).* \.\.\. FAILED$", output, re.MULTILINE)
    failed += re.findall(r"^    FAILED (\S+)", output, re.MULTILINE)
    ran = len(re.findall(r"\.\.\. ok$", output, re.MULTILINE))
    if status and not failed:
        failed = [f"{os.path.basename(binary)} as a whole: {status}"]
    return failed, ran, output


def main():
    rounds, log, names = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    found = list(binaries())
    failures, ran = collections.Counter(), 0
    with open(log, "w", encoding="utf-8") as kept:
        for turn, load in zip(range(rounds), itertools.cycle(LOADS)):
            for binary, folder in found:
                failed, passed, output = run(binary, folder, load, names)
                ran += passed + len(failed)
                failures.update(failed)
                for test in failed:
                    print(f"round {turn + 1}, load {load}: FAILED {test}", flush=True)
                if failed:
                    kept.write(f"==== round {turn + 1}, load {load}, {binary}\n{output}\n")
                    kept.flush()
            print(f"round {turn + 1} of {rounds}, load {load}: {ran} tests so far", flush=True)
    for test, times in failures.most_common():
        print(f"{times:4} of {rounds} rounds  {test}")
    print(f"{ran} tests in {rounds} rounds, {sum(failures.values())} failed")
    sys.exit(bool(failures))


main()
