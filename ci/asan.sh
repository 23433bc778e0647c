#!/usr/bin/env bash
# Proves that the tests use no freed memory, free nothing twice and leak nothing, stack frames of
# waiting threads included: AddressSanitizer with LeakSanitizer, under the noise of ci/chaos.sh,
# because a late touch shows only on an unlucky schedule.
#
#   ci/asan.sh [NAME]...        only the tests whose path contains one of the names
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address --cfg corepool_chaos"
export ASAN_OPTIONS="detect_stack_use_after_return=1:detect_leaks=1"
# Tests that leak on purpose, each with its reason.
export LSAN_OPTIONS="suppressions=$PWD/ci/parts/lsan.supp:print_suppressions=0"

# A target by name keeps the sanitizer out of build scripts and macros.
target=$(rustc -vV | sed -n 's/^host: //p')
# Left out: tests that measure the stack by the addresses of its frames, which this tool keeps on
# the heap; and very long chains, which take minutes here and touch no memory that others do not;
# and tests of delays, whose calls run in others, too: this tool and its noise make all ten times as
# slow.
skipped=(--skip the_stack_asked_for_is_there --skip join::deep:: --skip stalls::deep:: --skip scope::long:: --skip nothing_hides::delays::)
# These forget handles and payloads on purpose, from code that others share: they run without the
# leak check.
forgetful=(random_programs_whose_forgotten a_panic_whose_forgotten of_many_panics payloads_may_panic_when)
cargo test -p corepool --target "$target" --lib --test it -- "${skipped[@]}" "${forgetful[@]/#/--skip=}" "$@"
if (($# == 0)); then
  ASAN_OPTIONS="detect_stack_use_after_return=1:detect_leaks=0" \
    cargo test -p corepool --target "$target" --test it -- "${forgetful[@]}"
fi
