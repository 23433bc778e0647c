#!/usr/bin/env python3
"""Prints what run.sh measured as one table, in Markdown: medians, and the median of the ratios inside the rounds."""

import json
import sys
from statistics import median

OURS = "corepool"
ONE_THREAD = {OURS: "one thread of Rust", "by hand": "one thread of Node"}
COLUMNS = [
    ("corepool", OURS),
    ("`WorkerPool` by hand", "by hand"),
    ("the same with `queue.shift()`", "queue.shift()"),
    ("piscina", "piscina"),
]

TASKS, TIME, SPEED = "tasks a second", "ms", "MB/s"
# What is said | row | metric | whose: the pools', or without a pool.
ROWS = [
    ("200,000 empty tasks, at once", "empty", TASKS, {}),
    ("`fib(30)`, 64 times", "fib", TIME, {}),
    ("the same, no pool, one thread", "fib", TIME, ONE_THREAD),
    ("gzip, 64 blocks of 128 KiB, level 6", "compress", SPEED, {}),
    ("the same, no pool, one thread", "compress", SPEED, ONE_THREAD),
    ("what gzip leaves", "compress", "part left", {}),
]

SHOWN = {
    TASKS: lambda value: f"{value:,.0f} a second",
    TIME: lambda value: f"{value:,.0f} ms",
    SPEED: lambda value: f"{value:,.1f} MB/s",
    "part left": lambda value: f"{value:.1%}",
}


def read(name):
    """The values of each row, metric and contestant, by round."""
    values = {}
    with open(name, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line["kind"] == "sample" and line["bench"] == "node":
                key = line["row"], line["metric"], line["rival"]
                values.setdefault(key, {})[line["round"]] = line["value"]
    return values


def times_as_fast(metric, ours, theirs):
    """How many times as fast ours is: the median of the rounds in which both took part."""
    ratios = [ours[at] / theirs[at] for at in ours if at in theirs]
    if not ratios or metric not in (TASKS, TIME, SPEED):
        return ""
    faster = median(ratios) if metric != TIME else median(1 / ratio for ratio in ratios)
    return f", {faster:,.0f}×" if faster >= 10 else f", {faster:.1f}×"


def cell(values, row, metric, who, other):
    """One contestant's median; beside it, for others, how many times as fast ours is."""
    theirs = values.get((row, metric, other.get(who, who)))
    if not theirs or (other and who not in other):
        return "–"
    shown = SHOWN[metric](median(theirs.values()))
    if who == OURS:
        return shown
    ours = values.get((row, metric, other.get(OURS, OURS)), {})
    return shown + times_as_fast(metric, ours, theirs)


def main(name):
    values = read(name)
    sums = {sum for (row, _, _), rounds in values.items() if row == "text" for sum in rounds.values()}
    if len(sums) > 1:
        sys.exit("table.py: the contestants did not compress the same text")
    print("|", " | ".join(["job", *(said for said, _ in COLUMNS)]), "|")
    print("|", " | ".join(["---"] * (len(COLUMNS) + 1)), "|")
    for said, row, metric, other in ROWS:
        cells = [cell(values, row, metric, who, other) for _, who in COLUMNS]
        print("|", " | ".join([said, *cells]), "|")


if len(sys.argv) != 2:
    sys.exit("table.py: name the file that run.sh wrote")
main(sys.argv[1])
