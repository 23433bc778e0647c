#!/usr/bin/env python3
"""Draws docs/pictures/speed_by_cores.svg from docs/pictures/scale.json, which `ci/scale.sh --table` writes.

    benches/virtual/draw.py            draws it
    benches/virtual/draw.py --check    only says whether it is what it would draw

With the colours and lines of benches/plots.py. The same numbers give the same bytes.
"""

import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from plots import MARGIN, PICTURES, Picture, apart  # noqa: E402

MEASURED = PICTURES / "scale.json"
DRAWN = PICTURES / "speed_by_cores.svg"

COLUMNS = 3
LEFT, TOP = MARGIN + 26, 118
WIDTH, HEIGHT = 196, 120
ROOM, STEP = 282, 186
LINES = [("rayon", "rival"), ("corepool", "ours")]
TITLES = {
    "fib": "joins: fib, 100 ns a call",
    "tree": "tasks in a tree, 1 µs a leaf",
    "loop_cheap": "loop, 3 ns an item",
    "loop_heavy": "loop, 10 µs an item",
    "loop_guest": "the same from outside",
    "loop_skewed": "loop, 50 ns, some 5 µs",
    "loop_sleeping": "loop, items sleep 1 ms",
    "scope": "scope, 20,000 × 1 µs",
    "batch": "batch, 20,000 × 1 µs",
    "burst_small": "one submitter, tasks of 1 µs",
    "burst": "one submitter, tasks of 10 µs",
    "burst_of_8": "8 submitters, tasks of 10 µs",
    "inside": "spawned by a task, 10 µs",
    "inside_small": "spawned by a task, 1 µs",
    "all": "promise::all, tasks of 10 µs",
    "broadcast": "broadcasts of 20 µs",
}


class Panel:
    """One row: where its numbers of cores and its speed-ups lie. Both by doublings."""

    def __init__(self, place, counts):
        self.left = LEFT + place % COLUMNS * ROOM
        self.top = TOP + place // COLUMNS * STEP
        self.bottom = self.top + HEIGHT
        self.doublings = math.log2(counts[-1])

    def x(self, cores):
        return self.left + math.log2(cores) / self.doublings * WIDTH

    def y(self, speed):
        """Slower than one core is drawn as one core."""
        return self.bottom - math.log2(max(speed, 1)) / self.doublings * HEIGHT


def draw(rows, lines):
    counts = sorted({line["cores"] for line in lines})
    height = TOP + math.ceil(len(rows) / COLUMNS) * STEP + 24
    said = "How many times as fast as one core without a pool; the dashed line is what the cores could do"
    picture = Picture(height, "Speed-up by cores", said)
    for place, (row, _) in enumerate(rows):
        panel = Panel(place, counts)
        frame(picture, panel, TITLES[row], counts, place == 0)
        draw_curves(picture, panel, [line for line in lines if line["row"] == row], place == 0)
    picture.text(MARGIN, height - 20, "Virtual cores (benches/virtual): ci/scale.sh --table", "quiet small")
    return picture.drawn()


def draw_curves(picture, panel, lines, first):
    """Ours on top; beside the last point of each its speed-up, or in the first panel its name."""
    ends = []
    for pool, who in LINES:
        found = sorted((line["cores"], line["speed_up"]) for line in lines if line["pool"] == pool and "speed_up" in line)
        if found:
            points = [(panel.x(cores), panel.y(speed)) for cores, speed in found]
            picture.line(who, points)
            ends.append((*points[-1], pool if first else shown(found[-1][1]), who))
    heights = apart([y for _, y, _, _ in ends], 14)
    for (x, _, said, who), y in zip(ends, heights):
        picture.text(x + 8, y + 4, said, who)


def shown(speed):
    return f"{speed:.0f}×" if speed >= 1 else f"{speed:.1f}×"


def frame(picture, panel, said, counts, first):
    """All of a panel but the curves."""
    picture.text(panel.left, panel.top - 12, said, "panel")
    right = panel.left + WIDTH
    for speed in (1, 4, 16, 64):
        y = panel.y(speed)
        picture.straight("axis" if speed == 1 else "grid", panel.left, y, right, y)
        picture.text(panel.left - 6, y + 4, f"{speed}×", "quiet small", "end")
    picture.straight("limit", panel.x(1), panel.y(1), panel.x(counts[-1]), panel.y(counts[-1]))
    for cores in counts:
        picture.text(panel.x(cores), panel.bottom + 16, str(cores), "quiet small", "middle")
    if first:
        picture.text(right, panel.bottom + 30, "cores", "quiet small", "end")


def main(arguments):
    head, *lines = map(json.loads, MEASURED.read_text(encoding="utf-8").splitlines())
    drawn = draw(head["rows"], lines)
    if arguments != ["--check"]:
        DRAWN.write_text(drawn, encoding="utf-8")
    elif DRAWN.read_text(encoding="utf-8") != drawn:
        sys.exit(f"{DRAWN} is not what benches/virtual/draw.py draws from {MEASURED.name}: run it again")


main(sys.argv[1:])
