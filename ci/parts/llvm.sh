#!/usr/bin/env bash
# Prints a folder with `llvm-cov` and `llvm-profdata` of the LLVM that the rustc in use has inside:
# older ones do not read what it writes. They come from Debian's package llvm-22 (or whatever
# rustc's number is) in sid, unpacked under target/ and started by sid's own loader with sid's own
# libraries, because this system's are too old for them.
set -euo pipefail
cd "$(dirname "$0")/../.."

major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
mkdir -p "${CARGO_TARGET_DIR:-target}"
folder="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/llvm-$major"
libraries="$folder/usr/lib/$(gcc -print-multiarch)"

if [[ ! -e $folder/complete ]]; then
  rm -rf "$folder"
  ci/parts/debian.sh "$folder" sid "llvm-$major" "libllvm$major" libc6 libstdc++6 libgcc-s1 zlib1g libzstd1 \
    libtinfo6 libedit2 libbsd0 libmd0 libffi8 libxml2-16 libz3-4 >&2 || {
    echo "ci/parts/llvm.sh: LLVM $major cannot be had from Debian's sid" >&2
    exit 1
  }
  # LLVM can download debug information, which nobody asks it for. A library that has nothing but
  # the right version spares us twenty packages.
  echo 'CURL_OPENSSL_4 { };' >"$folder/curl.map"
  gcc -shared -x c -o "$libraries/libcurl.so.4" - "-Wl,--version-script=$folder/curl.map" </dev/null
  mkdir -p "$folder/wrapped"
  for tool in llvm-cov llvm-profdata; do
    {
      echo '#!/bin/sh'
      echo "exec '$libraries'/ld-linux-*.so.* --library-path '$libraries' '$folder/usr/lib/llvm-$major/bin/$tool' \"\$@\""
    } >"$folder/wrapped/$tool"
    chmod +x "$folder/wrapped/$tool"
    "$folder/wrapped/$tool" --version >/dev/null 2>&1 || {
      echo "ci/parts/llvm.sh: $tool of LLVM $major does not run here" >&2
      exit 1
    }
  done
  touch "$folder/complete"
fi
echo "$folder/wrapped"
