#!/usr/bin/env bash
# Installs what is missing of packages.txt: setup.sh SECTION... (run, test).
# Does nothing, and needs no network, when all of it is there.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$top/tools/steps.sh"

wanted() {
  local section
  for section in "$@"; do
    awk -v want="[$section]" '{sub(/#.*/, "")} /^\[/ {on = $1 == want; next} on && NF {print $1}' \
      "$top/packages.txt"
  done
}

missing() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' ||
      echo "$package"
  done
}

install() {
  local -a as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  # Without a terminal of its own: one in the background would be stopped by it.
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get -y -o Dpkg::Use-Pty=0)
  # Lists that know all the packages and still fail are stale; then they are fetched anew.
  if apt-cache show "$@" >/dev/null 2>&1 && "${apt[@]}" install --no-install-recommends "$@"; then
    return
  fi
  "${apt[@]}" update
  "${apt[@]}" install --no-install-recommends "$@"
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: not a Debian system; install these by hand: $(wanted "$@" | tr '\n' ' ')" >&2
  exit 0
fi
mapfile -t all < <(wanted "$@")
mapfile -t lacking < <(missing "${all[@]}")
[ ${#lacking[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] && ! { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true; }; } 2>&-; then
  echo "setup: these packages are missing and need root to install:" >&2
  echo "  apt-get install --no-install-recommends ${lacking[*]}" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then sudo -v; fi
step setup "install ${#lacking[@]} packages: ${lacking[*]}" install "${lacking[@]}" </dev/null
