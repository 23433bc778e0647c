#!/usr/bin/env bash
# Proves that the tests hold when atomic accesses yield, spin or sleep at random around them:
# schedules that a quiet machine never shows. With all features, so that their tests run too.
#
#   ci/chaos.sh [NAME]...       only the tests whose path contains one of the names
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/chaos"
export RUSTFLAGS="--cfg corepool_chaos"

cargo test -p corepool --all-features --test it -- "$@"
