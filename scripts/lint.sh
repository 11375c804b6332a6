#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# lint.sh: formatting, clang-tidy over everything that the clang build compiles, style and headers.
# Shows every finding of all four before it fails.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

status=0
rooms=()
for room in src include tests bench examples apps tools; do
    [ -d "$room" ] && rooms+=("$room")
done

find "${rooms[@]}" -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror || status=1

cmake --preset clang >build/lint.log 2>&1 || {
    cat build/lint.log
    exit 1
}
# clang-tidy counts what it suppressed on stderr, file by file; its findings are on stdout.
python3 - build/clang/compile_commands.json <<'EOT' | xargs -0 -P "$(nproc)" -n 1 \
    clang-tidy --quiet -p build/clang 2>build/lint.log || { status=1; grep error: build/lint.log; }
import json, sys
files = {c["file"] for c in json.load(open(sys.argv[1])) if c["file"].endswith(".c")}
print("\0".join(sorted(files)), end="")
EOT

tests/style/style.py source . || status=1
tests/style/headers.py . gcc g++ || status=1
tests/style/headers.py . clang clang++ || status=1
exit $status
