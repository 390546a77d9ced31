# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the scripts that make guest images share; to be sourced. Images live in cache/ (CACHE=... to
# put them elsewhere), each beside a file NAME.key: an image is made again when its recipe changes.
set -euo pipefail

root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
cache=${CACHE:-$root/cache}
mkdir -p "$cache"

say() {
    echo "guest images: $*" >&2
}

die() {
    say "$*"
    exit 1
}

# key FILE...: what the recipe is made of, as one word. The suite is part of it, not the day: an image
# does not become stale because Debian published an update.
key() {
    cat "$@" /etc/debian_version 2>/dev/null | sha256sum | cut -c1-16
}

# fresh NAME KEY: is cache/NAME there and made by this recipe?
fresh() {
    [ -s "$cache/$1" ] && [ "$(cat "$cache/$1.key" 2>/dev/null)" = "$2" ]
}

# keep FILE NAME KEY: moves a finished image to its place, key last.
keep() {
    rm -f "$cache/$2.key"
    mv -T "$1" "$cache/$2"
    echo "$3" >"$cache/$2.key"
}

# One maker at a time; the second finds the work done.
exec 9>"$cache/.lock"
flock 9

scratch=$(mktemp -d "$cache/.make.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
