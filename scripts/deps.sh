#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# deps.sh [bench|ci]: the packages that building and testing weir need; with `bench`, also the
# libraries that it is measured against; with `ci`, those of the whole gate too. The only place that installs anything, and only from the distribution. Says nothing and
# costs some milliseconds when all is there. docs/design/dependencies.md says what each is for.
set -eu -o pipefail

packages=(build-essential cmake ninja-build pkg-config liburing-dev python3 curl netcat-openbsd
    strace)
bench=(libuv1-dev libevent-dev)
case ${1-} in
'') ;;
bench)
    packages+=("${bench[@]}")
    ;;
ci)
    packages+=("${bench[@]}" clang libclang-rt-dev clang-format clang-tidy valgrind
        gdb gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user gdb-multiarch)
    ;;
*)
    echo "usage: ${0##*/} [bench|ci]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "${0##*/}: not a Debian system; what is needed is called there: ${packages[*]}" >&2
    exit 0 # cmake names what it misses
fi

# A package may be there under another's name (pkg-config is pkgconf's in Debian 12 and later).
missing=()
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' |
    sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr -d ',' | tr '\n' ' ') "
for package in "${packages[@]}"; do
    [[ $installed == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    cat >&2 <<EOT
${0##*/}: missing: ${missing[*]}
Install with:
    sudo apt-get install --no-install-recommends ${missing[*]}
EOT
    exit 1
fi

echo "${0##*/}: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
