#!/usr/bin/env bash
# Proves the whole pool under shuttle: each program in src/schedules/ is run through many schedules
# that a random scheduler chooses. A deadlock, which is a lost wake-up, or a failed assertion in any
# of them fails this check.
#
#   ci/shuttle.sh [NAME]...                    only the programs whose path contains one of the names
#   COREPOOL_SCHEDULES=20000 ci/shuttle.sh     that many schedules of each kind for each program, instead of 400
#
# A schedule that fails is left as a file in target/shuttle/failed, and its path is printed. The
# same schedule again, with the code as it was, and with what the threads wait for:
#
#   COREPOOL_REPLAY=target/shuttle/failed/schedule000.txt SHUTTLE_CAPTURE_BACKTRACE=1 ci/shuttle.sh NAME
set -euo pipefail
replay=${COREPOOL_REPLAY:+$(realpath "$COREPOOL_REPLAY")}
cd "$(dirname "$0")/.."
export ${replay:+COREPOOL_REPLAY="$replay"}

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle"
export RUSTFLAGS="--cfg corepool_shuttle"
export COREPOOL_SCHEDULES="${COREPOOL_SCHEDULES:-400}"
mkdir -p "$CARGO_TARGET_DIR/failed"
COREPOOL_SCHEDULES_FAILED=$(realpath "$CARGO_TARGET_DIR/failed")
export COREPOOL_SCHEDULES_FAILED

if (($# == 0)); then set -- schedules; fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test -p corepool --release --lib -- "$@" | tee "$log"

# A filter that fits nothing passes too, and would prove nothing.
grep -q '^test result: ok\. [1-9]' "$log" || { echo "ci/shuttle.sh: no schedule ran" >&2 && exit 1; }
