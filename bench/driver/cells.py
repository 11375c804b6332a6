# SPDX-License-Identifier: MIT
"""What is measured: a cell is a placement, a number of connections, a size and a depth."""
import re
from typing import NamedTuple

PLACEMENTS = {"same": "server and client on one CPU", "two": "server and client on a CPU each"}


class Cell(NamedTuple):
    placement: str
    connections: int
    size: int
    depth: int = 1

    @property
    def name(self):
        depth = f"x{self.depth}" if self.depth > 1 else ""
        return f"{self.placement}.{self.connections}x{self.size}{depth}"


STANDARD = [Cell(placement, connections, size)
            for placement in PLACEMENTS
            for connections in (1, 50, 500) for size in (64, 4096)] + \
           [Cell(placement, 5000, 64) for placement in PLACEMENTS]


def parse(text):
    """The cells of a comma-separated list: "same" and "two" are those of the standard set, and
    "same.50x64" or "two.500x4096x16" (connections, size, depth) any cell at all."""
    cells = []
    for word in text.split(","):
        match = re.fullmatch(r"(same|two)\.(\d+)x(\d+)(?:x(\d+))?", word)
        if word in PLACEMENTS:
            cells += [cell for cell in STANDARD if cell.placement == word]
        elif match and all(int(number) > 0 for number in match.groups()[1:] if number):
            placement, connections, size, depth = match.groups()
            cells.append(Cell(placement, int(connections), int(size), int(depth or 1)))
        else:
            raise ValueError(f'cell "{word}": neither "same", "two" nor like "same.50x64"')
    return list(dict.fromkeys(cells))
