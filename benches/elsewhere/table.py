#!/usr/bin/env python3
"""Prints what run.sh measured: medians, and the medians of the ratios inside the rounds.

    table.py [--text | --json] FILE      Markdown unless told
"""

import json
import sys
from statistics import median

OURS = "corepool"
ROWS = {
    "fib": "fib(32), a fork at each number",
    "queens": "12 queens, a task for each safe place",
    "tree": "unbalanced tree, 3.5 million nodes",
    "sort": "quicksort of 10 million numbers",
    "loop": "uneven loop, 20,000 items",
}
PLAIN = {
    OURS: "plain Rust",
    "corepool, scopes": "plain Rust",
    "oneTBB": "plain C++",
    "OpenMP": "plain C++",
    "Taskflow": "plain C++",
    "Go": "plain Go",
    "ForkJoinPool": "plain Java",
}


class Measured:
    """What one file holds."""

    def __init__(self, name):
        self.values, self.failures, self.machine, self.loads = {}, {}, {}, []
        self.pools, self.plain = [], []
        with open(name, encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                self.take(line)
        # In the order of the first round, which is that of run.sh.
        self.pools.sort(key=list(PLAIN).index)

    def take(self, line):
        kind = line["kind"]
        if kind == "machine":
            unwanted = ("kind", "bench")
            self.machine = {name: value for name, value in line.items() if name not in unwanted}
        elif kind == "conditions":
            self.loads.append(line["load"])
        elif kind == "failure":
            self.failures[line["row"], line["rival"]] = line["reason"]
            self.meet(line["rival"])
        else:
            self.values.setdefault((line["row"], line["rival"]), {})[line["round"]] = line["value"]
            self.meet(line["rival"])

    def meet(self, rival):
        known = self.pools if rival in PLAIN else self.plain
        if rival not in known:
            known.append(rival)

    def milliseconds(self, row, rival):
        rounds = self.values.get((row, rival))
        return median(rounds.values()) / 1e6 if rounds else None

    def ratio(self, row, rival, base):
        """How many times `base`'s time it took: the median of the rounds that have both."""
        theirs, ours = self.values.get((row, rival), {}), self.values.get((row, base), {})
        ratios = [theirs[at] / ours[at] for at in theirs if at in ours]
        return median(ratios) if ratios else None

    def fastest(self, row):
        times = {pool: self.milliseconds(row, pool) for pool in self.pools}
        return min((pool for pool in times if times[pool]), key=times.get, default=None)


def number(value, unit=""):
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{unit}"


def times(measured, mark):
    """Milliseconds and ratios to ours; the fastest is marked."""
    yield ["ms, and times corepool's", *measured.pools]
    for row, said in ROWS.items():
        cells = [said]
        for pool in measured.pools:
            value, reason = measured.milliseconds(row, pool), measured.failures.get((row, pool))
            ratio = measured.ratio(row, pool, OURS)
            if reason or value is None:
                cells.append(f"failed ({reason})" if reason else "–")
                continue
            shown = number(value)
            if pool != OURS and ratio:
                shown += f" ({number(ratio)})"
            cells.append(mark(shown) if pool == measured.fastest(row) else shown)
        yield cells


def speed_ups(measured, _mark):
    """How many times as fast as plain calls: two workers reach 2 if forking costs nothing."""
    yield ["times as fast as plain calls of its language", *measured.pools]
    for row, said in ROWS.items():
        ratios = [measured.ratio(row, PLAIN[pool], pool) for pool in measured.pools]
        yield [said, *(f"{ratio:.2f}" if ratio else "–" for ratio in ratios)]


def plain_calls(measured, _mark):
    """What the jobs take without a pool."""
    yield ["ms, plain calls on one thread", *measured.plain]
    for row, said in ROWS.items():
        values = [measured.milliseconds(row, plain) for plain in measured.plain]
        yield [said, *(number(value) if value else "–" for value in values)]


TABLES = [times, speed_ups, plain_calls]


def print_markdown(measured):
    print(about(measured))
    for table in TABLES:
        heading, *rows = table(measured, lambda cell: f"**{cell}**")
        print()
        for cells in [heading, ["---"] * len(heading), *rows]:
            print("|", " | ".join(cells), "|")


def print_text(measured):
    print(about(measured))
    for table in TABLES:
        rows = list(table(measured, lambda cell: f"*{cell}"))
        widths = [max(map(len, column)) for column in zip(*rows)]
        print()
        for first, *cells in rows:
            shown = [cell.rjust(width) for cell, width in zip(cells, widths[1:])]
            print("  ".join([first.ljust(widths[0]), *shown]))


def print_json(measured):
    rows = []
    for row in ROWS:
        for rival in measured.pools + measured.plain:
            rounds = measured.values.get((row, rival), {})
            reason = measured.failures.get((row, rival))
            if not rounds and not reason:
                continue
            rows.append({
                "row": row,
                "rival": rival,
                "role": "pool" if rival in PLAIN else "baseline",
                "rounds": len(rounds),
                "ms": measured.milliseconds(row, rival),
                "ratio_to_corepool": measured.ratio(row, rival, OURS),
                "speed_up": measured.ratio(row, PLAIN[rival], rival) if rival in PLAIN else None,
                "failure": reason,
            })
    conditions = {"machine": measured.machine, "loads": measured.loads}
    print(json.dumps({**conditions, "rows": rows}, indent=2))


def about(measured):
    machine = dict(measured.machine)
    workers, cores, date = (machine.pop(what, "?") for what in ("workers", "cores", "date"))
    versions = ", ".join(f"{what} {version}" for what, version in sorted(machine.items()))
    rounds, load = len(measured.loads), max(measured.loads, default=0)
    return (
        f"{date}, {workers} workers on {cores} cores, rounds: {rounds}, "
        f"highest load when a round began: {load}. {versions}."
    )


FORMS = {"--text": print_text, "--json": print_json, "--markdown": print_markdown}


def main(arguments):
    form = arguments.pop(0) if len(arguments) > 1 else "--markdown"
    if len(arguments) != 1 or form not in FORMS:
        sys.exit("table.py: name the file that run.sh wrote, and before it --text or --json")
    FORMS[form](Measured(arguments[0]))


main(sys.argv[1:])
