#!/usr/bin/env bash
# Proves that every example builds, does its job on small input, and on wrong input ends with a
# failure and one clear line on stderr. An example without an entry below is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --examples
names=$(ci/parts/names.sh example)
mapfile -t examples < <(printf "%s" "$names")
programs="${CARGO_TARGET_DIR:-target}/debug/examples"
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

fail() {
  echo "ci/examples.sh: $*" >&2
  exit 1
}

# A run that hangs is a failure too: `timeout` ends it and answers 124.
works() {
  echo "-- $*"
  timeout 120 "$programs/$1" "${@:2}" || fail "'$*' ended with status $?, wanted 0"
}

refuses() {
  local status=0
  echo "-- $* (wrong on purpose)"
  timeout 120 "$programs/$1" "${@:2}" >/dev/null 2>"$errors" || status=$?
  sed 's/^/   /' "$errors"
  ((status != 0)) || fail "'$*' ended with status 0, wanted a failure"
  ((status != 101 && status < 124)) || fail "'$*' panicked, hung or was killed (status $status)"
  (($(wc -l <"$errors") == 1)) || fail "'$*' wrote $(wc -l <"$errors") lines on stderr, wanted one"
}

# A server says where it listens once it hears signals, and ends in good order when told to.
serves() {
  local said server status=0
  echo "-- $* (until it is told to end)"
  # Not below `timeout`, which ends by a signal that comes before it has noted its child. One that hangs is ended by `.ci/run`.
  coproc { exec "$programs/$1" "${@:2}"; }
  server=$COPROC_PID
  read -r said <&"${COPROC[0]}" || fail "'$*' ended before it listened"
  echo "   $said"
  kill -TERM "$server"
  wait "$server" || status=$?
  ((status == 0)) || fail "'$*' ended with status $status when told to, wanted 0"
}

((${#examples[@]} > 0)) || fail "there are no examples"
for example in "${examples[@]}"; do
  case $example in
  fibonacci)
    works fibonacci 20 8 2
    works fibonacci 10
    refuses fibonacci twenty
    refuses fibonacci 20 8 0
    refuses fibonacci 20 8 2 surplus
    ;;
  worker_pool)
    # A tour: it takes no input, so there is no wrong one.
    works worker_pool
    ;;
  dir_sizes)
    works dir_sizes src 3
    refuses dir_sizes src many
    refuses dir_sizes src 3 surplus
    refuses dir_sizes no/such/place
    ;;
  async_service)
    works async_service 4 5
    # Nobody is in time: all the same it answers, and ends.
    works async_service 8 5 1
    refuses async_service four
    refuses async_service 0
    refuses async_service 4 5 1 surplus
    ;;
  compress)
    # What comes out is for no log; tests/compress.rs looks at it.
    works compress -c -p 2 Cargo.toml >/dev/null
    works compress -rc -1 src >/dev/null
    refuses compress --no-such-option
    refuses compress -t Cargo.toml
    refuses compress -p 0
    refuses compress no/such/file
    ;;
  http_server)
    serves http_server --port 0
    serves http_server --port 0 --inline
    serves http_server --port 0 --spawn-blocking --drain 1000
    refuses http_server --port many
    refuses http_server --workers 0
    refuses http_server --inline --spawn-blocking
    refuses http_server surplus
    ;;
  *) fail "say here how to run the example '$example', with right and with wrong input" ;;
  esac
done
