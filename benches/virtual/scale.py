#!/usr/bin/env python3
"""Runs the rows of `workloads` and says what came of them; `ci/scale.sh` builds it and calls this.

    scale.py check PROGRAM              each row on 32 and 64 virtual cores, against benches/virtual/floors.txt
    scale.py table PROGRAM [OUT.json]   each row on 2 to 128, with rayon-core beside it where PROGRAM has it
    scale.py real PROGRAM [OUT.json]    each row with 1, 2, 4 .. workers, as many as this machine has cores
    scale.py show FILE.json             prints the table that was measured before
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLOORS = HERE / "floors.txt"
VIRTUAL = [2, 8, 16, 32, 64, 128]
# By so much two runs of the same row differ without a reason.
NOISE = 1.15
SECONDS_A_RUN = 60


def rows(program):
    """The rows as (name, whether the rival has it, what it is)."""
    told = subprocess.run([program, "--rows"], check=True, capture_output=True, text=True).stdout
    return [(name, has == "1", says) for name, has, says in (line.split("\t") for line in told.splitlines())]


def measure(program, row, cores, pool, rounds):
    """One run, or what went wrong with it."""
    # At the same addresses each time, so that the same lines are shared.
    fixed = ["setarch", "-R"] if os.path.exists("/usr/bin/setarch") else []
    command = [*fixed, program, row, str(cores), "--pool", pool, "--rounds", str(rounds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_A_RUN, check=True)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"pool": pool, "row": row, "cores": cores, "error": f"no end after {SECONDS_A_RUN} s"}
    except subprocess.CalledProcessError as error:
        why = (error.stderr.strip().splitlines() or ["no word"])[-1]
        return {"pool": pool, "row": row, "cores": cores, "error": why}


def measure_all(program, runs, at_a_time, rounds):
    with ThreadPoolExecutor(at_a_time) as threads:
        # The long ones first.
        order = sorted(runs, key=lambda run: -run[1])
        done = list(threads.map(lambda run: measure(program, *run, rounds), order))
    return {(line["row"], line["cores"], line["pool"]): line for line in done}


def floors():
    """What each row has to reach on 64 cores, and whether it is known to be slower there than on 32."""
    found = {}
    for line in FLOORS.read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if words:
            found[words[0]] = float(words[1]), "KNOWN" in words[2:]
    return found


def complaints(row, lines, floor):
    """What is wrong with a row, and what could be said better in the file of floors."""
    few, many = lines[row, 32, "corepool"], lines[row, 64, "corepool"]
    for line in (few, many):
        if "error" in line:
            return [f"on {line['cores']} cores: {line['error']}"], []
    if floor is None:
        return ["has no floor in benches/virtual/floors.txt"], []
    least, known = floor
    wrong, hints = [], []
    # By the work done in a time: some rows have more of it on more cores.
    slower = many["speed_up"] * NOISE < few["speed_up"]
    if slower and not known:
        wrong.append(f"slower on 64 cores than on 32: {many['speed_up']} against {few['speed_up']}")
    if known and not slower:
        hints.append("no longer slower on 64 cores than on 32: take KNOWN out")
    if many["speed_up"] < least:
        wrong.append(f"speed-up of {many['speed_up']} on 64 cores, at least {least}")
    if many["speed_up"] > least * 1.6:
        hints.append(f"reaches {many['speed_up']}: the floor can be raised")
    return wrong, hints


def check(program):
    names = [name for name, _, _ in rows(program)]
    runs = [(name, cores, "corepool") for name in names for cores in (32, 64)]
    lines = measure_all(program, runs, os.cpu_count() or 1, 5)
    known, failed = floors(), False
    print(f"{'row':<14} {'on 32':>7} {'on 64':>7} {'floor':>7}")
    for name in names:
        few, many = (lines[name, cores, "corepool"].get("speed_up", "-") for cores in (32, 64))
        floor = known.get(name)
        wrong, hints = complaints(name, lines, floor)
        mark = " KNOWN" if floor and floor[1] else ""
        print(f"{name:<14} {few:>7} {many:>7} {floor[0] if floor else '-':>7}{mark}")
        for word in wrong:
            failed = True
            print(f"    FAILED: {word}")
        for word in hints:
            print(f"    {word}")
    for name in known.keys() - set(names):
        failed = True
        print(f"FAILED: {name} has a floor, but is no row")
    return 1 if failed else 0


def show(lines, said):
    """The table, as Markdown."""
    counts = sorted({line["cores"] for line in lines.values()})
    print("| what | pool |", " | ".join(map(str, counts)), "|")
    print("| --- | --- |", " | ".join("---:" for _ in counts), "|")
    for name, says in said:
        for pool in ("corepool", "rayon"):
            cells = [lines.get((name, cores, pool)) for cores in counts]
            if any(cells):
                shown = [f"{cell['speed_up']:.1f}" if cell and "speed_up" in cell else "–" for cell in cells]
                print(f"| {says if pool == 'corepool' else ''} | {pool} |", " | ".join(shown), "|")


def table(program, counts, at_a_time, rounds, out=None):
    told = rows(program)
    runs = [(name, cores, "corepool") for name, _, _ in told for cores in counts]
    if measure(program, "fib", 2, "rayon", 1).get("speed_up"):
        runs += [(name, cores, "rayon") for name, has, _ in told if has for cores in counts]
    else:
        print("built without a rival", file=sys.stderr)
    lines = measure_all(program, runs, at_a_time, rounds)
    said = [(name, says) for name, _, says in told]
    if out:
        order = sorted(lines.values(), key=lambda line: (line["row"], line["pool"], line["cores"]))
        text = [json.dumps({"rows": said}), *map(json.dumps, order)]
        Path(out).write_text("\n".join(text) + "\n", encoding="utf-8")
    show(lines, said)
    for line in lines.values():
        if "error" in line:
            print(f"{line['pool']} {line['row']} on {line['cores']}: {line['error']}", file=sys.stderr)
    # What a rival does not finish is shown as missing.
    return 1 if any("error" in line for line in lines.values() if line["pool"] == "corepool") else 0


def read(name):
    head, *lines = map(json.loads, Path(name).read_text(encoding="utf-8").splitlines())
    return head["rows"], {(line["row"], line["cores"], line["pool"]): line for line in lines}


def real_counts():
    cores = len(os.sched_getaffinity(0))
    counts = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return [*counts, cores]


def main(what, name, *rest):
    if what == "check":
        return check(name)
    if what == "table":
        return table(name, VIRTUAL, os.cpu_count() or 1, 3, *rest)
    if what == "real":
        return table(name, real_counts(), 1, 9, *rest)
    said, lines = read(name)
    show(lines, said)
    return 0


sys.exit(main(*sys.argv[1:]))
