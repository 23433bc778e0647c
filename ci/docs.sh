#!/usr/bin/env bash
# Proves that the docs build without a warning (broken links above all): the public ones, those of
# private items, and those that docs.rs will show; that every example in them compiles and does what
# it says; and that the pictures are those which were made from the measurements beside them.
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTDOCFLAGS="-D warnings" cargo doc -p corepool --no-deps --all-features
RUSTDOCFLAGS="-D warnings" cargo doc -p corepool --no-deps --all-features --document-private-items
ci/parts/docs_rs.sh
cargo test -p corepool --doc --all-features
benches/plots.py --check
benches/virtual/draw.py --check
