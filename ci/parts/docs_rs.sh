#!/usr/bin/env bash
# Builds the docs as docs.rs does: the features and flags of `[package.metadata.docs.rs]`, the flags
# of rustdoc that only it sets, and a target folder of its own. A warning is an error. Then looks
# whether the docs name the features that an item needs, which only such a build shows.
set -euo pipefail
cd "$(dirname "$0")/../.."

# One argument a line: what cargo is to get, and behind the line `--` what rustdoc is to get.
arguments=$(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
[crate] = [package for package in json.load(sys.stdin)["packages"] if package["name"] == "corepool"]
choices = crate["metadata"]["docs"]["rs"]
known = {"all-features", "no-default-features", "features", "rustdoc-args"}
unknown = set(choices) - known
assert not unknown, f"ci/parts/docs_rs.sh does not know what docs.rs does with {unknown}"
print(*(f"--{flag}" for flag in ("all-features", "no-default-features") if choices.get(flag)), sep="\n")
print(*(f"--features={feature}" for feature in choices.get("features", [])), sep="\n")
print("--", *choices.get("rustdoc-args", []), sep="\n")
')
mapfile -t for_cargo < <(sed '/^--$/,$d; /^$/d' <<<"$arguments")
mapfile -t for_rustdoc < <(sed '1,/^--$/d' <<<"$arguments")

target="${CARGO_TARGET_DIR:-target}/docs_rs"
export CARGO_TARGET_DIR="$target" RUSTC_BOOTSTRAP=1
RUSTDOCFLAGS="${for_rustdoc[*]} -D warnings" cargo doc --quiet -p corepool --lib --no-deps "${for_cargo[@]}"

# Without `feature(doc_cfg)` in lib.rs this builds as well, and says nothing.
grep -rqs "Available on <strong>crate feature" "$target/doc/corepool" || {
  echo "ci/docs.sh: FAILED: no item of the docs says which feature it needs" >&2
  exit 1
}
