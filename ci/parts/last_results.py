#!/usr/bin/env python3
"""Writes docs/last_results.md: what each tool said last of the tests of each case in docs/reliability.md.

    .ci/run 2>&1 | tee FILE; ci/parts/last_results.py FILE

A test that no tool of the log ran is named, and then nothing is written."""
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
CASES, PAGE = DOCS / "reliability.md", DOCS / "last_results.md"
HEAD = """# Last results

What each tool said of the tests of each case in [reliability.md](reliability.md), in the last
complete run of `.ci/run`. `ci/parts/last_results.py` writes this page from the log.

| case | result |
| --- | --- |
"""
# The steps of `.ci/run` that run tests, and what the page calls them.
TOOLS = {"cargo test": "plain", "chaos": "chaos", "asan": "ASan", "models": "loom", "shuttle": "shuttle"}


def read(log):
    """For each test the tools that ran it, with whether it passed; and the steps that were ok."""
    tests, steps, tool, binary = {}, set(), None, "it"
    for line in log.splitlines():
        if step := re.match(r"==== (.*)", line):
            tool = TOOLS.get(step[1])
        elif running := re.match(r" +Running (?:unittests )?(\S+)", line):
            name = Path(running[1])
            binary = "it" if name.parts[0] == "src" or "it" in name.parts else name.stem
        elif tool and (test := re.match(r"test (\S+)(?: - should panic)? \.\.\. .*?(ok|FAILED)$", line)):
            name = test[1] if binary == "it" else f"{binary}: {test[1]}"
            tests.setdefault(name, {})[tool] = test[2] == "ok"
        elif done := re.match(r" +\d+ s  ok +(\S.*)", line):
            steps.add(done[1])
    return tests, steps


def verdict(named, tests, steps, unknown):
    """What the page says of a case with these tests."""
    said = {}
    for name in named:
        script = re.fullmatch(r"ci/(\w+)\.sh", name)
        if script and script[1] in steps:
            said.setdefault(name, True)
        elif name.endswith(".rs"):
            # Of types, which the build and the doc tests decide.
            said.setdefault("types", {"cargo test", "docs"} <= steps)
        elif name in tests:
            for tool, passed in tests[name].items():
                said[tool] = said.get(tool, True) and passed
        else:
            unknown.append(name)
    failed = [tool for tool, passed in said.items() if not passed]
    return f"FAILED: {', '.join(failed)}" if failed else f"ok: {', '.join(said)}"


def main(file):
    tests, steps = read(Path(file).read_text(encoding="utf-8", errors="replace"))
    unknown, lines = [], []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if case := re.match(r"\| (\d+) \|", line):
            named = line.split(" | ")[2].split("Partly:")[0].split("`")[1::2]
            lines.append(f"| {case[1]} | {verdict(named, tests, steps, unknown)} |")
    for name in unknown:
        print(f"ci/parts/last_results.py: no tool in {file} ran `{name}`", file=sys.stderr)
    if unknown:
        sys.exit(1)
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


main(*sys.argv[1:])
