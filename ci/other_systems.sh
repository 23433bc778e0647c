#!/usr/bin/env bash
# Proves that the library works on systems, architectures and word sizes other than this machine's.
# Its own tests and the programs of tests/miri.rs run
#
#   under qemu-user: aarch64, riscv64gc, s390x (big-endian) and armv7 (32 bits), on Linux
#   under wine:      x86_64 Windows, with workers pinned
#
# and it is compiled, not run, for macOS, FreeBSD, MSVC's Windows and 32-bit x86. What runs them
# comes from Debian, is unpacked under target/, and installed nowhere; the standard libraries come
# from rustup.
#
#   ci/other_systems.sh              as above
#   ci/other_systems.sh --all        with the tests of `tests/it` under qemu-user, too: an hour
#   ci/other_systems.sh TARGET...    some of the targets
set -euo pipefail
cd "$(dirname "$0")/.."

is_all=false
if [[ ${1:-} == --all ]]; then
  is_all=true
  shift
fi
if (($# == 0)); then
  set -- aarch64-unknown-linux-gnu riscv64gc-unknown-linux-gnu s390x-unknown-linux-gnu armv7-unknown-linux-gnueabihf \
    x86_64-pc-windows-gnu \
    x86_64-pc-windows-msvc aarch64-apple-darwin x86_64-unknown-freebsd i686-unknown-linux-gnu
fi

root=$PWD
mkdir -p "${CARGO_TARGET_DIR:-target}/other_systems"
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}/other_systems" && pwd)
export CARGO_TARGET_DIR
ci/parts/light_package.sh "$CARGO_TARGET_DIR/package"

# A target that cannot be tried is said at once; the others are tried all the same.
skip() {
  echo "SKIPPED ci/other_systems.sh: $*"
}

has_std() {
  command -v rustup >/dev/null && rustup target add "$1" >"$CARGO_TARGET_DIR/rustup.log" 2>&1
}

# Unpacks Debian packages into a folder, once.
unpacked() {
  local folder=$CARGO_TARGET_DIR/$1
  shift
  if [[ ! -e $folder/complete ]]; then
    ci/parts/debian.sh "$folder" - "$@" || return 1
    touch "$folder/complete"
  fi
}

# The tests of the library, with the runner and the linker of a target in the environment.
run_tests() {
  local target=$1 words
  words=$(tr 'a-z-' 'A-Z_' <<<"$target")
  shift
  # `cargo test` stops at the first binary that fails; all are wanted. The one that is left out
  # counts wake-ups, of which there are more where everything takes its time.
  env "CARGO_TARGET_${words}_LINKER=$linker" "CARGO_TARGET_${words}_RUNNER=$runner" "RUSTFLAGS=$flags" \
    cargo test --quiet --no-fail-fast --target "$target" "$@" --skip a_batch_wakes_each_worker_once_at_most
}

# The emulator keeps the order that this machine's processor keeps: it shows no reordering that is
# weaker. Loom and Miri do.
under_qemu() {
  local target=$1 triple=$2 debian=$3 processor=$4
  if ! has_std "$target"; then skip "rustup has no standard library for $target" && return; fi
  if ! unpacked qemu qemu-user-static; then skip "Debian has no qemu-user to give" && return; fi
  if ! unpacked "$debian" "libc6-dev-$debian-cross" "libgcc-12-dev-$debian-cross"; then
    skip "Debian has no C library for $debian to give" && return
  fi
  local linker=$CARGO_TARGET_DIR/$debian/linker runner="$CARGO_TARGET_DIR/qemu/usr/bin/qemu-$processor-static"
  local flags="-C linker-flavor=ld.lld -C target-feature=+crt-static -C relocation-model=static"
  ci/parts/cross_linker.sh "$CARGO_TARGET_DIR/$debian" "$triple" "$linker"
  (cd "$CARGO_TARGET_DIR/package" && run_tests "$target" --lib --test miri --) || return 1
  if $is_all; then
    # Processor time, memory and lock-free speed are not the emulator's to show; the house rules are
    # the same everywhere.
    (cd "$root" && run_tests "$target" -p corepool --test it -- --skip tidy --skip idle_quiet)
  fi
}

# Wine in a folder of its own. Debian's starter looks for the server in the system, and its zlib is
# a link to there; and the standard library wants one function of a library that this wine lacks.
prepared_wine() {
  local wine=$CARGO_TARGET_DIR/wine target=$1
  if [[ ! -e $WINEPREFIX/ready ]]; then
    ln -sfn wineserver64 "$wine/usr/lib/wine/wineserver"
    cp --remove-destination "$wine/usr/x86_64-w64-mingw32/lib/zlib1.dll" "$wine/usr/lib/x86_64-linux-gnu/wine/x86_64-windows/"
    # It complains that there is no 32-bit part, and its status says so.
    "$wine/usr/lib/wine/wine64" wineboot --init >"$CARGO_TARGET_DIR/wine.log" 2>&1 || true
    [[ -d $WINEPREFIX/drive_c/windows/system32 ]] || return 1
    rustc --edition 2024 --crate-type lib --emit obj -O -C panic=abort --target "$target" \
      -o "$CARGO_TARGET_DIR/bcryptprimitives.o" ci/parts/bcryptprimitives.rs
    "$CARGO_TARGET_DIR/mingw/usr/bin/x86_64-w64-mingw32-ld" --shared -e DllMain -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" \
      "$CARGO_TARGET_DIR/bcryptprimitives.o" -L "$CARGO_TARGET_DIR/mingw/usr/x86_64-w64-mingw32/lib" -ladvapi32
    touch "$WINEPREFIX/ready"
  fi
}

under_wine() {
  local target=$1
  if ! has_std "$target"; then skip "rustup has no standard library for $target" && return; fi
  if ! unpacked mingw gcc-mingw-w64-x86-64-win32 binutils-mingw-w64-x86-64 mingw-w64-x86-64-dev; then
    skip "Debian has no mingw-w64 to give" && return
  fi
  if ! unpacked wine wine64 libwine libunwind8 libz-mingw-w64; then skip "Debian has no wine to give" && return; fi
  local linker=$CARGO_TARGET_DIR/mingw/linker runner=$CARGO_TARGET_DIR/wine/usr/lib/wine/wine64 flags="-C linker-flavor=ld.lld"
  ci/parts/cross_linker.sh "$CARGO_TARGET_DIR/mingw" x86_64-w64-mingw32 "$linker"
  (
    export WINEPREFIX=$CARGO_TARGET_DIR/wine/prefix WINEDEBUG=-all DISPLAY=
    # For `dlltool`, which the declarations of parking_lot want, and for libunwind, which wine
    # wants.
    export PATH=$CARGO_TARGET_DIR/mingw/usr/bin:$PATH LD_LIBRARY_PATH=$CARGO_TARGET_DIR/wine/usr/lib/x86_64-linux-gnu
    prepared_wine "$target" || { skip "wine does not start here" && exit 0; }
    cd "$CARGO_TARGET_DIR/package"
    run_tests "$target" --lib --test miri --
  )
}

# There is no std for these here, so it is compiled along.
compiled() {
  local target=$1 library
  if ! library=$(ci/parts/rust_src.sh); then skip "the source of std cannot be had for $target" && return; fi
  # `cargo rustc` hands the flag to our crate alone: what std warns of is not ours to mend.
  RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$library" \
    cargo -Zbuild-std=std,panic_unwind rustc --quiet -p corepool --lib --profile check --all-features \
    --target "$target" -- -D warnings
}

status=0
for target in "$@"; do
  echo "-- $target"
  case $target in
    aarch64-unknown-linux-gnu) under_qemu "$target" aarch64-linux-gnu arm64 aarch64 || status=1 ;;
    riscv64gc-unknown-linux-gnu) under_qemu "$target" riscv64-linux-gnu riscv64 riscv64 || status=1 ;;
    s390x-unknown-linux-gnu) under_qemu "$target" s390x-linux-gnu s390x s390x || status=1 ;;
    armv7-unknown-linux-gnueabihf) under_qemu "$target" arm-linux-gnueabihf armhf arm || status=1 ;;
    x86_64-pc-windows-gnu) under_wine "$target" || status=1 ;;
    *) compiled "$target" || status=1 ;;
  esac
done
exit $status
