#!/usr/bin/env bash
# Shows tests that fail now and then: runs all of them again and again, those of the programs too,
# beside busy loops, on one core, many at once. By hand.
#
#   ROUNDS=5 ci/repeat.sh [NAME]...            only the tests whose path contains one of the names
#   ROUNDS=5 ci/repeat.sh --chaos [NAME]...    with the noise of ci/chaos.sh and long pauses, tests/it only
#   ROUNDS=20 ci/repeat.sh --clone             `cargo test` as the README says it, doc tests and all, in a fresh clone of what
#                                              is committed, built and run beside two busy loops
#
# What the tests printed that failed: target/repeat.log.
set -euo pipefail
cd "$(dirname "$0")/.."

log="${CARGO_TARGET_DIR:-$PWD/target}/repeat.log"

# As somebody does who has just come. The first round builds.
repeat_in_clone() {
  local rounds=$1 round failed=0
  place=$(mktemp -d)
  busy=()
  trap 'kill "${busy[@]}" || true; rm -rf "$place"' EXIT
  git clone --quiet . "$place/corepool"
  cd "$place/corepool"
  unset CARGO_TARGET_DIR
  mkdir -p "$(dirname "$log")"
  : >"$log"
  for _ in 1 2; do
    (while :; do :; done) &
    busy+=($!)
  done
  for ((round = 1; round <= rounds; round++)); do
    if cargo test --no-fail-fast </dev/null >"$place/said" 2>&1; then
      echo "round $round of $rounds: $(grep -c ' \.\.\. ok$' "$place/said") tests passed, after $SECONDS s"
    else
      failed=$((failed + 1))
      echo "round $round of $rounds: FAILED"
      grep -E ' \.\.\. FAILED$|^error' "$place/said" || true
      { echo "==== round $round" && cat "$place/said"; } >>"$log"
    fi
  done
  echo "$failed of $rounds rounds failed"
  ((failed == 0))
}

if [[ ${1:-} == --clone ]]; then
  repeat_in_clone "${ROUNDS:-20}"
  exit
fi

options=()
if [[ ${1:-} == --chaos ]]; then
  shift
  export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/chaos"
  export RUSTFLAGS="--cfg corepool_chaos"
  export COREPOOL_CHAOS=long
  options=(-p corepool --all-features --test it)
fi
cargo test --no-run --message-format json "${options[@]}" | ci/parts/repeat.py "${ROUNDS:-5}" "$log" "$@"
