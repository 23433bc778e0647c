#!/usr/bin/env bash
# Writes a package with the library's sources and `tests/miri.rs`, and with only those development
# dependencies that these need: for checks that build everything once more for a system or a tool of
# their own.
#
#   ci/parts/light_package.sh FOLDER
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$1

mkdir -p "$folder/tests"
awk '/^\[/ { skip = /dev-dependencies/ || /^\[\[/ || /^\[workspace\]/ || /^\[profile/ || /^\[lib\]/ } !skip' \
  "$root/Cargo.toml" >"$folder/Cargo.toml.new"
cat >>"$folder/Cargo.toml.new" <<'END'

[dev-dependencies]
crossbeam-channel = "0.5.15"
fastrand = "2"
libc = "0.2"
pollster = "1.0"

[[test]]
name = "miri"
END
# Written only when it changes, so that cargo builds nothing anew for it.
cmp -s "$folder/Cargo.toml.new" "$folder/Cargo.toml" || mv "$folder/Cargo.toml.new" "$folder/Cargo.toml"
rm -f "$folder/Cargo.toml.new"
ln -sfn "$root/src" "$folder/src"
ln -sfn "$root/tests/miri.rs" "$folder/tests/miri.rs"
ln -sfn "$root/README.md" "$folder/README.md"
# The versions that everything else is tested with; cargo drops what is not needed.
[[ -f $folder/Cargo.lock ]] || cp "$root/Cargo.lock" "$folder/Cargo.lock"
