#!/usr/bin/env bash
# Proves that random programs over the whole public face settle every task once and leave nothing
# behind, for some minutes.
#
#   MINUTES=3 ci/stress.sh             the number it begins with is printed; COREPOOL_SOAK_SEED=N begins there again
#   COREPOOL_PROGRAM=N ci/stress.sh    the one program that failed
set -euo pipefail
cd "$(dirname "$0")/.."

export COREPOOL_SOAK=$((${MINUTES:-3} * 60))
exec ci/parts/soak.sh --release
