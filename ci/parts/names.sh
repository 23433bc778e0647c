#!/usr/bin/env bash
# Prints names from the manifest, one a line: `names.sh features`, or the targets of a kind, such as
# `names.sh example` or `names.sh bench`. The feature `default` is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
package, what = json.load(sys.stdin)["packages"][0], sys.argv[1]
if what == "features":
    names = set(package["features"]) - {"default"}
else:
    names = {target["name"] for target in package["targets"] if what in target["kind"]}
for name in sorted(names):
    print(name)
' "$1"
