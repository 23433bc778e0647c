#!/usr/bin/env bash
# Proves what the README says of programs whose panics abort (`panic = "abort"`): what does not
# panic works, and a panicking task, half, closure, drop or hook ends the process by SIGABRT, with
# Rust's message. The cases are functions of tests/abort.rs. They are not a test of cargo's, which
# builds every test so that panics unwind.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/abort"
export CARGO_PROFILE_DEV_PANIC=abort
unset RUST_BACKTRACE
ulimit -c 0

# The library as a user's manifest would have it built, and the program with nothing beside it: no
# dev-dependencies.
cargo build --quiet -p corepool --lib
program="$CARGO_TARGET_DIR/cases"
rustc --edition 2024 -D warnings -C panic=abort -o "$program" tests/abort.rs \
  --extern "corepool=$CARGO_TARGET_DIR/debug/libcorepool.rlib" -L "dependency=$CARGO_TARGET_DIR/debug/deps"

said=$(mktemp)
trap 'rm -f "$said"' EXIT

# run CASE STATUS: a case that hangs has the status 124.
run() {
  local status=0
  # In a shell of its own, whose word on how it ended goes where the rest goes.
  (timeout 120 "$program" "$1" || exit $?) >"$said" 2>&1 || status=$?
  echo "-- $1: status $status"
  if ((status != $2)); then
    cat "$said"
    echo "ci/abort.sh: $1 ended with status $status, wanted $2" >&2
    exit 1
  fi
  shift 2
  for text in "$@"; do
    grep -qF -- "$text" "$said" || { cat "$said" && echo "ci/abort.sh: it does not say '$text'" >&2 && exit 1; }
  done
}

# aborts CASE TEXT...: by SIGABRT, which a shell tells as 128 + 6, and without going on.
tried=1
aborts() {
  run "$1" 134 "${@:2}"
  if grep -qF "still alive" "$said"; then echo "ci/abort.sh: $1 went on" >&2 && exit 1; fi
  tried=$((tried + 1))
}

run works 0 "still alive"
aborts task "thread 'corepool-" "panicked at" "the task"
aborts detached "thread 'corepool-" "the detached task"
aborts half "the half"
aborts guests_half "the guest's half"
aborts closure "the closure"
aborts item "the last item"
aborts continuation "the continuation"
aborts result "the bomb in drop"
aborts cancelled_closure "the bomb in drop"
aborts start_hook "thread 'corepool-" "the start hook"
aborts exit_hook "thread 'corepool-" "the exit hook"
aborts panic_hook "the user's hook: 42" "the task"
# They end a thread by unwinding, and say nothing: no panic message is promised.
aborts end_worker
aborts end_worker_in_place

listed=$("$program" list | wc -l)
((listed == tried)) || { echo "ci/abort.sh: $listed cases in tests/abort.rs, $tried tried" >&2 && exit 1; }
