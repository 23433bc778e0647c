#!/usr/bin/env bash
# Proves that the crate builds without a warning with no feature, with each feature alone and with all
# of them, and where a panic aborts the process. The features are read from the manifest. The tests of what a feature adds run in ci/chaos.sh, which builds
# with all of them; the plain `cargo test` runs the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

names=$(ci/parts/names.sh features)
mapfile -t features < <(printf "%s" "$names")

check() {
  echo "-- $*"
  cargo clippy --quiet -p corepool "$@" -- -D warnings
}

check --all-targets --no-default-features
for feature in "${features[@]}"; do
  check --lib --no-default-features --features "$feature"
done
check --all-targets --all-features
CARGO_PROFILE_DEV_PANIC=abort check --lib --all-features
