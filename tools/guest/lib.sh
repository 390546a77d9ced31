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

# download PACKAGE...: Debian's packages into $scratch, as .deb files; none is installed. What apt knows of
# them may be older than the mirror and name files that are gone: then its lists are fetched again.
download() {
    say "downloading $*"
    chmod 755 "$scratch" # apt downloads as another user where it can
    (cd "$scratch" && apt-get -q download "$@") >"$scratch/log" 2>&1 && return
    local as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    $as_root apt-get -q update >/dev/null 2>&1 || true
    (cd "$scratch" && apt-get -q download "$@") >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        die "cannot download $*"
    }
}

# use_i386: from here on apt is about i386, by lists of its own below $cache that need no root: the host's
# apt need not know that architecture.
use_i386() {
    local lists=$cache/apt-i386
    mkdir -p "$lists/lists/partial" "$lists/archives/partial"
    cat >"$lists/apt.conf" <<CONF
APT::Architecture "i386";
APT::Architectures { "i386"; };
APT::Sandbox::User "$(id -un)";
Dir::State::lists "$lists/lists";
Dir::Cache "$lists";
CONF
    export APT_CONFIG=$lists/apt.conf
    apt-get -q update >"$scratch/log" 2>&1 || say "warning: apt-get update for i386: $(grep -m1 '^[EW]:' "$scratch/log")"
}

# kernel_package NAME: the package with the kernel that a package like linux-image-amd64 depends on.
kernel_package() {
    local package
    package=$(apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    [ -n "$package" ] || die "apt knows no $1: is the package list empty (apt-get update)?"
    echo "$package"
}

# unpack PATTERN DIR: the files of $scratch/*.deb that match, into DIR.
unpack() {
    local file
    mkdir -p "$2"
    for file in "$scratch"/*.deb; do
        dpkg-deb --fsys-tarfile "$file" | tar -x -C "$2" --wildcards "$1" 2>/dev/null || true
    done
}
