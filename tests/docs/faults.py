#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""faults.py -- docs/guide/faults.md, made from the table that the simulator is made from.

    faults.py <root>            fails, with the difference, unless the page is what the table gives
    faults.py <root> --write    writes the page
"""
import re
import sys

import made_page

SECTION = re.compile(r"^/\* (.*)\. \*/$")
ODDS = re.compile(r'^ODDS\((\w+), (\d+), (\d+), (\d+), (\d+),\s*"([^"]*)"\)$')
AMOUNT = re.compile(r'^AMOUNT\((\w+), "([^"]*)", (\d+), (\d+), (\d+), (\d+), (\d+), (\d+),\s*"([^"]*)"\)$')

PAGE = """\
# Faults of a simulated world

What [a simulation](10-simulation.md) can be told to do wrong: a preset, and settings that replace its
figures, as in `"lossy reset=0.01 latency_ns_max=200000000"`. Made from `src/backend/sim/faults.def` by
`tests/docs/faults.py`.

The preset `swarm` draws every figure from the seed. Of the probabilities it leaves each one out in half of
all seeds; otherwise it takes what the table says, or a half, a quarter, ... down to a 128th of it.

`weir_sim_heal` ends all of them for what comes, and undoes nothing: a sector that became unreadable (`latent`)
stays so until it is written, a write that was lost (`lying`) or went astray (`misdirected`) is not there, and a
request that is stuck (`disk_stuck`) stays stuck until its node crashes; a read or an open may end before that, by
a cancel or a deadline that comes in time (`cancel_late`).

## Probabilities

From 0 to 1, with up to 18 decimals that count.

{odds}

## Amounts

Whole numbers. The preset `swarm` draws one between the two that the table says.

| amount | unit | calm | lossy | hostile | swarm | at most | |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
{amounts}
"""


def probability(million):
    text = f"{int(million) / 1e6:.6f}".rstrip("0").rstrip(".")
    return text or "0"


def number(text):
    return f"{int(text):,}"


def rows_of(table):
    """The rows, each on one line, and what stands between them."""
    text = re.sub(r",\n\s+", ", ", table)
    return text.split("\n")


def page_of(table):
    odds, amounts = [], []
    for line in rows_of(table):
        section, odd, amount = SECTION.match(line), ODDS.match(line), AMOUNT.match(line)
        if section:
            odds += ["", section.group(1) + ":", "", "| fault | calm | lossy | hostile | swarm | |",
                     "| --- | ---: | ---: | ---: | ---: | --- |"]
        elif odd:
            name, *figures, text = odd.groups()
            odds.append(f"| `{name}` | {' | '.join(map(probability, figures))} | {text} |")
        elif amount:
            name, unit, calm, lossy, hostile, low, high, limit, text = amount.groups()
            amounts.append(f"| `{name}` | {unit} | {number(calm)} | {number(lossy)} | "
                           f"{number(hostile)} | {number(low)} to {number(high)} | {number(limit)} | "
                           f"{text} |")
        elif line.startswith(("ODDS(", "AMOUNT(")):
            sys.exit(f"a row of faults.def is not understood: {line}")
    return PAGE.format(odds="\n".join(odds).strip(), amounts="\n".join(amounts))


if __name__ == "__main__":
    made_page.main(__doc__, "docs/guide/faults.md", "src/backend/sim/faults.def", page_of)
