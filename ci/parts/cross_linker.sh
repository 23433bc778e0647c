#!/usr/bin/env bash
# Writes a linker that makes programs for another system, for `-C linker-flavor=ld.lld`. The linker
# itself is rustc's own; what it links comes from Debian's packages, unpacked by ci/parts/debian.sh.
#
#   ci/parts/cross_linker.sh FOLDER TRIPLE FILE
#
# For Linux (libc6-dev-*-cross, libgcc-12-dev-*-cross) the C library goes inside, so that nothing of
# the other system is needed to run them: with `-C target-feature=+crt-static` and `-C
# relocation-model=static`.
set -euo pipefail
folder=$(cd "$1" && pwd) triple=$2 file=$3

refuse() {
  echo "ci/parts/cross_linker.sh: $*" >&2
  exit 1
}

host=$(rustc -vV | sed -n 's/^host: //p')
linker=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
[[ -x $linker ]] || refuse "rustc has no rust-lld here"

# The first of these folders that has the file.
part() {
  local name=$1 place
  shift
  for place in "$@"; do
    if [[ -f $place/$name ]]; then echo "'$place/$name'" && return; fi
  done
  refuse "$name is in none of $*"
}

if [[ $triple == *mingw32 ]]; then
  c=$folder/usr/$triple/lib gcc=$(echo "$folder/usr/lib/gcc/$triple/"*-win32)
  first="$(part crt2.o "$c") $(part crtbegin.o "$gcc")"
  libraries="-lmingw32 -lgcc -lgcc_eh -lmingwex -lmsvcrt -lkernel32 -ladvapi32 -lshell32 -luser32"
  last=$(part crtend.o "$gcc")
else
  c=$folder/usr/$triple/lib gcc=$(echo "$folder/usr/lib/gcc-cross/$triple/"*)
  first="$(part crt1.o "$c") $(part crti.o "$c" "$gcc") $(part crtbeginT.o "$gcc")"
  libraries="-lgcc -lgcc_eh -lc"
  last="$(part crtend.o "$gcc") $(part crtn.o "$c" "$gcc")"
fi
cat >"$file" <<END
#!/usr/bin/env bash
# The first two words are rustc's choice of a flavour.
flavour=("\$1" "\$2")
shift 2
exec '$linker' "\${flavour[@]}" $first "\$@" -L'$gcc' -L'$c' --start-group $libraries --end-group $last
END
chmod +x "$file"
