#!/usr/bin/env bash
# Measures corepool beside pools of worker threads in Node, in turn, and prints one table, as
# Markdown.
#
#   benches/node/run.sh [ROUNDS [FILE]]   5 rounds unless told, a minute or two each; the samples are appended to FILE
#   benches/node/table.py FILE            the table once more
#
# Wants node 20 or newer, and npm for piscina. Two workers on either side.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-5} samples=${2:-}
here=benches/node

if [[ -z $samples ]]; then
  samples=$(mktemp --suffix=.json)
  trap 'rm -f "$samples"' EXIT
fi

# What is printed on the way is for the eye; the table alone goes to stdout.
ours() {
  cargo bench --quiet --bench node -- --round "$1" --json "$samples" >&2
}

theirs() {
  echo "$2" >&2
  node "$here/measure.js" "$2" --round "$1" --json "$samples"
}

measure() {
  case $2 in
  ours) ours "$1" ;;
  *) theirs "$1" "$2" ;;
  esac
}

# As package-lock.json has it, and nothing that a package would like to run.
if [[ ! $here/node_modules/.package-lock.json -nt $here/package-lock.json ]]; then
  npm ci --prefix "$here" --ignore-scripts --no-audit --no-fund >&2
fi
cargo bench --quiet --bench node --no-run >&2

contestants=(ours "by hand" "queue.shift()" piscina "one thread of Node")
for ((round = 0; round < rounds; round++)); do
  echo "-- round $((round + 1)) of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
  # Every other round backwards, so that drift of the machine hits all alike.
  for ((place = 0; place < ${#contestants[@]}; place++)); do
    turn=$((round % 2 == 0 ? place : ${#contestants[@]} - 1 - place))
    measure "$round" "${contestants[turn]}"
  done
done
"$here/table.py" "$samples"
