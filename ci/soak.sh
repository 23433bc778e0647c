#!/usr/bin/env bash
# Proves that the stress tests hold for a long time: runs them again and again, each round with the next
# seed, and logs how much memory and how many threads a round used. Stops at the first failure and
# prints the seed that brings it back. By hand.
#
#   MINUTES=60 COREPOOL_SEED=1 ci/soak.sh
#
# A round still running after ROUND_MINUTES (30) counts as hung. The log: target/soak/rounds.tsv.
set -euo pipefail
cd "$(dirname "$0")/.."

seed=${COREPOOL_SEED:-$(date +%s)}
limit=$((${ROUND_MINUTES:-30} * 60))
end=$((SECONDS + ${MINUTES:-60} * 60))
logs="${CARGO_TARGET_DIR:-target}/soak"
mkdir -p "$logs"

binary=$(cargo test -p corepool --release --test it --no-run --message-format json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "it":
        print(message["executable"])
')
# Into a variable first: under pipefail a `grep -q` that stops reading would fail the pipe.
names=$("$binary" stress --list)
grep -q ': test$' <<<"$names" || { echo "ci/soak.sh: there are no stress tests" >&2 && exit 1; }

# The value of one field of the round's own process; nothing once it has ended.
status_of() {
  sed -n "s/^$2:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$1/status" 2>/dev/null || true
}

# However the script ends, the round it started ends with it.
process=
trap 'if [[ -n $process ]]; then kill -KILL "$process" 2>/dev/null || true; fi' EXIT

round=0
printf 'round\tseed\tseconds\tpeak_rss_kib\tpeak_threads\tresult\n' | tee "$logs/rounds.tsv"
while ((round == 0 || SECONDS < end)); do
  round=$((round + 1))
  start=$SECONDS
  rss=0 threads=0 result=passed
  COREPOOL_SEED=$seed "$binary" stress --nocapture >"$logs/round.log" 2>&1 &
  process=$!
  while kill -0 "$process" 2>/dev/null; do
    now=$(status_of "$process" VmHWM) && rss=$((${now:-0} > rss ? now : rss))
    now=$(status_of "$process" Threads) && threads=$((${now:-0} > threads ? now : threads))
    if ((SECONDS - start >= limit)); then
      kill -KILL "$process"
      result=hung
      break
    fi
    sleep 0.2
  done
  if ! wait "$process" && [[ $result == passed ]]; then result=failed; fi
  process=
  printf '%d\t%d\t%d\t%d\t%d\t%s\n' "$round" "$seed" "$((SECONDS - start))" "$rss" "$threads" "$result" |
    tee -a "$logs/rounds.tsv"
  if [[ $result != passed ]]; then
    tail -n 60 "$logs/round.log"
    echo "ci/soak.sh: round $round $result; again with: COREPOOL_SEED=$seed MINUTES=0 ci/soak.sh" >&2
    exit 1
  fi
  seed=$((seed + 1))
done
echo "$round rounds passed"
