#!/usr/bin/env bash
# Measures the pool beside itself as it was at another commit, by turns in one process: what a
# change costs. By hand, on a quiet machine.
#
#   ci/versus.sh COMMIT [WORD]...      only the rows whose names contain one of the words
#
# The rows are in benches/versus/main.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

(($# > 0)) || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
commit=$(git rev-parse --verify --quiet "$1^{commit}") || {
  echo "ci/versus.sh: no commit is called $1" >&2 && exit 2
}
shift

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/before" "$place/versus"
git archive "$commit" | tar -x -C "$place/before"
# Two packages of one name need two versions.
sed -i '0,/^version = .*/s//version = "0.0.0"/' "$place/before/Cargo.toml"
cat >"$place/versus/Cargo.toml" <<MANIFEST
[package]
name = "versus"
version = "0.0.0"
edition = "2024"
[[bin]]
name = "versus"
path = "$PWD/benches/versus/main.rs"
[dependencies]
now = { package = "corepool", path = "$PWD" }
before = { package = "corepool", path = "$place/before" }
pollster = "1"
[workspace]
MANIFEST
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/versus"
cargo build --quiet --release --manifest-path "$place/versus/Cargo.toml"
"$CARGO_TARGET_DIR/release/versus" "$@"
