# SPDX-License-Identifier: MIT
"""made_page -- a page of the documents that a table of the sources decides: holds it to that, or writes
it."""
import difflib
import os
import sys


def main(usage, page, table, page_of):
    """`page` and `table` are paths below the root, `page_of` makes the one's text of the other's."""
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--write"]):
        sys.exit(usage)
    path = os.path.join(sys.argv[1], page)
    with open(os.path.join(sys.argv[1], table), encoding="utf-8") as file:
        wanted = page_of(file.read())
    if sys.argv[2:]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(wanted)
        return
    with open(path, encoding="utf-8") as file:
        found = file.read()
    sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), page,
                                               table))
    sys.exit(found != wanted)
