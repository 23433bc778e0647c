#!/usr/bin/env bash
# Prints the table of docs/measured.md, as Markdown, from what was measured: nothing in it but the
# targets is written by hand.
#
#   ci/bench_table.sh              runs the benches and ci/instructions.sh first (about fifteen minutes)
#   ci/bench_table.sh FILE.json..  takes what `cargo bench -- --json FILE.json` wrote before
#
# Arguments for the benches go in BENCH_ARGS, for example BENCH_ARGS=--quick.
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# == 0)); then
  measured=$(mktemp --suffix=.json)
  trap 'rm -f "$measured"' EXIT
  read -ra arguments <<<"${BENCH_ARGS:-}"
  # What they print on the way is for the eye; the table alone goes to stdout.
  for bench in overhead memory idle fork_join slices async_round_trip combinators; do
    cargo bench --bench "$bench" -- --json "$measured" "${arguments[@]}" >&2
  done
  ci/instructions.sh --json "$measured" corepool rayon threadpool "crossbeam by hand" blocking >&2
  set -- "$measured"
fi

python3 - "$@" <<'PYTHON'
import json
import sys

TRIP_MEDIAN, TRIP_TAIL = "p50 ns", "p99 ns"
LOOP = "us a call"

# What is said | bench | row | metric | how | target. The targets are the issue's; all else is
# measured.
ROWS = [
    ("burst of 200,000 empty tasks, every result collected", "overhead", "burst", "ns a task", "ratio", "≤ 0.30"),
    ("the same in windows of 1,000", "overhead", "windows", "ns a task", "ratio", "≤ 0.35"),
    ("the same from 4 submitters", "overhead", "four_submitters", "ns a task", "ratio", "≤ 0.25"),
    ("a task that spawns 100,000 tasks and joins them", "overhead", "inside", "ns a task", "ratio", "≤ 0.25"),
    ("instructions a task, burst", "instructions", "burst", "instructions a task", "count", "≤ 450"),
    ("instructions a task, round trip", "instructions", "round_trip", "instructions a task", "count", "≤ 700"),
    ("allocations a task", "memory", "a_task", "allocations a task", "tenths", "1"),
    ("bytes asked for a task", "memory", "a_task", "bytes a task", "count", "≤ 64"),
    ("peak heap with 1,000,000 tasks queued, MB", "memory", "queued", "peak MB", "count", "–"),
    ("one task at a time, p50", "overhead", "one_at_a_time", TRIP_MEDIAN, "micros", "the best rival's"),
    ("one task at a time, p99", "overhead", "one_at_a_time", TRIP_TAIL, "micros", "rayon's"),
    ("one task, 1 ms pause, p50", "overhead", "with_pause", TRIP_MEDIAN, "micros", "the best rival's"),
    ("sleeps a trip, 1 ms pause", "overhead", "with_pause", "sleeps a trip", "tenths", "≤ 3"),
    ("CPU a trip, 1 ms pause, µs", "overhead", "with_pause", "cpu us a trip", "count", "≤ 45"),
    ("idle pool: context switches", "idle", "idle", "workers' switches after that", "count", "0"),
    ("idle pool: CPU, µs", "idle", "idle", "workers' cpu us after that", "count", "0"),
    ("1,000 tasks a second: the workers' context switches a second", "idle", "paced", "workers' switches a second", "count", "≤ 2,000"),
    ("1,000 tasks a second: CPU of the whole process, ms a second", "idle", "paced", "all cpu ms a second", "count", "–"),
    ("fib(30), a `join` at each number, 1 worker, against plain calls", "fork_join", "fib_1", "ns a join", "plain", "≤ 1.70"),
    ("the same with 2 workers, against plain calls", "fork_join", "fib_2", "ns a join", "plain", "≤ 0.90"),
    ("fib(12) from outside", "fork_join", "fib_small", "ns a call", "ratio", "≤ 0.30"),
    ("a scope of 10,000 closures, from outside, a closure", "fork_join", "scope_10000", "ns a closure", "ratio", "≤ 0.15"),
    ("a scope of 2 closures, from outside", "fork_join", "scope_2", "ns a scope", "ratio", "≤ 0.15"),
    ("map of 1,000 cheap items (3 ns)", "slices", "map_cheap_1000", LOOP, "loop", "the best rival's"),
    ("map of 1,000,000 cheap items", "slices", "map_cheap_1000000", LOOP, "loop", "the best rival's"),
    ("map of 100 heavy items (1 µs)", "slices", "map_heavy_100", LOOP, "loop", "the best rival's"),
    ("for each of 10,000 heavy items", "slices", "each_heavy_10000", LOOP, "loop", "the best rival's"),
    ("map of 10,000 items, 50 ns, one in a hundred 5 µs", "slices", "map_skewed_10000", LOOP, "loop", "the best rival's"),
    ("one task awaited on a current-thread runtime, p50", "async_round_trip", "one_at_a_time", TRIP_MEDIAN, "micros", "the best rival's"),
    ("the same, p99", "async_round_trip", "one_at_a_time", TRIP_TAIL, "micros", "the best rival's"),
    ("1,000 awaited at once, a task", "async_round_trip", "thousand_at_once", "ns a task", "nanos", "the best rival's"),
    ("`promise::all` of 10,000 that run, a handle, against a loop of joins", "combinators", "all_running", "ns a handle", "plain", "≤ 1.30"),
    ("the same of 10,000 that are settled", "combinators", "all_ready", "ns a handle", "plain", "≤ 1.30"),
    ("a task with one `then`, a step, against two spawns", "combinators", "then_each", "ns a task", "plain", "≤ 1.20"),
    ("`spawn_batch` of 100,000, a task", "combinators", "spawn_batch", "ns a task", "ratio", "≤ 0.10"),
    ("cancel of 100,000 queued tasks, a task", "combinators", "cancel_queued", "ns a task", "nanos", "< 100 ns"),
]

SHOWN = {
    "ratio": lambda line: f"{line['ratio']:.2f} ({line['median']:,.0f} ns)",
    "plain": lambda line: f"{line['to_baseline']:.2f} ({line['median']:,.1f} ns)",
    "count": lambda line: f"{line['median']:,.0f}",
    "tenths": lambda line: f"{line['median']:,.1f}",
    "micros": lambda line: f"{line['median'] / 1e3:,.1f} µs",
    "nanos": lambda line: f"{line['median']:,.0f} ns",
    "loop": lambda line: f"{line['median']:,.1f} µs",
}

# Which number says who is best, where it is not the median.
RANK = {"ratio": "ratio", "plain": "to_baseline"}


def read(files):
    """The summaries by what they are about, and the rows that other processes disturbed."""
    summaries, disturbed = {}, {}
    for name in files:
        with open(name, encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                if line["kind"] == "summary":
                    key = line["bench"], line["row"], line["metric"]
                    # A later run of the same thing takes the place of an earlier one.
                    summaries.setdefault(key, {})[line["rival"]] = line
                elif line["kind"] == "conditions" and line["strangers"] is not None:
                    disturbed[line["bench"], line["row"]] = line["strangers"]
    return summaries, disturbed


def cells(lines, how):
    """Ours, the best rival and rayon, each as text. The best is by the ratio where there is one."""
    rank = RANK.get(how, "median")
    usable = {name: line for name, line in lines.items() if line[rank] is not None}
    ours = next((line for line in usable.values() if line["role"] == "ours"), None)
    rivals = [line for line in usable.values() if line["role"] == "rival"]
    best = min(rivals, key=lambda line: line[rank], default=None)
    show = SHOWN[how]
    named = f"{best['rival']} {show(best)}" if best else "–"
    rayon = show(usable["rayon"]) if "rayon" in usable else "–"
    return show(ours) if ours else "–", named, rayon


def main(files):
    summaries, disturbed = read(files)
    print("| what | corepool | best rival | rayon | to reach |")
    print("| --- | --- | --- | --- | --- |")
    for said, bench, row, metric, how, target in ROWS:
        lines = summaries.get((bench, row, metric), {})
        print("|", " | ".join([said, *cells(lines, how), target]), "|")
    for (bench, row), part in disturbed.items():
        if part > 0.05:
            print(f"{bench} {row}: other processes used {part:.0%} of the machine meanwhile", file=sys.stderr)


main(sys.argv[1:])
PYTHON
