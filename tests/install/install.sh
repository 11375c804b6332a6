#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install.sh <build directory>: installs it into a temporary prefix, moves the prefix, and builds
# and runs a user's program against it by pkg-config and by find_package, static and shared.
set -eu -o pipefail

build=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >"$work/install.log" || {
    cat "$work/install.log"
    exit 1
}
mv "$work/first" "$work/prefix"
prefix=$work/prefix
pc=$(find "$prefix" -name weir.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*}

case $(pkg-config --cflags weir) in
*-fstack-clash-protection*) ;;
*)
    echo "weir.pc does not carry -fstack-clash-protection: $(pkg-config --cflags weir)"
    exit 1
    ;;
esac

# Word splitting is what pkg-config's output is made for.
# shellcheck disable=SC2046
cc "$here/user.c" -o "$work/by_pc" $(pkg-config --cflags --libs weir)
LD_LIBRARY_PATH=$lib "$work/by_pc"
rm "$lib"/libweir.so
# shellcheck disable=SC2046
cc "$here/user.c" -o "$work/by_pc_static" $(pkg-config --cflags --libs --static weir)
"$work/by_pc_static"
ln -s libweir.so.0 "$lib"/libweir.so

cmake -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 &&
    cmake --build "$work/cmake" --verbose >>"$work/cmake.log" 2>&1 || {
    cat "$work/cmake.log"
    exit 1
}
grep -q -- -fstack-clash-protection "$work/cmake.log" || {
    echo "weir::weir does not carry -fstack-clash-protection"
    exit 1
}
"$work/cmake/user_static"
"$work/cmake/user_shared"
