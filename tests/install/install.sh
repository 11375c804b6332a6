#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install.sh <build directory>: installs it into a temporary prefix, moves the prefix, and builds
# and runs a user's program against it by pkg-config and by find_package, static and shared. The
# program of README.md is built too, by the very commands that stand there and inside a tree that
# has weir as a subdirectory; it serves for ever, so it is not run.
set -eu -o pipefail

build=$(cd "$1" && pwd)
uring=$(sed -n "s,^WEIR_URING:BOOL=,,p" "$build/CMakeCache.txt")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
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

cd "$work"
"$root/tests/docs/extract.py" program "$root/README.md" >echo.c
grep '^    cc echo\.c ' "$root/README.md" >commands
[ "$(wc -l <commands)" -eq 2 ] || {
    echo "README.md has other commands than one for the shared library and one for all in one"
    exit 1
}
while read -r command; do
    rm -f echo
    eval "$command"
    [ -x echo ] || {
        echo "README.md: $command: makes no echo"
        exit 1
    }
done <commands

cat >CMakeLists.txt <<'EOT'
cmake_minimum_required(VERSION 3.25)
project(embedding LANGUAGES C)
add_subdirectory(weir)
add_executable(echo echo.c)
target_link_libraries(echo PRIVATE weir::weir)
EOT
ln -s "$root" weir
cmake -S . -B embedded -DWEIR_URING="$uring" >cmake.log 2>&1 && cmake --build embedded >>cmake.log 2>&1 || {
    cat cmake.log
    exit 1
}

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
