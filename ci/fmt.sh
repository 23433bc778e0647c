#!/usr/bin/env bash
# Proves that every source file is formatted as rustfmt.toml says.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all -- --check
# No package of the workspace: ci/versus.sh makes one.
rustfmt --check --edition 2024 benches/versus/main.rs
