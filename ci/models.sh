#!/usr/bin/env bash
# Proves the lock-free protocols under loom: each model is run through every schedule with up to
# three preemptions (or LOOM_MAX_PREEMPTIONS). Models are the tests in src/ with `models` in their
# path.
#
#   ci/models.sh [NAME]...      only the models whose path contains one of the names
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="--cfg corepool_loom"
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"

if (($# == 0)); then set -- models; fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test -p corepool --release --lib -- "$@" | tee "$log"

# A filter that fits nothing passes too, and would prove nothing.
grep -q '^test result: ok\. [1-9]' "$log" || { echo "ci/models.sh: no model ran" >&2 && exit 1; }
