#!/usr/bin/env bash
# Proves that the crate builds without a warning with every combination of its features, and where a
# panic aborts the process. The features are read from the manifest. Without any and with all of
# them tests, examples and benches are looked at as well; the tests of what a feature adds run in
# ci/chaos.sh, which builds with all of them, and the plain `cargo test` runs the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

names=$(ci/parts/names.sh features)
mapfile -t features < <(printf "%s" "$names")
((${#features[@]} > 0)) || { echo "ci/features.sh: FAILED: the manifest names no feature" >&2 && exit 1; }

check() {
  echo "-- $*"
  cargo clippy --quiet -p corepool "$@" -- -D warnings
}

# Each number stands for a set: bit `at` says whether feature `at` is in it. None and all come
# below.
sets=$((1 << ${#features[@]}))
for ((set = 1; set < sets - 1; set++)); do
  chosen=()
  for at in "${!features[@]}"; do
    if ((set >> at & 1)); then chosen+=("${features[at]}"); fi
  done
  check --lib --no-default-features --features "$(IFS=, && echo "${chosen[*]}")"
done
check --all-targets --no-default-features
check --all-targets --all-features
CARGO_PROFILE_DEV_PANIC=abort check --lib --all-features
