#!/usr/bin/env bash
# Proves that an hour of random programs in one process leaves memory, threads and descriptors as
# they were. By hand; its last line, with the commit in its first, goes into docs/reliability.md.
#
#   MINUTES=60 COREPOOL_SOAK_SEED=1 ci/soak.sh
#   ci/soak.sh --asan                  with AddressSanitizer and chaos until there were TASKS (100,000,000) tasks
#
# Logs: target/soak/*.log.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/soak"
if [[ ${1:-} == --asan ]]; then
  log="$target/soak/asan.log"
  export COREPOOL_SOAK_TASKS=${TASKS:-100000000}
  export CARGO_TARGET_DIR="$target/asan"
  export RUSTC_BOOTSTRAP=1
  export RUSTFLAGS="-Zsanitizer=address --cfg corepool_chaos"
  export ASAN_OPTIONS="detect_stack_use_after_return=1:detect_leaks=1"
  ci/parts/soak.sh --release --target "$(rustc -vV | sed -n 's/^host: //p')" 2>&1 | tee "$log"
else
  log="$target/soak/hour.log"
  export COREPOOL_SOAK=$((${MINUTES:-60} * 60))
  ci/parts/soak.sh --release 2>&1 | tee "$log"
fi
