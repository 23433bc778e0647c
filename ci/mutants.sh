#!/usr/bin/env bash
# Proves that the models can fail: each mutant is a planted bug, mostly an ordering made weaker or a
# look left out, and the models named beside it must find it. A mutant that survives fails this
# check.
#
#   ci/mutants.sh               all mutants
#   ci/mutants.sh --quick       a dozen of them, from as many protocols
#   ci/mutants.sh NAME...       these
#   ci/mutants.sh --matrix      each mutant against every model of its module: says who finds it, and fails
#                               if there is a model that no mutant makes fail
#   ci/mutants.sh --lacking     as --matrix, but leaves out each model that has failed under some mutant
#
# After the build, all took three minutes and `--quick` half a minute, on two cores that had much
# else to do.
#
# A planted bug stands in src/ as `mutant!("name" => ..)` at the start of the step that it breaks, or
# beside an ordering, as in `ordering!(SETTLE = AcqRel, planted "name": Acquire)` (see
# `src/base/sync/mutant.rs`). One build serves all of them: COREPOOL_MUTANT names the one that a run has.
#
# Weaker orderings that no model can catch, because the code would still be right, have no mutant:
# - `publish` and the other `SeqCst` accesses as release or acquire: loom takes them for that, and
#   its
#   fence in `sync::handshake` does the rest; the mutants take the fence away instead;
# - the handshake in `IdleList::close`: every other thread concerned changes the same word;
# - `State::claim` relaxed: the closure came through the queue or with the handle;
# - `State::settle_beside_owner` relaxed: it leaves no result, and a handle that is borrowed while
#   another
#   thread settles the task is used by value only after a synchronisation of the borrower's own;
# - the acquire of the exchanges in `let_go` and `change_waiter` when they succeed: nothing is read
#   after;
#   and of the loads in `change_waiter`: who hears "settled" asks `phase`, which acquires;
# - the acquire of `put_stub_behind`: the item was reached through its pusher's `publish`;
# - the orderings in `Admission`: the word is only a count, and the line is under a lock;
# - the acquire of `Offer::finish`: nothing is read after it but what the offer was made with;
# - the failed exchange in the scope's `change`: it only tells what to try next;
# - the relaxed flag of a cancelled token: it is a sign only, and the rest is under the token's
#   lock;
# - the direction in which a batch's `harvest` looks: the fence that loom gets in `sync::handshake`
#   makes up for it;
# - a worker's rests with less than `SeqCst`: what that allows is a look at a queue that comes
#   before an earlier look at a
#   worker, and loom has no such reads ahead of their time;
# - the release by which a batch's block is put on a list: its link changes by exchanges only, and
#   loom's exchanges see the
#   newest value;
# - the releases of a line's owner: a thief that has frozen the line has the fence between them and
#   its loads.
#
set -euo pipefail
cd "$(dirname "$0")/.."

quick="submitter_handshake take_promised publish_relaxed claim_twice settle_unreleased grant_lost offer_no_wake
  job_unreleased watch_waits_unsaid cancel_flag_early batch_claim_twice line_second_look promise_goes_on lie_down_blind"
mutants="
  handshake                  idle::models::one_submitter
  submitter_handshake        idle::models::one_submitter
  idle_relaxed               idle::models::one_submitter
  end_search_handshake       idle::models::two_free_workers
  wind_up_handshake          idle::models::a_task_pushed_before
  look_before_enter          idle::models::one_submitter
  retract_stays              idle::models::takers::taking_one_against_retracting
  take_promised              idle::models::takers::a_retreat
  take_left_to_others        idle::models::a_task_dealt_to_a_worker_that_is
  publish_relaxed            queue::models::one_pusher
  next_relaxed               queue::models::one_pusher
  append_unreleased          queue::models::two_pushers
  append_unacquired          queue::models::two_pushers
  put_stub_unreleased        queue::models::the_last_item
  front_lock_unreleased      queue::models::the_lock
  front_lock_unacquired      queue::models::the_lock
  stub_in_chain              queue::models::a_batch
  stub_in_sweep              queue::models::sweeps::a_sweep
  sweep_cursor_kept          queue::models::sweeps::a_sweep_in_steps
  claim_twice                task::models::cancel_against_run
  phase_relaxed              task::models::a_timeout
  settle_unreleased          task::models::run_against_drop
  settle_unacquired          task::models::run_against_drop
  settle_in_place_unreleased task::models::a_run_in_place_against
  settle_in_place_unacquired task::models::a_run_in_place_against
  release_owner_unreleased   task::models::a_run_in_place_against
  release_owner_unacquired   task::models::a_run_in_place_against
  release_token_unreleased   task::models::token::its_end_against_a_wait
  unsettled_late             task::models::token::its_end_against_the_end
  unsettled_early            task::models::token::its_end_against_the_end
  let_go_relaxed             task::models::a_run_in_place_against
  let_go_unreleased          task::models::a_run_in_place_of
  waiter_unreleased          task::models::a_run_in_place_against
  waiter_after_settling      task::models::a_run_in_place_of
  waiter_after_release       task::models::a_run_in_place_against
  waker_left_behind          task::models::a_run_in_place
  place_given_twice          admission::models::one_steps_out
  grant_taken_twice          admission::models::one_gives_back
  grant_lost                 admission::models::one_steps_out
  given_counted_early        admission::models::who_sees_what_came
  line_unmarked              admission::models::one_gives_back
  line_cleared_early         admission::models::the_first_steps_out
  close_unmarked             admission::models::the_room_closes_while_one_comes
  drained_untold             admission::models::a_room_that_has_drained
  offer_done_relaxed         offer::models::a_thief_comes_between_two
  offer_finish_relaxed       offer::models::a_thief_comes_between_two
  offer_no_wake              offer::models::the_end_wakes_an_owner
  end_overwritten            offer::models::the_end_wakes_an_owner
  light_fence                offer::models::a_thief_comes_while_a_piece
  heavy_fence                offer::models::a_thief_comes_while_a_piece
  thief_not_waited_for       offer::models::a_thief_comes_while_a_piece
  thawed_for_good            offer::models::a_thief_comes_while_the_owner_pops
  wish_granted_twice         offer::models::an_owner_that_looks
  wish_answer_relaxed        offer::models::an_owner_that_looks
  no_retreat                 offer::models::a_thief_comes_while_the_owner_pops
  base_popped                offer::models::a_thief_comes_while_the_owner_pops
  busy_unseen                scope::models::a_thief_comes_while_a_handle
  deque_end_unseen           scope::models::a_thief_comes_while_jobs
  job_alone_relaxed          scope::models::a_run_against
  job_unheld_relaxed         scope::models::a_run_against
  job_unreleased             scope::models::a_run_against
  job_unacquired             scope::models::a_run_against
  job_done_relaxed           scope::models::two_runs_against
  job_plain_while_held       scope::models::a_run_against
  chunk_unreleased           scope::models::memory::a_chunk_begins
  chunk_unacquired           scope::models::memory::a_chunk_begins
  roll_unreleased            scope::models::the_scopes_thread
  roll_unacquired            scope::models::the_scopes_thread
  watch_unreleased           watch::models::who_waits_leaves
  watch_waits_unsaid         watch::models::who_waits_sees
  watch_link_not_pending     watch::models::who_waits_sees
  watch_listed_relaxed       watch::models::a_late_waker
  watch_taken_unacquired     watch::models::a_late_waker
  chunk_empty_relaxed        scope::models::memory::a_full_chunk
  cancel_claims_unlocked     cancel::models::a_listener_goes
  cancel_never_leaves        cancel::models::a_listener_goes
  cancel_last_reason         cancel::models::two_cancel
  cancel_flag_early          cancel::models::who_sees
  batch_claim_twice          batch::models::a_cancel
  batch_settle_relaxed       batch::models::a_long_item
  batch_waits_unsaid         batch::models::a_taker_gets
  batch_lane_late            batch::models::a_runner_that_finds
  batch_detach_handshake     batch::models::a_taker_leaves
  era_unannounced            task::era::models::a_task_that_looks_while
  era_older_wins             task::era::models::a_task_that_is_spawned_between
  era_renewed_late           task::era::models::a_task_that_hears
  era_told_too_soon          task::era::models::a_task_that_comes_after
  era_for_all                task::era::models::a_task_that_hears
  batch_take_unacquired      batch::models::two_threads
  batch_listed_glance        batch::models::two_threads
  batch_list_unreleased      batch::models::two_threads
  batch_link_stored          batch::models::two_threads
  batch_dropped_twice        batch::models::a_taker_leaves
  batch_blocks_missed        batch::models::a_range_in_two
  anyway_refused             task::models::chain::one_that_runs
  quiet_asked_once           hub::quiet::models::a_worker_leaves_a_task_and
  rest_unnumbered            hub::quiet::models::a_worker_leaves_a_task_to
  visit_uncounted            hub::quiet::models::a_guest
  settling_uncounted         hub::quiet::models::who_settles
  drain_blind                hub::quiet::models::the_last_to_rest
  lend_without_a_look        hub::models::a_task_pushed
  relieved_asleep            hub::models::two_lenders
  rest_without_an_offer      hub::models::two_lenders
  count_kept                 hub::models::a_core_that_is_lent
  recall_nobody              hub::models::a_spare_worker_that_sleeps
  need_unasked               hub::models::a_spare_worker_that_sleeps
  sent_unrelieved            hub::models::a_spare_worker_that_sleeps
  move_unsaid                hub::moves::models::a_worker_leaves
  move_unreleased            hub::moves::models::a_worker_leaves
  move_unacquired            hub::moves::models::a_worker_leaves
  moves_asked_once           hub::moves::models::a_worker_leaves
  line_second_look           shared::models::a_value_is_changed
  line_call_for_one          shared::models::a_call_for_two
  line_called_unheard        shared::models::a_time_is_up
  line_first_waker           shared::models::the_last_waker
  line_later_meant           shared::models::who_comes_after
  line_call_kept             shared::models::a_future_dropped
  line_strangers             shared::models::two_calls
  promise_second_look        promise::models::a_race
  promise_as_they_come       promise::models::all_of_two
  promise_goes_on            promise::models::a_failure
  promise_any_error          promise::models::any_of_two
  promise_race_waits         promise::models::a_race
  promise_cancel_unasked     promise::models::a_cancel
  promise_lets_go            promise::models::a_promise_is_dropped
  lane_last_look             idle::models::lanes::an_urgent_task_comes
  lane_own_last_look         idle::models::lanes::an_urgent_task_of
  lane_left_behind           idle::models::lanes::an_urgent_task_pushed
  token_unreleased           parker::models::a_token_is_given_while
  token_unacquired           parker::models::a_token_is_given_while
  give_up_unacquired         parker::models::a_token_is_given_when
  give_up_blind              parker::models::a_token_is_given_when
  lie_down_blind             parker::models::a_token_is_given_while
  timer_sleep_unsaid         timer::models::an_alarm_is_set
  alarm_asks_early           timer::models::an_alarm_is_set
  alarm_gone_unsaid          timer::models::the_last_alarm
  alarm_stays                timer::models::an_alarm_is_called_off
  place_first_waker          admission::models::the_last_waker
  closed_gives_back          admission::models::the_room_closes_while_one_steps
  cancel_child_unlisted      cancel::models::a_child_is_born
  cancel_untold              cancel::models::one_listens
  cancel_first_waker         cancel::models::the_last_waker
  cancel_forgets_others      cancel::models::a_child_goes
  watch_listed_twice         watch::models::a_task_that_wakes_twice
  reserve_torn               idle::models::takers::taking_one_against_taking_any
  chunk_away_unasked         scope::models::memory::a_full_chunk
  search_started_twice       idle::models::takers::one_of_two
  searchers_at_a_time        idle::models::takers::one_searcher
  pop_if_other               queue::models::a_certain_item_against_a_thief
  pop_when_unlocked          queue::models::a_look_at_the_oldest
  has_item_but_the_last      queue::models::no_look_misses
  queue_drops_one            queue::models::a_queue_that_is_dropped
"

# The modules whose models a mutant could concern, where those named beside it in the table are not
# all.
declare -A beyond=(
  [handshake]="idle offer hub batch watch" [idle_relaxed]="idle offer hub" [submitter_handshake]="idle offer hub"
  [phase_relaxed]="task promise" [settle_unreleased]="task promise" [let_go_relaxed]="task promise"
)

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="--cfg corepool_loom"
# What is found with two preemptions is found with three, and a matrix is long.
case "${1:-}" in --matrix | --lacking) preemptions=2 ;; *) preemptions=3 ;; esac
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-$preemptions}" RUST_BACKTRACE=0
# In seconds: a model that has found nothing by then has not found the bug.
patience="${MUTANT_PATIENCE:-300}"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
log=$tmp/log

# Builds the models, and names the program. With little optimisation, because most of the time goes
# to loom, which has its own.
build() {
  cargo rustc --quiet -p corepool --profile bench --lib --message-format json-render-diagnostics \
    -- -C opt-level=1 -C debuginfo=0 | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

# Runs models with a mutant. In a subshell, so that the word of its death goes to the log as well.
passes() {
  local mutant=$1
  shift
  (COREPOOL_MUTANT=$mutant timeout "$patience" "$program" "$@"; exit "$?") >"$log" 2>&1 </dev/null
}

failed_models() { sed -n 's/^test \([a-z_:]*\)\( - should panic\)\? \.\.\. FAILED.*/\1/p' "$log" | sort -u; }
short() { sed 's/models:://g' | tr '\n' ' '; }

# Each mutant of the table must be planted, and each planted one must stand in it.
check_names() {
  diff <(grep -rhoE --exclude mutant.rs '(mutant!\(|planted )"[a-z_]+"' src | cut -d'"' -f2 | sort -u) \
    <(awk 'NF {print $1}' <<<"$mutants" | sort -u) >"$log" || {
    echo "ci/mutants.sh: the table and the mutants in src/ differ:" >&2
    cat "$log" >&2
    exit 1
  }
}

# One mutant against the models named beside it.
try() {
  local mutant=$1 filter=$2 status=0
  # Most are found with two preemptions, and sooner.
  LOOM_MAX_PREEMPTIONS=2 passes "$mutant" "$filter" || status=$?
  if ((status == 0 || status == 124)); then
    status=0
    passes "$mutant" "$filter" || status=$?
  fi
  if ((status == 124)); then
    echo "SURVIVED  $mutant  ($filter, no end in $patience s)"
    failed=1
  elif ((status == 0)); then
    echo "SURVIVED  $mutant  ($filter)"
    failed=1
  else
    local found
    found=$(failed_models | head -1)
    echo "caught    $mutant  by ${found:-$filter (the process died)}"
    echo "${found:-$filter}" >>"$tmp/found"
  fi
}

# Without a bug the same models pass, so that it is the bug that they found.
check_sound() {
  sort -u "$tmp/found" >"$tmp/finders"
  mapfile -t finders <"$tmp/finders"
  patience=3600 passes none "${finders[@]}" && grep -q '^test result: ok\. [1-9]' "$log" || {
    echo "ci/mutants.sh: these do not pass without a mutant: $(failed_models | short)" >&2
    exit 1
  }
  echo "${#finders[@]} models have found them; without a mutant they pass"
}

run_table() {
  while read -r mutant filter; do
    [[ -n $mutant && (-z $1 || " $1 " == *" $mutant "*) ]] || continue
    ran=$((ran + 1))
    try "$mutant" "$filter"
  done <<<"$mutants"
  ((ran > 0)) || { echo "ci/mutants.sh: no mutant is called $1" >&2 && exit 1; }
}

# One mutant against many models: all in one process, and one by one if that dies or has no end.
find_out() {
  local mutant=$1 status=0 model
  shift
  passes "$mutant" --exact "$@" || status=$?
  if grep -q '^test result: ' "$log"; then
    failed_models
    return
  fi
  for model; do
    status=0
    passes "$mutant" --exact "$model" || status=$?
    if ((status != 0 && status != 124)); then echo "$model"; fi
  done
}

run_matrix() {
  "$program" --list | sed -n 's/: test$//p' | grep 'models::' | sort >"$tmp/all"
  : >"$tmp/fails"
  while read -r mutant filter; do
    [[ -n $mutant ]] || continue
    local modules=${beyond[$mutant]:-${filter%%::*}} candidates
    candidates=$(grep -E "^(${modules// /|})::" "$tmp/all")
    if [[ $1 == --lacking ]]; then candidates=$(grep -vxFf "$tmp/fails" <<<"$candidates" || true); fi
    [[ -n $candidates ]] || continue
    # shellcheck disable=SC2086
    find_out "$mutant" $candidates >"$tmp/now"
    ran=$((ran + 1))
    echo "$mutant: $(short <"$tmp/now")"
    sort -u "$tmp/now" "$tmp/fails" -o "$tmp/fails"
  done < <(sort -u <<<"$mutants")
  echo "$(wc -l <"$tmp/all") models, $ran mutants; no mutant makes these fail:"
  if comm -23 "$tmp/all" "$tmp/fails" | grep .; then failed=1; fi
}

check_names
program=$(build)
failed=0
ran=0
case "${1:-}" in
  --matrix | --lacking) patience="${MUTANT_PATIENCE:-60}" run_matrix "$1" ;;
  # Whether they pass without a mutant is what ci/models.sh tells.
  --quick) run_table "${quick//$'\n'/ }" ;;
  *)
    run_table "$*"
    [[ ! -s $tmp/found ]] || check_sound
    ;;
esac
exit "$failed"
