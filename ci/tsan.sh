#!/usr/bin/env bash
# Proves that the tests have no data race that ThreadSanitizer can see, with the standard library
# instrumented as well (without that every correct program is reported). No suppressions. By hand.
#
#   ci/tsan.sh [NAME]...        only the tests whose path contains one of the names
#
# What it calls a thread leak is not asked for: the global pool is never ended, so at the end of the
# process nobody has joined those of its spare workers that have ended. Whether threads are given
# back is what `tests/no_leaks.rs` asks.
#
# TSan does not understand fences, and the library has none: `sync::handshake` is one only under
# loom. Under `cfg(corepool_tsan)` each task is an allocation of its own, so that what is freed is
# seen to be, and tests that repeat themselves do so less often.
set -euo pipefail
cd "$(dirname "$0")/.."

library=$(ci/parts/rust_src.sh) || {
  echo "ci/tsan.sh: FAILED: without the source of std there is no ThreadSanitizer run" >&2
  exit 1
}

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export RUSTC_BOOTSTRAP=1
export __CARGO_TESTS_ONLY_SRC_ROOT="$library"
# To name the frames of a panic takes an instrumented program longer than the tests' watchdogs wait.
export RUST_BACKTRACE=0
export RUSTFLAGS="-Zsanitizer=thread --cfg corepool_tsan"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=0:second_deadlock_stack=1:report_thread_leaks=0}"

target=$(rustc -vV | sed -n 's/^host: //p')
cargo -Zbuild-std=std,panic_unwind,test test -p corepool --target "$target" --lib --test it -- "$@"
