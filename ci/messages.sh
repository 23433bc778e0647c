#!/usr/bin/env bash
# Proves that the compiler's message for a likely mistake says what to write instead: each program
# in tests/messages/ fails with what its lines `// says:` want, and without what `// never says:`
# names; and without the mistake it compiles and runs.
set -euo pipefail
cd "$(dirname "$0")/.."

built=$(cargo build -p corepool --lib --message-format json)
library=$(grep '"reason":"compiler-artifact"' <<<"$built" | grep -o '"[^"]*/libcorepool[^"/]*\.rlib"' | tail -1 | tr -d '"')
folder=$(dirname "$library")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
failed=0

fail() {
  echo "ci/messages.sh: $*" >&2
  failed=1
}

compile() {
  rustc --edition 2024 --check-cfg 'cfg(mistake)' --extern "corepool=$library" -L "dependency=$folder" \
    -L "dependency=$folder/deps" -o "$place/program" "$@"
}

for program in tests/messages/*.rs; do
  echo "-- $program"
  compile "$program" || fail "$program does not compile without its mistake"
  timeout 60 "$place/program" || fail "$program ends with status $? without its mistake"
  if compile --cfg mistake --emit metadata "$program" 2>"$place/said"; then
    fail "$program compiles with its mistake"
    continue
  fi
  grep -q '^// says: ' "$program" || fail "$program does not say what the message should"
  while read -r words; do
    grep -qF -- "$words" "$place/said" || fail "$program: the message lacks: $words"
  done < <(sed -n 's|^// says: ||p' "$program")
  while read -r words; do
    ! grep -qF -- "$words" "$place/said" || fail "$program: the message should not have: $words"
  done < <(sed -n 's|^// never says: ||p' "$program")
done
exit "$failed"
