#!/usr/bin/env bash
# Measures corepool beside pools in other languages, in turn, and prints tables: as text on stderr,
# as Markdown on stdout.
#
#   benches/elsewhere/run.sh [ROUNDS [FOLDER]]   5 rounds unless told, about four minutes in all
#   benches/elsewhere/table.py FILE              the tables again; --text and --json are other forms
#
# FOLDER (target/elsewhere unless told) gets `measured.jsonl`, every sample, and `table.json`, the
# summary. Compilers and libraries are Debian's: what is missing is installed if this runs as root,
# or if `sudo` asks for no password; else its contestants are skipped, with a line that says so.
# WORKERS=n asks for another number of workers than two. No round begins that would not end within
# SECONDS_IN_ALL=270 of the first one's begin, judged by those before.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-5}
workers=${WORKERS:-2}
in_all=${SECONDS_IN_ALL:-270}
here=$PWD/benches/elsewhere
built=${CARGO_TARGET_DIR:-$PWD/target}/elsewhere
results=${2:-$built}
mkdir -p "$built" "$results"
built=$(cd "$built" && pwd)
samples=$results/measured.jsonl

# The most seconds that one run may take; more is a failure.
LIMIT=60
# A row that takes longer than this many nanoseconds is measured in the first rounds only, as plain
# calls.
SLOW=1000000000
FEW_ROUNDS=3
JOBS=(fib queens tree sort loop)

# The tree is 1,322 layers deep, and a thread that waits may begin another branch on top. Threads of
# the C library get what this says.
STACK_KIB=1048576
ulimit -S -s "$STACK_KIB" 2>/dev/null || ulimit -S -s "$(ulimit -H -s)"

say() {
  echo "$*" >&2
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# install PACKAGE..: only what is not there yet. A list of packages that is too old is fetched anew.
install() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0
  say "-- installing ${missing[*]}"
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install)
  as_root "${get[@]}" "${missing[@]}" >>"$built/install.log" 2>&1 && return
  as_root apt-get -qq update >>"$built/install.log" 2>&1
  as_root "${get[@]}" "${missing[@]}" >>"$built/install.log" 2>&1
}

# What takes part: name, then the command, and whether it is plain calls.
contestants=()
declare -A command role versions

add() {
  contestants+=("$1")
  command[$1]=$2
  role[$1]=${3:-pool}
}

build_corepool() {
  local messages
  messages=$(cargo bench --quiet -p corepool-benches --bench elsewhere --no-run \
    --message-format json) || return
  local binary
  binary=$(python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "elsewhere":
        print(message["executable"])
' <<<"$messages")
  cp "$binary" "$built/corepool" || return
  add corepool "$built/corepool loops"
  add "corepool, scopes" "$built/corepool scopes"
  add "plain Rust" "$built/corepool plain" baseline
  versions[rustc]=$(rustc --version | cut -d ' ' -f 2)
  versions[corepool]=$(git describe --always --dirty 2>/dev/null || echo unknown)
}

compile() {
  g++ -std=c++17 -O3 -Wall -Wextra "$here/cpp/$1.cpp" -o "$built/$1" "${@:2}"
}

build_cpp() {
  install g++ && compile plain && add "plain C++" "$built/plain" baseline &&
    versions[g++]=$(g++ -dumpfullversion)
}

build_onetbb() {
  install g++ libtbb-dev && compile onetbb -ltbb && add oneTBB "$built/onetbb" &&
    versions[oneTBB]=$(dpkg-query -W -f '${Version}' libtbb-dev)
}

build_openmp() {
  install g++ && compile openmp -fopenmp && add OpenMP "$built/openmp"
}

# One number, 300900 for 3.9.0.
taskflow_version() {
  local version
  version=$(sed -n 's/^#define TF_VERSION //p' "$1")
  echo "$((version / 100000)).$((version / 100 % 1000)).$((version % 100))"
}

# Headers alone, which older releases of Debian do not have: so they are unpacked, from a newer one
# if need be.
build_taskflow() {
  local folder=$built/taskflow.deb
  if [[ ! -e $folder/usr/include/taskflow/taskflow.hpp ]]; then
    ci/parts/debian.sh "$folder" - libtaskflow-cpp-dev >>"$built/install.log" 2>&1 ||
      ci/parts/debian.sh "$folder" trixie libtaskflow-cpp-dev >>"$built/install.log" 2>&1 || return
  fi
  install g++ && compile taskflow -isystem "$folder/usr/include" -pthread &&
    add Taskflow "$built/taskflow" &&
    versions[Taskflow]=$(taskflow_version "$folder/usr/include/taskflow/taskflow.hpp")
}

build_go() {
  command -v go >/dev/null || install golang-go || return
  (cd "$here/go" && GOCACHE=$built/go-cache GOTOOLCHAIN=local go build -o "$built/go" .) || return
  add Go "$built/go goroutines"
  add "plain Go" "$built/go plain" baseline
  versions[Go]=$(go version | cut -d ' ' -f 3 | sed 's/^go//')
}

build_java() {
  command -v javac >/dev/null || install default-jdk-headless || return
  javac -Xlint:all,-serial -d "$built/java" "$here"/java/*.java || return
  local java="java -Xss${STACK_KIB}k -cp $built/java Main"
  add ForkJoinPool "$java forked"
  add "plain Java" "$java plain" baseline
  versions[Java]=$(javac -version | cut -d ' ' -f 2)
}

build() {
  : >"$built/install.log"
  build_corepool || { say "run.sh: corepool's side does not build" && exit 1; }
  local other
  for other in cpp onetbb openmp taskflow go java; do
    "build_$other" >&2 || say "SKIPPED $other: it could not be had or built, see $built/install.log"
  done
}

# The jobs that a contestant has.
has() {
  [[ $1 != "corepool, scopes" || $2 == queens || $2 == tree ]]
}

declare -A expected is_slow has_failed
failed=0

# measure ROUND JOB NAME: one run, written down. Another result than everybody's ends the script.
measure() {
  local round=$1 job=$2 name=$3 line nanoseconds result status=0
  # shellcheck disable=SC2086  # the command's words
  line=$(timeout "$LIMIT" ${command[$name]} "$job" "$workers" 2>>"$built/errors.log") || status=$?
  if ((status != 0)); then
    local reason="status $status"
    ((status != 124)) || reason="over $LIMIT s"
    say "   $job: $name failed, $reason"
    has_failed[$job/$name]=1
    [[ $name != *corepool* && $name != "plain Rust" ]] || failed=1
    printf '{"kind":"failure","bench":"elsewhere","row":"%s","rival":"%s","reason":"%s"}\n' \
      "$job" "$name" "$reason" >>"$samples"
    return
  fi
  read -r nanoseconds result <<<"$line"
  : "${expected[$job]:=$result}"
  if [[ $result != "${expected[$job]}" ]]; then
    say "run.sh: $name says $result for $job, and others ${expected[$job]}"
    exit 1
  fi
  ((nanoseconds <= SLOW)) || is_slow[$job/$name]=1
  printf '{"kind":"sample","bench":"elsewhere","row":"%s","metric":"ns","rival":"%s",' \
    "$job" "$name" >>"$samples"
  printf '"role":"%s","round":%d,"value":%d}\n' \
    "${role[$name]}" "$round" "$nanoseconds" >>"$samples"
}

# Whether a contestant's turn is left out: it has failed, or it was measured often enough.
sits_out() {
  local round=$1 job=$2 name=$3
  has "$name" "$job" || return 0
  [[ -z ${has_failed[$job/$name]:-} ]] || return 0
  ((round >= FEW_ROUNDS)) && [[ ${role[$name]} == baseline || -n ${is_slow[$job/$name]:-} ]]
}

run_round() {
  local round=$1 job place turn name count=${#contestants[@]}
  printf '{"kind":"conditions","bench":"elsewhere","round":%d,"load":%s}\n' \
    "$round" "$(cut -d ' ' -f 1 /proc/loadavg)" >>"$samples"
  for job in "${JOBS[@]}"; do
    for ((place = 0; place < count; place++)); do
      # Every other round goes backwards, and every second one begins with another contestant, so
      # that drift of the machine hits all alike.
      turn=$(((place + round / 2) % count))
      ((round % 2 == 0)) || turn=$((count - 1 - turn))
      name=${contestants[turn]}
      sits_out "$round" "$job" "$name" || measure "$round" "$job" "$name"
    done
  done
}

build
: >"$samples"
: >"$built/errors.log"
printf '{"kind":"machine","bench":"elsewhere","workers":%d,"cores":%d,"date":"%s"' \
  "$workers" "$(nproc)" "$(date -u +%F)" >>"$samples"
for what in "${!versions[@]}"; do
  printf ',"%s":"%s"' "$what" "${versions[$what]}" >>"$samples"
done
echo '}' >>"$samples"
begin=$SECONDS longest=0
for ((round = 0; round < rounds; round++)); do
  round_begin=$SECONDS
  if ((round_begin - begin + longest > in_all)); then
    say "-- no time for more than $round of $rounds rounds: raise SECONDS_IN_ALL"
    break
  fi
  say "-- round $((round + 1)) of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)"
  run_round "$round"
  ((longest >= SECONDS - round_begin)) || longest=$((SECONDS - round_begin))
done
"$here/table.py" --text "$samples" >&2
"$here/table.py" --json "$samples" >"$results/table.json"
"$here/table.py" "$samples"
exit "$failed"
