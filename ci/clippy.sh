#!/usr/bin/env bash
# Proves that the library, tests, examples and benches have no warning from rustc or clippy, both
# with the default features and with all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets --all-features -- -D warnings
# Not among all targets, because `cargo test` does not run it.
cargo clippy --test abort -- -D warnings
