#!/usr/bin/env bash
# Proves that the models can fail: each mutant is a build with one planted bug, mostly an ordering made
# weaker, and the models named beside it must find it. A mutant that survives fails this check.
#
#   ci/mutants.sh               all mutants
#   ci/mutants.sh --quick       three of them
#   ci/mutants.sh NAME...       these
#
# Weaker orderings that no model can catch, because the code would still be right, have no mutant:
# - `publish` and the other `SeqCst` accesses as release or acquire: loom takes them for that, and its
#   fence in `sync::handshake` does the rest; the mutants take the fence away instead;
# - the handshake in `IdleList::close`: whoever else is concerned changes the same word;
# - `State::claim` relaxed: the closure came through the queue or with the handle;
# - `State::settle_beside_owner` relaxed: it leaves no result, and a handle that is borrowed while another
#   thread settles the task is used by value only after a synchronisation of the borrower's own;
# - the acquire of the exchanges in `let_go` and `change_waiter` when they succeed: nothing is read after;
#   and of the loads in `change_waiter`: who hears "settled" asks `phase`, which acquires;
# - the acquire of `put_stub_behind`: the item was reached through its pusher's `publish`;
# - the orderings in `Admission`: the word is only a count, and the line is under a lock;
# - the handshake in `Board::listen`: who looks for hunger looks at the free list, which has one. Of those in
#   `Board::post` and `Offer::call_owner` one is enough for an owner that sleeps, so `post_handshake` takes
#   both away;
# - the acquire of `Offer::finish`: nothing is read after it but what the offer was made with;
# - the failed exchange in the scope's `change`: it only tells what to try next; and `Chunk::send_away`: the jobs
#   go by way of a lock;
# - the relaxed flag of a cancelled token: it is a sign only, and the rest is under the token's lock;
# - the direction in which a batch's `harvest` looks: the fence that loom gets in `sync::handshake` makes up for it;
# - the acquire of a batch's `take`: the item was named by the list or by `has_result`, which acquire;
# - `Mode`'s relaxed loads, and its relaxed store: a poke that they miss or overwrite leaves a thread looking.
#
# A planted bug stands in src/ under `cfg(corepool_mutant = "NAME")`, at the line that it weakens.
set -euo pipefail
cd "$(dirname "$0")/.."

quick="publish_relaxed handshake settle_unreleased"
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
  stub_in_sweep              queue::models::a_sweep
  claim_twice                task::models::cancel_against_run
  phase_relaxed              task::models
  settle_unreleased          task::models::run_against
  settle_unacquired          task::models::run_against
  settle_in_place_unreleased task::models
  settle_in_place_unacquired task::models
  release_owner_unreleased   task::models
  release_owner_unacquired   task::models
  release_token_unreleased   task::models::token
  let_go_relaxed             task::models
  let_go_unreleased          task::models
  waiter_unreleased          task::models
  waiter_after_settling      task::models
  waiter_after_release       task::models
  waker_left_behind          task::models::a_run_in_place
  place_given_twice          admission::models::one_steps_out
  grant_taken_twice          admission::models::one_gives_back
  grant_lost                 admission::models::one_steps_out
  line_unmarked              admission::models::one_gives_back
  line_cleared_early         admission::models::the_first_steps_out
  close_unmarked             admission::models::the_room_closes_while_one_comes
  drained_untold             admission::models::a_room_that_has_drained
  offer_done_relaxed         offer::models::an_offer_is
  offer_finish_relaxed       offer::models::an_offer_is
  withdraw_blind             offer::models::an_offer_is
  open_unlocked              offer::models::an_offer_is
  offer_no_wake              offer::models::wait::a_sleeping_owner
  end_overwritten            offer::models::wait::a_sleeping_owner
  lie_down_handshake         offer::models::wait::an_owner_comes_for_a_part
  post_handshake             offer::models::wait::an_owner_comes_for_a_part
  look_before_lie_down       offer::models::wait::an_owner_comes_for_a_part
  waiter_before_post         offer::models::wait::an_owner_comes_for_a_part
  stranger_taken             offer::models::wait::a_waiter
  parts_of_parts_strange     offer::models::wait::parts_of_parts
  poke_handshake             offer::models::hunger
  plain_after_look           offer::models::hunger
  idle_relaxed               offer::models::a_worker_comes
  sleeper_before_post        offer::models::a_worker_comes
  job_alone_relaxed          scope::models
  job_unreleased             scope::models
  job_unacquired             scope::models
  job_done_relaxed           scope::models
  job_plain_while_held       scope::models
  job_marked_twice           scope::models::a_job_that_goes_away_twice
  chunk_unreleased           scope::models
  chunk_unacquired           scope::models
  roll_unreleased            scope::models::the_scopes_thread
  roll_unacquired            scope::models::the_scopes_thread
  watch_unreleased           watch::models
  watch_waits_unsaid         watch::models::who_waits_sees
  watch_listed_relaxed       watch::models::a_late_waker
  watch_taken_unacquired     watch::models::a_late_waker
  chunk_empty_relaxed        scope::models::a_full_chunk
  cancel_claims_unlocked     cancel::models::a_listener_goes
  cancel_never_leaves        cancel::models::a_listener_goes
  cancel_last_reason         cancel::models::two_cancel
  cancel_flag_early          cancel::models::who_sees
  batch_claim_twice          batch::models::a_cancel
  batch_settle_relaxed       batch::models::a_long_item
  batch_publish_unreleased   batch::models::a_taker_gets
  batch_waits_unsaid         batch::models::a_taker_gets
  batch_lane_late            batch::models::a_runner_that_finds
  batch_detach_handshake     batch::models::a_taker_leaves
  lend_without_a_look        hub::models::a_task_pushed
  relieved_asleep            hub::models
  rest_without_an_offer      hub::models::two_lenders
  count_kept                 hub::models
"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="--cfg corepool_loom"
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"

# Builds the models with this bug planted, and names the program. Only the crate is built anew, not
# what it depends on, because the flag is no part of RUSTFLAGS; and quickly, because it runs for moments.
build() {
  cargo rustc --quiet -p corepool --profile bench --lib --message-format json-render-diagnostics \
    -- -C opt-level=1 -C debuginfo=0 --cfg "corepool_mutant=\"$1\"" |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

# In a subshell, so that the word of its death goes to the log as well.
passes() {
  (timeout 300 "$1" "$2"; exit "$?") >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
ran=0
case "${1:-}" in
  --quick) wanted=$quick ;;
  *) wanted=$* ;;
esac

sound=$(build none)
while read -r mutant filter; do
  [[ -n $mutant && (-z $wanted || " $wanted " == *" $mutant "*) ]] || continue
  # Without the bug the same models pass, so that it is the bug that they find.
  passes "$sound" "$filter" && grep -q '^test result: ok\. [1-9]' "$log" || {
    echo "ci/mutants.sh: $filter does not pass without a mutant" >&2 && exit 1
  }
  planted=$(build "$mutant")
  ran=$((ran + 1))
  status=0
  passes "$planted" "$filter" || status=$?
  if ((status == 0 || status == 124)); then
    echo "SURVIVED  $mutant  ($filter$( ((status == 0)) || echo ', no end in 300 s'))"
    failed=1
  else
    found=$(sed -n 's/^test \(.*::\)\?models::\([a-z_:]*\) \.\.\. FAILED.*/\2/p' "$log" | head -1)
    echo "caught    $mutant  by ${found:-$filter (the process died)}"
  fi
done <<<"$mutants"
((ran > 0)) || { echo "ci/mutants.sh: no mutant is called $*" >&2 && exit 1; }
exit "$failed"
