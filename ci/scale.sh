#!/usr/bin/env bash
# Proves that the pool gets faster with more cores: its own code on 32 and 64 virtual cores
# (benches/virtual), against the floors in benches/virtual/floors.txt. Two cores are enough, and two
# minutes.
#
#   ci/scale.sh                      fails where a row is slower on 64 cores than on 32, or below its floor
#   ci/scale.sh --table [OUT.json]   the speed-up on 2 to 128 virtual cores, rayon-core beside it
#   ci/scale.sh --hot ROW CORES      which cache lines that row waits for, and where in the code
#   ci/scale.sh --profile ROW CORES  what the first thread's time went into, and that of the six others that slept least
#   ci/scale.sh --real [OUT.json]    the same rows on this machine's own cores, rayon-core beside it. It needs a machine with
#                                    nothing else to do and as many cores as the answer is to be about: 8 or more to
#                                    say anything, 64 to be put beside the floors
set -euo pipefail
cd "$(dirname "$0")/.."

# Where cargo puts it, from wherever the folder was chosen.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}"
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR="$PWD/$CARGO_TARGET_DIR" ;; esac
top=$CARGO_TARGET_DIR
export CARGO_TARGET_DIR="$top/virtual"
program="$CARGO_TARGET_DIR/release/workloads"

# From inside of the folder: it is a workspace of its own.
build() {
  (cd benches/virtual && cargo build --quiet --release -p workloads "$@")
}

what=${1:-}
(($# == 0)) || shift
case $what in
  "")
    build
    benches/virtual/scale.py check "$program"
    ;;
  --table)
    options=$(benches/virtual/adapt.py "$CARGO_TARGET_DIR/rival")
    mapfile -t options <<<"$options"
    build --features rival "${options[@]}"
    benches/virtual/scale.py table "$program" "$@"
    ;;
  --hot)
    build
    "$program" "$1" "$2" --hot 12
    ;;
  --profile)
    build
    "$program" "$1" "$2" --profile 6
    ;;
  --real)
    export CARGO_TARGET_DIR="$top/virtual-real"
    build --no-default-features --features real,rival
    benches/virtual/scale.py real "$CARGO_TARGET_DIR/release/workloads" "$@"
    ;;
  *)
    echo "ci/scale.sh: there is no $what" >&2
    exit 2
    ;;
esac
