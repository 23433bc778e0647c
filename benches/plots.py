#!/usr/bin/env python3
"""Draws the pictures in docs/pictures/ from what the benches measured.

    benches/plots.py             draws them again from docs/pictures/measured.json
    benches/plots.py --check     only says whether they are what it would draw
    benches/plots.py FILE.json.. first takes new measurements from FILE.json, which these wrote:

    cargo bench --bench overhead -- --rows burst,inside --json FILE.json
    cargo bench --bench workers -- --json FILE.json

The pictures carry their own background and colours for light and for dark, so that they can be read in any
page. The same numbers give the same bytes.
"""

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MEASURED = PICTURES / "measured.json"

WIDTH = 880
MARGIN = 32

# Of the machine that was measured: the pictures say so.
CORES = 2

# Light first; what stands in the media query takes its place in the dark. Of the ways that rivals are told
# apart colour is only one: every line and bar has its name beside it.
STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 12.5px; fill: #1f2328 }
  .title { font-size: 19px; font-weight: 600 }
  .panel { font-size: 13.5px; font-weight: 600 }
  .quiet { fill: #59636e }
  .small { font-size: 11.5px }
  .ours { fill: #0757ba; font-weight: 600 }
  .paper { fill: #ffffff; stroke: #d1d9e0 }
  .shade { fill: #f3f5f8 }
  .grid { stroke: #e1e6eb }
  .axis { stroke: #9aa4af }
  .limit { stroke: #7d8792; stroke-dasharray: 5 4 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round }
  .line-ours { stroke: #0969da }
  .line-rival { stroke: #c4651a }
  .dot-ours { fill: #0969da; stroke: #ffffff; stroke-width: 1.5 }
  .dot-rival { fill: #c4651a; stroke: #ffffff; stroke-width: 1.5 }
  .rival { fill: #9a4a0c }
  .bar-ours { fill: #0969da }
  .bar-rival { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .ours { fill: #79b8ff }
    .paper { fill: #0d1117; stroke: #3d444d }
    .shade { fill: #161c24 }
    .grid { stroke: #262c34 }
    .axis { stroke: #656d76 }
    .limit { stroke: #7d8590 }
    .line-ours { stroke: #58a6ff }
    .line-rival { stroke: #f0883e }
    .dot-ours { fill: #58a6ff; stroke: #0d1117 }
    .dot-rival { fill: #f0883e; stroke: #0d1117 }
    .rival { fill: #ffa657 }
    .bar-ours { fill: #388bfd }
    .bar-rival { fill: #57606a }
  }
"""


# What is measured.


def is_drawn(line):
    """Whether a picture needs this line of a bench's journal."""
    if line["bench"] == "overhead":
        return line["row"] in OVERHEAD_ROWS and line.get("metric") in (None, "ns a task")
    return line["bench"] == "workers"


def read(name):
    """What a file says of each contestant in each row: a later run of the same thing takes the earlier one's place."""
    summaries, rounds, strangers = {}, {}, {}
    with open(name, encoding="utf-8") as lines:
        for line in filter(is_drawn, map(json.loads, lines)):
            row = line["bench"], line["row"]
            if line["kind"] == "conditions":
                strangers[row] = line["strangers"]
            elif line["kind"] == "sample":
                rounds[row] = line["round"] + 1
            else:
                summaries[(*row, line["rival"])] = line
    for (bench, row, _), line in summaries.items():
        # Both are there already in what was kept.
        line.setdefault("rounds", rounds.get((bench, row)))
        line.setdefault("strangers", strangers.get((bench, row)))
    return summaries


def take(files):
    """Puts new measurements in the place of the old, and leaves those that were not made anew."""
    kept = read(MEASURED) if MEASURED.exists() else {}
    for name in files:
        kept.update(read(name))
    MEASURED.write_text("".join(json.dumps(line) + "\n" for line in kept.values()), encoding="utf-8")


# What is drawn with.


class Picture:
    """An SVG that grows. Coordinates are pixels from the upper left corner."""

    def __init__(self, height, title, description):
        self.height = height
        self.parts = [f"<title>{escape(title)}</title>", f"<desc>{escape(description)}</desc>"]
        self.parts.append(f"<style>{STYLE}</style>")
        self.rectangle("paper", 0.5, 0.5, WIDTH - 1, height - 1, 8)
        self.text(MARGIN, 40, title, "title")
        self.text(MARGIN, 63, description, "quiet")

    def text(self, x, y, words, kind="", anchor="start"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def rectangle(self, kind, x, y, width, height, round_by=0):
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_by}"/>'
        )

    def straight(self, kind, x1, y1, x2, y2):
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def line(self, who, points):
        """A line through the points, with a dot on each."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="line line-{who}" points="{path}"/>')
        for x, y in points:
            self.parts.append(f'<circle class="dot-{who}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')

    def drawn(self):
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}"'
        head += f' width="{WIDTH}" height="{self.height}" role="img">'
        return "\n".join([head, *self.parts, "</svg>", ""])


def apart(heights, least):
    """Moves labels apart so that none covers another, as little as can be; in the order given."""
    order = sorted(range(len(heights)), key=lambda at: heights[at])
    moved = list(heights)
    for above, below in zip(order, order[1:]):
        lacking = least - (moved[below] - moved[above])
        if lacking > 0:
            moved[above] -= lacking / 2
            moved[below] += lacking / 2
    return moved


def conditions(picture, measured, bench):
    """How it was measured, in two lines at the bottom."""
    lines = [line for line in measured.values() if line["bench"] == bench]
    rounds = min(line["rounds"] for line in lines)
    said = f"Medians of {rounds:.0f} rounds, in each the pools in turn, on a virtual machine with {CORES} cores"
    strangers = [line["strangers"] for line in lines if line["strangers"] is not None]
    if strangers:
        said += f"; others used up to {max(strangers):.0%} of it"
    picture.text(MARGIN, picture.height - 34, said, "quiet small")
    picture.text(MARGIN, picture.height - 17, f"cargo bench --bench {bench}", "quiet small")


# Speed by the number of workers.

LOADS = [
    ("tasks", "200 tasks of about 30 µs"),
    ("loop", "10,000 items of 0.75 µs, a loop"),
    ("join", "nothing but joins: fib(27)"),
]
LINES = [("corepool", "ours"), ("rayon", "rival")]


class Panel:
    """One load: where its numbers of workers and its speeds lie."""

    WIDTH, HEIGHT, LABELS = 182, 218, 86
    TOP = 120

    def __init__(self, place, workers, most):
        self.left = MARGIN + 24 + place * (self.WIDTH + self.LABELS)
        self.workers = workers
        self.most = most
        self.bottom = self.TOP + self.HEIGHT

    def x(self, workers):
        """Each number has the same room: what happens between four and eight is no news."""
        return self.left + (self.workers.index(workers) + 0.5) * self.WIDTH / len(self.workers)

    def y(self, speed):
        return self.bottom - speed / self.most * self.HEIGHT


def draw_workers(measured):
    speeds = {key: 1 / line["to_baseline"] for key, line in measured.items() if key[0] == "workers"}
    workers = sorted({int(row.rpartition("_")[2]) for _, row, _ in speeds})
    most = max(2.25, max(speeds.values()) * 1.08)
    picture = Picture(
        436,
        "Speed by the number of workers",
        f"How many times as fast as plain calls on one thread, on a machine with {CORES} cores",
    )
    for place, (load, said) in enumerate(LOADS):
        panel = Panel(place, workers, most)
        frame(picture, panel, said, place == 0)
        curves = {
            who: [(n, speeds["workers", f"{load}_{n}", rival]) for n in workers] for rival, who in LINES
        }
        draw_curves(picture, panel, curves)
    conditions(picture, measured, "workers")
    return picture.drawn()


def frame(picture, panel, said, first):
    """All of a panel but the curves."""
    right = panel.left + panel.WIDTH
    picture.text(panel.left, panel.TOP - 16, said, "panel")
    crowded = (panel.x(CORES) + panel.x(CORES + 1)) / 2
    picture.rectangle("shade", crowded, panel.TOP, right - crowded, panel.HEIGHT)
    for half in range(int(panel.most * 2) + 1):
        speed, y = half / 2, panel.y(half / 2)
        picture.straight("axis" if half == 0 else "limit" if speed == CORES else "grid", panel.left, y, right, y)
        if first and half % 2 == 0:
            picture.text(panel.left - 8, y + 4, f"{speed:.0f}×", "quiet", "end")
    for workers in panel.workers:
        picture.text(panel.x(workers), panel.bottom + 18, str(workers), "quiet", "middle")
    picture.text(panel.left + panel.WIDTH / 2, panel.bottom + 35, "workers", "quiet small", "middle")
    if first:
        picture.text(panel.left + 2, panel.y(CORES) - 6, f"{CORES} cores", "quiet small")
        picture.text((crowded + right) / 2, panel.bottom - 22, "more workers", "quiet small", "middle")
        picture.text((crowded + right) / 2, panel.bottom - 8, "than cores", "quiet small", "middle")


def draw_curves(picture, panel, curves):
    """The rivals first, so that ours lies on top; beside the last point of each its name and where it ended."""
    right = panel.left + panel.WIDTH + 6
    ends = {who: panel.y(points[-1][1]) for who, points in curves.items()}
    heights = dict(zip(ends, apart(list(ends.values()), 32)))
    for rival, who in reversed(LINES):
        points = curves[who]
        picture.line(who, [(panel.x(workers), panel.y(speed)) for workers, speed in points])
        picture.text(right, heights[who] - 2, rival, who)
        best = max(speed for _, speed in points)
        picture.text(right, heights[who] + 12, f"best {best:.2f}×", "quiet small")


# What a task costs.

OVERHEAD_ROWS = {
    "burst": "200,000 tasks from one thread",
    "inside": "100,000 tasks from inside a task",
}
POOLS = {
    "corepool": "corepool",
    "rayon": "rayon, oneshot",
    "tokio": "tokio spawn_blocking",
    "threadpool": "threadpool",
    "rusty_pool": "rusty_pool",
    "crossbeam by hand": "crossbeam by hand",
    "blocking": "blocking",
}


def draw_overhead(measured):
    def cost(row, rival):
        return measured["overhead", row, rival]["median"]

    rivals = sorted(POOLS, key=lambda rival: cost("burst", rival))
    names, bar, step = 142, 20, 32
    top = 130
    height = top + len(rivals) * step + 56
    picture = Picture(
        height,
        "What an empty task costs",
        "Nanoseconds to spawn a task, run it and collect its result, 2 workers; behind each how many times as much as ours",
    )
    for at, rival in enumerate(rivals):
        kind = "ours" if rival == "corepool" else ""
        picture.text(MARGIN + names - 10, top + at * step + bar * 0.72, POOLS[rival], kind, "end")
    room = (WIDTH - 2 * MARGIN - names) / len(OVERHEAD_ROWS)
    for place, (row, said) in enumerate(OVERHEAD_ROWS.items()):
        left = MARGIN + names + place * room
        picture.text(left, top - 20, said, "panel")
        # What is behind the longest bar has to fit too.
        scale = (room - 130) / max(cost(row, rival) for rival in rivals)
        for at, rival in enumerate(rivals):
            draw_bar(picture, measured, row, rival, left, top + at * step, scale)
        picture.straight("axis", left, top - 8, left, top + len(rivals) * step - 4)
    conditions(picture, measured, "overhead")
    return picture.drawn()


def draw_bar(picture, measured, row, rival, left, top, scale):
    """One pool's bar, with its cost behind it."""
    line, ours = measured["overhead", row, rival], measured["overhead", row, "corepool"]
    who = "ours" if rival == "corepool" else "rival"
    length = line["median"] * scale
    picture.rectangle(f"bar-{who}", left, top, length, 20, 2)
    said = f"{line['median']:,.0f} ns"
    if rival == "corepool":
        picture.text(left + length + 8, top + 14.5, said, "ours")
    else:
        picture.text(left + length + 8, top + 14.5, f"{said}, {line['ratio'] / ours['ratio']:.1f}×")


DRAWN_BY = {"speed_by_workers.svg": draw_workers, "overhead_of_a_task.svg": draw_overhead}


def main(arguments):
    check = arguments == ["--check"]
    if arguments and not check:
        take(arguments)
    measured = read(MEASURED)
    for name, draw in DRAWN_BY.items():
        picture = PICTURES / name
        if not check:
            picture.write_text(draw(measured), encoding="utf-8")
        elif picture.read_text(encoding="utf-8") != draw(measured):
            sys.exit(f"{picture} is not what benches/plots.py draws from {MEASURED.name}: run it again")


if __name__ == "__main__":
    main(sys.argv[1:])
