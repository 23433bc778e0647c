#!/usr/bin/env bash
# Shows tests that fail now and then: runs all of them again and again, beside busy loops, on one core, many at once. By hand.
#
#   ROUNDS=5 ci/repeat.sh [NAME]...            only the tests whose path contains one of the names
#   ROUNDS=5 ci/repeat.sh --chaos [NAME]...    with the noise of ci/chaos.sh and long pauses, tests/it only
#
# What the tests printed that failed: target/repeat.log.
set -euo pipefail
cd "$(dirname "$0")/.."

log="${CARGO_TARGET_DIR:-$PWD/target}/repeat.log"
options=()
if [[ ${1:-} == --chaos ]]; then
  shift
  export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/chaos"
  export RUSTFLAGS="--cfg corepool_chaos"
  export COREPOOL_CHAOS=long
  options=(-p corepool --all-features --test it)
fi
cargo test --no-run --message-format json "${options[@]}" | ci/parts/repeat.py "${ROUNDS:-5}" "$log" "$@"
