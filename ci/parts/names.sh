#!/usr/bin/env bash
# Prints names from the manifest, one a line: `names.sh features`, or the targets of a kind, such as
# `names.sh example` or `names.sh bench`. The feature `default` is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
packages, what = json.load(sys.stdin)["packages"], sys.argv[1]
if what == "features":
    [crate] = [package for package in packages if package["name"] == "corepool"]
    names = set(crate["features"]) - {"default"}
else:
    targets = (target for package in packages for target in package["targets"])
    names = {target["name"] for target in targets if what in target["kind"]}
for name in sorted(names):
    print(name)
' "$1"
