#!/usr/bin/env bash
# Proves that the versions in Cargo.toml are true: the library builds with the oldest release of
# each dependency that it names. Works on a copy, without the development dependencies, which no
# user sees.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
awk '/^\[/ { skip = /dev-dependencies/ || /^\[\[/ || /^\[workspace\]/ || /^\[profile/ } !skip' Cargo.toml >"$folder/Cargo.toml"
# README.md too: the crate's docs may take it in.
cp -r src README.md "$folder"
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/minimal_versions"
CARGO_TARGET_DIR=$(cd "$target/minimal_versions" && pwd)
export CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1

cd "$folder"
cargo -Zdirect-minimal-versions update
cargo -Zdirect-minimal-versions check --locked --lib
cargo -Zdirect-minimal-versions check --locked --lib --all-features
