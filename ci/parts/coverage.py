#!/usr/bin/env python3
"""Reads which lines of src/ were run, prints a table of the files, and lists the lines that were not.

    coverage.py LINES.lcov UNCOVERED.txt

Left out are tests and models: files of that name, and whatever stands below `#[cfg(test)]`. Fails below 95 in 100.
"""

import os
import re
import sys

LEAST = 95.0
ASIDE = re.compile(r"(^|/)(tests|models?|chaos)(/|\.rs$)")


def counts(path):
    """How often each line of each file was run; a file that stands in several programs counts once."""
    found, current = {}, None
    with open(path) as lines:
        for line in lines:
            if line.startswith("SF:"):
                current = found.setdefault(os.path.relpath(line[3:].strip()), {})
            elif line.startswith("DA:"):
                number, count = map(int, line[3:].split(",")[:2])
                current[number] = max(current.get(number, 0), count)
    return found


def tests_begin(source):
    """The line on which a file's own tests begin; they stand at its end."""
    for number, line in enumerate(source, 1):
        if line.strip() == "#[cfg(test)]" and source[number].strip().startswith("mod ") and source[number].rstrip().endswith("{"):
            return number
    return len(source) + 1


def main():
    rows, listing = [], []
    for path, lines in sorted(counts(sys.argv[1]).items()):
        if not path.startswith("src/") or ASIDE.search(path[4:]):
            continue
        with open(path) as file:
            source = file.read().split("\n")
        lines = {number: count for number, count in lines.items() if number < tests_begin(source)}
        missed = [number for number in sorted(lines) if lines[number] == 0]
        rows.append((path, len(lines), len(missed)))
        listing += [f"{path}:{number}: {source[number - 1].strip()}" for number in missed]
    with open(sys.argv[2], "w") as out:
        out.writelines(f"{line}\n" for line in listing)
    report(rows, sys.argv[2])


def report(rows, listing):
    for path, all_lines, missed in sorted(rows, key=lambda row: (-row[2], row[0])):
        if missed:
            print(f"{missed:5} of {all_lines:4} lines not run  {path}")
    all_lines, missed = sum(row[1] for row in rows), sum(row[2] for row in rows)
    if all_lines == 0:
        sys.exit("coverage.py: FAILED: nothing was measured")
    share = 100 * (all_lines - missed) / all_lines
    print(f"{share:.1f} % of {all_lines} lines in {len(rows)} files were run; the other {missed} are in {listing}")
    if share < LEAST:
        sys.exit(f"coverage.py: FAILED: {LEAST:.0f} % is the least")


main()
