#!/usr/bin/env bash
# Proves that the tests hold when atomic accesses yield, spin or sleep at random around them: schedules
# that a quiet machine never shows.
#
#   ci/chaos.sh [NAME]...       only the tests whose path contains one of the names
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/chaos"
export RUSTFLAGS="--cfg corepool_chaos"

# Not yet: the tests of fork-join have not been made fit for this noise (docs/reliability.md).
later=(--skip join:: --skip scope:: --skip slices:: --skip install::)
cargo test --test it -- "${later[@]}" "$@"
