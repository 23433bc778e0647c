#!/usr/bin/env bash
# Proves that every example and program builds, says what it does when asked for help, does its job
# on small input, and on wrong input ends with a failure and one clear line on stderr. One without
# an entry below is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --examples --bins
examples=$(ci/parts/names.sh example)
programs=$(ci/parts/names.sh bin)
built="${CARGO_TARGET_DIR:-target}/debug"
errors=$(mktemp)
place=$(mktemp -d)
trap 'rm -rf "$errors" "$place"' EXIT
declare -A path
for name in $examples; do path[$name]=$built/examples/$name; done
for name in $programs; do path[$name]=$built/$name; done

fail() {
  echo "ci/examples.sh: $*" >&2
  exit 1
}

# A run that hangs is a failure too: `timeout` ends it and answers 124.
works() {
  echo "-- $*"
  timeout 120 "${path[$1]}" "${@:2}" || fail "'$*' ended with status $?, wanted 0"
}

# The help goes to stdout, says first how to call the program, and fits a terminal of 100 columns.
# Nothing else happens: a server does not listen, and a tour does not begin.
helps() {
  local asked said status
  for asked in -h --help; do
    echo "-- $1 $asked"
    status=0
    said=$(timeout 20 "${path[$1]}" "$asked" 2>"$errors") || status=$?
    ((status == 0)) || fail "'$1 $asked' ended with status $status, wanted 0"
    [[ $said == "usage: $1"* ]] || fail "'$1 $asked' does not begin with 'usage: $1'"
    [[ ! -s $errors ]] || fail "'$1 $asked' wrote on stderr: $(<"$errors")"
    (($(wc -l <<<"$said") >= 3)) || fail "'$1 $asked' says no more than how to call it"
    (($(wc -L <<<"$said") <= 100)) || fail "'$1 $asked' has lines of more than 100 columns"
  done
}

refuses() {
  local status=0
  echo "-- $* (wrong on purpose)"
  timeout 120 "${path[$1]}" "${@:2}" >/dev/null 2>"$errors" || status=$?
  sed 's/^/   /' "$errors"
  ((status != 0)) || fail "'$*' ended with status 0, wanted a failure"
  ((status != 101 && status < 124)) || fail "'$*' panicked, hung or was killed (status $status)"
  (($(wc -l <"$errors") == 1)) || fail "'$*' wrote $(wc -l <"$errors") lines on stderr, wanted one"
  grep -q "^$1: " "$errors" || fail "'$*' does not begin its line with '$1: '"
}

# Wrong words on the command line, which the help would have told better.
misread() {
  refuses "$@"
  grep -q '(try --help)$' "$errors" || fail "'$*' does not point to --help"
}

# A server says where it listens once it hears signals, and ends in good order when told to.
serves() {
  local said server status=0
  echo "-- $* (until it is told to end)"
  # Not below `timeout`, which ends by a signal that comes before it has noted its child. One that
  # hangs is ended by `.ci/run`.
  coproc { exec "${path[$1]}" "${@:2}"; }
  server=$COPROC_PID
  read -r said <&"${COPROC[0]}" || fail "'$*' ended before it listened"
  echo "   $said"
  kill -TERM "$server"
  wait "$server" || status=$?
  ((status == 0)) || fail "'$*' ended with status $status when told to, wanted 0"
}

[[ -n $examples && -n $programs ]] || fail "there are no examples, or no programs"
for name in $examples $programs; do
  helps "$name"
  case $name in
  fibonacci)
    works fibonacci 20 8 2
    works fibonacci 10
    misread fibonacci twenty
    misread fibonacci 20 8 0
    misread fibonacci 20 8 2 surplus
    ;;
  worker_pool)
    works worker_pool
    misread worker_pool surplus
    ;;
  dir_sizes)
    works dir_sizes src 3
    misread dir_sizes src many
    misread dir_sizes src 3 surplus
    refuses dir_sizes no/such/place
    ;;
  tiny_gzip)
    # A file of several blocks, and one of none.
    for file in Cargo.lock /dev/null "${path[tiny_gzip]}"; do
      works tiny_gzip "$file" "$place/packed.gz"
      gzip -dc "$place/packed.gz" | cmp - "$file" || fail "gzip does not get '$file' back"
      rm "$place/packed.gz"
    done
    misread tiny_gzip
    misread tiny_gzip Cargo.toml
    refuses tiny_gzip no/such/file "$place/packed.gz"
    refuses tiny_gzip Cargo.lock Cargo.toml
    ;;
  async_service)
    works async_service 4 5
    # Nobody is in time: all the same it answers, and ends.
    works async_service 8 5 1
    misread async_service four
    misread async_service 0
    misread async_service 4 5 1 surplus
    ;;
  compress)
    # What comes out is for no log; its tests look at it.
    works compress -c -p 2 Cargo.toml >/dev/null
    works compress -rc -1 src >/dev/null
    misread compress --no-such-option
    refuses compress -t Cargo.toml
    misread compress -p 0
    refuses compress no/such/file
    ;;
  http_server)
    serves http_server --port 0
    serves http_server --port 0 --inline
    serves http_server --port 0 --spawn-blocking --drain 1000
    misread http_server --port many
    misread http_server --workers 0
    misread http_server --inline --spawn-blocking
    misread http_server surplus
    ;;
  *) fail "say here how to run '$name', with right and with wrong input" ;;
  esac
done
