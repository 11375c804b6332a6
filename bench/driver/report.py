# SPDX-License-Identifier: MIT
"""What comes out: medians and quartiles of ratios, as a table for people or a line for programs."""
import json
import statistics

from driver.measure import slice_ms


def quartiles(values):
    """(first quartile, median, third quartile) of at least one value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def ratios(mate, baseline, figure):
    """Each slice against the baseline's slice of the same cycle."""
    return [mate.slices[key][figure] / baseline.slices[key][figure] for key in mate.slices
            if baseline.slices[key][figure] > 0]


def median(mate, figure):
    return statistics.median(result[figure] for result in mate.slices.values())


def figures(cell, mate, baseline, setting, machine):
    """The JSON object of one cell and contestant."""
    contestant = mate.contestant
    object_ = {"cell": cell.name, "contestant": contestant.name, **cell._asdict(),
               "backend": contestant.backend, "path": mate.path, "command": contestant.command,
               "machine": machine, "fifo": setting.fifo,
               "own_network": setting.network, "launches": setting.launches,
               "cycles": setting.cycles, "slice_ms": slice_ms(cell, setting)}
    if mate.failure is not None:
        return {**object_, "failure": mate.failure}
    for name, figure in (("requests_ratio", "rps"), ("cpu_ratio", "server_cpu_ns")):
        low, middle, high = quartiles(ratios(mate, baseline, figure))
        object_ |= {name: round(middle, 4), name + "_q1": round(low, 4),
                    name + "_q3": round(high, 4)}
    object_ |= {"requests_per_second": round(median(mate, "rps")),
                "server_cpu_ns": round(median(mate, "server_cpu_ns"), 1),
                "p50_us": round(median(mate, "p50_us"), 1),
                "p99_us": round(median(mate, "p99_us"), 1),
                "p999_us": round(median(mate, "p999_us"), 1),
                "syscalls_per_request": None if mate.syscalls_per_request is None
                else round(mate.syscalls_per_request, 4)}
    return object_


COLUMNS = ("contestant", "requests", "[quartiles]", "CPU", "[quartiles]", "requests/s", "CPU ns",
           "p50", "p99", "p99.9 us", "calls", "backend, path")
FORMAT = "  {:<12} {:>8} {:>14} {:>6} {:>14} {:>10} {:>7} {:>8} {:>8} {:>9} {:>6}  {}"


def row(figures_):
    if "failure" in figures_:
        return f"  {figures_['contestant']:<12} failed: {figures_['failure']}"

    def spread(name):
        return f"[{figures_[name + '_q1']:.3f} {figures_[name + '_q3']:.3f}]"

    calls = figures_["syscalls_per_request"]
    return FORMAT.format(
        figures_["contestant"], f"{figures_['requests_ratio']:.3f}", spread("requests_ratio"),
        f"{figures_['cpu_ratio']:.3f}", spread("cpu_ratio"), figures_["requests_per_second"],
        f"{figures_['server_cpu_ns']:.0f}", f"{figures_['p50_us']:.1f}",
        f"{figures_['p99_us']:.1f}", f"{figures_['p999_us']:.1f}",
        "n/a" if calls is None else f"{calls:.2f}",
        ", ".join(part for part in (figures_["backend"], figures_["path"]) if part))


def table(cell, lines, placement):
    depth = f", {cell.depth} in flight each" if cell.depth > 1 else ""
    head = f"{cell.name}: {cell.connections} connections, {cell.size} B{depth}, {placement}"
    return "\n".join([head, FORMAT.format(*COLUMNS), *map(row, lines), ""])


def line(figures_):
    return json.dumps(figures_, separators=(",", ":"))
