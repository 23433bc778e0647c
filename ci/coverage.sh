#!/usr/bin/env bash
# Proves that the tests run nearly every line of the library: 95 of 100 at least. Tests and models
# in src/ do not count, and neither do doc tests. By hand.
#
#   ci/coverage.sh              builds, runs all tests, and reports
#   ci/coverage.sh --report     reports again on the last run
#
# The lines that no test ran are listed in target/coverage/uncovered.txt. Processes that tests start
# count too, but for those that abort or are killed: they leave no profile.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(ci/parts/llvm.sh) || {
  echo "SKIPPED ci/coverage.sh: there are no tools for the LLVM of this rustc, so nothing was measured"
  exit 0
}

mkdir -p "${CARGO_TARGET_DIR:-target}/coverage"
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}/coverage" && pwd)
export CARGO_TARGET_DIR
# No debug information: the tool has its own table of lines.
export RUSTFLAGS=-Cinstrument-coverage CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none
profiles="$CARGO_TARGET_DIR/profiles"
tests=(test -p corepool --all-features --lib --tests)

# Build scripts are instrumented as well, and would write where they stand.
LLVM_PROFILE_FILE=/dev/null cargo "${tests[@]}" --no-run --message-format=json-render-diagnostics >"$CARGO_TARGET_DIR/build.json"
mapfile -t programs < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$CARGO_TARGET_DIR/build.json")
((${#programs[@]} > 0)) || { echo "ci/coverage.sh: FAILED: no test was built" >&2 && exit 1; }

failed=0
if [[ ${1:-} != --report ]]; then
  rm -rf "$profiles"
  # Some tests start themselves as another user, who has a limit of threads.
  mkdir -p "$profiles"
  chmod a+rwxt "$profiles"
  # A test that fails takes only its own lines away, and is told at the end.
  LLVM_PROFILE_FILE="$profiles/%p-%m.profraw" cargo "${tests[@]}" --no-fail-fast || failed=1
fi

# A process that was killed while it wrote leaves a broken profile, which is not counted.
find "$profiles" -name '*.profraw' -size +0 >"$profiles/list"
"$tools/llvm-profdata" merge --sparse --failure-mode=all --input-files="$profiles/list" -o "$profiles/all.profdata"
"$tools/llvm-cov" export --format=lcov --instr-profile="$profiles/all.profdata" --sources "$PWD/src" \
  "${programs[@]/#/--object=}" >"$CARGO_TARGET_DIR/lines.lcov"
ci/parts/coverage.py "$CARGO_TARGET_DIR/lines.lcov" "$CARGO_TARGET_DIR/uncovered.txt"
((failed == 0)) || { echo "ci/coverage.sh: FAILED: a test failed, see above" >&2 && exit 1; }
