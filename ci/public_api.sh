#!/usr/bin/env bash
# Proves that what users may name is what docs/public_api.txt says, with all features: items, their
# signatures, and the traits that are implemented by hand. So nothing becomes public, or goes,
# unseen. The auto traits are in tests/it/handles/traits.rs.
#
#   ci/public_api.sh            compares
#   ci/public_api.sh --bless    writes docs/public_api.txt anew, to be read and committed with the change
set -euo pipefail
cd "$(dirname "$0")/.."

snapshot=docs/public_api.txt
target=${CARGO_TARGET_DIR:-target}

# The format of the JSON changes with the compiler; what reads it is pinned to that of one version.
CARGO_TARGET_DIR="$target/tools/public_api" \
  cargo build --quiet --locked --release --manifest-path ci/parts/public_api/Cargo.toml
RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet -p corepool --lib --all-features --target-dir "$target/public_api" -- \
  -Zunstable-options --output-format json --cap-lints allow

now=$(mktemp)
trap 'rm -f "$now"' EXIT
"$target/tools/public_api/release/list-public-api" "$target/public_api/doc/corepool.json" >"$now"
# An empty list would agree with an empty snapshot.
grep -q '^pub struct corepool::WorkerPool$' "$now" || {
  echo "ci/public_api.sh: FAILED: the list has no WorkerPool, so it is not that of the crate" >&2
  exit 1
}

if [[ ${1:-} == --bless ]]; then
  cp "$now" "$snapshot"
  echo "ci/public_api.sh: $snapshot has $(wc -l <"$snapshot") lines now"
elif ! diff -u "$snapshot" "$now"; then
  echo "ci/public_api.sh: FAILED: the public face has changed. If that is meant: ci/public_api.sh --bless" >&2
  exit 1
fi
