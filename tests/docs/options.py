#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""options.py -- docs/guide/options.md, made from the table that the library is made from.

    options.py <root>            fails, with the difference, unless the page is what the table gives
    options.py <root> --write    writes the page
"""
import re
import sys

import made_page

ROW = re.compile(r'^X\((\w+), (-?\d+), (-?\d+), (-?\d+), "(\w+)",\s*"([^"]*)"\)$', re.M)

PAGE = """\
# Options

`weir_run` takes a `struct weir_opts`; `NULL` and fields that are 0 mean the default. Made from
`src/app/options.def` by `tests/docs/options.py`.

An option that is set in the program beats the environment, the environment beats the default. A value
outside of its limits is -EINVAL, from wherever it comes, with a line in the log that names it, its value
and its limit; nothing has been started then.

| option | default | least | most | environment | |
| --- | ---: | ---: | ---: | --- | --- |
{rows}

Beside the numbers:

| option | default | environment | |
| --- | --- | --- | --- |
| `backend` | `WEIR_BACKEND_AUTO` | `WEIR_BACKEND` = `auto`, `uring`, `epoll` or `sim` | a named one is used or the start fails; see [containers.md](containers.md), and [10-simulation.md](10-simulation.md) of `sim` |
| `sim_seed` | 1 | `WEIR_SIM_SEED`, decimal or 0x | what decides everything of a run on `sim`, in 64 bits; see [10-simulation.md](10-simulation.md) |
| `sim_faults` | `calm` | `WEIR_SIM_FAULTS` | what goes wrong on `sim`; see [faults.md](faults.md) |
| `log_level` | `WEIR_LOG_WARN` | none | what is written; the rest is only counted |
| `log`, `log_user` | stderr, as `weir: text` | none | where lines go; at most 20 of a level in a second, then one that says how many were dropped |
| `stats` | none | none | a `struct weir_stats` that is filled when the run ends |
| `on_wake`, `on_wake_user` | none | none | called between tasks after messages of other threads came in |
| `on_turn`, `on_turn_user` | none | none | called once a turn of the loop, between tasks |

Sizes are bytes, times nanoseconds. Worlds of `weir_sim_run` have variables of their own, in
[10-simulation.md](10-simulation.md); their nodes read no environment at all.

```c
static int start(weir_fn *serve)
{{
    return weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL, .tasks_max = 10000,
                              .linger_ns = 3 * WEIR_SEC, .log_level = WEIR_LOG_INFO),
                    serve, NULL);
}}
```
"""


def number(text):
    return f"{int(text):,}"


def page_of(table):
    rows = ROW.findall(table)
    if len(rows) != len(re.findall(r"^X\(", table, re.M)):
        sys.exit("a row of options.def is not understood")
    return PAGE.format(rows="\n".join(
        f"| `{name}` | {number(default)} | {number(least)} | {number(most)} | `{env}` | {text} |"
        for name, default, least, most, env, text in rows))


if __name__ == "__main__":
    made_page.main(__doc__, "docs/guide/options.md", "src/app/options.def", page_of)
