#!/usr/bin/env bash
# Prints the instructions a task, counted by callgrind: a burst and a round trip, ours and rayon's.
# Two runs of different length are subtracted, so that start-up and shut-down drop out; the median
# of five such pairs, because who spins how long is chance.
#
#   ci/instructions.sh [--json FILE] [RIVAL]...
#
# --json appends the results in the shape that ci/bench_table.sh reads. OVERHEAD_BENCH names a bench
# that is built already; otherwise it is built here.
set -euo pipefail
cd "$(dirname "$0")/.."

few=2000
many=12000

json=/dev/null
if [[ ${1:-} == --json ]]; then
  json=$2
  shift 2
fi
(($# > 0)) || set -- corepool rayon

command -v valgrind >/dev/null || { echo "ci/instructions.sh: valgrind is not installed" >&2 && exit 1; }
if [[ -z ${OVERHEAD_BENCH:-} ]]; then
  built=$(cargo bench --bench overhead --no-run 2>&1) || { echo "$built" >&2 && exit 1; }
  OVERHEAD_BENCH=$(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' <<<"$built")
fi

# The threads take turns under valgrind; the fair way keeps one that spins from starving the rest.
count() {
  local log
  log=$(valgrind --tool=callgrind --fair-sched=yes --callgrind-out-file=/dev/null \
    "$OVERHEAD_BENCH" --count "$1" "$2" "$3" 2>&1) || { echo "$log" >&2 && exit 1; }
  sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' <<<"$log"
}

pair() {
  local short long
  short=$(count "$1" "$2" "$few")
  long=$(count "$1" "$2" "$many")
  echo $(((long - short) / (many - few)))
}

for work in burst round_trip; do
  for rival in "$@"; do
    each=$(for _ in 1 2 3 4 5; do pair "$work" "$rival"; done | sort -n | sed -n 3p)
    printf '%-11s %-18s %6d instructions a task\n' "$work" "$rival" "$each"
    role=rival
    [[ $rival != corepool ]] || role=ours
    printf '{"kind":"summary","bench":"instructions","row":"%s","metric":"instructions a task","rival":"%s","role":"%s","median":%d,"ratio":null,"ratio_min":null,"ratio_max":null}\n' \
      "$work" "$rival" "$role" "$each" >>"$json"
  done
done
