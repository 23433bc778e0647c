#!/usr/bin/env bash
# Proves that every bench runs: each in test mode, once through and without measuring.
set -euo pipefail
cd "$(dirname "$0")/.."

# Whether they run is asked here, not how fast: the rivals are most of what is built.
export CARGO_PROFILE_BENCH_OPT_LEVEL=1

names=$(ci/parts/names.sh bench)
mapfile -t benches < <(printf "%s" "$names")

((${#benches[@]} > 0)) || { echo "ci/benches.sh: there are no benches" >&2 && exit 1; }
# Without a limit: it takes as long as the machine takes.
cargo bench --no-run "${benches[@]/#/--bench=}"
# The bench `compress` would build the program itself.
cargo build --release --bin compress
for bench in "${benches[@]}"; do
  echo "-- $bench"
  timeout 300 cargo bench --bench "$bench" -- --test
done
