#!/usr/bin/env bash
# Proves that the library compiles for systems and word sizes other than this machine's: Windows, macOS,
# FreeBSD, 32-bit Linux. Compiled only, not run. There is no std for them here, so it is compiled along.
#
#   ci/other_systems.sh [TARGET]...
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# == 0)); then
  set -- x86_64-pc-windows-msvc aarch64-apple-darwin x86_64-unknown-freebsd i686-unknown-linux-gnu
fi

library=$(ci/parts/rust_src.sh) || {
  echo "SKIPPED ci/other_systems.sh: the source of std cannot be had, so nothing was checked"
  exit 0
}

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/other_systems"
export RUSTC_BOOTSTRAP=1
export __CARGO_TESTS_ONLY_SRC_ROOT="$library"

for target in "$@"; do
  echo "-- $target"
  # `cargo rustc` hands the flag to our crate alone: what std warns of is not ours to mend.
  cargo -Zbuild-std=std,panic_unwind rustc --quiet -p corepool --lib --profile check --all-features \
    --target "$target" -- -D warnings
done
