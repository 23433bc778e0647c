#!/usr/bin/env bash
# Proves that memcheck finds nothing in programs as users build them: no use of freed or of
# undefined memory, nothing freed twice, nothing lost. AddressSanitizer sees more schedules, but
# every task has an allocation of its own there; here tasks lie in strips, as they do in the field,
# and undefined values are seen. Suppressions: ci/parts/valgrind.supp.
#
#   ci/valgrind.sh              a choice of the tests, and two examples
#   ci/valgrind.sh --all        all that make sense under a tool that runs one thread at a time, some fifty times slower
#   ci/valgrind.sh NAME...      the tests whose path contains one of the names
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || apt-get install -qq -y valgrind >/dev/null 2>&1 || {
  echo "SKIPPED ci/valgrind.sh: there is no valgrind here, and apt cannot install it; nothing was checked"
  exit 0
}

# One of each kind: what a task holds, its waiters, panics in all places, what comes after,
# fork-join, shared memory. Not those that forget a handle on purpose, nor what repeats itself so
# often that it takes minutes here.
quick=(handles::contents in_task::finding panics::drops then::a_panic then::cancel then::recover task_set::ends
  promise::ends scope::panics join::panics worker_local::ends shared::dropped cancel_token::trees
  --skip forgotten --skip of_many_panics --skip a_chain --skip at_once --skip a_bodys_panic_waits_for_the_closures)
# Left out of all: tests of speed, of rest and of placement, which mean nothing here; those that
# make thousands of threads, tasks or frames, which take minutes; and those that leak on purpose
# (see ci/parts/lsan.supp).
unfit=(tidy idle_quiet placement workers metrics watchdog stress model:: join::deep stalls::deep join::random scope::long scope::random
  then::long conservation shared::stress many forgotten mischief wakers payloads_may_panic_when of_many_panics)

memcheck=(valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
  --fair-sched=yes --error-exitcode=9 --num-callers=40 --read-inline-info=no --suppressions=ci/parts/valgrind.supp)

built=$(cargo test -p corepool --test it --no-run --message-format=json-render-diagnostics)
program() {
  sed -n 's/.*"executable":"\([^"]*\/'"$1"'-[0-9a-f]*\)".*/\1/p' <<<"$built"
}

case ${1:-} in
--all) chosen=("${unfit[@]/#/--skip=}") ;;
"") chosen=("${quick[@]}") ;;
*) chosen=("$@") ;;
esac
# One test at a time: there is one core for all of them, and watchdogs.
RUST_BACKTRACE=0 "${memcheck[@]}" "$(program it)" --test-threads=1 "${chosen[@]}"
if (($# == 0)) || [[ $1 == --all ]]; then
  cargo build --quiet -p corepool --examples
  examples="${CARGO_TARGET_DIR:-target}/debug/examples"
  "${memcheck[@]}" "$examples/fibonacci" 12 4 2 >/dev/null
  "${memcheck[@]}" "$examples/worker_pool" >/dev/null
fi
echo "ci/valgrind.sh: nothing was found"
