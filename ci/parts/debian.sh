#!/usr/bin/env bash
# Fetches Debian packages and unpacks them into a folder, without installing anything.
#
#   ci/parts/debian.sh FOLDER SUITE PACKAGE[=VERSION]...
#
# SUITE is `-` for the suites apt is already set up for, or another suite's name, which is then
# looked for on the same mirror. apt's own lists stay as they are: what is fetched here has lists of
# its own. A VERSION may end in `*`; the newest that fits is taken. Exits 1 with a reason when it
# cannot be had.
set -euo pipefail

folder=$1 suite=$2
shift 2

refuse() {
  echo "ci/parts/debian.sh: $*" >&2
  exit 1
}

command -v apt-get >/dev/null || refuse "no apt-get on this machine"
command -v dpkg-deb >/dev/null || refuse "no dpkg-deb on this machine"

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work="$folder/.apt"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"

options=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=root")
# A source that does not answer matters only if a package is then missing, which is seen below.
apt-get "${options[@]}" -qq update || true
if [[ $suite != - ]]; then
  # The address of the main archive is that of the system's own release.
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  # shellcheck disable=SC2016  # apt fills this in, not the shell
  mirror=$(apt-get "${options[@]}" indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' "Release: $codename" 'Component: main' | sed -n 1p)
  [[ -n $mirror ]] || refuse "apt's configuration names no mirror for '$codename'"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
  options+=(-o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=/dev/null")
  apt-get "${options[@]}" -qq update || refuse "the package lists of '$suite' could not be fetched"
fi

cd "$work"
for package in "$@"; do
  name=${package%%=*}
  version=
  if [[ $package == *=* ]]; then
    wanted=${package#*=}
    version=$(apt-cache "${options[@]}" madison "$name" | tr -d ' ' | cut -d '|' -f 2 |
      while read -r offered; do
        # shellcheck disable=SC2053  # a pattern on purpose
        if [[ $offered == $wanted ]]; then echo "$offered"; fi
      done | sed -n 1p)
    [[ -n $version ]] || refuse "no version '$wanted' of $name in '$suite'"
    version="=$version"
  fi
  apt-get "${options[@]}" -qq download "$name$version" || refuse "$name$version could not be fetched"
  dpkg-deb -x "${name}"_*.deb "$folder"
  rm -f "${name}"_*.deb
done
rm -rf "$work"
