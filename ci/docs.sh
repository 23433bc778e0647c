#!/usr/bin/env bash
# Proves that the docs build without a warning (broken links above all), the public ones and those of
# private items, and that every example in them compiles and does what it says.
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTDOCFLAGS="-D warnings" cargo doc -p corepool --no-deps --all-features
RUSTDOCFLAGS="-D warnings" cargo doc -p corepool --no-deps --all-features --document-private-items
cargo test -p corepool --doc --all-features
