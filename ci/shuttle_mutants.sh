#!/usr/bin/env bash
# Proves that the schedules of the whole pool can fail: each mutant is one bug planted in the pool
# itself, and the programs named beside it must find it. A mutant that survives fails this check.
#
#   ci/shuttle_mutants.sh            all mutants
#   ci/shuttle_mutants.sh NAME...    these
#
# Only bugs that are more than a weaker ordering stand here: shuttle knows one order of all
# accesses. The others belong to loom, see `ci/mutants.sh`; so do those whose bug lies in a model's
# own copy of the code.
set -euo pipefail
cd "$(dirname "$0")/.."

mutants="
  look_before_enter      schedules::tasks
  claim_twice            schedules::tasks::a_handle_settles_once
  grant_lost             schedules::bounded::who_steps_out
  lend_without_a_look    schedules::lending
  watch_waits_unsaid     schedules::shapes::who_waits_for_many
  batch_waits_unsaid     schedules::shapes::a_batch
  offer_no_wake          schedules::shapes::two_guests
  batch_claim_twice      schedules::shapes::a_batch
"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle"
export RUSTFLAGS="--cfg corepool_shuttle"
export COREPOOL_SCHEDULES="${COREPOOL_SCHEDULES:-2000}"

# One build serves all: the bug is chosen when it runs, see src/base/sync/mutant.rs.
program=$(cargo test -p corepool --profile bench --lib --no-run --message-format json-render-diagnostics |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
ran=0
wanted=$*
while read -r mutant filter; do
  [[ -n $mutant && (-z $wanted || " $wanted " == *" $mutant "*) ]] || continue
  ran=$((ran + 1))
  status=0
  # In a subshell, so that the word of its death goes to the log as well.
  (COREPOOL_MUTANT=$mutant timeout 600 "$program" "$filter"; exit "$?") >"$log" 2>&1 || status=$?
  # A filter that fits nothing passes, and is a survivor here.
  if ((status == 0 || status == 124)); then
    echo "SURVIVED  $mutant  ($filter$( ((status == 0)) || echo ', no end in 600 s'))"
    failed=1
  else
    found=$(sed -n 's/^test schedules::\([a-z_:]*\) \.\.\. FAILED.*/\1/p' "$log" | head -1)
    echo "caught    $mutant  by ${found:-$filter (the process died)}"
  fi
done <<<"$mutants"
((ran > 0)) || { echo "ci/shuttle_mutants.sh: no mutant is called $*" >&2 && exit 1; }
exit "$failed"
