#!/usr/bin/env bash
# Proves that the crate builds without a warning with no feature, with each feature alone and with all
# of them, and that the tests pass with all. The features are read from the manifest.
set -euo pipefail
cd "$(dirname "$0")/.."

names=$(ci/parts/names.sh features)
mapfile -t features < <(printf "%s" "$names")

check() {
  echo "-- ${*:-default features}"
  cargo clippy --quiet -p corepool --all-targets "$@" -- -D warnings
}

check --no-default-features
for feature in "${features[@]}"; do
  check --no-default-features --features "$feature"
done
check --all-features

# What only a feature adds; the plain `cargo test` runs the rest.
cargo test -p corepool --all-features --test it -- spans stream
