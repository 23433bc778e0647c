#!/usr/bin/env bash
# Proves that the library builds with the oldest Rust that Cargo.toml promises (`rust-version`):
# rustc and cargo of that version, with nothing of this machine's own toolchain in sight.
#
# They come from Debian (rustc-web, cargo-web), unpacked under target/msrv and not installed.
# Debian's security updates bring newer ones under the same names, so the version is asked for.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
  echo "SKIPPED ci/msrv.sh: $*; nothing was checked"
  exit 0
}

version=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
[[ -n $version ]] || { echo "ci/msrv.sh: Cargo.toml names no rust-version" >&2 && exit 1; }

mkdir -p "${CARGO_TARGET_DIR:-target}/msrv"
folder=$(cd "${CARGO_TARGET_DIR:-target}/msrv" && pwd)
tools="$folder/rust-$version"
if [[ ! -e $tools/complete ]]; then
  rm -rf "$tools"
  # The toolchain, and the shared libraries it wants that a machine may not have.
  packages=("rustc-web=$version.*" "cargo-web=$version.*" "libstd-rust-web-dev=$version.*"
    "libstd-rust-web-$version" libllvm19 libgit2-1.5 libhttp-parser2.9 libpcre3 libssh2-1
    libmbedtls14 libmbedx509-1 libmbedcrypto7)
  ci/parts/debian.sh "$tools" - "${packages[@]}" || skip "Debian has no Rust $version to give"
  touch "$tools/complete"
fi

architecture=$(gcc -print-multiarch)
clean=(env -i "HOME=$HOME" "PATH=$tools/usr/bin:/usr/bin:/bin" "CARGO_TARGET_DIR=$folder/build"
  "LD_LIBRARY_PATH=$tools/usr/lib/$architecture:$tools/lib/$architecture")
"${clean[@]}" cargo --version || skip "the cargo that Debian has for Rust $version does not run here"
"${clean[@]}" rustc --version || skip "the rustc that Debian has for Rust $version does not run here"

"${clean[@]}" cargo check -p corepool --locked --lib
"${clean[@]}" cargo check -p corepool --locked --lib --all-features
