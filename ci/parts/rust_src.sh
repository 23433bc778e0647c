#!/usr/bin/env bash
# Prints the folder with the standard library's source for the rustc in use, to build std with
# -Zbuild-std. It comes from Debian's package rust-src in trixie-backports, which is unpacked under
# target/, not installed. The version must be rustc's own to the last number; exits 1 with a reason
# when it cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(rustc -vV | sed -n 's/^release: //p')
folder="${CARGO_TARGET_DIR:-target}/rust-src-$version"
library="$folder/usr/src/rustc-$version/library"

if [[ ! -f $library/std/Cargo.toml ]]; then
  rm -rf "$folder"
  ci/parts/debian.sh "$folder" trixie-backports "rust-src=$version+*" >&2 || {
    echo "ci/parts/rust_src.sh: rust-src $version cannot be had from Debian's trixie-backports" >&2
    exit 1
  }
fi
[[ -f $library/Cargo.lock ]] || {
  echo "ci/parts/rust_src.sh: $folder has no library/Cargo.lock, so -Zbuild-std cannot use it" >&2
  exit 1
}
(cd "$library" && pwd)
